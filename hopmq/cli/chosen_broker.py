"""Which broker a command talks to: a given one, an embedded one, or a RabbitMQ started for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from hopmq.cli.embedded import embedded_broker
from hopmq.errors import UsageError
from hopmq.testing import Installation, RabbitMQ, installations


@contextmanager
def chosen_broker(url: str | None, console: Console, *, rabbitmq: bool) -> Iterator[str]:
    """Give the address of a broker; one that was started for this block ends with it.

    Args:
        url: Where one runs already, if that is to be used.
        console: Where to say that one is started.
        rabbitmq: Whether to start the RabbitMQ that is installed, rather than an embedded broker.

    Raises:
        UsageError: No RabbitMQ is installed.
        BrokerError: The RabbitMQ that is installed does not start.
    """
    if rabbitmq:
        broker = RabbitMQ(preferred_installation())
        with started(broker, console):
            yield broker.url
    elif url is not None:
        yield url
    else:
        console.print("starting an embedded broker in a process of its own")
        with embedded_broker() as address:
            yield address


def preferred_installation() -> Installation:
    """Find the machine's own RabbitMQ, or the newest of those in folders.

    Raises:
        UsageError: There is none.
    """
    found = installations()
    if not found:
        raise UsageError(
            "no RabbitMQ is installed on this machine (Debian and Ubuntu: apt-get install "
            "rabbitmq-server); without --rabbitmq the embedded broker is used, or the one in AMQP_URL"
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
