"""What handlers and middleware learn of the message in hand."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from hopmq.app.header_names import ATTEMPTS
from hopmq.client.message import Message
from hopmq.core.pending import Receipt
from hopmq.entities import Exchange
from hopmq.wire import Properties


class PausableConsumer(Protocol):
    """The consumer that a message came by, as middleware sees it.

    Attributes:
        attempt_of: Says which attempt a delivery is, from 1.
    """

    attempt_of: Callable[[Message], int]

    @property
    def name(self) -> str:
        """What the application calls it."""

    @property
    def queue(self) -> str:
        """The queue it reads."""

    @property
    def is_paused(self) -> bool:
        """Whether it takes no messages for now."""

    async def pause(self, by: object = None) -> None:
        """Take no more messages; those in hand are finished. Idempotent.

        It goes on when each who has paused it has resumed it; `by` says who that is.
        """

    async def probe(self, by: object = None) -> None:
        """Take messages one at a time, until it is resumed or paused again; only while paused."""

    async def resume(self, by: object = None) -> None:
        """Take messages again. Idempotent."""


class ConsumeContext:
    """One message on its way to a handler; or several, for a handler of batches.

    Attributes:
        messages: What was delivered; more than one for a handler of batches only.
        consumer: What it came by.
        app: The application, a `hopmq.app.App`.
        payloads: What a batch was decoded to; None for single messages.
        retried: How many attempts have failed since this delivery, and were made again at once.
    """

    __slots__ = ("_state", "app", "consumer", "messages", "payloads", "retried")

    def __init__(self, messages: Sequence[Message], consumer: PausableConsumer, app: Any) -> None:
        """Be about `messages`. `app` is Any here: the application stands above this module."""
        self.messages: Sequence[Message] = messages
        self.consumer: PausableConsumer = consumer
        self.app: Any = app
        self.payloads: Sequence[Any] | None = None
        self.retried: int = 0
        self._state: dict[str, Any] | None = None

    @property
    def message(self) -> Message:
        """The message; of a batch, the first."""
        return self.messages[0]

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1; across restarts and replicas."""
        return self.consumer.attempt_of(self.messages[0]) + self.retried

    @property
    def state(self) -> dict[str, Any]:
        """Whatever middleware and handler tell each other; empty at first."""
        if self._state is None:
            self._state = {}
        return self._state

    def part(self, indexes: Iterable[int]) -> "ConsumeContext":
        """Return what is about some of the messages only: middleware may pass on a part of a batch."""
        chosen = list(indexes)
        part = self.with_messages([self.messages[each] for each in chosen])
        if self.payloads is not None:
            part.payloads = [self.payloads[each] for each in chosen]
        return part

    def with_messages(self, messages: Sequence[Message]) -> "ConsumeContext":
        """Return the same context with other messages; `state` is one and the same."""
        other = ConsumeContext(messages, self.consumer, self.app)
        other.payloads = self.payloads
        other.retried = self.retried
        other._state = self.state
        return other


def attempt_of(message: Message) -> int:
    """Return which attempt a delivery is, from 1.

    Failed attempts stand in a header where the application published the message again for the
    next one, and in the queue's own count where the queue itself delays retries.
    """
    headers = message.headers
    failed = headers.get(ATTEMPTS)
    return failed + 1 if isinstance(failed, int) else 1


@dataclass(slots=True, kw_only=True)
class PublishContext:
    """One message on its way to the broker.

    Attributes:
        payload: What is to be published, before it is encoded.
        body: The encoded payload; what middleware puts here is published in its stead.
        exchange: Where to.
        routing_key: What bindings are matched by.
        properties: All properties; may be changed.
        mandatory: Whether it is an error when no queue takes it.
        delay: Seconds until it is to be published; None for at once.
        timeout: Seconds until its outcome is decided; None for the default.
        app: The application, a `hopmq.app.App`.
        state: Whatever middleware tell each other.
        is_request: Whether it asks an endpoint, so that an answer is waited for. A request has no
            `delay`, and is always `mandatory`.
    """

    payload: Any
    body: bytes
    exchange: Exchange | str
    routing_key: str
    properties: Properties
    mandatory: bool = False
    delay: float | None = None
    timeout: float | None = None
    app: Any
    state: dict[str, Any] = field(default_factory=dict)
    is_request: bool = False


C = TypeVar("C")

CallNext = Callable[[C], Awaitable[Any]]
"""Goes on with the next middleware, and at last with the handler or with publishing."""


class Middleware(Protocol[C]):
    """What stands around the handling or the publishing of each message.

    `Middleware[ConsumeContext]` is for handlers, `Middleware[PublishContext]` for publishing. A
    coroutine function of the same arguments is one as well.
    """

    async def __call__(self, context: C, call_next: Callable[[C], Awaitable[Any]], /) -> Any:
        """Do something before, after or instead of `await call_next(context)`; return its result.

        For a consumer the result is what the handler returned. What is raised here counts as the
        handler's failure. For publishing it is the receipt, for a request the answer's message.
        """


ConsumeMiddleware = Middleware[ConsumeContext]
PublishMiddleware = Middleware[PublishContext]
Publish = Callable[[PublishContext], Awaitable[Receipt]]
