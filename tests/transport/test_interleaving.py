"""Whatever order writes, pauses and reads come in, a link is a stream of bytes."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, strategies as st

from trials import trials

from .conftest import LOOPS
from .ends import Buffered, Ends, Streaming, connected

LARGE = bytes(range(256)) * 1200
"""More than is handed over in one turn."""

SIZES = st.one_of(st.integers(0, 40), st.sampled_from([1000, 70_000, len(LARGE)]))


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that an end does, or a turn of the loop."""

    action: str
    end: int = 0
    sizes: tuple[int, ...] = ()


STEPS = st.one_of(
    st.builds(Step, st.just("write"), st.integers(0, 1), st.tuples(SIZES)),
    st.builds(Step, st.just("write"), st.integers(0, 1), st.tuples(SIZES, SIZES, SIZES)),
    st.builds(Step, st.sampled_from(["pause", "resume"]), st.integers(0, 1)),
    st.builds(Step, st.just("turn")),
)
BUFFERS = st.sampled_from([0, 1, 7, 9999])
"""Sizes of a reader's buffer; 0 for a reader without one."""


def on_loop(loop: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run on a loop of that name."""
    factory = None
    if loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(run())


def new_end(buffer_size: int) -> Streaming | Buffered:
    return Buffered(buffer_size) if buffer_size else Streaming()


async def play(ends: Ends, steps: list[Step]) -> tuple[bytes, bytes]:
    """Do all `steps`; return what each end has written."""
    both = (ends.near, ends.far)
    most = min(len(end.buffer) if isinstance(end, Buffered) else 9999 for end in both) * 50
    written = (bytearray(), bytearray())
    for step in steps:
        transport = both[step.end].transport
        match step.action:
            case "write":
                start = len(written[step.end]) % 256
                pieces = [LARGE[start : start + min(size, most)] for size in step.sizes]
                transport.writelines(pieces)
                written[step.end].extend(b"".join(pieces))
            case "pause":
                transport.pause_reading()
            case "resume":
                transport.resume_reading()
            case _:
                await asyncio.sleep(0)
    return bytes(written[0]), bytes(written[1])


def check_pauses(end: Streaming | Buffered) -> None:
    """Pausing and resuming take turns."""
    marks = [entry for entry in end.log if entry in {"paused", "resumed"}]
    assert marks == ["paused", "resumed"] * (len(marks) // 2) + ["paused"] * (len(marks) % 2)


@pytest.mark.parametrize("loop", LOOPS)
@trials(150)
@given(steps=st.lists(STEPS, max_size=25), sizes=st.tuples(BUFFERS, BUFFERS))
def test_any_interleaving_gives_the_bytes_that_were_written(
    loop: str, steps: list[Step], sizes: tuple[int, int]
) -> None:
    async def run() -> None:
        ends = await connected(new_end(sizes[0]), new_end(sizes[1]))
        by_near, by_far = await play(ends, steps)
        for end in (ends.near, ends.far):
            end.transport.resume_reading()
        assert await ends.far.has(len(by_near)) == by_near
        assert await ends.near.has(len(by_far)) == by_far
        await asyncio.sleep(0)
        for end in (ends.near, ends.far):
            check_pauses(end)
            assert end.log.count("paused") == end.log.count("resumed")
            assert end.transport.get_write_buffer_size() == 0

    on_loop(loop, run)


@pytest.mark.parametrize("loop", LOOPS)
@trials(100)
@given(steps=st.lists(STEPS, max_size=15), size=BUFFERS)
def test_any_interleaving_before_close_is_read_to_its_end(
    loop: str, steps: list[Step], size: int
) -> None:
    async def run() -> None:
        ends = await connected(Streaming(), new_end(size))
        by_near, _ = await play(ends, steps)
        ends.near.transport.close()
        await asyncio.sleep(0)
        ends.far.transport.resume_reading()
        assert await ends.far.is_lost() is None
        assert await ends.near.is_lost() is None
        assert bytes(ends.far.received) == by_near
        assert ends.far.log[-2:] == ["eof", "lost"]

    on_loop(loop, run)


@pytest.mark.parametrize("loop", LOOPS)
@trials(100)
@given(steps=st.lists(STEPS, max_size=15), size=BUFFERS)
def test_any_interleaving_before_abort_is_read_from_its_beginning(
    loop: str, steps: list[Step], size: int
) -> None:
    async def run() -> None:
        ends = await connected(Streaming(), new_end(size))
        by_near, _ = await play(ends, steps)
        ends.near.transport.abort()
        before = len(ends.far.received)
        assert isinstance(await ends.far.is_lost(), ConnectionResetError)
        assert await ends.near.is_lost() is None
        assert len(ends.far.received) == before
        assert by_near.startswith(ends.far.received)
        assert "eof" not in ends.far.log

    on_loop(loop, run)
