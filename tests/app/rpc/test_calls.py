"""Calls: each gets its own reply, or an error in time."""

import asyncio
import logging

import pytest

from app.rpc.conftest import echo, served
from hopmq import EncodeError, Exchange, Message, Pool, UsageError
from hopmq.app.errors import CallNotSentError, CallTimeoutError, CallUnknownError, NoEndpointError
from hopmq.app.rpc import RpcClient, answer
from hopmq.wire import Properties

ENOUGH = 50.0
"""Seconds for a thousand calls at once, on a machine that has other things to do."""


async def test_a_call_returns_the_reply(client: RpcClient, worker: Pool, queue: str) -> None:
    async with served(worker, queue, echo):
        reply = await client.call(b"hello", routing_key=queue)
    assert reply.body == b"hello"


async def test_the_first_call_opens_the_channel(pool: Pool, worker: Pool, queue: str) -> None:
    client = RpcClient(pool)
    async with served(worker, queue, echo):
        replies = await asyncio.gather(
            *(client.call(b"%d" % n, routing_key=queue) for n in range(10))
        )
    assert [reply.body for reply in replies] == [b"%d" % n for n in range(10)]
    assert pool.statistics().borrowed == 1
    await client.close()
    assert pool.statistics().borrowed == 0


async def test_a_thousand_calls_share_a_channel_and_are_answered_in_any_order(
    client: RpcClient, pool: Pool, worker: Pool, queue: str
) -> None:
    waiting: list[Message] = []

    async def gather(message: Message) -> None:
        waiting.append(message)
        if len(waiting) == 1000:
            for each in reversed(waiting):
                await answer(worker, each, each.body)

    async with served(worker, queue, gather, concurrency=1):
        bodies = [b"%d" % n for n in range(1000)]
        calls = (client.call(body, routing_key=queue, timeout=ENOUGH) for body in bodies)
        replies = await asyncio.gather(*calls)
    assert [reply.body for reply in replies] == bodies
    assert pool.statistics().borrowed == 1


async def test_a_request_has_the_properties_it_was_given(
    client: RpcClient, worker: Pool, queue: str
) -> None:
    seen: list[Message] = []

    async def look(message: Message) -> bytes:
        seen.append(message)
        return b""

    async with served(worker, queue, look):
        await client.call(
            b"",
            routing_key=queue,
            content_type="a/b",
            content_encoding="c",
            headers={"d": 1},
            timeout=70.0,
        )
    properties = seen[0].properties
    assert (properties.content_type, properties.content_encoding) == ("a/b", "c")
    assert properties.headers is not None
    assert properties.headers["d"] == 1
    assert 60_000 < int(properties.expiration or 0) <= 70_001
    assert not seen[0].persistent


async def test_a_request_has_any_other_properties_as_well(
    client: RpcClient, worker: Pool, queue: str
) -> None:
    seen: list[Message] = []

    async def look(message: Message) -> bytes:
        seen.append(message)
        return b"answer"

    given = Properties(headers={"d": 1}, priority=3, type="t", correlation_id="x", reply_to="y")
    async with served(worker, queue, look):
        for _ in range(2):
            reply = await client.call(b"", routing_key=queue, properties=given)
            assert reply.body == b"answer"
    properties = seen[0].properties
    assert properties.headers is not None
    assert (properties.priority, properties.type, properties.headers["d"]) == (3, "t", 1)
    assert given.headers == {"d": 1}


async def test_correlation_ids_have_nothing_in_common(
    client: RpcClient, worker: Pool, queue: str
) -> None:
    async def tell(message: Message) -> bytes:
        return (message.correlation_id or "").encode()

    async with served(worker, queue, tell):
        ids = [(await client.call(b"", routing_key=queue)).body for _ in range(20)]
    for at in range(0, 32, 8):
        assert len({each[at : at + 8] for each in ids}) == 20


# --- no reply ----------------------------------------------------------------------------------


async def test_a_call_of_nobody_fails_at_once(client: RpcClient, name: str) -> None:
    with pytest.raises(NoEndpointError, match=name):
        await client.call(b"", routing_key=name)


async def test_a_call_without_a_reply_ends_in_time(client: RpcClient, queue: str) -> None:
    with pytest.raises(CallTimeoutError, match=r"within 0\.05 seconds") as caught:
        await client.call(b"", routing_key=queue, timeout=0.05)
    assert isinstance(caught.value, TimeoutError)


async def test_each_call_has_its_own_deadline(client: RpcClient, queue: str) -> None:
    ended: list[int] = []

    async def call(n: int, timeout: float) -> None:  # noqa: ASYNC109  # what is tested
        with pytest.raises(CallTimeoutError):
            await client.call(b"", routing_key=queue, timeout=timeout)
        ended.append(n)

    await asyncio.gather(call(1, 0.3), call(2, 0.1), call(3, 0.2))
    assert ended == [2, 3, 1]


async def test_a_call_that_hangs_holds_up_no_other(
    client: RpcClient, worker: Pool, queue: str, name: str
) -> None:
    hanging = asyncio.create_task(client.call(b"", routing_key=queue))
    other = f"{name}-other"
    await worker.declare_queue(other)
    async with served(worker, other, echo):
        assert (await client.call(b"x", routing_key=other, timeout=20.0)).body == b"x"
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    await worker.delete_queue(other)


async def test_a_late_reply_is_dropped(
    client: RpcClient, worker: Pool, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    requests: asyncio.Queue[Message] = asyncio.Queue()

    async def keep(message: Message) -> None:
        await requests.put(message)

    caplog.set_level(logging.DEBUG, "hopmq.rpc")
    async with served(worker, queue, keep):
        with pytest.raises(CallTimeoutError):
            await client.call(b"late", routing_key=queue, timeout=0.1)
        late = await requests.get()
        next_call = asyncio.create_task(client.call(b"next", routing_key=queue))
        request = await requests.get()
        await answer(worker, late, b"late")
        await answer(worker, request, b"next")
        assert (await next_call).body == b"next"
    assert [record.message for record in caplog.records if "for nobody" in record.message]


async def test_a_request_that_nobody_took_expires(
    client: RpcClient, worker: Pool, queue: str
) -> None:
    with pytest.raises(CallTimeoutError):
        await client.call(b"", routing_key=queue, timeout=0.05)
    while (await worker.declare_queue(queue, passive=True)).message_count:
        await asyncio.sleep(0.01)


async def test_a_cancelled_call_leaves_nothing_behind(client: RpcClient, queue: str) -> None:
    line = client._lines.current  # what is left is inside
    assert line is not None
    calls = [asyncio.create_task(client.call(b"", routing_key=queue)) for _ in range(10)]
    while len(line) < 10:
        await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert len(line) == 0


async def test_a_call_can_be_cancelled_at_any_await(pool: Pool, worker: Pool, queue: str) -> None:
    async with served(worker, queue, echo):
        turns, was_answered = 0, False
        while not was_answered:
            client = RpcClient(pool)
            call = asyncio.create_task(client.call(b"", routing_key=queue))
            for _ in range(turns):
                await asyncio.sleep(0)
            was_answered = call.done()
            call.cancel()
            await asyncio.wait([call])
            assert call.cancelled() or was_answered
            assert (await client.call(b"x", routing_key=queue)).body == b"x"
            await client.close()
            assert pool.statistics().borrowed == 0
            turns += 1 + turns // 50  # nothing new happens while a slow broker thinks about it
        assert turns > 10


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0, -1.0, 1e9, float("nan"), "1"])
async def test_a_timeout_that_cannot_be_meant_is_refused(
    client: RpcClient, pool: Pool, seconds: float
) -> None:
    with pytest.raises(UsageError, match="seconds"):
        await client.call(b"", routing_key="q", timeout=seconds)
    with pytest.raises(UsageError, match="seconds"):
        RpcClient(pool, default_timeout=seconds)


async def test_what_has_no_form_is_refused_and_harms_no_other(
    client: RpcClient, worker: Pool, queue: str
) -> None:
    async with served(worker, queue, echo):
        with pytest.raises(EncodeError):
            await client.call(b"", routing_key="q" * 256)
        assert (await client.call(b"x", routing_key=queue)).body == b"x"


# --- exchanges ---------------------------------------------------------------------------------


async def test_a_call_goes_by_an_exchange(
    client: RpcClient, pool: Pool, worker: Pool, queue: str, name: str
) -> None:
    exchange = Exchange.topic(name)
    await worker.declare_exchange(exchange)
    await worker.bind(queue, exchange, "a.#")
    async with served(worker, queue, echo):
        bodies = [b"%d" % n for n in range(50)]
        replies = await asyncio.gather(
            *(client.call(body, exchange=exchange, routing_key="a.b") for body in bodies)
        )
        assert [reply.body for reply in replies] == bodies
        assert pool.statistics().borrowed == 1
        with pytest.raises(NoEndpointError):
            await client.call(b"", exchange=name, routing_key="b")


async def test_an_exchange_that_returned_a_request_is_there(
    client: RpcClient, pool: Pool, worker: Pool, name: str
) -> None:
    await worker.declare_exchange(Exchange.topic(name))
    with pytest.raises(NoEndpointError, match="no queue"):
        await client.call(b"", exchange=name, routing_key="a")
    lines = client._lines
    assert lines.current is not None
    calls = [client.call(b"", exchange=name, routing_key="a") for _ in range(20)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(each) for each in outcomes} == {NoEndpointError}
    assert name in lines._isolation._proven


async def test_a_missing_exchange_costs_other_calls_nothing(
    client: RpcClient, worker: Pool, queue: str, name: str
) -> None:
    async def slowly(message: Message) -> bytes:
        await go_on.wait()
        return message.body

    go_on = asyncio.Event()
    async with served(worker, queue, slowly):
        call = asyncio.create_task(client.call(b"x", routing_key=queue))
        for _ in range(2):
            with pytest.raises(NoEndpointError, match="no exchange"):
                await client.call(b"", exchange=f"{name}-none", routing_key="b")
        go_on.set()
        assert (await call).body == b"x"


async def test_headers_that_cost_the_channel_cost_other_calls_nothing(
    client: RpcClient, worker: Pool, queue: str
) -> None:
    async def slowly(message: Message) -> bytes:
        await go_on.wait()
        return message.body

    go_on = asyncio.Event()
    async with served(worker, queue, slowly):
        call = asyncio.create_task(client.call(b"x", routing_key=queue))
        with pytest.raises(CallNotSentError, match="CC"):
            await client.call(b"", routing_key=queue, headers={"CC": 1})
        go_on.set()
        assert (await call).body == b"x"


# --- the end -----------------------------------------------------------------------------------


async def test_close_ends_calls_under_way(client: RpcClient, queue: str) -> None:
    call = asyncio.create_task(client.call(b"", routing_key=queue, idempotent=True))
    await asyncio.sleep(0)
    await client.close()
    await client.close()
    with pytest.raises(CallUnknownError, match="closed"):
        await call
    with pytest.raises(CallNotSentError, match="closed"):
        await client.call(b"", routing_key=queue)


async def test_close_ends_what_waits_for_the_channel(pool: Pool, queue: str) -> None:
    client = RpcClient(pool)
    call = asyncio.create_task(client.call(b"", routing_key=queue))
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(CallNotSentError, match="closed"):
        await call


async def test_without_a_channel_a_call_is_not_sent(pool: Pool, queue: str) -> None:
    client = RpcClient(pool)
    await pool.close()
    with pytest.raises(CallNotSentError) as caught:
        await client.call(b"", routing_key=queue)
    assert caught.value.__cause__ is not None


async def test_the_next_request_leaves_in_the_turn_in_which_its_caller_is_answered(
    client: RpcClient, worker: Pool, queue: str
) -> None:
    unwritten: list[list[object]] = []
    line = client._lines.current
    assert line is not None
    core = line._channel._session.link.core

    async with served(worker, queue, echo):
        for _ in range(3):
            await client.call(b"", routing_key=queue)
            asyncio.get_running_loop().call_soon(lambda: unwritten.append([*core.out]))
        await client.call(b"", routing_key=queue)
    assert unwritten == [[], [], []]
