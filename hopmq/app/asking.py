"""Requests by an application: encoded, through middleware, and their answers read."""

from collections.abc import Callable, Iterable
from typing import Any

from hopmq.app.context import PublishContext, PublishMiddleware
from hopmq.app.errors import CallNotSentError
from hopmq.app.loop_calls import LoopCalls
from hopmq.app.middleware.composition import compose
from hopmq.app.rpc import RpcClient
from hopmq.app.rpc.client import TRANSIENT
from hopmq.app.serialization import Serialization
from hopmq.client.message import Message
from hopmq.entities import Exchange
from hopmq.errors import UsageError
from hopmq.typedefs import FieldTable
from hopmq.wire import Properties


class Asker:
    """What asks for an application while it runs."""

    def __init__(
        self,
        rpc: RpcClient,
        serialization: Serialization,
        middleware: Iterable[PublishMiddleware],
        app: Any,  # the application, which stands above this module
        loop_calls: LoopCalls,
        on_ask: Callable[[str], object],
    ) -> None:
        """Ask by `rpc`, through `middleware`, on the loop of `loop_calls`.

        `on_ask` is called with the name of each endpoint before it is asked.
        """
        self._rpc = rpc
        self._serialization = serialization
        self._middleware = tuple(middleware)
        self._app = app
        self._loop_calls = loop_calls
        self._on_ask = on_ask
        self._readers: dict[Any, Callable[[Message], Any]] = {}

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
        self._loop_calls.check_loop()
        encoded = self._serialization.encode(
            payload, content_type=content_type, content_encoding=content_encoding
        )
        self._on_ask(endpoint)
        if self._middleware:
            context = PublishContext(
                payload=payload,
                body=encoded.body,
                exchange=exchange,
                routing_key=endpoint,
                properties=Properties(
                    content_type=encoded.content_type,
                    content_encoding=encoded.content_encoding,
                    headers=headers,
                    delivery_mode=TRANSIENT,
                ),
                mandatory=True,
                timeout=timeout,
                app=self._app,
                is_request=True,
            )
            reply = await self._call_through_middleware(context, idempotent)
        else:
            reply = await self._rpc.call(
                encoded.body,
                exchange=exchange,
                routing_key=endpoint,
                content_type=encoded.content_type,
                content_encoding=encoded.content_encoding,
                headers=headers,
                timeout=timeout,
                idempotent=idempotent,
            )
        return reply if returns is None else self._reader(returns)(reply)

    async def _call_through_middleware(self, context: PublishContext, idempotent: bool) -> Message:
        is_passed_on = False

        async def call(context: PublishContext) -> Message:
            nonlocal is_passed_on
            is_passed_on = True
            if context.delay is not None:
                raise UsageError("a request has no delay: somebody waits for its answer")
            return await self._rpc.call(
                context.body,
                exchange=context.exchange,
                routing_key=context.routing_key,
                properties=context.properties,
                timeout=context.timeout,
                idempotent=idempotent,
            )

        endpoint = context.routing_key
        answer = await compose(self._middleware, call)(context)
        if isinstance(answer, Message):
            return answer
        if not is_passed_on:
            raise CallNotSentError(
                f"the request to {endpoint!r} was not sent: a publish middleware has kept it"
            )
        raise UsageError(
            f"the request to {endpoint!r} was answered, but a publish middleware has returned a "
            f"{type(answer).__name__} in place of the answer: return await call_next(context)"
        )

    def _reader(self, kind: Any) -> Callable[[Message], Any]:
        """Return what reads answers as a type; made once for each."""
        try:
            found = self._readers.get(kind)
        except TypeError:  # not hashable
            return self._serialization.decoder(kind, "the answer")
        if found is None:
            found = self._serialization.decoder(kind, "the answer")
            self._readers[kind] = found
        return found
