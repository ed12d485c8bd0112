"""What a fork leaves to the child: links that are closed there, and sockets that lead nowhere.

A child gets a copy of every link of its parent, with the same sockets behind the same numbers. What
it sent, closed, shut down or took out of the event loop's poll set would be its parent's, and the
broker would not see a parent that has died while a child still holds its socket. So, in the child,
the number of each socket is given to another one at once.
"""

import os
import socket
from contextlib import suppress
from typing import Final, Protocol
from weakref import WeakSet

from hopmq.errors import ForkedError

FORKS: Final = hasattr(os, "fork")

_FORKED: Final = (
    "this process is a child of the one that connected, and cannot use its connection; "
    "connect anew in the child, or start it by 'spawn' instead of 'fork'"
)


class Heirloom(Protocol):
    """Something that must not be used on both sides of a fork."""

    def socket_number(self) -> int | None:
        """Return the number of its socket, if it has one that is open."""

    def disown(self) -> None:
        """Take note that it belongs to the parent, and that this is the child."""


_heirlooms: Final[WeakSet[Heirloom]] = WeakSet()


def forked() -> ForkedError:
    """Return what a child is told."""
    return ForkedError(_FORKED, by_peer=False)


def guard(heirloom: Heirloom) -> None:
    """Keep `heirloom` for this process alone, until it is released or gone."""
    if FORKS:
        _heirlooms.add(heirloom)


def release(heirloom: Heirloom) -> None:
    """Guard it no longer: its socket is closed."""
    _heirlooms.discard(heirloom)


def _after_in_child() -> None:
    heirlooms = list(_heirlooms)
    _heirlooms.clear()
    numbers = [heirloom.socket_number() for heirloom in heirlooms]
    _lead_nowhere([number for number in numbers if number is not None])
    for heirloom in heirlooms:
        heirloom.disown()


def _lead_nowhere(numbers: list[int]) -> None:
    """Put a socket whose peer has hung up in the place of each."""
    if not numbers:
        return
    with suppress(OSError):  # no descriptor left: the links are closed for the child all the same
        nowhere, peer = socket.socketpair()
        peer.close()
        with nowhere:
            for number in numbers:
                os.dup2(nowhere.fileno(), number, inheritable=False)


if FORKS:
    os.register_at_fork(after_in_child=_after_in_child)
