"""Quorum queues under the same random operations, on the embedded broker and a real RabbitMQ."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis.stateful import run_state_machine_as_test

from brokers.embedded import RELEASES
from brokers.running import SessionBrokers
from hopmq.testing import RabbitMQ
from parity.side import Side
from parity.test_same_operations import ALL, STEP, WITHIN, SameOperations
from trials import trials


class SameQuorum(SameOperations):
    """Declares quorum queues, once; they live to the end.

    A limit of bytes is left out: of several messages that one publish pushes out, 3.10
    dead-letters the last one first.
    """

    def both(self, *operation: Any) -> None:
        """Do an operation that quorum queues know."""
        if operation[0] == "delete":
            return
        if operation[0] == "declare" and operation[1] != "dead":
            declared: set[str] = self.__dict__.setdefault("declared", set())
            if operation[1] in declared:
                return
            declared.add(operation[1])
            operation = ("declare", operation[1], _of_quorum(operation[2]), False)
        super().both(*operation)

    async def _compare(self) -> None:
        ours = await _look(self.sides[0])
        theirs = await _look(self.sides[1])
        deadline = self.loop.time() + WITHIN
        while ours != theirs and self.loop.time() < deadline:
            await asyncio.sleep(STEP)
            theirs = await _look(self.sides[1])
        assert ours == theirs, self._told("what can be seen differs", ours, theirs)


def _of_quorum(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return arguments of a quorum queue: a delivery limit for the number of priorities."""
    given = {key: arguments[key] for key in arguments if key != "x-max-length-bytes"}
    priorities = given.pop("x-max-priority", None)
    if priorities is not None:
        given["x-delivery-limit"] = priorities - 1
    return {**given, "x-queue-type": "quorum"}


async def _look(side: Side) -> object:
    """Leave consumers out: RabbitMQ's quorum queues count an unsettled get as one."""
    counts, seen = await side.look(ALL)  # type: ignore[misc]
    return [ready for ready, _ in counts], seen


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Return a loop of the machine's own: its rules are no coroutines."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def test_the_same_operations_show_the_same_of_quorum_queues(
    rabbitmq: RabbitMQ, session_brokers: SessionBrokers, loop: asyncio.AbstractEventLoop
) -> None:
    release = max(each for each in RELEASES if rabbitmq.version.startswith(f"{each}."))
    embedded = session_brokers.embedded(release)
    urls = (embedded.url, rabbitmq.url)
    machine = type("Machine", (SameQuorum,), {"loop": loop, "urls": urls})
    run_state_machine_as_test(machine, settings=trials(10, steps=40))  # type: ignore[no-untyped-call]
