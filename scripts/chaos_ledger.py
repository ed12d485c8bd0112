"""What a chaos run has published and received, and the promises that it shows to be kept or broken."""

import time
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

_MOST_NAMED: Final = 20
"""Broken promises that are told one by one."""


class Outcome(IntEnum):
    """How a publish has ended."""

    PENDING = 0
    CONFIRMED = 1
    NOT_SENT = 2
    UNKNOWN = 3
    NACKED = 4
    CANCELLED = 5


@dataclass(slots=True)
class Account:
    """The messages of one producer, by serial number.

    Attributes:
        outcomes: How each publish has ended.
        received: How often each message has come.
        newest: The highest serial number that has come.
        overtaken: Serial numbers that came for the first time after a higher one.
        last_confirm: When a message was last confirmed, on the monotonic clock.
        longest_stall: The longest time between two confirms, in seconds.
    """

    outcomes: bytearray = field(default_factory=bytearray)
    received: "array[int]" = field(default_factory=lambda: array("H"))
    newest: int = -1
    overtaken: list[int] = field(default_factory=list)
    last_confirm: float = field(default_factory=time.monotonic)
    longest_stall: float = 0.0

    def receive(self, serial: int) -> None:
        """Take note that a message has come."""
        if not self.received[serial] and serial < self.newest:
            self.overtaken.append(serial)
        self.received[serial] += 1
        self.newest = max(self.newest, serial)

    def confirm(self) -> None:
        """Take note that a message was confirmed now."""
        now = time.monotonic()
        self.longest_stall = max(self.longest_stall, now - self.last_confirm)
        self.last_confirm = now


class Ledger:
    """Every message and every promise of one run.

    Attributes:
        accounts: The messages of each producer.
        broken: Promises that were broken, in words.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.accounts: dict[str, Account] = {}
        self.broken: list[str] = []

    # --- written by the workload -----------------------------------------------------------------

    def attempt(self, producer: str, size: int) -> tuple[int, bytes]:
        """Return the serial number and the body of a producer's next message."""
        account = self.accounts.setdefault(producer, Account())
        serial = len(account.outcomes)
        account.outcomes.append(Outcome.PENDING)
        account.received.append(0)
        stamp = f"{producer} {serial} {size}\n".encode()
        return serial, stamp.ljust(size, b".")

    def ended(self, producer: str, serial: int, outcome: Outcome) -> None:
        """Write down how a publish has ended."""
        account = self.accounts[producer]
        account.outcomes[serial] = outcome
        if outcome is Outcome.CONFIRMED:
            account.confirm()

    def arrived(self, body: bytes) -> None:
        """Write down that a message was received."""
        stamp, _, _ = body.partition(b"\n")
        try:
            producer, serial, size = stamp.decode().split()
            self.accounts[producer].receive(int(serial))
        except (ValueError, KeyError, IndexError):
            self.breaks(f"a message arrived that nobody sent: {body[:40]!r}")
            return
        if len(body) != max(int(size), len(stamp) + 1):
            self.breaks(f"{producer} {serial} arrived with {len(body)} bytes, not {size}")

    def breaks(self, what: str) -> None:
        """Write down that a promise was broken."""
        self.broken.append(what)

    def check_order(self, producer: str) -> None:
        """See that a producer's messages have come in the order in which they were published.

        That is so where its queue was read when nothing went wrong any more: a broker that has not
        yet missed a consumer keeps back what it had sent to it.
        """
        overtaken = [str(serial) for serial in self.accounts[producer].overtaken]
        if overtaken:
            self.breaks(f"{producer}: {len(overtaken)} messages overtaken: {_some(overtaken)}")

    # --- read at the end -------------------------------------------------------------------------

    def missing(self) -> list[str]:
        """List the confirmed messages that have not been received."""
        return [
            f"{producer} {serial}"
            for producer, serial, outcome, received in self._messages()
            if outcome == Outcome.CONFIRMED and not received
        ]

    def judge(self) -> None:
        """Write down what the messages themselves show."""
        lost = self.missing()
        if lost:
            self.breaks(f"{len(lost)} confirmed messages lost: {_some(lost)}")
        there = [
            f"{producer} {serial}"
            for producer, serial, outcome, received in self._messages()
            if outcome == Outcome.NOT_SENT and received
        ]
        if there:
            self.breaks(f"{len(there)} messages not sent, and received: {_some(there)}")
        pending = self.counts()[Outcome.PENDING]
        if pending:
            self.breaks(f"{pending} publishes have not ended")

    def counts(self) -> Counter[int]:
        """Count the publishes by outcome."""
        return Counter(outcome for _, _, outcome, _ in self._messages())

    @property
    def published(self) -> int:
        """How many publishes were begun."""
        return sum(len(account.outcomes) for account in self.accounts.values())

    @property
    def received(self) -> int:
        """How many different messages were received."""
        return sum(received > 0 for _, _, _, received in self._messages())

    @property
    def duplicated(self) -> int:
        """How many messages were received again, each counted as often as that happened."""
        return sum(max(0, received - 1) for _, _, _, received in self._messages())

    @property
    def longest_stall(self) -> float:
        """The longest time that a producer went without a confirm, in seconds."""
        return max((account.longest_stall for account in self.accounts.values()), default=0.0)

    def _messages(self) -> Iterator[tuple[str, int, int, int]]:
        for producer, account in self.accounts.items():
            pairs = zip(account.outcomes, account.received, strict=True)
            for serial, (outcome, received) in enumerate(pairs):
                yield producer, serial, outcome, received


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
