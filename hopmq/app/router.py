"""Routers: consumers, endpoints and publishers that an application includes."""

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from hopmq.app.batching import Batch
from hopmq.app.context import ConsumeMiddleware
from hopmq.app.declarations import (
    AckPolicy,
    ConsumerDeclaration,
    EndpointDeclaration,
)
from hopmq.app.declared import Declared, Hook
from hopmq.app.errors import DeclarationError
from hopmq.app.groups import Group
from hopmq.app.option_checks import (
    check_handling,
    check_kinds,
    check_partitioned,
    check_queue,
    checked_keys,
    checked_middleware,
)
from hopmq.app.ordering import OrderBy, key_of
from hopmq.app.placing import BindingKey, destination, exchange_of
from hopmq.app.publisher import Publisher
from hopmq.app.retry import Retry
from hopmq.entities import Exchange, Queue, name_of
from hopmq.typedefs import FieldTable

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

DEFAULT_RETRY: Final = Retry()


H = TypeVar("H", bound=Hook)


class Router:
    """Consumers, endpoints and publishers by decorator; `App.include` makes them part of one.

    Attributes:
        declared: What was declared on it.
    """

    def __init__(self, prefix: str = "", *, middleware: Iterable[ConsumeMiddleware] = ()) -> None:
        """Have nothing yet.

        Args:
            prefix: What stands before the names of queues and endpoints, such as `shop.`; groups
                name their queues after themselves.
            middleware: What stands around every handler of this router, the first outermost.
        """
        self.declared: Declared = Declared(prefix, checked_middleware(middleware))

    # --- declaring -----------------------------------------------------------------------------

    def consumer(
        self,
        queue: Queue | str | None = None,
        *,
        exchange: Exchange | str | None = None,
        bindings: BindingKey | Iterable[BindingKey] = (),
        group: Group | None = None,
        prefetch: int = 100,
        concurrency: int = 1,
        order_by: OrderBy | None = None,
        retry: Retry | None = DEFAULT_RETRY,
        ack: AckPolicy = "auto",
        batch: Batch | None = None,
        middleware: Iterable[ConsumeMiddleware] = (),
        priority: int | None = None,
        arguments: FieldTable | None = None,
        name: str | None = None,
    ) -> Callable[[F], F]:
        """Have the decorated function called with each message of a queue.

        Args:
            queue: The queue, or its name; it is declared when the application starts. A group
                names its own.
            exchange: What the queue is bound to; a mere name stands for a topic exchange.
            bindings: Keys, in which words may be named (`order.{region}.created`), or tables of
                arguments. By default `#` for a topic exchange, and the queue's name for a direct one.
            group: What the consumer is a member of, instead of reading a queue of its own.
            prefetch: Messages that may be on their way to handlers at once; 0 is no bound.
            concurrency: Handlers that run at once.
            order_by: What keeps its order while others run beside it: `routing_key`,
                `header:NAME`, or a function of the message. Retries then happen in place.
            retry: What becomes of messages whose handler fails; None parks them at once.
            ack: When a message is acknowledged: `auto` after the handler has succeeded, `manual`
                by the handler itself, `first` before it begins (at most once).
            batch: Hand several messages over at once, to a handler that takes a list.
            middleware: What stands around the handler, inside that of router and application.
            priority: Consumers of higher priority are served first.
            arguments: For the consumer, such as `x-stream-offset`.
            name: What the application calls it; the queue's name by default.

        Raises:
            DeclarationError: Options that do not go together.
        """
        check_queue(queue)
        check_handling(ack, prefetch, concurrency)
        check_kinds(retry=retry, batch=batch, group=group)
        keys, around = checked_keys(bindings), checked_middleware(middleware)
        if batch is not None and order_by is not None:
            raise DeclarationError("a batch has messages of many keys: batch or order_by, not both")
        if batch is not None:
            batch.check_prefetch(prefetch, concurrency)
        if order_by is not None:
            key_of(order_by)  # which raises what is wrong with it
        if group is not None and group.partitions is not None:
            check_partitioned(
                concurrency=concurrency > 1 or None,
                order_by=order_by,
                batch=batch,
                priority=priority,
                arguments=arguments,
            )

        def declare(function: F) -> F:
            declaration = ConsumerDeclaration(
                wanted_name=name,
                function=function,
                wanted_queue=queue,
                exchange=exchange_of(exchange),
                bindings=keys,
                prefetch=prefetch,
                concurrency=concurrency,
                order_by=order_by,
                retry=retry,
                ack=ack,
                batch=batch,
                group=group,
                middleware=around,
                priority=priority,
                arguments=arguments,
            )
            _ = declaration.place  # which raises what is wrong with it, here and now
            self.declared.consumers.append(declaration)
            return function

        return declare

    def endpoint(
        self,
        queue: Queue | str,
        *,
        prefetch: int = 100,
        concurrency: int = 1,
        ack: AckPolicy = "auto",
        middleware: Iterable[ConsumeMiddleware] = (),
        content_type: str | None = None,
        name: str | None = None,
    ) -> Callable[[F], F]:
        """Have the decorated function answer requests; what it returns is the answer.

        Args:
            queue: The queue that requests are sent to, or its name, by which callers know it.
            prefetch: Requests that may be on their way to handlers at once.
            concurrency: Handlers that run at once.
            ack: As for `consumer`: with `auto` a request whose worker dies is worked on again by
                another; with `first` it never is.
            middleware: As for `consumer`.
            content_type: Of the answers; the application's default otherwise.
            name: What the application calls it; the queue's name by default.

        Raises:
            DeclarationError: Options that do not go together.
        """
        check_queue(queue)
        check_handling(ack, prefetch, concurrency)
        if ack == "manual":
            raise DeclarationError("an endpoint acknowledges its requests: ack is auto or first")
        around = checked_middleware(middleware)

        def declare(function: F) -> F:
            self.declared.endpoints.append(
                EndpointDeclaration(
                    wanted_name=name,
                    function=function,
                    wanted_queue=queue if isinstance(queue, Queue) else Queue.classic(queue),
                    prefetch=prefetch,
                    concurrency=concurrency,
                    ack=ack,
                    middleware=around,
                    content_type=content_type,
                )
            )
            return function

        return declare

    def publisher(
        self,
        payload: type[T],
        *,
        exchange: Exchange | str = "",
        routing_key: str = "",
        mandatory: bool = False,
        content_type: str | None = None,
        content_encoding: str | None = None,
        declare: bool = True,
    ) -> Publisher[T]:
        """Return what publishes payloads of one type to one place.

        Args:
            payload: The type; what is published is of it, as type checkers see.
            exchange: Where to; it is declared when the application starts. A mere name stands for
                a topic exchange, unless the application describes one of that name elsewhere or the
                broker has one, of whatever type.
            routing_key: What bindings are matched by; each publish may give another.
            mandatory: Whether it is an error when no queue takes a message.
            content_type: How payloads are encoded; the application's default otherwise.
            content_encoding: `gzip` or `zstd`.
            declare: Whether the exchange is declared; False where others do.
        """
        if declare:
            self.declared.destinations.append(destination(exchange))
        return Publisher(
            self.declared.outlet,
            payload,
            exchange=name_of(exchange),
            routing_key=routing_key,
            mandatory=mandatory,
            content_type=content_type,
            content_encoding=content_encoding,
        )

    def on_startup(self, hook: H) -> H:
        """Have a function called when the application has connected, before it consumes."""
        self.declared.startup.append(hook)
        return hook

    def on_shutdown(self, hook: H) -> H:
        """Have a function called when handlers have finished, before the connection closes."""
        self.declared.shutdown.append(hook)
        return hook

    def include(self, router: "Router") -> None:
        """Make what a router declares, now or later, part of this one.

        Raises:
            UsageError: It is part of one already, or of itself.
        """
        self.declared.include(router.declared)
