"""How a broker ends what a peer does wrong, asked of many connections at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from parity.closed import Closed, Dropped
from parity.driver import Peer

DROPPED: Final = "dropped"
"""The broker hung up without a word."""

OPEN: Final = "open"
"""The broker went along with it."""

Script = Callable[[Peer], Awaitable[object]]


async def ending(peer: Peer) -> object:
    """Wait for the broker to end the connection; return scope, code and text, or `DROPPED`."""
    try:
        return (await peer.until_closed()).answer
    except Dropped:
        return DROPPED


async def endings(url: str, scripts: Mapping[str, Script]) -> dict[str, object]:
    """Run each script on a socket of its own, all at once, and return how each ended.

    RabbitMQ lets a peer that it hangs up on wait for three seconds: nobody waits for each.
    """
    results = await asyncio.gather(*(_end(url, script) for script in scripts.values()))
    return dict(zip(scripts, results, strict=True))


async def _end(url: str, script: Script) -> object:
    peer = await Peer.dial(url)
    try:
        await script(peer)
    except Closed as closed:
        return closed.answer
    except Dropped:
        return DROPPED
    finally:
        peer.abort()
        await peer.until_eof()
    return OPEN


def logs_in(**parts: object) -> Script:
    """Go through the whole handshake, with parts of it replaced."""

    async def script(peer: Peer) -> None:
        await peer.handshake(**parts)  # type: ignore[arg-type]

    return script


async def refusal(request: Awaitable[object]) -> Closed:
    """Return how the broker refuses a request; fail if it does not."""
    try:
        answer = await request
    except Closed as closed:
        return closed
    raise AssertionError(f"a refusal expected, not {answer}")


def cut(text: str) -> str:
    """Cut a reply text to what a short string holds, as RabbitMQ does."""
    return text if len(text) <= 255 else f"{text[:252]}..."


def precondition_failed(text: str) -> tuple[str, int, str]:
    """Return the answer to a request that contradicts what is there."""
    return ("channel", 406, cut(f"PRECONDITION_FAILED - {text}"))


def access_refused(text: str) -> tuple[str, int, str]:
    """Return the answer to a request that is not permitted."""
    return ("channel", 403, f"ACCESS_REFUSED - {text}")


def not_found(text: str) -> tuple[str, int, str]:
    """Return the answer to a request for what is not there."""
    return ("channel", 404, f"NOT_FOUND - {text}")


ON_DEFAULT_EXCHANGE: Final = access_refused("operation not permitted on the default exchange")


def resource_locked(queue: str) -> tuple[str, int, str]:
    """Return the answer to another connection than the one that a queue is exclusive to."""
    return (
        "channel",
        405,
        cut(
            f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{queue}' in vhost "
            "'/'. It could be originally declared on another connection or the exclusive property "
            "value does not match that of the original declaration."
        ),
    )


NO_QUEUE_BEFORE: Final = not_found("no previously declared queue")
