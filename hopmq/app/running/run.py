"""One run of an application: everything between its start and its end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NoReturn

from hopmq.app.injection import AppScope
from hopmq.app.messaging import Messaging
from hopmq.app.rpc import RpcClient
from hopmq.app.running.consumer import RunningConsumer
from hopmq.app.running.settings import RunSettings
from hopmq.app.running.workshop import Workshop
from hopmq.app.sending import Sender
from hopmq.client.message import Message
from hopmq.entities import Exchange, name_of
from hopmq.typedefs import FieldTable

logger: logging.Logger = logging.getLogger("hopmq.app")

_LEAST: Final = 1.0
_MOST: Final = 5.0
"""Seconds that connections have to close, at least and at most: whatever handlers have used up, and
although messages are unsettled that nobody is left to settle."""


class Run:
    """What an application has and does from its start to its end.

    Attributes:
        consumers: Its consumers and endpoints, by name.
        messaging: The pool or connection, once it is open.
        sender: What publishes, from then on.
    """

    messaging: Messaging
    sender: Sender

    def __init__(self, settings: RunSettings) -> None:
        """Prepare to run; handlers are looked at when it connects."""
        self._settings = settings
        self._scope = AppScope({type(settings.app): settings.app})
        self._threads = ThreadPoolExecutor(settings.threads, "hopmq handler")
        self._rpc: RpcClient | None = None
        self._answers: dict[Any, Callable[[Message], Any]] = {}
        self.consumers: dict[str, RunningConsumer] = {}

    async def connect(self) -> None:
        """Look at the handlers, connect, and declare.

        Raises:
            DeclarationError: A handler or a dependency cannot work as it is declared.
            HopMQError: The broker cannot be connected to, or refused a declaration.
        """
        settings = self._settings
        workshop = Workshop(settings, self._scope, self._threads)
        messaging = self.messaging = await settings.source.open()
        self.sender = Sender(
            messaging,
            settings.serialization,
            settings.publish_middleware,
            settings.clock,
            settings.app,
        )
        self._rpc = RpcClient(
            messaging,
            clock=settings.clock,
            default_timeout=settings.request_timeout,
            errors=settings.errors,
        )
        self.consumers = await workshop.consumers(messaging)
        await self._scope.open()

    async def consume(self) -> None:
        """Begin to consume.

        Raises:
            HopMQError: The broker refused.
        """
        for consumer in self.consumers.values():
            await consumer.start()

    async def wait_failed(self) -> NoReturn:
        """Wait until it cannot go on; raise why.

        Raises:
            ConnectionClosed: The connection has ended for good.
        """
        raise (await self._settings.source.wait_ended()).again()

    async def ask(
        self,
        endpoint: str,
        payload: object,
        *,
        returns: Any,  # a type, or a form of one
        exchange: Exchange | str,
        headers: FieldTable | None,
        content_type: str | None,
        content_encoding: str | None,
        timeout: float | None,  # noqa: ASYNC109  # travels with the request
        idempotent: bool,
    ) -> Any:
        """Ask an endpoint; see `App.request`."""
        serialization = self._settings.serialization
        encoded = serialization.encode(
            payload, content_type=content_type, content_encoding=content_encoding
        )
        assert self._rpc is not None
        reply = await self._rpc.call(
            encoded.body,
            exchange=name_of(exchange),
            routing_key=endpoint,
            content_type=encoded.content_type,
            content_encoding=encoded.content_encoding,
            headers=headers,
            timeout=timeout,
            idempotent=idempotent,
        )
        return reply if returns is None else self._reader(returns)(reply)

    async def end(self, within: float, leave: Callable[[], Awaitable[None]]) -> None:
        """Stop consumers, let handlers finish, call `leave`, and close, within so many seconds."""
        deadline = asyncio.get_running_loop().time() + within
        try:
            try:
                async with asyncio.timeout_at(deadline):
                    await asyncio.gather(*(each.stop() for each in self.consumers.values()))
            except TimeoutError:
                logger.warning("handlers have not finished within %g seconds: cut off", within)
                await asyncio.gather(*(each.cut_off(_LEAST) for each in self.consumers.values()))
            await leave()
            await self._scope.close()
            if self._rpc is not None:
                await self._rpc.close()
        finally:
            left = deadline - asyncio.get_running_loop().time()
            await self._settings.source.close(min(max(left, _LEAST), _MOST))
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _reader(self, kind: Any) -> Callable[[Message], Any]:
        """Return what reads answers as a type; made once for each."""
        try:
            found = self._answers.get(kind)
        except TypeError:  # not hashable
            return self._settings.serialization.decoder(kind, "the answer")
        if found is None:
            found = self._settings.serialization.decoder(kind, "the answer")
            self._answers[kind] = found
        return found
