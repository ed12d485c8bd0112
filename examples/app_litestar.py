"""One process that serves HTTP and asks others: Litestar and an application of HopMQ.

Run it with `litestar --app app_litestar:web run`, or as it is, which makes a request to itself and ends.
"""

import asyncio
import os
from dataclasses import dataclass
from typing import Annotated

import httpx
from litestar import Litestar, asgi, post
from litestar.params import Body
from litestar.types import Receive, Scope, Send

from hopmq.app import App
from hopmq.app.asgi import Probes, lifespan

app = App(os.environ.get("AMQP_URL", "amqp://localhost"))
probes = Probes(app)


@dataclass
class Words:
    """Some words."""

    text: str


@dataclass
class Counted:
    """How many words there are."""

    words: int


# Usually this stands in a program of its own, of which several run.
@app.endpoint("hopmq.example.count_words")
async def count_words(words: Words) -> Counted:
    """Answer a request that came by the broker."""
    return Counted(len(words.text.split()))


@post("/count")
async def count(data: Annotated[Words, Body()]) -> Counted:
    """Answer a request that came by HTTP: ask whoever serves the endpoint."""
    return await app.request("hopmq.example.count_words", data, returns=Counted, timeout=5)


@asgi("/health", is_mount=True, copy_scope=True)
async def health(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer /health/livez and /health/readyz."""
    await probes(scope, receive, send)


web = Litestar([count, health], lifespan=[lifespan(app)], logging_config=None)


async def main() -> None:
    """Do as a server and a client would."""
    transport = httpx.ASGITransport(web)
    async with (
        web.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://example") as client,
    ):
        print("ready:", (await client.get("/health/readyz")).json()["ready"])
        print("counted:", (await client.post("/count", json={"text": "to be or not"})).json())


if __name__ == "__main__":
    asyncio.run(main())
