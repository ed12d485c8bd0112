"""What an application declares, as a value that is known before it connects."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from hopmq.app.errors import DeclarationError
from hopmq.app.messaging import Messaging
from hopmq.bindings import Binding
from hopmq.entities import Exchange, Queue
from hopmq.errors import (
    AccessRefusedError,
    ClosedError,
    NotFoundError,
    PreconditionFailedError,
)

logger: logging.Logger = logging.getLogger("hopmq.app")

E = TypeVar("E", Exchange, Queue)

_PLUGINS: Final = {
    "x-consistent-hash": (
        "run `rabbitmq-plugins enable rabbitmq_consistent_hash_exchange` on every node, or have "
        "publishers choose the partition: Group(..., hashed_by='publisher')"
    ),
}
"""What helps against a type of exchange that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """Exchanges, queues and bindings, each once, in the order in which they are declared.

    Attributes:
        exchanges: The exchanges.
        queues: The queues.
        bindings: What joins them.
        as_found: Names of exchanges that may as well exist with other properties, since publishers
            have named them and not described them.
    """

    exchanges: tuple[Exchange, ...] = ()
    queues: tuple[Queue, ...] = ()
    bindings: tuple[Binding, ...] = ()
    as_found: frozenset[str] = frozenset()

    def __add__(self, other: "Topology") -> "Topology":
        """Return both, each entity once; an exchange that is described goes before one that is named.

        Raises:
            DeclarationError: They have an entity of one name with different properties.
        """
        named = (self.as_found | other.as_found) - self._described() - other._described()
        return Topology(
            exchanges=_once(self._exchanges_but(named) + other._exchanges_but(named)),
            queues=_once(self.queues + other.queues),
            bindings=tuple(dict.fromkeys(self.bindings + other.bindings)),
            as_found=named,
        )

    def without_queue(self, name: str) -> "Topology":
        """Return the same but for a queue, which is declared elsewhere; bindings to it stay."""
        return replace(self, queues=tuple(each for each in self.queues if each.name != name))

    def of_all(self) -> "Topology":
        """Return what any process may declare: no queue that goes with its connection or consumers."""
        left_out = {each.name for each in self.queues if is_private(each)}
        return replace(
            self,
            queues=tuple(each for each in self.queues if each.name not in left_out),
            bindings=tuple(
                each
                for each in self.bindings
                if each.kind == "exchange" or each.destination not in left_out
            ),
        )

    async def declare(self, messaging: Messaging) -> None:
        """Create what does not exist yet: entities first, bindings when these are there.

        Raises:
            PreconditionFailedError: Something exists with other properties; the text says which.
            AccessRefusedError: The user may not.
            DeclarationError: The broker lacks the plugin that an exchange is of.
        """
        await _all(self._declare_exchange(messaging, each) for each in self.exchanges)
        await _all(messaging.declare_queue(each) for each in self.queues)
        await _all(_bind(messaging, each) for each in self.bindings)

    # --- inside ------------------------------------------------------------------------------

    def _described(self) -> set[str]:
        return {each.name for each in self.exchanges} - self.as_found

    def _exchanges_but(self, named: frozenset[str]) -> tuple[Exchange, ...]:
        """Return the exchanges without those that are only named here, unless they are anywhere."""
        left_out = self.as_found - named
        return tuple(each for each in self.exchanges if each.name not in left_out)

    def _declare_exchange(
        self, messaging: Messaging, exchange: Exchange
    ) -> Coroutine[Any, Any, None]:
        if exchange.name in self.as_found:
            return _declare_unless_found(messaging, exchange)
        return _declare_exchange(messaging, exchange)


def is_private(queue: Queue) -> bool:
    """Return whether a queue goes with its connection or its consumers."""
    return queue.exclusive or queue.auto_delete


def _once(entities: tuple[E, ...]) -> tuple[E, ...]:
    found: dict[str, E] = {}
    for each in entities:
        same = found.setdefault(each.name, each)
        if same != each:
            raise DeclarationError(
                f"{each.name!r} is declared twice, with different properties: {same!r} and {each!r}"
            )
    return tuple(found.values())


async def _declare_exchange(messaging: Messaging, exchange: Exchange) -> None:
    try:
        await messaging.declare_exchange(exchange)
    except ClosedError as error:
        remedy = _PLUGINS.get(exchange.type)
        if remedy is None or "unknown exchange type" not in str(error):
            raise
        raise DeclarationError(
            f"exchange {exchange.name!r}: the broker has no exchanges of type {exchange.type!r}; "
            f"{remedy}"
        ) from error


async def _declare_unless_found(messaging: Messaging, exchange: Exchange) -> None:
    """Declare an exchange; one that exists will do, whatever its properties, and whoever made it."""
    try:
        await messaging.declare_exchange(exchange)
    except PreconditionFailedError as error:
        logger.info("exchange %r is used as it is: %s", exchange.name, error)
    except AccessRefusedError as error:
        try:
            await messaging.declare_exchange(exchange.name, passive=True)
        except NotFoundError:
            raise error from None
        logger.info("exchange %r is used as it is: %s", exchange.name, error)


async def _bind(messaging: Messaging, binding: Binding) -> None:
    bind = messaging.bind_exchange if binding.kind == "exchange" else messaging.bind
    await bind(
        binding.destination,
        binding.source,
        binding.routing_key,
        arguments=binding.arguments or None,
    )


async def _all(requests: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Make requests at once, pipelined; raise the first refusal when all are answered."""
    for outcome in await asyncio.gather(*requests, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
