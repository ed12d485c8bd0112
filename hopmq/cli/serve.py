"""Run an embedded broker until it is told to end."""

import asyncio
import errno
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from hopmq.cli.banner import show_banner
from hopmq.cli.console_log import broker_log_shown
from hopmq.cli.counters import Meter
from hopmq.cli.counters_view import counters_shown
from hopmq.cli.event_loop import event_loop
from hopmq.errors import UsageError

if TYPE_CHECKING:
    from hopmq.broker import Broker

_INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(broker: "Broker", *, trusted: Path | None = None, frames: bool = False) -> int:
    """Serve until SIGINT or SIGTERM.

    Args:
        broker: What to run.
        trusted: The authority that its clients have to name for TLS, to be shown.
        frames: Whether to log every frame.

    Returns:
        0 when its clients were told of the end, 130 when a second signal cut that short.

    Raises:
        UsageError: It cannot listen where it should.
    """
    console = Console(markup=False, highlight=False, emoji=False)
    factory, _ = event_loop()
    with broker_log_shown(console, frames=frames), asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_serve(broker, console, trusted))


async def _serve(broker: "Broker", console: Console, trusted: Path | None) -> int:
    signals = _Signals()
    try:
        await broker.start()
    except OSError as error:
        raise UsageError(_why_not_started(error)) from error
    async with broker:
        show_banner(console, broker, addresses(broker, trusted))
        meter, loop = Meter(broker.state), asyncio.get_running_loop()
        async with counters_shown(console, lambda: meter.read(loop.time())):
            await signals.first.wait()
        return await _end(broker, console, signals)


async def _end(broker: "Broker", console: Console, signals: "_Signals") -> int:
    """Close the clients in order, unless a second signal says that it takes too long."""
    peers = list(broker.state.peers)
    if peers:
        clients = "1 client" if len(peers) == 1 else f"{len(peers):,} clients"
        console.print(f"closing {clients}; Ctrl-C again to end at once")
    stopping = asyncio.create_task(broker.stop(), name="hopmq broker stop")
    impatient = asyncio.create_task(signals.second.wait(), name="hopmq broker second signal")
    await asyncio.wait({stopping, impatient}, return_when=asyncio.FIRST_COMPLETED)
    in_order = stopping.done()
    for peer in peers:
        peer.link.abort()
    impatient.cancel()
    await stopping
    return 0 if in_order else _INTERRUPTED


def addresses(broker: "Broker", trusted: Path | None) -> list[str]:
    """List the URLs by which a broker is reached, complete with the authority to trust."""
    return [
        f"{url}?cacertfile={trusted}" if trusted and url.startswith("amqps:") else url
        for url in broker.urls
    ]


class _Signals:
    """Set one event when a signal comes, and another one when it comes again."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        loop = asyncio.get_running_loop()
        for each in _SIGNALS:
            # Where loops cannot do that, Ctrl-C is a KeyboardInterrupt.
            with suppress(NotImplementedError):
                loop.add_signal_handler(each, self._received)

    def _received(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


def _why_not_started(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.errno == errno.EADDRINUSE:
        return f"{reason}; --port chooses another port, 0 any free one"
    return reason
