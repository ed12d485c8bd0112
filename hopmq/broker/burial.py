"""Dead messages on their way: from the queue they died in to where its dead messages go."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hopmq.broker.dead_letters import dead_lettered, is_circle
from hopmq.broker.message import Entry
from hopmq.broker.queues.queue import DELIVERY_LIMIT, REJECTED, Queue
from hopmq.broker.refusal import Refusal
from hopmq.wire import Published

if TYPE_CHECKING:
    from hopmq.broker.vhost import Target, VirtualHost

_AFTER_DELIVERY: Final = frozenset({REJECTED, DELIVERY_LIMIT})


@dataclass(slots=True)
class _Death:
    """A message that died: where, why, and who asks whether it has arrived elsewhere."""

    queue: Queue
    entry: Entry
    reason: str
    then: Callable[[bool], None] | None


class Burial:
    """The dead messages of a virtual host, one after the other.

    The death of one message may cause the next, in the same queue or in another.
    """

    def __init__(self, vhost: "VirtualHost") -> None:
        """Have nothing to do."""
        self._vhost = vhost
        self._waiting: deque[_Death] = deque()
        self._busy = False

    def add(
        self,
        queue: Queue,
        entry: Entry,
        reason: str,
        then: Callable[[bool], None] | None = None,
    ) -> None:
        """Send on what died in `queue`; call `then` with whether it has arrived."""
        self._waiting.append(_Death(queue, entry, reason, then))
        if self._busy:
            return
        self._busy = True
        try:
            while self._waiting:
                self._bury(self._waiting.popleft())
        finally:
            self._busy = False

    def _bury(self, death: _Death) -> None:
        arrived = self._send(death)
        if death.then is not None:
            death.then(arrived)

    def _send(self, death: _Death) -> bool:
        """Return whether the message is in every queue it goes to, and there is one."""
        vhost, queue = self._vhost, death.queue
        exchange = vhost.exchanges.get(queue.settings.dead_letter_exchange or "")
        if exchange is None:
            return False
        dead = dead_lettered(
            death.entry.message,
            queue=queue.name,
            reason=death.reason,
            exchange=exchange.name,
            routing_key=queue.settings.dead_letter_routing_key,
            wall=vhost.clock.wall(),
            emulation=vhost.emulation,
        )
        try:
            targets = vhost.route(dead)
        except Refusal:  # its CC is no list; nobody is there to be told
            return False
        accepted = [self._take(target, dead, death) for target in targets]
        return bool(accepted) and all(accepted)

    def _take(self, target: "Target", dead: Published, death: _Death) -> bool:
        # What goes round in a circle is dropped.
        if is_circle(dead, target.name):
            return True
        return target.publish(dead, past=self._past(death, target))

    def _past(self, death: _Death, target: "Target") -> Entry | None:
        """Return what its next queue knows of the deliveries in this one; None for nothing."""
        entry, rejected = death.entry, death.reason == REJECTED
        follows = self._vhost.emulation.past_follows
        if not (entry.redelivered or rejected) or follows == "nowhere":
            return None
        past = Entry(entry.message, 0, None)
        past.redelivered = True
        if follows == "everywhere":
            past.deliveries = max(entry.deliveries, 0) + rejected
            past.acquired = -max(entry.acquired, 0) - rejected
            return past
        between_quorum_queues = "quorum" == death.queue.kind == getattr(target, "kind", "")
        if not between_quorum_queues or death.reason not in _AFTER_DELIVERY:
            return None
        past.deliveries = -1
        return past
