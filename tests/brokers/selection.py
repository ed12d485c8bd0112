"""Which brokers a test run uses.

HOPMQ_TEST_BROKERS     releases to use, such as "3.10.8,4.0.5"; "none" for none; default: all
HOPMQ_REQUIRE_BROKERS  releases that must be there: one that is missing fails the run
AMQP_URL               a broker that runs already: it is used too
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from hopmq.testing import Installation, installations


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerChoice:
    """One broker of this run: an installation to start, or the address of one that runs."""

    label: str
    installation: Installation | None = None
    url: str | None = None


def chosen_brokers(environment: Mapping[str, str] = os.environ) -> list[BrokerChoice]:
    """List the brokers of this run, oldest release first."""
    present = installations()
    _require(_releases(environment.get("HOPMQ_REQUIRE_BROKERS", "")), present)
    chosen = [
        BrokerChoice(label=f"rabbitmq-{each.version}", installation=each)
        for each in _selected(environment.get("HOPMQ_TEST_BROKERS", ""), present)
    ]
    url = environment.get("AMQP_URL")
    if url:
        chosen.append(BrokerChoice(label="amqp-url", url=url))
    return chosen


def _selected(wanted: str, present: list[Installation]) -> list[Installation]:
    if wanted.strip() == "none":
        return []
    releases = _releases(wanted)
    _require(releases, present)
    return [each for each in present if not releases or each.version in releases]


def _require(releases: list[str], present: list[Installation]) -> None:
    missing = sorted(set(releases) - {each.version for each in present})
    if missing:
        there = ", ".join(each.version for each in present) or "none"
        raise pytest.UsageError(
            f"RabbitMQ {', '.join(missing)} is not installed (present: {there}); "
            "`make brokers` installs the releases that the project is tested with"
        )


def _releases(text: str) -> list[str]:
    return [release for release in (part.strip() for part in text.split(",")) if release]
