"""Applications: what is declared, connected, run, and ended in order."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, TypeVar

from hopmq.app.clock import Clock, LoopTime
from hopmq.app.context import ConsumeMiddleware, PublishMiddleware
from hopmq.app.health import AppHealth, health_of
from hopmq.app.outbound import Outbound
from hopmq.app.router import Router
from hopmq.app.rpc import RemoteErrors
from hopmq.app.running.consumer import RunningConsumer
from hopmq.app.running.explained import Explained
from hopmq.app.running.hooks import Hooks
from hopmq.app.running.run import Run
from hopmq.app.running.settings import RunSettings
from hopmq.app.running.source import Source, source_of
from hopmq.app.sending import Sender
from hopmq.app.serialization import Serialization
from hopmq.app.topology import Topology
from hopmq.app.wanted import wanted_topology
from hopmq.client.connection import Connection
from hopmq.errors import HopMQError, UsageError
from hopmq.resilience.pool import Pool
from hopmq.resilience.signals import DrainOnSignal
from hopmq.url import DEFAULT_URL

if TYPE_CHECKING:
    from hopmq.app.testing import AppTest

logger: logging.Logger = logging.getLogger("hopmq.app")

T = TypeVar("T")

AppState = Literal["new", "starting", "running", "draining", "stopped"]
Lifespan: TypeAlias = Callable[["App"], AbstractAsyncContextManager[None]]


class App(Router, Outbound):
    """An application: consumers, endpoints and publishers that share a broker.

    `app.run()` runs it until it is told to end, `async with app:` for a block. What belongs to one
    run (connections, consumers, dependencies of scope `app`) is made at its start and ended with
    it, so that an application can be run again.

    Attributes:
        errors: What exceptions of endpoints are called on their way to callers.
        overrides: Dependencies, and what is called in their stead from the next start on.
    """

    def __init__(
        self,
        broker: str | Sequence[str] | Pool | Connection = DEFAULT_URL,
        *,
        name: str | None = None,
        middleware: Iterable[ConsumeMiddleware] = (),
        publish_middleware: Iterable[PublishMiddleware] = (),
        serialization: Serialization | None = None,
        lifespan: Lifespan | None = None,
        declare: bool = True,
        threads: int = 16,
        request_timeout: float = 30.0,
        drain_timeout: float = 30.0,
        clock: Clock | None = None,
    ) -> None:
        """Describe an application; nothing is connected yet.

        Args:
            broker: One URL or several, for a pool of the application's own; or a `Pool` or a
                `Connection` of yours. One that is open already stays open in the end.
            name: What the broker shows for its connections.
            middleware: What stands around every handler, the first outermost.
            publish_middleware: What stands around every publish, the first outermost.
            serialization: How payloads become bodies and back; JSON by default.
            lifespan: A function of the application that returns an asynchronous context manager,
                which is entered before anything is consumed and left after handlers have finished.
            declare: Whether exchanges, queues and bindings are declared at the start; False where
                they are managed elsewhere.
            threads: Handlers that are plain functions and run at once, in threads, at most.
            request_timeout: Seconds that `request` waits for an answer by default.
            drain_timeout: Seconds that handlers have to finish when the application ends, and all
                that it has begun when it cannot start.
            clock: Where time comes from; the event loop by default.
        """
        super().__init__(middleware=middleware)
        if threads < 1:
            raise UsageError("threads is at least 1")
        self.errors: RemoteErrors = RemoteErrors()
        self.overrides: dict[Callable[..., Any], Callable[..., Any]] = {}
        self.name: str | None = name
        self.clock: Clock = clock or LoopTime()
        self.serialization: Serialization = serialization or Serialization()
        self._source: Source = source_of(broker, name)
        self._publish_middleware = tuple(publish_middleware)
        self._lifespan = lifespan
        self._declares = declare
        self._threads = threads
        self._request_timeout = request_timeout
        self._drain_timeout = drain_timeout
        self._state: AppState = "new"
        self._run: Run | None = None
        self._explained = Explained()
        self._asking: Callable[[], AbstractContextManager[None]] = nullcontext
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changing = asyncio.Lock()
        self.declared.outlet.opens_into(self._sender)

    def __repr__(self) -> str:
        """Show name and state."""
        return f"<App {self.name or ''} {self._state}>".replace("  ", " ")

    # --- what it is --------------------------------------------------------------------------

    @property
    def state(self) -> AppState:
        """`new`, `starting`, `running`, `draining` or `stopped`."""
        return self._state

    @property
    def topology(self) -> Topology:
        """All that is declared at the start; known before anything is connected.

        Raises:
            DeclarationError: Two declarations do not go together.
        """
        return wanted_topology(
            tuple(self.declared.all_consumers()),
            tuple(self.declared.all_endpoints()),
            self.declared.all_destinations(),
        )

    @property
    def consumers(self) -> Mapping[str, RunningConsumer]:
        """The consumers and endpoints that run, by name; they can be paused."""
        return self._running().consumers

    def health(self) -> AppHealth:
        """Say how it is doing, for probes."""
        run = self._run
        connections = None if run is None else self._source.health()
        consumers = () if run is None else run.consumers.values()
        return health_of(self._state, connections, consumers)

    # --- beginning and ending ------------------------------------------------------------------

    async def start(self, *, consume: bool = True) -> None:
        """Connect, declare, call what is to be called at the start, and consume. Idempotent.

        Args:
            consume: False for a process that only publishes and asks. It declares all the same,
                so that what it publishes waits for the first process that consumes; but for
                queues that are exclusive or go with their consumers.

        Raises:
            DeclarationError: A handler or a dependency cannot work as it is declared.
            ConnectError: The broker cannot be connected to.
            HopMQError: Something could not be declared or consumed.
        """
        async with self._turn():
            if self._run is not None:
                return
            self._state = "starting"
            try:
                await self._start(consume)
            except BaseException:
                self._state = "stopped"
                raise
            self._state = "running"

    async def drain(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # bounds several waits
        """Stop consuming, let handlers finish, flush what was published, and close. Idempotent.

        Args:
            timeout: Seconds for all of it, after which what is unfinished is cut off; the
                application's `drain_timeout` by default.

        Raises:
            UsageError: A handler of its own asks, which would wait for itself.
        """
        if any(each.is_own_handler for each in self._handling()):
            raise UsageError(
                "a handler cannot wait for all handlers to finish: asyncio.create_task(app.drain())"
            )
        async with self._turn():
            run = self._run
            if run is None:
                return
            self._state = "draining"
            try:
                within = self._drain_timeout if timeout is None else timeout
                await run.end(within)
            finally:
                self._run = None
                self._state = "stopped"

    async def serve(self, *, consume: bool = True) -> None:
        """Run until a SIGTERM or SIGINT, then drain; a second one ends the process at once.

        A signal that comes before it runs has it give up, and undo what it has begun.

        Args:
            consume: As for `start`.

        Raises:
            HopMQError: It could not start, or the connection has ended for good.
        """
        try:
            async with DrainOnSignal(_Told(), within=self._drain_timeout):
                await self.start(consume=consume)
                with self._explained.running():
                    await self._running().wait_over()
        finally:
            await self.drain()

    def run(self, *, consume: bool = True) -> None:
        """Run in an event loop of its own, until told to end; on uvloop where it is installed.

        Args:
            consume: As for `start`.

        Raises:
            SystemExit: It could not start, or the connection has ended for good: the text says why,
                and the status is 1. What hooks and dependencies raise is raised as it is.
        """
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(self.serve(consume=consume))
        except HopMQError as error:
            sentence = self._explained.sentence(error, self.name, self._source.places)
            if sentence is None:
                raise
            logger.debug("why the application has ended", exc_info=error)
            raise SystemExit(sentence) from error

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drain."""
        await self.drain()

    def test(
        self,
        *,
        emulate: str | None = None,
        overrides: Mapping[Callable[..., Any], Callable[..., Any]] | None = None,
        patience: float = 5.0,
    ) -> "AppTest":
        """Return this application on an embedded broker, for a test: `async with app.test() as t`.

        Args:
            emulate: The release of RabbitMQ whose behaviour counts, such as `4.0`; the newest by
                default.
            overrides: Dependencies, and what is called in their stead.
            patience: Seconds of real time that a handler may take.
        """
        # Loaded here: programs that run need no embedded broker.
        from hopmq.app.testing import AppTest

        return AppTest(
            self,
            self._lend_to_test,
            emulate=emulate,
            overrides=overrides or {},
            patience=patience,
        )

    # --- inside ------------------------------------------------------------------------------

    def _lend_to_test(
        self,
        source: Source,
        clock: Clock,
        around: ConsumeMiddleware,
        record: PublishMiddleware,
        asking: Callable[[], AbstractContextManager[None]],
        overrides: Mapping[Callable[..., Any], Callable[..., Any]],
    ) -> Callable[[], None]:
        """Run on something else from the next start on, until what is returned is called."""
        if self._run is not None:
            raise UsageError("the application runs: test it where it does not")
        declared, own_overrides = self.declared, self.overrides
        before = (self._source, self.clock, self._publish_middleware, self._declares)
        middleware = declared.middleware
        self._source = source
        self.clock = clock
        self._declares = True  # on that broker, nobody else does
        self._asking = asking
        self._publish_middleware = (*self._publish_middleware, record)
        declared.middleware = (around, *middleware)
        self.overrides = {**own_overrides, **overrides}

        def restore() -> None:
            self._source, self.clock, self._publish_middleware, self._declares = before
            self._asking = nullcontext
            declared.middleware = middleware
            self.overrides = own_overrides

        return restore

    async def _start(self, consume: bool) -> None:
        run = Run(
            RunSettings(
                app=self,
                source=self._source,
                consumers=tuple(self.declared.all_consumers()),
                endpoints=tuple(self.declared.all_endpoints()),
                destinations=self.declared.all_destinations(),
                hooks=Hooks(self.declared),
                publish_middleware=self._publish_middleware,
                serialization=self.serialization,
                errors=self.errors,
                overrides=dict(self.overrides),
                clock=self.clock,
                consumes=consume,
                declares=self._declares,
                threads=self._threads,
                request_timeout=self._request_timeout,
            )
        )
        try:
            with self._explained.starting():
                await run.connect()
            await run.open_dependencies()
            self._run = run  # hooks publish
            await run.hooks.enter(None if self._lifespan is None else self._lifespan(self))
            with self._explained.starting():
                await run.consume()
        except BaseException:
            try:
                await run.end(self._drain_timeout)
            except Exception:  # why it did not start is what counts
                logger.exception("what had begun did not end in order")
            finally:
                self._run = None
            raise

    def _turn(self) -> asyncio.Lock:
        """Return what allows one change at a time; it belongs to the loop that it has waited in."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._changing = loop, asyncio.Lock()
        return self._changing

    def _handling(self) -> Iterable[RunningConsumer]:
        return () if self._run is None else self._run.consumers.values()

    def _running(self) -> Run:
        if self._run is None:
            raise UsageError("the application does not run: use it within `async with app:`")
        return self._run

    def _sender(self) -> Sender:
        return self._running().sender


class _Told:
    """What is drained on a signal: nothing yet, and so the block of the signal ends at once.

    The application is drained behind it, in the task in which it was started: what its lifespan has
    entered there, such as a task group, can be left nowhere else.
    """

    async def drain(self, timeout: float = 0.0) -> None:  # noqa: ASYNC109  # as of what is drained
        """Do nothing."""


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        # Optional: the extra `uvloop`.
        import uvloop
    except ModuleNotFoundError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
