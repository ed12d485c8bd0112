"""Which event loop a command runs on."""

import asyncio
from collections.abc import Callable
from importlib.metadata import version


def event_loop() -> tuple[Callable[[], asyncio.AbstractEventLoop], str]:
    """Return a maker of event loops and its name: uvloop where it is installed."""
    try:
        # Optional: the extra `uvloop`.
        import uvloop
    except ModuleNotFoundError:
        return asyncio.new_event_loop, "asyncio"
    return uvloop.new_event_loop, f"uvloop {version('uvloop')}"
