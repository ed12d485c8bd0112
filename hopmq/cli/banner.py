"""What `hopmq broker` says of itself when it starts: where it is, what it is and what it is not."""

from ipaddress import ip_address
from textwrap import wrap
from typing import Final

from rich.console import Console
from rich.text import Text

from hopmq._version import __version__
from hopmq.cli.parameters import human_size
from hopmq.cli.service import Service
from hopmq.url import parse_url

_PURPOSE: Final = "for trying out, developing and testing"
_IS_NOT: Final = (
    "a replacement for RabbitMQ: nothing is written to disk, so what it holds ends with it, and "
    "it is one node, no cluster"
)
_OPEN_DOOR: Final = (
    "other machines can reach it, and everybody knows guest's password: give a user of your own "
    "with --user"
)
_HOW_TO_END: Final = "Ctrl-C closes its clients in order; a second one ends it at once"

_NAMES: Final = 14
"""Columns that the names of facts take."""
_WIDEST: Final = 96


def show_banner(console: Console, service: Service) -> None:
    """Print addresses, limits, and what to expect."""
    console.print(Text(f"HopMQ {__version__}, embedded broker", style="bold"))
    console.print()
    for address in service.addresses:
        # As it is on one line, however long: it is there to be copied.
        console.print(Text(f"  {address}", style="cyan"), soft_wrap=True)
    console.print()
    width = min(console.width, _WIDEST) - 2 - _NAMES
    for name, fact in facts(service).items():
        first, *others = wrap(fact, max(width, 20))
        style = "yellow" if name == "beware" else ""
        console.print(Text.assemble("  ", (f"{name:<{_NAMES}}", "dim"), (first, style)))
        for line in others:
            console.print(Text(" " * (2 + _NAMES) + line, style=style))


def facts(service: Service) -> dict[str, str]:
    """Return what there is to know of a broker that runs, by name."""
    broker, state = service.broker, service.broker.state
    emulation, tuning = state.emulation, state.settings.tuning
    found = {
        "it is": _PURPOSE,
        "it is not": _IS_NOT,
        "behaves like": f"RabbitMQ {emulation.version}",
        "limits": (
            f"{human_size(state.memory.limit)} of messages, then publishers are blocked; "
            f"bodies to {human_size(state.settings.max_message_size)}; "
            f"{tuning.channel_max:,} channels per connection"
        ),
    }
    if service.has_management:
        found["management"] = broker.management_url
    if service.faults:
        found["beware"] = "faults happen to its clients, as the chaos file says"
    if is_open_to_strangers(broker.url):
        found["beware"] = "; ".join(filter(None, (found.get("beware"), _OPEN_DOOR)))
    found["to end it"] = _HOW_TO_END
    return found


def is_open_to_strangers(url: str) -> bool:
    """Return whether other machines can reach a broker with the password that everybody knows."""
    endpoint = parse_url(url)
    if endpoint.path is not None or endpoint.memory is not None:
        return False
    if endpoint.password is None:  # shown for the default user alone
        return False
    try:
        return not ip_address(endpoint.host).is_loopback
    except ValueError:
        return endpoint.host != "localhost"
