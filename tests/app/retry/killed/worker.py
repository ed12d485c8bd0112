"""An application whose handler fails: `python worker.py URL QUEUE BACKOFF LOG`.

It writes down each attempt before that fails. With a message `hang` in hand it stands still once: at the
second attempt, for whoever kills it then.
"""

import asyncio
import os
import sys
import time

from hopmq import Message, Queue
from hopmq.app import App, Constant, ConsumeContext, Exponential, Retry

ATTEMPTS = 4
BACKOFFS = {"ladder": Exponential(0.5, 60), "native": Constant(1)}


def application(url: str, queue: str, backoff: str, log: str) -> App:
    """Return the application."""
    written = os.open(log, os.O_WRONLY | os.O_APPEND)
    app = App(url)
    retry = Retry(attempts=ATTEMPTS, backoff=BACKOFFS[backoff])

    @app.consumer(Queue.quorum(queue), prefetch=5, concurrency=5, retry=retry)
    async def fail(message: Message, context: ConsumeContext) -> None:
        body = message.body.decode()
        line = f"{body} {context.attempt} {time.monotonic()} {message.redelivered:d}\n"
        os.write(written, line.encode())
        if body == "hang" and context.attempt == 2 and is_first(f"{log}.hung"):
            await asyncio.Event().wait()
        raise ValueError(body)

    return app


def is_first(path: str) -> bool:
    """Return whether nobody has asked this before, in any process."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


if __name__ == "__main__":
    application(*sys.argv[1:]).run()
