"""Consumers and endpoints, made from what was declared of them."""

from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any

from hopmq.app.batching import Batches
from hopmq.app.context import ConsumeContext
from hopmq.app.declarations import ConsumerDeclaration, EndpointDeclaration
from hopmq.app.groups import PartitionMember
from hopmq.app.injection import AppScope, Handler, compile_handler
from hopmq.app.injection.signatures import function_name
from hopmq.app.messaging import Messaging
from hopmq.app.middleware.composition import compose
from hopmq.app.ordering import Lanes, key_of
from hopmq.app.retry import Failures
from hopmq.app.running.answering import Answering
from hopmq.app.running.consumer import Reading, RunningConsumer
from hopmq.app.running.declaring import Declaring
from hopmq.app.running.handling import Handling
from hopmq.app.running.isolation import isolated
from hopmq.app.running.readings import QueueReading, named
from hopmq.app.running.rests import Rests
from hopmq.app.running.settings import RunSettings


class Workshop:
    """Makes the consumers and endpoints of one run."""

    def __init__(self, settings: RunSettings, scope: AppScope, threads: Executor) -> None:
        """Look at all handlers, if they are to be called.

        Raises:
            DeclarationError: A handler or a dependency cannot work as it is declared.
        """
        self._settings = settings
        self._scope = scope
        self._threads = threads
        self._declaring = Declaring(settings)
        self._handlers = [
            (each, self._compiled(each, each.place.pattern, each.batch is not None))
            for each in (settings.consumers if settings.consumes else ())
        ]
        self._endpoints = [
            (each, self._compiled(each, None, False))
            for each in (settings.endpoints if settings.consumes else ())
        ]

    async def consumers(self, messaging: Messaging) -> dict[str, RunningConsumer]:
        """Declare what they need, and return those that are to consume, by name; none has begun.

        Raises:
            HopMQError: The broker refused.
        """
        if not self._settings.consumes:
            await self._declaring.for_others(messaging)
            return {}
        failures = await self._declaring.for_consumers(messaging)
        made = [
            self._consumer(messaging, *declared, failures=of_declared)
            for declared, of_declared in zip(self._handlers, failures, strict=True)
        ]
        made += [self._endpoint(messaging, *each) for each in self._endpoints]
        return {each.name: each for each in made}

    # --- consumers -----------------------------------------------------------------------------

    def _consumer(
        self,
        messaging: Messaging,
        declared: ConsumerDeclaration,
        handler: Handler,
        failures: Failures,
    ) -> RunningConsumer:
        settings = self._settings
        rest = declared.place.topology
        if not declared.stays_in_place:
            rest = rest.without_queue(declared.place.queue.name)

        async def prepare() -> None:
            await failures.prepare()
            if settings.declares:
                await rest.declare(messaging)

        rests = Rests()
        consumer = RunningConsumer(
            declared.name,
            declared.place.queue.name,
            lambda probes: self._reading(messaging, declared, handling, probes),
            prepare,
            failures.attempt_of,
            handler=function_name(declared.function),
            rests=rests,
        )
        batched = declared.batch is not None
        handling = Handling(
            isolated(compose(declared.middleware, _of_batch(handler) if batched else handler)),
            handler.decode,
            consumer,
            settings.app,
            ack=declared.ack,
            failures=failures,
            in_place=declared.stays_in_place,
            rests=rests,
            clock=settings.clock,
        )
        return consumer

    def _reading(
        self, messaging: Messaging, declared: ConsumerDeclaration, handling: Handling, probes: bool
    ) -> Reading:
        place, group = declared.place, declared.group
        prefetch = 1 if probes else declared.prefetch
        concurrency = 1 if probes else declared.concurrency
        if group is not None and group.partitions is not None:
            assert place.exchange is not None
            return PartitionMember(
                messaging,
                group,
                place.exchange,
                handling.one,
                prefetch=prefetch,
                clock=self._settings.clock,
            )
        works_on: Lanes | Batches | None = None
        if declared.batch is not None:
            clock = self._settings.clock
            works_on = Batches(handling.many, declared.batch, clock, concurrency)
        elif declared.order_by is not None:
            works_on = Lanes(handling.one, key_of(declared.order_by), concurrency)
        return QueueReading(
            messaging,
            self._queue_of(messaging, declared),
            handling.one if works_on is None else works_on,
            prefetch=prefetch,
            concurrency=concurrency if works_on is None else 1,
            priority=declared.priority,
            arguments=declared.arguments,
            works_on=works_on,
        )

    def _queue_of(
        self, messaging: Messaging, declared: ConsumerDeclaration
    ) -> Callable[[], Awaitable[str]]:
        """Return what names the queue; a member of a broadcast group declares its own."""
        place, group = declared.place, declared.group
        if group is None or not group.is_broadcast:
            return named(place.queue.name)
        assert place.exchange is not None
        return partial(group.join, messaging, place.exchange, place.bindings)

    # --- endpoints -----------------------------------------------------------------------------

    def _endpoint(
        self, messaging: Messaging, declared: EndpointDeclaration, handler: Handler
    ) -> RunningConsumer:
        settings = self._settings

        async def prepare() -> None:
            if settings.declares:
                await declared.topology.declare(messaging)

        consumer = RunningConsumer(
            declared.name,
            declared.queue.name,
            lambda probes: QueueReading(
                messaging,
                named(declared.queue.name),
                answering.one,
                prefetch=1 if probes else declared.prefetch,
                concurrency=1 if probes else declared.concurrency,
                priority=None,
                arguments=None,
            ),
            prepare,
            handler=function_name(declared.function),
        )
        answering = Answering(
            isolated(compose(declared.middleware, handler)),
            consumer,
            settings.app,
            messaging=messaging,
            serialization=settings.serialization,
            errors=settings.errors,
            content_type=declared.content_type,
            ack_first=declared.ack == "first",
            clock=settings.clock,
        )
        return consumer

    def _compiled(
        self,
        declared: ConsumerDeclaration | EndpointDeclaration,
        pattern: str | None,
        batch: bool,
    ) -> Handler:
        return compile_handler(
            declared.function,
            name=declared.name,
            pattern=pattern,
            serialization=self._settings.serialization,
            overrides=self._settings.overrides,
            app_scope=self._scope,
            threads=self._threads,
            batch=batch,
        )


def _of_batch(handler: Handler) -> Callable[[ConsumeContext], Awaitable[Any]]:
    """Return what calls a handler of batches with payloads that were read before."""

    def call(context: ConsumeContext) -> Awaitable[Any]:
        return handler.invoke(context, context.payloads)

    return call
