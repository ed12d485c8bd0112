"""One process that serves HTTP and consumes: FastAPI and an application of HopMQ.

Run it with `uvicorn app_fastapi:web`, or as it is, which makes some requests to itself and ends.
"""

import asyncio
import os
from collections import Counter
from dataclasses import dataclass

import httpx
from fastapi import FastAPI

from hopmq import Exchange
from hopmq.app import App
from hopmq.app.asgi import Probes, lifespan

app = App(os.environ.get("AMQP_URL", "amqp://localhost"))
votes = Exchange.topic("hopmq.example.votes")
counted = asyncio.Event()
counts: Counter[str] = Counter()


@dataclass
class Vote:
    """A vote for something."""

    choice: str


vote_cast = app.publisher(Vote, exchange=votes, routing_key="vote.cast", mandatory=True)


@app.consumer("hopmq.example.votes.counted", exchange=votes, bindings="vote.cast")
async def count(vote: Vote) -> None:
    """Count a vote, by whichever process it was taken."""
    counts[vote.choice] += 1
    counted.set()


# The lifespan starts the application before the first request and drains it after the last.
web = FastAPI(lifespan=lifespan(app))
web.mount("/health", Probes(app))  # /health/livez and /health/readyz


@web.post("/votes", status_code=202)
async def cast(vote: Vote) -> None:
    """Take a vote: the answer comes when the broker has it."""
    await vote_cast.publish(vote)


@web.get("/votes")
async def result() -> dict[str, int]:
    """Tell what was counted so far."""
    return counts


async def main() -> None:
    """Do as a server and a client would."""
    transport = httpx.ASGITransport(web)
    async with (
        web.router.lifespan_context(web),
        httpx.AsyncClient(transport=transport, base_url="http://example") as client,
    ):
        print("ready:", (await client.get("/health/readyz")).json()["ready"])
        print("taken:", (await client.post("/votes", json={"choice": "tea"})).status_code)
        await counted.wait()
        print("counted:", (await client.get("/votes")).json())


if __name__ == "__main__":
    asyncio.run(main())
