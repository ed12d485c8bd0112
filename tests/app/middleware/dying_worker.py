"""A worker that dies at its first message: between the work and the mark that it is done."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from hopmq.app import App
from hopmq.app.middleware import Deduplication, SqliteStore

URL, QUEUE, FOLDER = sys.argv[1:]

store = SqliteStore(Path(FOLDER) / "seen.db")
app = App(URL, middleware=[Deduplication(store, lease=1.0)])
app.on_shutdown(store.close)


@app.consumer(QUEUE)
async def work(number: int) -> None:
    """Work, and die if it is the first time."""
    done = Path(FOLDER) / "done"
    is_first = not done.exists()
    with done.open("a") as file:
        file.write(f"{number}\n")
    if is_first:
        os.kill(os.getpid(), signal.SIGKILL)


asyncio.run(app.serve())
