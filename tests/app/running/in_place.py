"""Messages that are handled without a broker, and tried again where they are."""

from typing import Any

from hopmq.app import Retry
from hopmq.app.clock import LoopTime
from hopmq.app.retry import Failures
from hopmq.app.running.handling import Handling
from hopmq.app.running.rests import Rests
from hopmq.client.message import Message
from hopmq.entities import Queue


class Nobody:
    """Stands for consumer, application and broker, none of which is asked anything."""

    name = "orders"

    def attempt_of(self, message: Message) -> int:
        return 1


def handling(call: Any, retry: Retry) -> Handling:
    """Return what has `call` handle messages, and tries them again where they are."""
    nobody: Any = Nobody()
    clock = LoopTime()
    return Handling(
        call,
        lambda message: message.body,
        nobody,
        nobody,
        ack="auto",
        failures=Failures(nobody, Queue("orders"), retry, clock, in_place=True),
        in_place=True,
        rests=Rests(),
        clock=clock,
    )
