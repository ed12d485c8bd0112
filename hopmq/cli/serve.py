"""Run an embedded broker until it is told to end."""

import asyncio
import errno
import signal
from contextlib import suppress

from rich.console import Console

from hopmq.broker import Broker
from hopmq.cli.banner import show_banner
from hopmq.cli.console_log import broker_log_shown
from hopmq.cli.counters import Meter
from hopmq.cli.counters_view import counters_shown
from hopmq.cli.event_loop import event_loop
from hopmq.cli.service import Service
from hopmq.errors import UsageError
from hopmq.testing.faults import apply_chaos

_INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(service: Service) -> int:
    """Serve until SIGINT or SIGTERM.

    Returns:
        0 when the clients were told of the end, 130 when a second signal cut that short.

    Raises:
        UsageError: The broker cannot listen where it should.
    """
    console = Console(markup=False, highlight=False, emoji=False)
    factory, _ = event_loop()
    with (
        broker_log_shown(console, frames=service.frames),
        asyncio.Runner(loop_factory=factory) as runner,
    ):
        return runner.run(_serve(service, console))


async def _serve(service: Service, console: Console) -> int:
    broker = service.broker
    signals = _Signals()
    try:
        await broker.start()
    except OSError as error:
        raise UsageError(_why_not_started(error)) from error
    async with broker:
        show_banner(console, service)
        chaos = apply_chaos(broker, service.faults)
        meter, loop = Meter(broker), asyncio.get_running_loop()
        async with counters_shown(console, lambda: meter.read(loop.time())):
            await signals.first.wait()
        chaos.cancel()
        return await _end(broker, console, signals)


async def _end(broker: Broker, console: Console, signals: "_Signals") -> int:
    """Close the clients in order, unless a second signal says that it takes too long."""
    peers = list(broker.state.peers) if broker.is_running else []
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
        return f"{reason}; choose another port, or 0 for any free one"
    return reason
