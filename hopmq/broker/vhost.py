"""A virtual host: its exchanges, queues and bindings, and the ways of messages through them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, cast

from hopmq.broker.burial import Burial
from hopmq.broker.clock import Clock
from hopmq.broker.emulation import Emulation
from hopmq.broker.exchanges.binding import Binding, Destination
from hopmq.broker.exchanges.exchange import Exchange
from hopmq.broker.exchanges.resolution import resolve
from hopmq.broker.exchanges.rules import RULES, RoutingRules
from hopmq.broker.exchanges.sender_selected import (
    BLIND_IN_TABLE,
    routing_keys_of,
    without_blind,
)
from hopmq.broker.memory_limit import MemoryLimit
from hopmq.broker.message import HEADERS, OVERHEAD, Annotations, Entry
from hopmq.broker.policies import Policies, Policy
from hopmq.broker.queues.queue import Queue
from hopmq.broker.refusal import Refusal
from hopmq.broker.reply_to import NOBODY, PREFIX, ReplyAddresses, has_form
from hopmq.broker.vhost_metadata import VhostMetadata
from hopmq.wire import Published

_PREDECLARED: Final = (
    ("", "direct"),
    ("amq.direct", "direct"),
    ("amq.fanout", "fanout"),
    ("amq.headers", "headers"),
    ("amq.match", "headers"),
    ("amq.topic", "topic"),
    ("amq.rabbitmq.trace", "topic"),
)
_LOG: Final = ("amq.rabbitmq.log", "topic")
_INTERNAL: Final = frozenset({"amq.rabbitmq.trace", "amq.rabbitmq.log"})


class Target(Protocol):
    """What takes messages: a queue, or the address of a channel that waits for replies."""

    @property
    def name(self) -> str:
        """The routing key that reaches it."""

    def publish(self, message: Published, *, past: Entry | None = None) -> bool:
        """Take a message; False when it is refused.

        Args:
            message: What to take.
            past: Its place in a queue where it died, if this one is to know of it.
        """


class VirtualHost:
    """What connections of one virtual host share.

    Attributes:
        name: Its name.
        clock: Where time comes from.
        memory: The limit on what queues hold.
        emulation, rules: Which release's behaviour is asked for.
        exchanges, queues: By name.
        policies: Those of this virtual host.
        metadata: What it says of itself.
        replies: Consumers that wait for replies without a queue (direct reply-to).
    """

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        memory: MemoryLimit,
        emulation: Emulation,
        replies: ReplyAddresses,
    ) -> None:
        """Start with the exchanges that every virtual host has."""
        self.name: str = name
        self.clock: Clock = clock
        self.memory: MemoryLimit = memory
        self.emulation: Emulation = emulation
        self.replies: ReplyAddresses = replies
        self.rules: RoutingRules = RULES[emulation.release]
        self.policies: Policies = Policies()
        self.metadata: VhostMetadata = VhostMetadata()
        self.exchanges: dict[str, Exchange] = {}
        self.queues: dict[str, Queue] = {}
        self._bound: dict[Destination, dict[Binding, None]] = {}
        self._burial = Burial(self)
        logs = (_LOG,) if emulation.log_exchange and name == "/" else ()
        for exchange, kind in (*_PREDECLARED, *logs):
            internal = exchange in _INTERNAL
            self.exchanges[exchange] = Exchange(
                exchange, kind, durable=True, internal=internal, rules=self.rules
            )

    # --- finding ---------------------------------------------------------------------------

    def exchange(self, name: str) -> Exchange:
        """Return an exchange.

        Raises:
            Refusal: There is none of that name (404).
        """
        found = self.exchanges.get(name)
        if found is None:
            raise Refusal(404, f"NOT_FOUND - no exchange '{name}' in vhost '{self.name}'")
        return found

    def queue(self, name: str) -> Queue:
        """Return a queue.

        Raises:
            Refusal: There is none of that name (404).
        """
        found = self.queues.get(name)
        if found is None:
            raise Refusal(404, f"NOT_FOUND - no queue '{name}' in vhost '{self.name}'")
        return found

    # --- messages --------------------------------------------------------------------------

    def route(self, message: Published) -> Sequence[Target]:
        """Return the queues that a message goes to.

        Raises:
            Refusal: Its exchange does not exist, or its CC or BCC header is no list of keys.
        """
        name = message.exchange
        if not name and not message.raw_properties[0] & HEADERS:
            queue = self.queues.get(message.routing_key)
            if queue is not None:
                return (queue,)
            return self._reply_address(message.routing_key, message)
        exchange = self.exchange(name)
        keys = self._keys_of(message)
        if not name:
            return self.named(keys, message)
        if exchange.delays and (delay := exchange.delay_of(message)):
            self._postpone(exchange, message, delay)
            return ()
        return self._resolve(exchange, message, keys)

    def publish(self, message: Published) -> bool:
        """Route a message and put it into its queues; False when one of them refuses it."""
        accepted = True
        for target in self.route(message):
            accepted = target.publish(message) and accepted
        return accepted

    def _keys_of(self, message: Published) -> tuple[str, ...]:
        """Return a message's routing keys; those that nobody may see are kept beside it."""
        if isinstance(message.context, Annotations):
            return message.context.keys
        if not message.raw_properties[0] & HEADERS:
            return (message.routing_key,)
        keys = routing_keys_of(message)
        if len(keys) > 1:
            message.context = Annotations(keys)
        if BLIND_IN_TABLE in message.raw_properties:
            message.raw_properties = without_blind(message)
            message.properties = None  # to be decoded again
        return keys

    def named(self, names: Sequence[str], message: Published) -> Sequence[Target]:
        """Return the queues of these names: what the default exchange routes to."""
        found: dict[Target, None] = {}
        for name in names:
            queue = self.queues.get(name)
            targets = self._reply_address(name, message) if queue is None else (queue,)
            found |= dict.fromkeys(targets)
        return tuple(found)

    def _resolve(
        self, exchange: Exchange, message: Published, keys: Sequence[str]
    ) -> Sequence[Target]:
        found = resolve(self.exchanges, exchange, message, keys, self._postpone)
        return cast("Sequence[Target]", found)  # bindings lead to our own queues alone

    def _postpone(self, exchange: Exchange, message: Published, delay: float) -> None:
        """Route a message from `exchange` when its delay is over (x-delayed-message)."""
        size = len(message.body) + OVERHEAD
        self.memory.add(size)

        def due() -> None:
            self.memory.release(size)
            if self.exchanges.get(exchange.name) is exchange:
                for target in self._resolve(exchange, message, self._keys_of(message)):
                    target.publish(message)

        self.clock.call_at(self.clock.time() + delay, due)

    def _reply_address(self, routing_key: str, message: Published) -> Sequence[Target]:
        """Return where a reply goes, if the key is an address.

        In releases before 4.3 it is sent on the way, and does not count as routed.
        """
        if not routing_key.startswith(PREFIX):
            return ()
        address = self.replies.find(routing_key)
        if self.emulation.volatile_queues:
            if address is None:
                return (NOBODY,) if has_form(routing_key) else ()
            return (address,)
        if address is not None and self._may_reply(message):
            address.publish(message)
        return ()

    def _may_reply(self, message: Published) -> bool:
        """Return whether a message may be a reply: a dead letter may not be in 4.0."""
        died = isinstance(message.context, Annotations) and message.context.died
        return not died or not self.emulation.message_containers

    def dead_letter(
        self,
        queue: Queue,
        entry: Entry,
        reason: str,
        then: Callable[[bool], None] | None = None,
    ) -> None:
        """Send a message that died in `queue` where its dead messages go, if anywhere.

        Args:
            queue: Where it was.
            entry: The message's place there.
            reason: Why it died.
            then: Called with whether it has arrived: it has a new queue, and each has taken it.
        """
        if queue.settings.dead_letter_exchange is not None:
            self._burial.add(queue, entry, reason, then)

    # --- bindings --------------------------------------------------------------------------

    def bindings(self) -> Iterable[Binding]:
        """Return every binding but those of the default exchange."""
        for exchange in self.exchanges.values():
            yield from exchange.router.bindings()

    def bindings_of(self, destination: Destination) -> Iterable[Binding]:
        """Return the bindings that lead to `destination`."""
        return list(self._bound.get(destination, ()))

    def bind(self, binding: Binding) -> None:
        """Add a binding; one that is there already stays."""
        self.exchange(binding.source).router.bind(binding)
        self._bound.setdefault(binding.destination, {})[binding] = None

    def unbind(self, binding: Binding) -> None:
        """Remove a binding, if it is there; the last one takes an auto-delete exchange with it."""
        source = self.exchange(binding.source)
        known = self._bound.get(binding.destination, {})
        if binding in known:
            del known[binding]
            source.router.unbind(binding)
            self._drop_unbound(source)

    def detach(self, destination: Destination) -> None:
        """Remove all bindings to `destination`; auto-delete exchanges stay, even without any."""
        for binding in self._bound.pop(destination, {}):
            source = self.exchanges.get(binding.source)
            if source is not None:
                source.router.unbind(binding)

    def _drop_unbound(self, exchange: Exchange) -> None:
        if exchange.auto_delete and exchange.router.is_empty:
            self.delete_exchange(exchange)

    def _drop_bindings_to(self, destination: Destination) -> None:
        for binding in self._bound.pop(destination, {}):
            source = self.exchanges.get(binding.source)
            if source is not None:
                source.router.unbind(binding)
                self._drop_unbound(source)

    # --- coming and going ------------------------------------------------------------------

    def add_exchange(self, exchange: Exchange) -> None:
        """Add an exchange."""
        exchange.policy = self.policies.for_exchange(exchange.name)
        self.exchanges[exchange.name] = exchange

    def delete_exchange(self, exchange: Exchange) -> None:
        """Remove an exchange and all its bindings."""
        if self.exchanges.pop(exchange.name, None) is None:
            return
        for binding in list(exchange.router.bindings()):
            self._bound.get(binding.destination, {}).pop(binding, None)
        self._drop_bindings_to(exchange)

    def add_queue(self, queue: Queue) -> None:
        """Add a queue."""
        self.queues[queue.name] = queue

    def delete_queue(self, queue: Queue) -> int:
        """Remove a queue, its bindings and its messages; return how many were ready."""
        if self.queues.get(queue.name) is not queue:
            return 0
        del self.queues[queue.name]
        if queue.owner is not None:
            queue.owner.exclusive_queues.pop(queue, None)
        self._drop_bindings_to(queue)
        count = queue.close()
        for consumer in queue.roster:
            consumer.channel.cancel_consumer(consumer)
        return count

    def set_policy(self, policy: Policy) -> None:
        """Add a policy, or replace the one of its name; it counts at once."""
        self.policies.set(policy)
        self.apply_policies()

    def clear_policy(self, name: str) -> None:
        """Remove a policy, if it is there."""
        self.policies.remove(name)
        self.apply_policies()

    def apply_policies(self) -> None:
        """Have every queue and exchange go by the policy that matches it now."""
        for queue in list(self.queues.values()):
            policy = self.policies.for_queue(queue.name, queue.kind)
            if policy != queue.policy:
                queue.apply_policy(policy)
        for exchange in self.exchanges.values():
            exchange.policy = self.policies.for_exchange(exchange.name)
