"""Feed mutated frames to both codecs and demand the same answer of both.

Legal frames of every method, with random arguments, properties, tables and bodies, are altered
where it hurts: lengths, field types, flags, single octets, frame heads and ends. The pure and the
compiled codec get the same bytes in different pieces, and must return the same events, values
and errors. Anything but an event or a FrameSyntaxError counts as a failure as well.

    python scripts/fuzz_codec.py                      one million mutated frames
    python scripts/fuzz_codec.py --count 50000 --seed 7
    python scripts/fuzz_codec.py --replay 0800...ce   one stream, byte by byte and whole
"""

import argparse
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any  # events and values of every type pass through here

from fuzz_frames import FRAME_MAX, MAX_MESSAGE_SIZE, Generator, Mutator
from pamqp.base import Frame

from hopmq.errors import EncodeError, FrameSyntaxError
from hopmq.wire import PURE, Codec, load_compiled

PLAIN_FIELDS = (
    "channel",
    "consumer_tag",
    "delivery_tag",
    "redelivered",
    "exchange",
    "routing_key",
    "message_count",
    "reply_code",
    "reply_text",
    "mandatory",
    "immediate",
    "multiple",
    "requeue",
    "raw",
    "size",
    "body",
    "raw_properties",
)


# --- both codecs on the same bytes ---------------------------------------------------------------


def decode(codec: Codec, pieces: Iterable[bytes]) -> list[Any]:
    """Return the events that a fresh decoder makes of a stream."""
    decoder = codec.Decoder(frame_max=FRAME_MAX, max_message_size=MAX_MESSAGE_SIZE)
    events: list[Any] = []
    for piece in pieces:
        batch = decoder.feed(piece)
        while batch:
            events += batch
            batch = decoder.more()
    return events


def describe(codec: Codec, event: Any) -> tuple[Any, ...]:
    """Return everything an event holds, and what it is encoded to again."""
    if isinstance(event, FrameSyntaxError):
        return ("fault", event.offset, event.reason, event.reply_code)
    name = type(event).__name__
    if name == "Method":
        return (name, event.channel, *show_method(event.method), again(codec, event))
    known = tuple(getattr(event, field, None) for field in PLAIN_FIELDS)
    if hasattr(event, "raw_properties"):
        properties = event.properties
        return (name, repr(known), repr(properties), outcome(codec.encode_properties, properties))
    return (name, repr(known))


def show_method(method: Frame) -> tuple[str, str]:
    """Return a method's name and arguments."""
    return method.name, repr([getattr(method, name) for name in method.__slots__])


def again(codec: Codec, event: Any) -> Any:
    """Encode a decoded method."""
    return outcome(codec.encode_method, event.channel, event.method, 2 * FRAME_MAX)


def outcome(function: Callable[..., bytes], *arguments: Any) -> Any:
    """Return what a function gives, or its refusal."""
    try:
        return function(*arguments)
    except EncodeError as error:
        return ("refused", error.reason, error.path)


def split(rng: random.Random, data: bytes) -> list[bytes]:
    """Cut a stream into pieces."""
    way = rng.randrange(4)
    if way == 0:
        return [data]
    if way == 1 and len(data) < 300:
        return [data[at : at + 1] for at in range(len(data))]
    edges = [0, *sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 6)))]
    return [data[start:stop] for start, stop in zip(edges, [*edges[1:], None], strict=True)]


def compare(compiled: Codec, pure: list[bytes], cython: list[bytes]) -> tuple[list[Any], str]:
    """Return the pure codec's events, and what is wrong, if anything."""
    try:
        theirs = decode(PURE, pure)
        expected = [describe(PURE, event) for event in theirs]
        found = [describe(compiled, event) for event in decode(compiled, cython)]
    except Exception as error:
        return [], f"foreign exception {type(error).__name__}: {error}"
    if found == expected:
        return theirs, ""
    for number, (mine, their) in enumerate(zip(found, expected, strict=False)):
        if mine != their:
            return theirs, f"event {number}\n  pure   {their}\n  cython {mine}"
    return theirs, f"pure has {len(expected)} events, cython {len(found)}"


# --- the run -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """What a run has seen."""

    frames: int = 0
    streams: int = 0
    events: Counter[str] = field(default_factory=Counter)
    faults: Counter[int] = field(default_factory=Counter)
    reasons: set[str] = field(default_factory=set)

    def add(self, events: list[Any]) -> None:
        """Count the events of one stream."""
        self.streams += 1
        for event in events:
            self.events[type(event).__name__] += 1
            if isinstance(event, FrameSyntaxError):
                self.faults[event.reply_code] += 1
                self.reasons.add("".join(c for c in event.reason if not c.isdigit())[:40])


def streams(rng: random.Random) -> Iterator[tuple[bytes, int]]:
    """Make streams without end, each with its count of mutated frames."""
    generator, mutator = Generator(rng), Mutator(rng)
    while True:
        pool = [generator.group(rng.choice([1, 2, 65_535])) for _ in range(400)]
        for _ in range(2000):
            groups = rng.choices(pool, k=rng.randrange(1, 4))
            frames = [whole for group in groups for whole in group]
            chosen = {rng.randrange(len(frames)) for _ in range(rng.randrange(1, 4))}
            yield (
                b"".join(
                    mutator.mutate(whole) if place in chosen else whole
                    for place, whole in enumerate(frames)
                ),
                len(chosen),
            )


def run(compiled: Codec, count: int, seed: int) -> tuple[Tally, str]:
    """Try `count` mutated frames; return the tally and a report of the first failure."""
    rng = random.Random(seed)
    tally = Tally()
    milestone = count // 10 or 1
    for data, mutated in streams(rng):
        whole, pieces = [data], split(rng, data)
        ways = (whole, pieces) if rng.random() < 0.7 else (pieces, whole)
        events, wrong = compare(compiled, *ways)
        if wrong:
            return tally, report(data, ways, seed, wrong)
        tally.add(events)
        tally.frames += mutated
        if tally.frames // milestone != (tally.frames - mutated) // milestone:
            print(f"{tally.frames:>9,} mutated frames", flush=True)
        if tally.frames >= count:
            return tally, ""
    raise AssertionError("streams never end")


def report(data: bytes, ways: tuple[list[bytes], list[bytes]], seed: int, wrong: str) -> str:
    """Describe a failure so that it can be tried again."""
    sizes = [[len(piece) for piece in way] for way in ways]
    return (
        f"DISAGREEMENT with seed {seed}: {wrong}\n"
        f"pieces: pure {sizes[0]}, cython {sizes[1]}\n"
        f"again:  python scripts/fuzz_codec.py --replay {data.hex()}"
    )


def replay(compiled: Codec, data: bytes) -> str:
    """Try one stream whole and byte by byte; return what is wrong."""
    apart = [data[at : at + 1] for at in range(len(data))]
    for pure, cython in (([data], [data]), ([data], apart), (apart, [data])):
        events, wrong = compare(compiled, pure, cython)
        print(*events, sep="\n")
        if wrong:
            return wrong
    return ""


def summary(tally: Tally, seconds: float) -> str:
    """Say what the run has seen."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    kinds = ", ".join(f"{count:,} {name}" for name, count in tally.events.most_common())
    faults = ", ".join(f"{count:,}x {code}" for code, count in sorted(tally.faults.items()))
    return (
        f"{tally.frames:,} mutated frames in {tally.streams:,} streams, {seconds:.0f} s, "
        f"peak {peak} MiB\n"
        f"events: {kinds}\n"
        f"faults: {faults}; {len(tally.reasons)} different reasons\n"
        "no crash, no foreign exception, no disagreement"
    )


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=1_000_000, help="mutated frames to try")
    parser.add_argument("--seed", type=int, default=1, help="start of the random numbers")
    parser.add_argument("--replay", metavar="HEX", help="try this stream alone")
    options = parser.parse_args()
    try:
        compiled = load_compiled()
    except ImportError as error:
        print(f"both codecs are needed, and the compiled one does not load: {error}")
        return 2
    if options.replay:
        wrong = replay(compiled, bytes.fromhex(options.replay))
        print(wrong or "both codecs agree")
        return int(bool(wrong))
    start = time.perf_counter()
    tally, failure = run(compiled, options.count, options.seed)
    print(failure or summary(tally, time.perf_counter() - start))
    return int(bool(failure))


if __name__ == "__main__":
    sys.exit(main())
