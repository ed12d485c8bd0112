"""Two ends in one process see what the two ends of a socket would."""

import asyncio
from typing import Any

import pytest

from .ends import KINDS, SECONDS, Buffered, Ends, Streaming, connected

KIB = 1024


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__.lower())
async def ends(anyio_backend: object, request: pytest.FixtureRequest) -> Ends:
    """Return two connected ends of each kind of protocol."""
    return await connected(request.param(), request.param())


# --- delivery ----------------------------------------------------------------------------------


async def test_bytes_come_in_order(ends: Ends) -> None:
    pieces: list[Any] = [b"one", bytearray(b"two"), memoryview(b"three"), b"", b"four"]
    for piece in pieces:
        ends.near.transport.write(piece)
    ends.near.transport.writelines([b"five", b"six"])
    expected = b"onetwothreefourfivesix"
    assert await ends.far.has(len(expected)) == expected


async def test_both_directions_are_apart(ends: Ends) -> None:
    ends.near.transport.write(b"question")
    ends.far.transport.write(b"answer")
    assert await ends.far.has(8) == b"question"
    assert await ends.near.has(6) == b"answer"


async def test_nothing_is_handed_over_within_a_write(ends: Ends) -> None:
    ends.near.transport.write(b"later")
    assert ends.far.log == ["made"]
    assert ends.near.transport.get_write_buffer_size() == 5
    await ends.far.has(5)
    assert ends.near.transport.get_write_buffer_size() == 0


async def test_no_answer_comes_within_the_call_that_asks_for_it(ends: Ends) -> None:
    within: list[bool] = []
    calling = False

    def answer() -> None:
        nonlocal calling
        within.append(calling)
        calling = True
        ends.far.transport.write(b"pong")
        calling = False

    def ask_again() -> None:
        nonlocal calling
        within.append(calling)
        if len(within) < 20:
            calling = True
            ends.near.transport.write(b"ping")
            calling = False

    ends.far.on_read = answer
    ends.near.on_read = ask_again
    ends.near.transport.write(b"ping")
    await ends.near.until(lambda: len(within) >= 20)
    assert not any(within)


async def test_a_large_body_leaves_the_loop_to_others() -> None:
    ends = await connected(Streaming(), Buffered(8 * KIB))
    body = bytes(range(256)) * (10 * KIB)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while len(ends.far.received) < len(body):
            turns += 1
            before = len(ends.far.received)
            await asyncio.sleep(0)
            assert len(ends.far.received) - before <= 256 * KIB

    ends.near.transport.write(body)
    async with asyncio.timeout(SECONDS):
        await others()
    assert turns >= len(body) // (256 * KIB)
    assert bytes(ends.far.received) == body


async def test_a_body_is_kept_by_reference() -> None:
    ends = await connected(Streaming(), Streaming())
    body = b"x" * (100 * KIB)
    seen: list[bytes] = []
    ends.far.data_received = seen.append  # type: ignore[method-assign, union-attr]
    ends.near.transport.write(body)
    ends.near.transport.close()
    await ends.far.is_lost()
    (received,) = seen
    assert received is body


async def test_a_view_of_words_is_sent_as_its_bytes(ends: Ends) -> None:
    ends.near.transport.write(memoryview(b"abcdefgh").cast("I"))
    assert await ends.far.has(8) == b"abcdefgh"


async def test_what_is_no_buffer_is_refused(ends: Ends) -> None:
    with pytest.raises(TypeError):
        ends.near.transport.write("text")  # type: ignore[arg-type]


async def test_streams_of_asyncio_work_on_it() -> None:
    far = Streaming()
    reader = asyncio.StreamReader()
    near = asyncio.StreamReaderProtocol(reader)
    ends = await connected(near, far)  # type: ignore[arg-type]
    transport: asyncio.Transport = ends.far.transport
    transport.write(b"line\nrest")
    transport.close()
    async with asyncio.timeout(SECONDS):
        assert await reader.readline() == b"line\n"
        assert await reader.read() == b"rest"


# --- back-pressure -----------------------------------------------------------------------------


async def test_a_reader_that_pauses_is_given_nothing(ends: Ends) -> None:
    ends.near.transport.write(b"early")
    ends.far.transport.pause_reading()
    assert not ends.far.transport.is_reading()
    for _ in range(5):
        await asyncio.sleep(0)
    assert ends.far.received == b""
    ends.far.transport.resume_reading()
    assert await ends.far.has(5) == b"early"


async def test_a_reader_that_pauses_within_a_read_gets_no_more() -> None:
    ends = await connected(Streaming(), Buffered(10))
    ends.far.on_read = lambda: ends.far.transport.pause_reading()
    ends.near.transport.write(b"0123456789abcdefghij")
    assert await ends.far.has(10) == b"0123456789"
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert ends.far.received == b"0123456789"


async def test_a_writer_is_paused_above_its_high_mark_and_resumed_at_its_low_one(
    ends: Ends,
) -> None:
    writer = ends.near.transport
    writer.set_write_buffer_limits(high=100, low=40)
    ends.far.transport.pause_reading()
    writer.write(bytes(100))
    assert ends.near.log == ["made"]
    writer.write(b"!")
    assert ends.near.log == ["made", "paused"]
    writer.write(b"!")
    ends.far.transport.resume_reading()
    assert ends.near.log == ["made", "paused"], "no call within a call"
    await ends.near.until(lambda: ends.near.log == ["made", "paused", "resumed"])
    assert len(ends.far.received) == 102


async def test_a_writer_stays_paused_above_the_low_mark() -> None:
    ends = await connected(Streaming(), Buffered(10))
    writer = ends.near.transport
    writer.set_write_buffer_limits(high=30, low=10)
    ends.far.on_read = lambda: ends.far.transport.pause_reading()
    writer.write(bytes(35))
    for size in (10, 20):
        await ends.far.has(size)
        await asyncio.sleep(0)
        assert ends.near.log == ["made", "paused"]
        ends.far.transport.resume_reading()
    await ends.near.until(lambda: ends.near.log[-1] == "resumed")
    assert len(ends.far.received) == 30


@pytest.mark.parametrize(
    "given, limits",
    [
        ({}, (16 * KIB, 64 * KIB)),
        ({"high": 1000}, (250, 1000)),
        ({"low": 1000}, (1000, 4000)),
        ({"high": 5, "low": 5}, (5, 5)),
        ({"high": 0}, (0, 0)),
    ],
)
async def test_limits_are_asyncios(given: dict[str, int], limits: tuple[int, int]) -> None:
    ends = await connected(Streaming(), Streaming())
    ends.near.transport.set_write_buffer_limits(**given)
    assert ends.near.transport.get_write_buffer_limits() == limits


async def test_limits_that_make_no_sense_are_refused(ends: Ends) -> None:
    with pytest.raises(ValueError, match="high"):
        ends.near.transport.set_write_buffer_limits(high=1, low=2)


async def test_two_ends_that_write_and_do_not_read_hold_each_other_back(ends: Ends) -> None:
    for end in (ends.near, ends.far):
        end.transport.pause_reading()
        end.transport.write(bytes(65 * KIB))
        assert end.log[-1] == "paused"
    for end in (ends.near, ends.far):
        end.transport.resume_reading()
    for end in (ends.near, ends.far):
        await end.has(65 * KIB)
        await end.until(lambda end=end: "resumed" in end.log)  # type: ignore[misc]


# --- ending ------------------------------------------------------------------------------------


async def test_close_delivers_what_was_written_then_the_end(ends: Ends) -> None:
    body = bytes(1000 * KIB)
    ends.near.transport.write(body)
    ends.near.transport.close()
    assert ends.near.transport.is_closing()
    assert await ends.far.is_lost() is None
    assert await ends.near.is_lost() is None
    assert bytes(ends.far.received) == body
    assert ends.far.log == ["made", "read", "eof", "lost"]
    assert ends.near.log[-1] == "lost"


async def test_an_end_that_closes_reads_no_more(ends: Ends) -> None:
    ends.far.transport.write(b"too late")
    ends.near.transport.close()
    await ends.far.is_lost()
    await ends.near.is_lost()
    assert ends.near.log == ["made", "lost"]


async def test_what_is_written_to_an_end_that_closes_is_dropped(ends: Ends) -> None:
    ends.far.transport.pause_reading()
    ends.near.transport.close()
    ends.far.transport.write(bytes(100 * KIB))
    assert ends.far.log == ["made"]
    assert ends.far.transport.get_write_buffer_size() == 0


async def test_a_small_rest_is_left_to_a_reader_that_pauses(ends: Ends) -> None:
    ends.far.transport.pause_reading()
    ends.near.transport.write(b"goodbye")
    ends.near.transport.close()
    assert await ends.near.is_lost() is None
    ends.near.transport.abort()
    ends.far.transport.resume_reading()
    assert await ends.far.is_lost() is None
    assert ends.far.received == b"goodbye"


async def test_a_large_rest_keeps_the_writer_until_it_is_read(ends: Ends) -> None:
    ends.far.transport.pause_reading()
    ends.near.transport.write(bytes(500 * KIB))
    ends.near.transport.close()
    for _ in range(5):
        await asyncio.sleep(0)
    assert "lost" not in ends.near.log
    ends.far.transport.resume_reading()
    await ends.near.is_lost()
    await ends.far.is_lost()
    assert len(ends.far.received) == 500 * KIB


async def test_a_writer_that_was_held_back_hears_that_its_reader_is_gone(ends: Ends) -> None:
    ends.far.stays = True
    ends.near.transport.pause_reading()
    ends.far.transport.write(bytes(100 * KIB))
    assert ends.far.log[-1] == "paused"
    ends.near.transport.close()
    await ends.far.until(lambda: ends.far.log[-2:] == ["resumed", "eof"])


async def test_abort_loses_what_was_not_read(ends: Ends) -> None:
    ends.near.transport.write(b"never")
    ends.near.transport.abort()
    assert isinstance(await ends.far.is_lost(), ConnectionResetError)
    assert await ends.near.is_lost() is None
    assert ends.far.log == ["made", "lost"]
    assert ends.near.log == ["made", "lost"]


async def test_abort_ends_what_close_waits_for(ends: Ends) -> None:
    ends.far.transport.pause_reading()
    ends.near.transport.write(bytes(500 * KIB))
    ends.near.transport.close()
    ends.near.transport.abort()
    assert await ends.near.is_lost() is None
    assert isinstance(await ends.far.is_lost(), ConnectionResetError)


async def test_ending_is_told_once_however_often_it_is_asked_for(ends: Ends) -> None:
    for end in (ends.near, ends.far):
        end.transport.close()
        end.transport.close()
        end.transport.abort()
        end.transport.abort()
    for end in (ends.near, ends.far):
        await end.is_lost()  # told twice, its future would raise
    await asyncio.sleep(0)
    assert ends.near.log.count("lost") == ends.far.log.count("lost") == 1


async def test_ending_is_never_told_within_the_call_that_ends(ends: Ends) -> None:
    ends.near.transport.close()
    ends.far.transport.abort()
    assert ends.near.log == ends.far.log == ["made"]
    await ends.near.is_lost()
    await ends.far.is_lost()


async def test_writing_after_close_does_nothing(ends: Ends) -> None:
    ends.near.transport.close()
    ends.near.transport.write(b"x")
    await ends.far.is_lost()
    ends.near.transport.write(b"x")
    assert ends.far.received == b""


async def test_one_direction_may_end_alone(ends: Ends) -> None:
    ends.far.stays = True
    assert ends.near.transport.can_write_eof()
    ends.near.transport.write(b"question")
    ends.near.transport.write_eof()
    await ends.far.until(lambda: ends.far.log == ["made", "read", "eof"])
    ends.far.transport.write(b"answer")
    assert await ends.near.has(6) == b"answer"
    with pytest.raises(RuntimeError, match="write_eof"):
        ends.near.transport.write(b"more")
    ends.far.transport.close()
    await ends.near.is_lost()
    await ends.far.is_lost()


async def test_writing_to_a_peer_that_is_gone_loses_the_link(ends: Ends) -> None:
    ends.far.stays = True
    ends.near.transport.close()
    await ends.far.until(lambda: ends.far.log == ["made", "eof"])
    ends.far.transport.write(b"anybody there?")
    assert isinstance(await ends.far.is_lost(), ConnectionResetError)


async def test_a_reader_that_pauses_sees_the_end_when_it_goes_on(ends: Ends) -> None:
    ends.far.transport.pause_reading()
    ends.near.transport.close()
    await ends.near.is_lost()
    assert ends.far.log == ["made"]
    ends.far.transport.resume_reading()
    await ends.far.is_lost()


async def test_a_protocol_that_raises_is_reported_and_loses_the_link(ends: Ends) -> None:
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    failure = ZeroDivisionError("a mistake")

    def fail() -> None:
        raise failure

    ends.far.on_read = fail
    ends.near.transport.write(b"x")
    try:
        assert await ends.far.is_lost() is failure
        assert isinstance(await ends.near.is_lost(), ConnectionResetError)
    finally:
        asyncio.get_running_loop().set_exception_handler(None)
    assert [report["exception"] for report in reports] == [failure]


async def test_a_protocol_without_room_is_an_error_and_no_endless_loop() -> None:
    ends = await connected(Streaming(), Buffered(0))
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    ends.near.transport.write(b"x")
    try:
        assert isinstance(await ends.far.is_lost(), RuntimeError)
    finally:
        asyncio.get_running_loop().set_exception_handler(None)


async def test_another_protocol_may_take_over(ends: Ends) -> None:
    other = Streaming()
    ends.far.transport.set_protocol(other)
    assert ends.far.transport.get_protocol() is other
    ends.near.transport.write(b"for another")
    assert await other.has(11) == b"for another"
    assert ends.far.received == b""


async def test_its_representation_tells_the_state(ends: Ends) -> None:
    assert "open" in repr(ends.near.transport)
    ends.near.transport.close()
    await ends.near.is_lost()
    assert "closed" in repr(ends.near.transport)
