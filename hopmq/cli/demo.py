"""The main job: messages through a broker and back, and a summary of how that went."""

import asyncio

from rich.console import Console

import hopmq
from hopmq.cli.chosen_broker import chosen_broker
from hopmq.cli.event_loop import event_loop
from hopmq.cli.load import NUMBER_SIZE, Load
from hopmq.cli.progress import progress_of
from hopmq.cli.summary import Setting, show_summary
from hopmq.url import parse_url

SMALLEST_BODY = NUMBER_SIZE


def run(url: str | None, messages: int, size: int, *, rabbitmq: bool = False) -> int:
    """Run the demo on the broker at `url`, or on one that is started for it.

    Args:
        url: Where the broker is; None for an embedded one.
        messages: How many to send.
        size: Bytes of each body.
        rabbitmq: Whether to start the RabbitMQ that is installed instead.

    Returns:
        0 when every message was confirmed and consumed exactly once, else 1.
    """
    console = Console(markup=False, highlight=False, emoji=False)
    with chosen_broker(url, console, rabbitmq=rabbitmq) as address:
        factory, loop = event_loop()
        with asyncio.Runner(loop_factory=factory) as runner:
            load = Load(messages, size)
            setting = runner.run(_run(address, load, size, loop, console))
    show_summary(console, load, setting)
    return 0 if load.succeeded else 1


async def _run(url: str, load: Load, size: int, loop: str, console: Console) -> Setting:
    async with hopmq.connect(url, name="hopmq demo") as connection:
        setting = Setting(
            broker=f"{connection.product} {connection.version}",
            address=parse_url(url).address,
            loop=loop,
            size=size,
        )
        async with progress_of(load, console):
            await load.run(connection)
    return setting
