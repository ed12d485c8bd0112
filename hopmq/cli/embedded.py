"""An embedded broker in a process of its own, for a command that needs one."""

import asyncio
import multiprocessing
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Final

from hopmq.cli.event_loop import event_loop
from hopmq.errors import UsageError

_START_TIMEOUT: Final = 30.0
_END_TIMEOUT: Final = 10.0


@contextmanager
def embedded_broker() -> Iterator[str]:
    """Give the address of a broker that runs for this block, beside this process.

    Raises:
        UsageError: It did not start.
    """
    # A fresh process: a copy of this one would share its event loops and threads.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), name="hopmq broker", daemon=True)
    # Ctrl-C reaches every process of a terminal. This one ends when its parent lets go, and is to
    # hear nothing of the signal from its first moment on.
    try:
        with _interrupts_held_back():
            process.start()
        theirs.close()
        yield _address(ours)
    finally:
        for end in (ours, theirs):
            end.close()
        if process.pid is not None:
            process.join(_END_TIMEOUT)
            if process.is_alive():
                process.kill()
                process.join()


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Hear of an interrupt only behind this block; a process that is started in it, never."""
    if sys.platform == "win32":
        yield
        return
    from multiprocessing import resource_tracker  # there is none on Windows

    resource_tracker.ensure_running()  # which lets signals through when it starts
    heard = []
    # The mask is what a started process inherits. It is this thread's alone: the handler is for
    # an interrupt that the system gives to another thread.
    handler = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
        if heard:
            signal.raise_signal(signal.SIGINT)


def _address(pipe: "Connection[object, object]") -> str:
    try:
        if pipe.poll(_START_TIMEOUT):
            return str(pipe.recv())
    except EOFError:
        pass
    raise UsageError("the embedded broker did not start")


def _serve(pipe: "Connection[object, object]") -> None:
    """Run a broker, tell its address, and end with the other end of the pipe."""
    factory, _ = event_loop()
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_run(pipe))


async def _run(pipe: "Connection[object, object]") -> None:
    from hopmq.broker import Broker

    async with Broker() as broker:
        released = asyncio.Event()
        asyncio.get_running_loop().add_reader(pipe.fileno(), released.set)
        with suppress(BrokenPipeError):  # the parent has gone already
            pipe.send(broker.url)
            await released.wait()
