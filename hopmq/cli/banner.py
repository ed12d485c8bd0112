"""What `hopmq broker` says of itself when it starts: where it is, what it is and what it is not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hopmq._version import __version__
from hopmq.cli.parameters import human_size

if TYPE_CHECKING:
    from hopmq.broker import Broker

IS_NOT = (
    "For trying out, developing and testing. It writes nothing to disk, so what it holds ends with "
    "it; it is one node and no cluster; it is no replacement for RabbitMQ."
)
OPEN_DOOR = (
    "Other machines can reach it, and everybody knows guest's password: give your own with --user."
)


def show_banner(console: Console, broker: "Broker", addresses: Sequence[str]) -> None:
    """Print addresses, limits, and what to expect."""
    console.print(Text(f"HopMQ {__version__}, embedded broker", style="bold"))
    console.print()
    for address in addresses:
        # As it is on one line, however long: it is there to be copied.
        console.print(Text(f"  {address}", style="cyan"), soft_wrap=True)
    console.print()
    console.print(Padding(Group(_facts(broker)), (0, 2)))
    console.print()


def _facts(broker: "Broker") -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(max_width=78)
    state = broker.state
    emulation, tuning = state.emulation, state.settings.tuning
    table.add_row("behaves like", f"RabbitMQ {emulation.version}")
    table.add_row(
        "limits",
        f"{human_size(state.memory.limit)} of messages, then publishers are blocked; "
        f"bodies to {human_size(state.settings.max_message_size)}, "
        f"{tuning.channel_max:,} channels per connection",
    )
    table.add_row("it is not", IS_NOT)
    if broker.is_open_to_strangers:
        table.add_row("beware", Text(OPEN_DOOR, style="yellow"))
    table.add_row("to end it", "Ctrl-C closes its clients in order, a second one at once")
    return table
