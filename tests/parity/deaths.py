"""What RabbitMQ writes into the headers of a dead-lettered message, for each release."""

from typing import Any

from parity.typed import Typed

LAST_DEATH = {"4.0", "4.3"}
"""Releases that also write x-last-death-*."""

KEEPS_REDELIVERED = {"4.3"}
"""Releases in which a message that had been delivered stays marked after its death."""


def death(
    release: str,
    *,
    queue: str,
    reason: str,
    exchange: str = "",
    keys: list[str],
    count: int = 1,
    expiration: str | None = None,
) -> dict[str, Typed]:
    """Return an entry of x-death, as typed headers show it, in the order of its keys."""
    entry: dict[str, Typed] = {
        "count": ("l", count),
        "reason": ("S", reason),
        "queue": ("S", queue),
        "time": ("T", None),
        "exchange": ("S", exchange),
        "routing-keys": ("A", [("S", key) for key in keys]),
    }
    if expiration is None:
        return entry
    own: dict[str, Typed] = {"original-expiration": ("S", expiration)}
    return {**entry, **own} if release == "3.10" else {**own, **entry}


def without_times(headers: dict[str, Typed]) -> dict[str, Typed]:
    """Return the headers with the times of deaths left out, after a look at their type."""
    if "x-death" not in headers:
        return headers
    tag, entries = headers["x-death"]
    timeless: list[Typed] = []
    for kind, entry in entries:
        assert entry["time"][0] == "T", entry
        assert entry["time"][1] > 1_600_000_000, entry
        timeless.append((kind, {**entry, "time": ("T", None)}))
    return {**headers, "x-death": (tag, timeless)}


def firsts_and_lasts(release: str, first: dict[str, Any], last: dict[str, Any]) -> dict[str, Typed]:
    """Return the headers that name the first death and, from 4.0 on, the last one."""
    found = {f"x-first-death-{part}": first[part] for part in ("exchange", "queue", "reason")}
    if release in LAST_DEATH:
        found |= {f"x-last-death-{part}": last[part] for part in ("exchange", "queue", "reason")}
    return found
