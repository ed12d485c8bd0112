"""Which arguments of `basic.consume` are refused, in RabbitMQ's words."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from hopmq.broker.exchanges.terms import type_of
from hopmq.broker.refusal import Refusal

if TYPE_CHECKING:
    from hopmq.broker.queues.queue import Queue

_FOREIGN: Final[Mapping[str, frozenset[str]]] = {
    "x-priority": frozenset({"stream"}),
    "x-stream-offset": frozenset({"classic", "quorum"}),
}
"""Arguments by the kinds of queues that do not know them."""

_FAILOVER: Final = "x-cancel-on-ha-failover"


def check_arguments(queue: "Queue", arguments: Mapping[str, Any]) -> None:
    """Refuse a consumer whose arguments its queue does not know, or that are of a wrong type."""
    foreign = dict(_FOREIGN)
    mirrors = not queue.vhost.emulation.message_containers
    if mirrors:
        foreign[_FAILOVER] = frozenset({"quorum", "stream"})
    for name in arguments:
        if queue.kind in foreign.get(name, ()):
            raise _invalid(queue, name, f" of queue type rabbit_{queue.kind}_queue")
    priority = arguments.get("x-priority", 0)
    if not isinstance(priority, int) or isinstance(priority, bool):
        raise _invalid(queue, "x-priority", f': "expected integer, got {type_of(priority)}"')
    failover = arguments.get(_FAILOVER, False)
    if mirrors and not isinstance(failover, bool):
        raise _invalid(queue, _FAILOVER, f": {{unacceptable_type,{type_of(failover)}}}")


def _invalid(queue: "Queue", name: str, why: str) -> Refusal:
    return Refusal(406, f"PRECONDITION_FAILED - invalid arg '{name}' for {queue.label}{why}")
