"""What a chaos run has shown: a table of numbers, and the promises that were broken."""

import asyncio
import gc
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chaos_clients import Seen
from chaos_ledger import Ledger, Outcome

_MOST_NAMED: Final = 30
_PATIENCE: Final = 3.0
_POLL_INTERVAL: Final = 0.1


@dataclass(slots=True)
class Verdict:
    """What a run has shown.

    Attributes:
        ledger: What was published and received, and what was broken.
        seen: What connections have gone through.
        faults: What has gone wrong, and how often.
        worst_recovery: The longest time from the end of a fault until all clients worked again.
        rejoined: Nodes that did not come back by themselves.
    """

    ledger: Ledger
    seen: Seen
    faults: Counter[str]
    worst_recovery: float
    rejoined: int

    @property
    def holds(self) -> bool:
        """Whether every promise was kept."""
        return not self.ledger.broken

    async def look_for_leaks(self, sockets_before: int) -> None:
        """Look for tasks and sockets that are left when all is closed."""
        left = await _left(sockets_before)
        if left:
            self.ledger.breaks(f"left behind: {left}")

    def table(self) -> str:
        """Return the verdict as text."""
        counts = self.ledger.counts()
        rows: list[tuple[str, object]] = [
            ("messages published", self.ledger.published),
            ("confirmed", counts[Outcome.CONFIRMED]),
            ("  of these lost", len(self.ledger.missing())),
            ("not sent", counts[Outcome.NOT_SENT]),
            ("unknown", counts[Outcome.UNKNOWN]),
            ("nacked", counts[Outcome.NACKED]),
            ("cancelled", counts[Outcome.CANCELLED]),
            ("received", self.ledger.received),
            ("duplicated", self.ledger.duplicated),
            ("settled too late, delivered again", self.seen.stale),
            ("longest stall of a producer", f"{self.ledger.longest_stall:.1f} s"),
            ("reconnects", self.seen.reconnects),
            ("longest reconnect", f"{self.seen.longest:.1f} s"),
            ("worst recovery after a fault", f"{self.worst_recovery:.1f} s"),
            ("entities refused while restored", self.seen.entities_failed),
            ("consumers lost and restored", self.seen.consumers_lost),
            ("nodes that had to be restarted", self.rejoined),
            ("faults", self.faults.total()),
            *((f"  {name}", count) for name, count in sorted(self.faults.items())),
        ]
        width = max(len(name) for name, _ in rows)
        lines = [f"  {name:{width}} {value:>10}" for name, value in rows]
        return "\n".join(["", *lines, "", *self._verdict()])

    def _verdict(self) -> list[str]:
        broken = self.ledger.broken
        if not broken:
            return ["every promise was kept"]
        counted = Counter(broken).most_common(_MOST_NAMED)
        lines = [f"  {f'{count} x ' if count > 1 else ''}{what}" for what, count in counted]
        return [f"{len(broken)} PROMISES WERE BROKEN", *lines]


def sockets() -> int:
    """Count the sockets that this process has open."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            count += str(link.readlink()).startswith("socket:")
        except OSError:
            pass  # the descriptor that listed them
    return count


async def _left(sockets_before: int) -> str:
    """Return what is left, once nothing more goes away by itself."""
    left = "?"
    for _ in range(round(_PATIENCE / _POLL_INTERVAL)):
        gc.collect()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        more = sockets() - sockets_before
        names = ", ".join(str(task.get_coro()) for task in tasks)
        left = "; ".join(
            [*([f"tasks {names}"] if tasks else []), *([f"{more} sockets"] if more > 0 else [])]
        )
        if not left:
            break
        await asyncio.sleep(_POLL_INTERVAL)
    return left
