"""What callers and endpoints of these benchmarks share: how calls are counted and timed."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from measuring import Measurement
from orders import an_order

ORDER = an_order(1).model_dump()
ITEMS = len(ORDER["items"])

Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a process is asked to do."""

    role: str
    url: str
    queue: str
    loop: str
    count: int
    at_once: int

    @classmethod
    def parse(cls) -> "Options":
        """Read the command line."""
        parser = argparse.ArgumentParser(allow_abbrev=False)
        parser.add_argument("role", choices=("serve", "call"))
        parser.add_argument("--url", required=True)
        parser.add_argument("--queue", required=True)
        parser.add_argument("--loop", default="asyncio")
        parser.add_argument("--count", type=int, default=1000)
        parser.add_argument("--at-once", type=int, default=1)
        return cls(**vars(parser.parse_args()))


async def measured(call: Call, options: Options, client: str) -> None:
    """Call as often as is asked for, by so many callers at once, and print the report."""
    measurement = Measurement()
    left = options.count

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            begun = time.perf_counter()
            result = await call()
            measurement.waits.append(time.perf_counter() - begun)
            assert result == ITEMS, result

    left = max(options.count // 20, options.at_once)  # to warm up
    await asyncio.gather(*(caller() for _ in range(options.at_once)))
    left = options.count
    measurement.start()
    await asyncio.gather(*(caller() for _ in range(options.at_once)))
    measurement.stop(options.count)
    print(json.dumps(measurement.report(client)), flush=True)


async def serving() -> None:
    """Say that the endpoint is ready, and serve until standard input ends."""
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def run(
    client: str,
    serve: Callable[[Options], AbstractAsyncContextManager[None]],
    calling: Callable[[Options], AbstractAsyncContextManager[Call]],
) -> None:
    """Be what the command line asks for."""
    options = Options.parse()

    async def main() -> None:
        if options.role == "serve":
            async with serve(options):
                await serving()
        else:
            async with calling(options) as call:
                await measured(call, options, client)

    runner: Callable[[Coroutine[None, None, None]], None] = asyncio.run
    if options.loop == "uvloop":
        import uvloop

        runner = uvloop.run
    runner(main())
