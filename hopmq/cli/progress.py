"""Show how a load gets on, where there is a terminal to show it on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from hopmq.cli.load import Load

_REFRESH_INTERVAL: Final = 0.1
_NAMES: Final = ("published", "confirmed", "consumed")


@asynccontextmanager
async def progress_of(load: Load, console: Console) -> AsyncIterator[None]:
    """Show bars for published, confirmed and consumed while the block runs."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield
        return
    columns = (TextColumn("{task.description:<9}"), BarColumn(), MofNCompleteColumn())
    # Refreshed from the event loop itself: a thread would fight with it for the interpreter.
    with Progress(*columns, console=console, auto_refresh=False) as progress:
        for name in _NAMES:
            progress.add_task(name, total=load.total)
        watcher = asyncio.create_task(_watch(load, progress), name="hopmq demo progress")
        try:
            yield
        finally:
            watcher.cancel()
            await asyncio.wait([watcher])
            _update(load, progress)


async def _watch(load: Load, progress: Progress) -> None:
    while True:
        _update(load, progress)
        await asyncio.sleep(_REFRESH_INTERVAL)


def _update(load: Load, progress: Progress) -> None:
    numbers = (load.published, len(load.confirmed), len(load.seen))
    for task, completed in zip(progress.tasks, numbers, strict=True):
        progress.update(task.id, completed=completed)
    progress.refresh()
