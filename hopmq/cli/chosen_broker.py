"""Which broker a command talks to: a given one, or one started for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from hopmq.errors import UsageError
from hopmq.testing import Installation, RabbitMQ, installations


@contextmanager
def chosen_broker(url: str | None, console: Console) -> Iterator[str]:
    """Give the address of a broker; one that was started for this block ends with it.

    Raises:
        UsageError: No address is given and no RabbitMQ is installed.
        BrokerError: The RabbitMQ that is installed does not start.
    """
    if url is not None:
        yield url
        return
    broker = RabbitMQ(preferred_installation())
    with started(broker, console):
        yield broker.url


def preferred_installation() -> Installation:
    """Find the machine's own RabbitMQ, or the newest of those in folders.

    Raises:
        UsageError: There is none.
    """
    found = installations()
    if not found:
        raise UsageError(
            "there is no broker to use: install RabbitMQ (Debian and Ubuntu: apt-get install "
            "rabbitmq-server), or set AMQP_URL to the address of a broker that runs already"
        )
    own = [each for each in found if each.root is None]
    return (own or found)[-1]


@contextmanager
def started(broker: RabbitMQ, console: Console) -> Iterator[None]:
    """Run `broker` for a block and say so, since a start takes seconds."""
    announcement = f"starting RabbitMQ {broker.version} for this demo"
    try:
        if console.is_terminal:
            with console.status(f"{announcement} ..."):
                broker.start()
        else:
            console.print(f"{announcement} ...")
            broker.start()
        yield
    finally:
        broker.stop()
