"""Which brokers a test run uses.

HOPMQ_TEST_BROKERS     releases to use, such as "3.10.8,4.0.5"; "none" for none; default: all;
                       "embedded" is the embedded broker, "embedded-4.0" when it emulates that one
HOPMQ_REQUIRE_BROKERS  releases that must be there: one that is missing fails the run
HOPMQ_TEST_CLUSTERS    releases of which clusters are broken; "all"; default: the newest
AMQP_URL               a broker that runs already: it is used too
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from brokers.embedded import RELEASES
from hopmq.broker.emulation import Release
from hopmq.testing import Installation, installations

EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerChoice:
    """One broker of this run: embedded, an installation to start, or one that runs already."""

    label: str
    installation: Installation | None = None
    emulate: Release | None = None
    url: str | None = None


def chosen_brokers(environment: Mapping[str, str] = os.environ) -> list[BrokerChoice]:
    """List the brokers of this run: embedded first, then real ones, oldest release first."""
    present = installations()
    _require(_releases(environment.get("HOPMQ_REQUIRE_BROKERS", "")), present)
    wanted = environment.get("HOPMQ_TEST_BROKERS", "")
    chosen = _embedded(wanted)
    chosen += [
        BrokerChoice(label=f"rabbitmq-{each.version}", installation=each)
        for each in _selected(wanted, present)
    ]
    url = environment.get("AMQP_URL")
    if url:
        chosen.append(BrokerChoice(label="amqp-url", url=url))
    return chosen


def chosen_clusters(environment: Mapping[str, str] = os.environ) -> list[BrokerChoice]:
    """List the installations that clusters are made of."""
    installed = [each for each in chosen_brokers(environment) if each.installation is not None]
    wanted = environment.get("HOPMQ_TEST_CLUSTERS", "")
    if not wanted:
        return installed[-1:]
    return [
        choice
        for choice in installed
        if wanted == "all"
        or (choice.installation is not None and choice.installation.version in wanted.split(","))
    ]


def _embedded(wanted: str) -> list[BrokerChoice]:
    """List the embedded broker, once for each release that it emulates."""
    every = [BrokerChoice(label=f"embedded-{each}", emulate=each) for each in RELEASES]
    asked = _releases(wanted)
    return [each for each in every if not asked or {EMBEDDED, each.label} & set(asked)]


def _selected(wanted: str, present: list[Installation]) -> list[Installation]:
    asked = _releases(wanted)
    releases = [each for each in asked if not each.startswith(EMBEDDED) and each != "none"]
    if asked and not releases:
        return []
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
