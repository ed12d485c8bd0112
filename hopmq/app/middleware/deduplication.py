"""Consumers that work on each message once, although it may be delivered more than once."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from hopmq.app.batching import BatchFailures, failures_of
from hopmq.app.clock import Clock, Timer
from hopmq.app.context import CallNext, ConsumeContext
from hopmq.app.middleware.ticking import Ticking
from hopmq.app.retry import Drop, Postpone
from hopmq.client.message import Message
from hopmq.errors import UsageError

logger: logging.Logger = logging.getLogger("hopmq.app")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a store says to somebody who wants to work on a message.

    Attributes:
        state: `begun`: it is theirs now. `busy`: somebody else is at work. `done`: it was.
        until: Seconds since 1970 until which that holds, unless it changes before.
    """

    state: Literal["begun", "busy", "done"]
    until: float


class DeduplicationStore(Protocol):
    """Remembers which messages were begun and which are done.

    All times are seconds since 1970, by the clock of who asks. Whoever shares a store among
    processes needs each method to be one step that no other comes between.
    """

    async def begin(self, key: str, token: str, *, now: float, until: float) -> Claim:
        """Claim a message until `until`, unless it is done, or begun by another until later."""

    async def extend(self, key: str, token: str, *, until: float) -> None:
        """Keep a claim longer, if `token` still has it."""

    async def release(self, key: str, token: str) -> None:
        """Give a claim up, if `token` still has it: the work has failed."""

    async def done(self, key: str, *, now: float, until: float) -> None:
        """Remember until `until` that the work is done, whoever has the claim."""


_Claimed: TypeAlias = tuple[str, str] | None
"""Key and token of what was begun; None for what has no key."""


class Deduplication(Ticking):
    """Have each message handled once: the idempotent consumer.

    A message is begun in the store, handled, and marked as done there. One that was done before is
    acknowledged without the handler; one that somebody else has begun is put off. When a handler
    fails, its message is free for the next attempt. When a process dies at work, nobody does
    anything until its `lease` has ended, and then the message is worked on again: between the
    end of a handler and its mark there is a moment in which a crash means work done twice. Only
    a handler that keeps the mark in the same transaction as its work is without it.

    Of a batch, the handler gets those that it is to work on. Messages are told apart by queue and `key`.
    For consumers, not for endpoints, whose callers wait for an answer.
    """

    def __init__(
        self,
        store: DeduplicationStore,
        *,
        key: Callable[[ConsumeContext], str | None] | None = None,
        lease: float = 60.0,
        ttl: float = 24 * 3600.0,
        clock: Clock | None = None,
    ) -> None:
        """Describe it.

        Args:
            store: What remembers; `MemoryStore` within one process, `SqliteStore` among those
                of one machine.
            key: Returns what a message is known by; its `message_id` by default. A message
                without one is handled as if there were no store.
            lease: Seconds after which the message of a dead process is free again. It is renewed
                while a handler works.
            ttl: Seconds that what is done is remembered.
            clock: Where time comes from; the application's by default.

        Raises:
            UsageError: A time that cannot be meant.
        """
        if not (lease > 0 and ttl > 0):
            raise UsageError("lease and ttl are numbers of seconds above 0")
        super().__init__(clock)
        self._store = store
        self._key = key
        self._lease = lease
        self._ttl = ttl

    async def __call__(
        self, context: ConsumeContext, call_next: Callable[[ConsumeContext], Awaitable[Any]], /
    ) -> Any:
        """Handle, if nobody has or does."""
        if context.payloads is not None:
            return await self._of_batch(context, call_next)
        with ExitStack() as renewals:
            claimed = await self._begin(context, renewals)
            try:
                result = await call_next(context)
            except BaseException:
                await self._release([claimed])
                raise
        await self._mark(claimed, context)
        return result

    async def _of_batch(self, context: ConsumeContext, call_next: CallNext[ConsumeContext]) -> Any:
        """Handle those that nobody has handled or does."""
        begun: dict[int, _Claimed] = {}
        failures: dict[int, BaseException] = {}
        result, error = None, None
        with ExitStack() as renewals:
            try:
                for index, message in enumerate(context.messages):
                    try:
                        begun[index] = await self._begin(context.part([index]), renewals)
                    except Drop:
                        _ack(message)
                    except Postpone as verdict:
                        failures[index] = verdict
                if begun:
                    result, error = await _outcome(context.part(begun), call_next)
            except BaseException:
                await self._release(begun.values())
                raise
        failed = {} if error is None else failures_of(error, len(begun))
        for position, (index, claimed) in enumerate(begun.items()):
            if position in failed:
                failures[index] = failed[position]
                await self._release([claimed])
            else:
                await self._mark(claimed, context)
        if error is not None and len(begun) == len(context.messages):
            raise error
        if failures:
            raise BatchFailures(failures)
        return result

    async def _begin(self, context: ConsumeContext, renewals: ExitStack) -> _Claimed:
        """Claim a message, and have the claim renewed.

        Raises:
            Drop: It was handled before.
            Postpone: Somebody else is at it.
        """
        name = context.message.message_id if self._key is None else self._key(context)
        if name is None:
            logger.debug("a message of consumer %r has no key", context.consumer.name)
            return None
        clock = self.clock_of(context.app)
        key, token, now = f"{context.consumer.queue}:{name}", secrets.token_hex(8), clock.wall()
        try:
            claim = await self._store.begin(key, token, now=now, until=now + self._lease)
        except asyncio.CancelledError:
            await self._store.release(key, token)  # it may have come to it all the same
            raise
        if claim.state == "done":
            raise Drop(f"{name!r} was handled before")
        if claim.state == "busy":
            wait = max(claim.until - now, 0.0) + self._lease * 0.1
            raise Postpone(min(wait, self._lease), f"{name!r} is being handled elsewhere")
        renewals.enter_context(_Renewal(self._store, clock, key, token, self._lease))
        return key, token

    async def _release(self, claims: Iterable[_Claimed]) -> None:
        for claimed in claims:
            if claimed is not None:
                await self._store.release(*claimed)

    async def _mark(self, claimed: _Claimed, context: ConsumeContext) -> None:
        if claimed is None:
            return
        key, now = claimed[0], self.clock_of(context.app).wall()
        try:
            await self._store.done(key, now=now, until=now + self._ttl)
        except Exception:
            # The store is the user's. To fail here would have the work done again.
            logger.exception("%r was handled, but that cannot be remembered", key)


async def _outcome(
    context: ConsumeContext, call_next: CallNext[ConsumeContext]
) -> tuple[Any, Exception | None]:
    """Return what the handler of a batch returned, or failed of."""
    try:
        return await call_next(context), None
    except Exception as error:
        return None, error


def _ack(message: Message) -> None:
    if not message.settled:
        message.ack()


class _Renewal:
    """Keeps a claim for as long as its block takes."""

    __slots__ = ("_clock", "_key", "_lease", "_renewing", "_store", "_timer", "_token")

    def __init__(
        self, store: DeduplicationStore, clock: Clock, key: str, token: str, lease: float
    ) -> None:
        """Renew a claim that lasts for `lease` seconds, well before these are over."""
        self._store = store
        self._clock = clock
        self._key = key
        self._token = token
        self._lease = lease
        self._renewing: asyncio.Task[None] | None = None
        self._timer: Timer

    def __enter__(self) -> None:
        """Begin."""
        self._arm()

    def __exit__(self, *_: object) -> None:
        """End."""
        self._timer.cancel()

    def _arm(self) -> None:
        self._timer = self._clock.call_at(self._clock.time() + self._lease / 3, self._due)

    def _due(self) -> None:
        self._renewing = asyncio.get_running_loop().create_task(self._renew())
        self._arm()

    async def _renew(self) -> None:
        try:
            await self._store.extend(self._key, self._token, until=self._clock.wall() + self._lease)
        except Exception:
            # The store is the user's; the next renewal may succeed.
            logger.exception("the claim on %r cannot be renewed", self._key)
