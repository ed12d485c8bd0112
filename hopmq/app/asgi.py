"""Applications beside an HTTP framework: started and ended with it, and asked how they are."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

from hopmq.app.app import App

__all__ = ["Probes", "WithApp", "lifespan"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


def lifespan(
    app: App, *, consume: bool = True
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return what FastAPI, Starlette and Litestar take as `lifespan`.

    FastAPI(lifespan=lifespan(app))
    Litestar(lifespan=[lifespan(app)])

    Args:
        app: What is started when the framework starts, and drained when it ends.
        consume: False for a process that only publishes and asks.
    """

    @asynccontextmanager
    async def around(_framework: Any) -> AsyncIterator[None]:
        await app.start(consume=consume)
        try:
            yield
        finally:
            await app.drain()

    return around


class Probes:
    """A small ASGI application that answers `/livez` and `/readyz`.

    200 where the application is, 503 where it is not, with the reasons as JSON. `/livez` fails where
    a new process would help, `/readyz` where work should go elsewhere for now. Mount it into another
    ASGI application, or serve it by itself.
    """

    def __init__(self, app: App) -> None:
        """Answer for `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await _acknowledge(receive, send)
            return
        if scope["type"] != "http":
            return
        status, answer = self._answer(scope["method"], scope["path"])
        body = json.dumps(answer).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if _is_head(scope) else body})

    def _answer(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        if method not in {"GET", "HEAD"}:
            return 405, {"detail": "only GET and HEAD are answered here"}
        health = self._app.health()
        name = path.rstrip("/").rpartition("/")[2]
        if name == "livez":
            return (200 if health.live else 503), {"live": health.live, "state": health.state}
        if name == "readyz":
            answer = {
                "ready": health.ready,
                "state": health.state,
                "reasons": list(health.reasons),
                "paused": list(health.paused),
            }
            return (200 if health.ready else 503), answer
        return 404, {"detail": "only /livez and /readyz are answered here"}


class WithApp:
    """Another ASGI application, with `app` started before it and drained after it.

    For frameworks without a hook for that: it takes part in ASGI's lifespan protocol itself.
    """

    def __init__(self, asgi: Asgi, app: App, *, consume: bool = True) -> None:
        """Stand around `asgi`; `consume` as for `lifespan`."""
        self._asgi = asgi
        self._app = app
        self._consume = consume

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; start and end with the server."""
        if scope["type"] != "lifespan":
            await self._asgi(scope, receive, send)
            return
        await receive()
        try:
            await self._app.start(consume=self._consume)
        except Exception as error:  # the server has to be told, whatever it is
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._app.drain()
        await send({"type": "lifespan.shutdown.complete"})


async def _acknowledge(receive: Receive, send: Send) -> None:
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return


def _is_head(scope: Scope) -> bool:
    return bool(scope["method"] == "HEAD")
