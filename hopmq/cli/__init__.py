"""The `hopmq` command: run a command, say in one sentence what went wrong, return a status."""

import sys
from collections.abc import Sequence
from typing import Final

_EXTRA: Final = frozenset({"click", "rich"})
_FAILED: Final = 1
_INTERRUPTED: Final = 130
"""What shells report for a program that Ctrl-C ended: 128 + SIGINT."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0 when all went well.

    Args:
        arguments: Its words; those of the process by default.
    """
    try:
        return _run(arguments)
    except KeyboardInterrupt:  # where no event loop takes the signal
        print("hopmq: interrupted", file=sys.stderr)
        return _INTERRUPTED


def _run(arguments: Sequence[str] | None) -> int:
    try:
        # Optional: these come with the extra `cli` and are needed nowhere else.
        from hopmq.cli.commands import run
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        print(
            "hopmq: the command line needs packages that are not installed: "
            "pip install 'hopmq[cli]'",
            file=sys.stderr,
        )
        return _FAILED
    return run(arguments)
