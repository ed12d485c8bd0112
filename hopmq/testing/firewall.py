"""Rules of a firewall that part the nodes of a cluster; they go with the process that made them."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Final

from hopmq.errors import UsageError

_TIMEOUT: Final = 10.0

_DELETE_AT_END: Final = "read -r _; exec nft delete table ip $1"
"""Run with a pipe that nobody writes to: it goes on when the process at its other end is gone."""


class Firewall:
    """Rules in a table of their own."""

    def __init__(self, table: str) -> None:
        """Be ready to make rules in `table`.

        Raises:
            UsageError: It needs root and `nft`.
        """
        if os.name != "posix" or os.geteuid() != 0 or shutil.which("nft") is None:
            raise UsageError("partitions need root and nft, from the package nftables")
        self._table = table.replace(".", "_")
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", _DELETE_AT_END, "sh", self._table],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def cut_off(self, address: str, others: Sequence[str]) -> None:
        """Drop what goes between an address and others, both ways."""
        rest = ", ".join(others)
        table = f"ip {self._table}"
        _nft(
            f"add table {table}\n"
            f"add chain {table} parted {{ type filter hook input priority 0; policy accept; }}\n"
            f"add rule {table} parted ip saddr {address} ip daddr {{ {rest} }} drop\n"
            f"add rule {table} parted ip saddr {{ {rest} }} ip daddr {address} drop\n"
        )

    def clear(self) -> None:
        """Remove all rules."""
        table = f"ip {self._table}"
        _nft(f"add table {table}\ndelete table {table}\n")

    def close(self) -> None:
        """Remove all rules for good; idempotent."""
        if self._watcher.stdin is not None:
            self._watcher.stdin.close()
        self._watcher.wait(_TIMEOUT)


def _nft(rules: str) -> None:
    done = subprocess.run(
        ["nft", "-f", "-"],
        input=rules,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_TIMEOUT,
        check=False,
    )
    if done.returncode:
        raise UsageError(f"nft cannot part nodes here: {done.stdout.strip()}")
