"""Answers: to whom the request says, in whatever way the caller has gone."""

import asyncio
import logging
from datetime import UTC, datetime

import pytest

from app.rpc.conftest import echo, opened, served
from hopmq import Message, Pool, Properties, Queue
from hopmq.app.clock import LoopTime
from hopmq.app.errors import (
    CallUnknownError,
    DeclarationError,
    PayloadError,
    RemoteError,
)
from hopmq.app.header_names import DEADLINE, ERROR
from hopmq.app.retry import Postpone
from hopmq.app.rpc import (
    RemoteErrors,
    RpcClient,
    answer,
    answer_error,
    deadline_of,
    is_overdue,
)
from hopmq.errors import PublishNackedError
from hopmq.testing import FaultProxy, TurnedClock


class NoSuchPriceError(Exception):
    """What an endpoint raises."""


async def taken(pool: Pool, queue: str) -> Message:
    """Take the next message of a queue."""
    async with pool.channel() as channel:
        while (message := await channel.get(queue, no_ack=True)) is None:
            await asyncio.sleep(0.01)
    return message


async def request(pool: Pool, queue: str, **properties: object) -> Message:
    """Return a request with these properties, as an endpoint gets it."""
    await pool.publish(b"", routing_key=queue, properties=Properties(**properties))  # type: ignore[arg-type]
    return await taken(pool, queue)


# --- answers -----------------------------------------------------------------------------------


async def test_an_answer_has_what_it_was_given(client: RpcClient, worker: Pool, queue: str) -> None:
    call = asyncio.create_task(client.call(b"", routing_key=queue))
    asked = await taken(worker, queue)
    assert await answer(
        worker,
        asked,
        b"body",
        content_type="a/b",
        content_encoding="c",
        headers={"d": 1},
    )
    reply = await call
    assert (reply.body, reply.content_type, reply.content_encoding) == (b"body", "a/b", "c")
    assert reply.headers == {"d": 1}
    assert not reply.persistent


async def test_an_answer_may_go_to_a_queue(worker: Pool, queue: str, name: str) -> None:
    replies = f"{name}-replies"
    await worker.declare_queue(replies)
    asked = await request(worker, queue, reply_to=replies, correlation_id="c")
    assert await answer(worker, asked, b"reply")
    reply = await taken(worker, replies)
    assert (reply.body, reply.correlation_id) == (b"reply", "c")
    await worker.delete_queue(replies)


async def test_a_request_that_wants_no_answer_gets_none(
    worker: Pool, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "hopmq.rpc")
    asked = await request(worker, queue, correlation_id="c")
    assert not await answer(worker, asked, b"reply")
    assert not await answer_error(worker, asked, ValueError(), RemoteErrors())
    assert ["wants no answer" in record.message for record in caplog.records] == [True, True]


async def test_an_answer_to_a_caller_that_has_gone_costs_nothing(
    pool: Pool, worker: Pool, queue: str
) -> None:
    client = RpcClient(pool)
    call = asyncio.create_task(client.call(b"", routing_key=queue))
    asked = await taken(worker, queue)
    before = worker.statistics()
    await client.close()
    with pytest.raises(CallUnknownError):
        await call
    for _ in range(3):
        await answer(worker, asked, b"too late")
    await pool.close()
    for reply_to in (asked.reply_to, "amq.rabbitmq.reply-to.none", "no-such-queue"):
        gone = await request(worker, queue, reply_to=reply_to, correlation_id="c")
        await answer(worker, gone, b"too late")
    after = worker.statistics()
    assert (after.shared, after.publishing.lost) == (before.shared, 0)
    assert after.publishing.opened == before.publishing.opened


async def test_an_answer_that_cannot_be_sent_in_time_is_lost_and_said_so(
    client: RpcClient, queue: str, proxy: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(proxy.url) as cut_off:
        call = asyncio.create_task(client.call(b"", routing_key=queue))
        asked = await taken(cut_off, queue)
        with proxy.black_hole():
            assert not await answer(cut_off, asked, b"", timeout=0.1)
        assert not call.done()
        call.cancel()
        await asyncio.wait([call])
    assert "is lost" in caplog.text


async def test_an_answer_that_the_callers_queue_refuses_is_an_error(
    worker: Pool, queue: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    replies = Queue.classic(f"{name}-replies", max_length=1, overflow="reject-publish")
    await worker.declare_queue(replies)
    asked = await request(worker, queue, reply_to=replies.name, correlation_id="c")
    assert await answer(worker, asked, b"all that there is room for")
    with pytest.raises(PublishNackedError):
        await answer(worker, asked, b"reply")
    assert not await answer_error(worker, asked, ValueError(), RemoteErrors())
    assert "is lost" in caplog.text
    await worker.delete_queue(replies)


async def test_an_answer_whose_confirm_was_lost_is_sent_again(
    client: RpcClient, queue: str, proxy: FaultProxy
) -> None:
    async with opened(proxy.url) as cut_off:
        call = asyncio.create_task(client.call(b"", routing_key=queue))
        asked = await taken(cut_off, queue)
        confirms = proxy.hold("to_client")
        answering = asyncio.create_task(answer(cut_off, asked, b"reply"))
        assert (await call).body == b"reply"
        assert not answering.done()
        proxy.disconnect()
        confirms.cancel()
        assert await answering


# --- errors ------------------------------------------------------------------------------------


async def test_a_registered_exception_is_raised_as_itself(
    client: RpcClient, errors: RemoteErrors, worker: Pool, queue: str
) -> None:
    errors.register(NoSuchPriceError, "no_price")
    call = asyncio.create_task(client.call(b"", routing_key=queue))
    asked = await taken(worker, queue)
    assert await answer_error(worker, asked, NoSuchPriceError("of tea"), errors)
    with pytest.raises(NoSuchPriceError, match="of tea") as caught:
        await call
    cause = caught.value.__cause__
    assert isinstance(cause, RemoteError)
    assert (cause.code, cause.message) == ("no_price", "of tea")


async def test_a_caller_that_does_not_know_an_exception_gets_its_code(
    client: RpcClient, worker: Pool, queue: str
) -> None:
    theirs = RemoteErrors()
    theirs.register(NoSuchPriceError)
    call = asyncio.create_task(client.call(b"", routing_key=queue))
    await answer_error(worker, await taken(worker, queue), NoSuchPriceError("of tea"), theirs)
    with pytest.raises(RemoteError, match="NoSuchPriceError: of tea") as caught:
        await call
    assert (caught.value.code, caught.value.message) == ("NoSuchPriceError", "of tea")


async def test_replies_that_tell_of_errors_in_a_strange_way_are_errors(
    client: RpcClient, worker: Pool, queue: str
) -> None:
    for body in (b"", b"\xff", b"[]", b'{"message": 1}', b"[" * 100_000):
        call = asyncio.create_task(client.call(b"", routing_key=queue))
        asked = await taken(worker, queue)
        await answer(worker, asked, body, headers={ERROR: "strange"})
        with pytest.raises(RemoteError) as caught:
            await call
        assert (caught.value.code, caught.value.message) == ("strange", "")


# --- deadlines ---------------------------------------------------------------------------------


async def test_a_request_says_how_long_its_caller_waits(
    client: RpcClient, worker: Pool, queue: str
) -> None:
    clock = LoopTime()
    call = asyncio.create_task(client.call(b"", routing_key=queue, timeout=50.0))
    asked = await taken(worker, queue)
    deadline = deadline_of(asked, clock)
    assert deadline is not None
    assert 30.0 < deadline - clock.time() <= 50.002
    assert not is_overdue(asked, clock)
    call.cancel()
    await asyncio.wait([call])


@pytest.mark.parametrize(
    "headers, overdue",
    [
        ({DEADLINE: 1_000_000}, False),
        ({DEADLINE: 998_000}, False),
        ({DEADLINE: 997_900}, True),
        ({DEADLINE: "soon"}, False),
        ({DEADLINE: datetime(1970, 1, 1, tzinfo=UTC)}, False),
        ({}, False),
        (None, False),
    ],
)
async def test_a_request_is_overdue_when_clocks_leave_no_doubt(
    worker: Pool, queue: str, headers: dict[str, object] | None, overdue: bool
) -> None:
    clock = TurnedClock(wall=1000.0)
    asked = await request(worker, queue, headers=headers)
    assert is_overdue(asked, clock) is overdue


# --- what passes -------------------------------------------------------------------------------


def test_what_is_not_registered_is_internal_and_says_nothing() -> None:
    error = ValueError("password of the database")
    assert RemoteErrors().code_of(error) == ("internal", "")
    assert RemoteErrors(show_names=True).code_of(error) == ("internal", "ValueError")
    code, body = RemoteErrors().encode(error)
    assert (code, body) == ("internal", b'{"code": "internal", "message": ""}')


def test_a_remote_error_passes_as_it_is() -> None:
    assert RemoteErrors().code_of(RemoteError("sold_out", "of tea")) == ("sold_out", "of tea")


class SilentError(NoSuchPriceError):
    """What cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    "error, told",
    [
        (RemoteError("c", 5), ("c", "5")),  # type: ignore[arg-type]
        (RemoteError("tea\udce9", "tea\udce9"), ("tea\\udce9", "tea\\udce9")),
        (RemoteError("c" * 200_000, "m" * 200_000), ("c" * 255, "m" * 65_536)),
        (NoSuchPriceError("tea\udce9"), ("price", "tea\\udce9")),
        (SilentError(1, 2), ("price", "(SilentError cannot be shown)")),
        (PayloadError("tea\udce9"), ("bad_request", "tea\\udce9")),
    ],
    ids=["no text", "no characters", "long", "registered", "silent", "request"],
)
async def test_an_error_is_told_whatever_it_is_made_of(
    client: RpcClient, worker: Pool, queue: str, error: Exception, told: tuple[str, str]
) -> None:
    errors = RemoteErrors()
    errors.register(NoSuchPriceError, "price")
    call = asyncio.create_task(client.call(b"", routing_key=queue))
    assert await answer_error(worker, await taken(worker, queue), error, errors)
    with pytest.raises(RemoteError) as caught:
        await call
    assert (caught.value.code, caught.value.message) == told


def test_an_unreadable_request_is_a_bad_request_with_its_reason() -> None:
    assert RemoteErrors().code_of(PayloadError("no name")) == ("bad_request", "no name")


def test_what_is_put_off_is_unavailable() -> None:
    error = Postpone(1, "the circuit breaker is open")
    assert RemoteErrors().code_of(error) == ("unavailable", "the circuit breaker is open")


def test_classes_below_a_registered_one_pass_under_its_code() -> None:
    errors = RemoteErrors()
    errors.register(LookupError, "lookup")
    errors.register(IndexError)
    assert errors.code_of(KeyError("tea")) == ("lookup", "tea")
    assert errors.code_of(IndexError("tea")) == ("IndexError", "tea")


def test_a_code_stands_for_one_exception() -> None:
    errors = RemoteErrors()
    errors.register(NoSuchPriceError, "price")
    errors.register(NoSuchPriceError, "price")
    with pytest.raises(DeclarationError, match="'price' stands for NoSuchPriceError"):
        errors.register(ValueError, "price")


def test_an_exception_that_cannot_be_made_of_a_text_is_refused() -> None:
    class Difficult(Exception):  # noqa: N818  # its name does not matter
        def __init__(self, one: str, two: str) -> None:
            super().__init__(one, two)

    with pytest.raises(DeclarationError, match="Difficult cannot be registered"):
        RemoteErrors().register(Difficult)


async def test_an_exception_that_cannot_be_made_is_a_remote_error(
    client: RpcClient, errors: RemoteErrors, worker: Pool, queue: str
) -> None:
    class Moody(Exception):  # noqa: N818  # its name does not matter
        def __init__(self, text: str) -> None:
            raise RuntimeError

    errors.register(Moody)
    call = asyncio.create_task(client.call(b"", routing_key=queue))
    await answer_error(worker, await taken(worker, queue), RemoteError("Moody", "m"), errors)
    with pytest.raises(RemoteError, match="Moody: m"):
        await call


async def test_long_messages_are_cut(client: RpcClient, worker: Pool, queue: str) -> None:
    _, body = RemoteErrors().encode(RemoteError("long", "x" * 1_000_000))
    assert len(body) < 70_000


async def test_an_endpoint_at_work_answers_each(
    client: RpcClient, worker: Pool, queue: str
) -> None:
    async with served(worker, queue, echo, concurrency=1):
        replies = await asyncio.gather(
            *(client.call(b"%d" % n, routing_key=queue) for n in range(100))
        )
    assert [reply.body for reply in replies] == [b"%d" % n for n in range(100)]
