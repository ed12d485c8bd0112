"""What is measured: named pieces of work, the same for every engine."""

from collections.abc import Callable
from dataclasses import dataclass

from engines import (
    CHANNEL,
    CONSUMER_TAG,
    EXCHANGE,
    FIVE_ENTRIES,
    FRAME_MAX,
    NESTED,
    PROPERTY_SETS,
    ROUTING_KEY,
    Engine,
)

from hopmq.wire import PURE, Properties

BATCH = 100
"""Messages, acks or tables of one call; times and instructions are given for one."""

SIZES = {"100 B": 100, "1 KiB": 1024, "64 KiB": 65_536}

Task = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A piece of work: `task` makes a function that does it BATCH times."""

    group: str
    name: str
    task: Callable[[Engine], Task]


def _publish(count: int, size: int) -> Callable[[Engine], Task]:
    def task(engine: Engine) -> Task:
        properties, content = engine.properties(PROPERTY_SETS[count]), bytes(size)

        def run() -> object:
            out: list[bytes | memoryview] = []
            for _ in range(BATCH):
                engine.publish(out, properties, content)
            return out

        return run

    return task


def deliveries(count: int) -> bytes:
    """Return a stream of BATCH deliveries with 100 bytes of body."""
    out: list[bytes | memoryview] = []
    properties = Properties(**PROPERTY_SETS[count])
    for tag in range(1, BATCH + 1):
        PURE.append_deliver(
            out,
            CHANNEL,
            CONSUMER_TAG,
            tag,
            False,
            EXCHANGE,
            ROUTING_KEY,
            properties,
            bytes(100),
            FRAME_MAX,
        )
    return b"".join(out)


def _parse(count: int, read: bool) -> Callable[[Engine], Task]:
    def task(engine: Engine) -> Task:
        stream = deliveries(count)
        assert engine.parse(stream, read) == BATCH
        return lambda: engine.parse(stream, read)

    return task


def _encode_acks(engine: Engine) -> Task:
    def run() -> object:
        return [engine.ack(tag) for tag in range(1, BATCH + 1)]

    return run


def _parse_acks(engine: Engine) -> Task:
    stream = b"".join(PURE.encode_ack(CHANNEL, tag, False) for tag in range(1, BATCH + 1))
    assert engine.parse_acks(stream) == BATCH
    return lambda: engine.parse_acks(stream)


def _encode_table(table: dict[str, object]) -> Callable[[Engine], Task]:
    def task(engine: Engine) -> Task:
        encode = engine.encode_table
        return lambda: [encode(table) for _ in range(BATCH)]

    return task


def _decode_table(table: dict[str, object]) -> Callable[[Engine], Task]:
    def task(engine: Engine) -> Task:
        decode, raw = engine.decode_table, PURE.encode_table(table)
        assert decode(raw) == table
        return lambda: [decode(raw) for _ in range(BATCH)]

    return task


def _all() -> list[Work]:
    found = [
        Work(group="publish", name=f"{count} properties, {label}", task=_publish(count, size))
        for count in PROPERTY_SETS
        for label, size in SIZES.items()
    ]
    for read, suffix in ((False, ""), (True, ", properties read")):
        found += [
            Work(group="parse", name=f"{count} properties{suffix}", task=_parse(count, read))
            for count in PROPERTY_SETS
        ]
    found += [
        Work(group="acks", name="encode", task=_encode_acks),
        Work(group="acks", name="decode", task=_parse_acks),
    ]
    for label, table in (("5 entries", FIVE_ENTRIES), ("nested", NESTED)):
        found.append(Work(group="tables", name=f"encode, {label}", task=_encode_table(table)))
        found.append(Work(group="tables", name=f"decode, {label}", task=_decode_table(table)))
    return found


WORK = {f"{work.group}: {work.name}": work for work in _all()}
