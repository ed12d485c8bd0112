"""Which values of a queue's arguments RabbitMQ takes, and in which words it refuses the others."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from hopmq.typedefs import FieldValue

OLDEST: Final = ("3.10",)
NEWEST: Final = ("4.3",)
SINCE_4_0: Final = ("4.0", "4.3")
EVERY: Final = ("3.10", "4.0", "4.3")

OTHERS: Final[dict[str, FieldValue]] = {
    "double": 1.5,
    "longstr": "x",
    "bool": True,
    "void": None,
    "array": [],
    "table": {},
    "binary": b"\xff",
}
"""A value of each kind that is no integer, by the name that the broker has for the kind."""

INTEGERS: Final[dict[str, FieldValue]] = {
    "byte": 1,
    "short": 1000,
    "signedint": 100_000,
    "long": 1 << 40,
}
"""An integer of each width."""

TEN_YEARS: Final = 315_360_000_000
"""The longest time, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Case:
    """One value of one argument of one type of queue.

    Attributes:
        kind: The type of queue.
        argument, value: What is declared.
        refusals: What is said after "invalid arg ...", by release; the others take the value.
    """

    kind: str
    argument: str
    value: FieldValue
    refusals: Mapping[str, str]

    def __str__(self) -> str:
        """Name the case in the names of tests."""
        return f"{self.kind} {self.argument}={self.value!r}"


def _taken(kinds: str, argument: str, *values: FieldValue) -> Iterator[Case]:
    for kind in kinds.split():
        for value in values:
            yield Case(kind, argument, value, {})


def _refused(
    kinds: str,
    argument: str,
    words: Iterable[tuple[FieldValue, str]],
    releases: tuple[str, ...] = EVERY,
) -> Iterator[Case]:
    words = list(words)
    for kind in kinds.split():
        for value, tail in words:
            yield Case(kind, argument, value, dict.fromkeys(releases, f": {tail}"))


def _no_integers(kinds: str, argument: str, releases: tuple[str, ...] = EVERY) -> Iterator[Case]:
    words = ((value, f'"expected integer, got {kind}"') for kind, value in OTHERS.items())
    yield from _refused(kinds, argument, words, releases)


def _no_texts(kinds: str, argument: str, releases: tuple[str, ...] = EVERY) -> Iterator[Case]:
    values = {kind: value for kind, value in {**INTEGERS, **OTHERS}.items() if kind != "longstr"}
    words = ((value, f"{{unacceptable_type,{kind}}}") for kind, value in values.items())
    yield from _refused(kinds, argument, words, releases)


def _unsupported(
    kinds: str, argument: str, *values: FieldValue, releases: tuple[str, ...] = EVERY
) -> Iterator[Case]:
    for kind in kinds.split():
        tail = f" of queue type rabbit_{kind}_queue"
        for value in values or (1, -1, "x", None):
            yield Case(kind, argument, value, dict.fromkeys(releases, tail))


def _times() -> Iterator[Case]:
    kinds = "classic quorum"
    yield from _taken(kinds, "x-message-ttl", 0, TEN_YEARS)
    yield from _taken(kinds, "x-expires", 1, TEN_YEARS)
    yield from _refused(kinds, "x-expires", [(0, "{value_zero,0}")])
    for argument in ("x-message-ttl", "x-expires"):
        over = TEN_YEARS + 1
        words = [(-1, "{value_negative,-1}"), (over, f"{{value_too_large,{over}}}")]
        yield from _refused(kinds, argument, words)
        yield from _no_integers(kinds, argument)
        yield from _unsupported("stream", argument)


def _lengths() -> Iterator[Case]:
    negative = [(-1, "{value_negative,-1}")]
    for argument, kinds in (
        ("x-max-length", "classic quorum"),
        ("x-max-length-bytes", "classic quorum stream"),
        ("x-max-in-memory-length", "quorum"),
        ("x-max-in-memory-bytes", "quorum"),
    ):
        yield from _taken(kinds, argument, 0, (1 << 63) - 1)
        yield from _refused(kinds, argument, negative)
        yield from _no_integers(kinds, argument)
        rest = " ".join({"classic", "quorum", "stream"} - set(kinds.split()))
        yield from _unsupported(rest, argument)
    yield from _taken("classic quorum", "x-overflow", "drop-head", "reject-publish")
    yield from _taken("classic quorum", "x-overflow", "reject-publish-dlx")
    words = [("x", "invalid_overflow"), ("", "invalid_overflow")]
    yield from _refused("classic quorum", "x-overflow", words)
    yield from _no_texts("classic quorum", "x-overflow")
    yield from _unsupported("stream", "x-overflow", "drop-head", 1)


def _priorities() -> Iterator[Case]:
    yield from _taken("classic", "x-max-priority", 0, 1, 255)
    words = [(-1, "{value_negative,-1}"), (256, "{max_value_exceeded,256}")]
    yield from _refused("classic", "x-max-priority", words)
    yield from _no_integers("classic", "x-max-priority")
    yield from _unsupported("quorum stream", "x-max-priority")


def _dead_letters() -> Iterator[Case]:
    kinds = "classic quorum"
    yield from _taken(kinds, "x-dead-letter-exchange", "", "no-such-exchange")
    yield from _unsupported("stream", "x-dead-letter-exchange", "", "amq.direct")
    yield from _no_texts(kinds, "x-dead-letter-routing-key")
    alone = [(key, "routing_key_but_no_dlx_defined") for key in ("", "key")]
    yield from _refused(kinds, "x-dead-letter-routing-key", alone)
    yield from _unsupported("stream", "x-dead-letter-routing-key")
    yield from _taken("quorum", "x-dead-letter-strategy", "at-most-once", "at-least-once")
    yield from _refused("quorum", "x-dead-letter-strategy", [("x", "invalid_dlx_strategy")])
    yield from _no_texts("quorum", "x-dead-letter-strategy")
    yield from _unsupported("classic stream", "x-dead-letter-strategy", "at-most-once", 1)


def _consumers() -> Iterator[Case]:
    kinds = "classic quorum"
    yield from _taken(kinds, "x-single-active-consumer", True, False)
    values = {kind: value for kind, value in {**INTEGERS, **OTHERS}.items() if kind != "bool"}
    words = ((value, f"{{unacceptable_type,{kind}}}") for kind, value in values.items())
    yield from _refused(kinds, "x-single-active-consumer", words)
    yield from _unsupported("stream", "x-single-active-consumer", True, 1)
    yield from _taken("quorum", "x-delivery-limit", 0, 5, -1, 1.5, "x", None)
    yield from _unsupported("classic stream", "x-delivery-limit")
    for argument in ("x-consumer-timeout", "x-consumer-disconnected-timeout"):
        yield from _taken("quorum", argument, 0, 1000)
        yield from _refused("quorum", argument, [(-1, "{value_negative,-1}")], NEWEST)
        yield from _no_integers("quorum", argument, NEWEST)
        yield from _unsupported("classic stream", argument, releases=NEWEST)
    for argument in ("x-delayed-retry-type", "x-delayed-retry-min", "x-delayed-retry-max"):
        yield from _taken("quorum", argument, 1000, "all", -1, None)
        yield from _unsupported("classic stream", argument, releases=NEWEST)


def _modes() -> Iterator[Case]:
    before = ("3.10", "4.0")
    yield from _taken("classic", "x-queue-mode", "lazy", "default")
    words = [("x", "\"unsupported queue mode 'x'\""), ("", "\"unsupported queue mode ''\"")]
    yield from _refused("classic", "x-queue-mode", words, before)
    yield from _no_texts("classic", "x-queue-mode", before)
    yield from _unsupported("quorum stream", "x-queue-mode", "lazy", 1)
    yield from _taken("classic", "x-queue-version", 2)
    yield from _refused("classic", "x-queue-version", [(-1, "{value_negative,-1}")])
    versions = [(number, f"\"unsupported queue version '{number}'\"") for number in (0, 3)]
    yield from _refused("classic", "x-queue-version", versions)
    only_older = [(1, "\"unsupported queue version '1'\"")]
    yield from _refused("classic", "x-queue-version", only_older, NEWEST)
    yield from _no_integers("classic", "x-queue-version")
    yield from _unsupported("quorum stream", "x-queue-version", 2, "x")


def _replicas() -> Iterator[Case]:
    for argument, kind, others in (
        ("x-quorum-initial-group-size", "quorum", "classic"),
        ("x-initial-cluster-size", "stream", "classic quorum"),
    ):
        yield from _taken(kind, argument, 1, 3)
        words = [(0, "{value_zero,0}"), (-1, "{value_negative,-1}")]
        yield from _refused(kind, argument, words)
        yield from _no_integers(kind, argument)
        yield from _unsupported(others, argument)
    locator = "x-queue-leader-locator"
    by_release = {"3.10": " of queue type rabbit_classic_queue"}
    by_release |= dict.fromkeys(SINCE_4_0, ": invalid_queue_locator_arg")
    yield Case("classic", locator, "x", by_release)
    yield from _refused("quorum stream", locator, [("x", "invalid_queue_locator_arg")])
    yield from _no_texts("quorum stream", locator)
    yield from _taken("quorum stream", locator, "client-local", "balanced")
    yield from _unsupported("classic", locator, "client-local", "balanced", releases=OLDEST)


def _streams() -> Iterator[Case]:
    yield from _taken("stream", "x-max-age", "1Y", "1M", "1D", "1h", "2m", "10s")
    words = [(value, "invalid_max_age") for value in ("7d", "5X", "1DD")]
    yield from _refused("stream", "x-max-age", words)
    yield from _no_texts("stream", "x-max-age")
    yield from _unsupported("classic quorum", "x-max-age", "1D", 1)
    segment = "x-stream-max-segment-size-bytes"
    yield from _taken("stream", segment, 1_000_000, 3_000_000_000)
    yield from _refused("stream", segment, [(-1, "{value_negative,-1}")])
    yield from _no_integers("stream", segment)
    yield from _unsupported("classic quorum", segment)


def _unknown() -> Iterator[Case]:
    values = (1, -1, "x", None, True, 1.5)
    yield from _taken("classic quorum stream", "x-unknown", *values[:2])
    yield from _taken("classic", "x-unknown", *values)
    yield from _taken("classic", "unknown", {"any": ["thing"]})


CASES: Final = [
    *_times(),
    *_lengths(),
    *_priorities(),
    *_dead_letters(),
    *_consumers(),
    *_modes(),
    *_replicas(),
    *_streams(),
    *_unknown(),
]
