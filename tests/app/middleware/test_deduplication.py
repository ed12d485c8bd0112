"""The idempotent consumer: each message is handled once, whatever dies in between."""

import asyncio
import logging
import multiprocessing
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.middleware.conftest import Consumer, Contexts, done, fail
from hopmq import UsageError
from hopmq.app.clock import sleep
from hopmq.app.context import ConsumeContext
from hopmq.app.middleware import Deduplication, DeduplicationStore, MemoryStore, SqliteStore
from hopmq.app.retry import Drop, Postpone
from hopmq.testing import TurnedClock

NOW = 1_000_000.0


class Work:
    """Counts how often it was done."""

    def __init__(self) -> None:
        self.times = 0

    async def __call__(self, context: ConsumeContext) -> str:
        self.times += 1
        return "result"


# --- the middleware ----------------------------------------------------------------------------


async def test_what_was_done_is_dropped_the_next_time(
    context: Contexts, store: DeduplicationStore
) -> None:
    once, work = Deduplication(store), Work()
    assert await once(context("m"), work) == "result"
    with pytest.raises(Drop, match="'m' was handled before"):
        await once(context("m"), work)
    assert await once(context("other"), work) == "result"
    assert work.times == 2


async def test_what_failed_is_free_for_the_next_attempt(
    context: Contexts, store: DeduplicationStore
) -> None:
    once = Deduplication(store)
    with pytest.raises(ValueError, match="secret"):
        await once(context("m"), fail)
    assert await once(context("m"), done) == "result"


async def test_what_somebody_is_at_is_put_off(context: Contexts, store: DeduplicationStore) -> None:
    once, work, go_on = Deduplication(store, lease=60), Work(), asyncio.Event()

    async def slowly(context: ConsumeContext) -> str:
        await go_on.wait()
        return "first"

    begun = asyncio.Event()

    async def begin(context: ConsumeContext) -> str:
        begun.set()
        return await slowly(context)

    first = asyncio.create_task(once(context("m"), begin))
    await begun.wait()
    with pytest.raises(Postpone) as caught:
        await once(context("m"), work)
    assert 0 < caught.value.seconds <= 60
    go_on.set()
    assert await first == "first"
    with pytest.raises(Drop):
        await once(context("m"), work)
    assert work.times == 0


async def test_what_died_at_work_is_free_when_its_lease_has_ended(
    context: Contexts, store: DeduplicationStore, clock: TurnedClock
) -> None:
    once = Deduplication(store, lease=60)
    await store.begin("orders-queue:m", "of the dead", now=clock.wall(), until=clock.wall() + 60)
    with pytest.raises(Postpone) as caught:
        await once(context("m"), done)
    await clock.advance(caught.value.seconds)
    assert await once(context("m"), done) == "result"


async def test_a_claim_is_renewed_while_the_handler_works(
    context: Contexts, clock: TurnedClock
) -> None:
    once = Deduplication(MemoryStore(), lease=60)

    async def slowly(context: ConsumeContext) -> str:
        await sleep(clock, 1000)
        return "result"

    first = asyncio.create_task(once(context("m"), slowly))
    for _ in range(9):
        await clock.advance(100)
        with pytest.raises(Postpone):
            await once(context("m"), done)
    await clock.advance(200)
    assert await first == "result"
    assert clock.next_deadline() is None


async def test_what_is_done_is_forgotten_in_the_end(
    context: Contexts, store: DeduplicationStore, clock: TurnedClock
) -> None:
    once, work = Deduplication(store, ttl=100), Work()
    await once(context("m"), work)
    await clock.advance(99)
    with pytest.raises(Drop):
        await once(context("m"), work)
    await clock.advance(2)
    await once(context("m"), work)
    assert work.times == 2


async def test_queues_do_not_know_each_others_messages(
    context: Contexts, store: DeduplicationStore
) -> None:
    once, work = Deduplication(store), Work()
    await once(context("m"), work)
    await once(context("m", of=Consumer("other")), work)
    assert work.times == 2


async def test_the_key_may_be_of_the_users_choice(
    context: Contexts, store: DeduplicationStore
) -> None:
    once, work = Deduplication(store, key=lambda context: context.message.routing_key), Work()
    await once(context("1"), work)
    with pytest.raises(Drop):
        await once(context("2"), work)


async def test_a_message_without_a_key_is_handled_each_time(
    context: Contexts, store: DeduplicationStore
) -> None:
    once, work = Deduplication(store), Work()
    for _ in range(2):
        assert await once(context(None), work) == "result"
    assert work.times == 2


async def test_a_cancelled_handler_leaves_its_message_free(
    context: Contexts, store: DeduplicationStore, clock: TurnedClock
) -> None:
    once, begun = Deduplication(store), asyncio.Event()

    async def hang(context: ConsumeContext) -> None:
        begun.set()
        await asyncio.Event().wait()

    handling = asyncio.create_task(once(context("m"), hang))
    await begun.wait()
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling
    assert clock.next_deadline() is None
    assert await once(context("m"), done) == "result"


async def test_who_is_cancelled_before_the_handler_leaves_the_message_free(
    context: Contexts, tmp_path: Path
) -> None:
    async with SqliteStore(tmp_path / "deliveries.db") as store:
        once = Deduplication(store)
        handling = asyncio.create_task(once(context("m"), done))
        await asyncio.sleep(0)
        handling.cancel()
        await asyncio.wait([handling])
        assert handling.cancelled()
        assert await once(context("m"), done) == "result"


async def test_a_store_that_cannot_remember_does_not_have_the_work_done_again(
    context: Contexts, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(MemoryStore):
        async def done(self, key: str, *, now: float, until: float) -> None:
            raise OSError("no space left on device")

    assert await Deduplication(Full())(context("m"), done) == "result"
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


@pytest.mark.parametrize("options", [{"lease": 0}, {"ttl": -1}])
def test_times_that_cannot_be_meant_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Deduplication(MemoryStore(), **options)


# --- the stores --------------------------------------------------------------------------------


async def test_a_claim_is_one_tokens_alone(store: DeduplicationStore) -> None:
    assert (await store.begin("k", "a", now=NOW, until=NOW + 10)).state == "begun"
    claim = await store.begin("k", "b", now=NOW + 1, until=NOW + 11)
    assert (claim.state, claim.until) == ("busy", NOW + 10)
    await store.release("k", "b")
    await store.extend("k", "b", until=NOW + 1000)
    claim = await store.begin("k", "b", now=NOW + 1, until=NOW + 11)
    assert (claim.state, claim.until) == ("busy", NOW + 10)
    await store.extend("k", "a", until=NOW + 20)
    claim = await store.begin("k", "b", now=NOW + 11, until=NOW + 21)
    assert (claim.state, claim.until) == ("busy", NOW + 20)
    await store.release("k", "a")
    assert (await store.begin("k", "b", now=NOW + 11, until=NOW + 21)).state == "begun"


async def test_a_claim_that_is_over_is_the_next_ones(store: DeduplicationStore) -> None:
    await store.begin("k", "a", now=NOW, until=NOW + 10)
    assert (await store.begin("k", "b", now=NOW + 10, until=NOW + 20)).state == "begun"
    await store.release("k", "a")
    assert (await store.begin("k", "c", now=NOW + 11, until=NOW + 20)).state == "busy"


async def test_done_is_done_whoever_had_the_claim(store: DeduplicationStore) -> None:
    await store.begin("k", "a", now=NOW, until=NOW + 10)
    await store.done("k", now=NOW, until=NOW + 100)
    await store.release("k", "a")
    await store.extend("k", "a", until=NOW)
    claim = await store.begin("k", "b", now=NOW + 50, until=NOW + 60)
    assert (claim.state, claim.until) == ("done", NOW + 100)


async def test_memory_is_bounded() -> None:
    store = MemoryStore(max_entries=10)
    for number in range(100):
        await store.begin(str(number), "t", now=NOW, until=NOW + 10)
        await store.done(str(number), now=NOW, until=NOW + 100)
    assert len(store) == 10
    assert (await store.begin("99", "t", now=NOW, until=NOW + 10)).state == "done"
    assert (await store.begin("0", "t", now=NOW, until=NOW + 10)).state == "begun"
    await store.done("last", now=NOW + 101, until=NOW + 200)
    assert len(store) == 2
    with pytest.raises(UsageError):
        MemoryStore(max_entries=0)


async def test_a_file_remembers_when_it_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "deliveries.db"
    async with SqliteStore(path) as store:
        await store.done("k", now=NOW, until=NOW + 100)
    await store.close()
    async with SqliteStore(path) as again:
        assert (await again.begin("k", "t", now=NOW, until=NOW + 10)).state == "done"
    assert (await store.begin("k", "t", now=NOW, until=NOW + 10)).state == "done"
    await store.close()


async def test_who_opens_a_file_that_another_is_about_to_write_waits(tmp_path: Path) -> None:
    path = tmp_path / "deliveries.db"
    async with SqliteStore(path) as patient, SqliteStore(path, timeout=0.02) as impatient:
        with closing(sqlite3.connect(path, isolation_level=None)) as another:
            another.execute("BEGIN IMMEDIATE")
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                await impatient.begin("k", "a", now=NOW, until=NOW + 10)
            waiting = asyncio.create_task(patient.begin("k", "b", now=NOW, until=NOW + 10))
            done, _ = await asyncio.wait([waiting], timeout=0.05)
            assert not done
            another.execute("COMMIT")
        assert (await waiting).state == "begun"
        assert (await impatient.begin("k", "a", now=NOW, until=NOW + 10)).state == "busy"


async def test_a_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "deliveries.db") as store:
        for number in range(1000):
            now = NOW + number
            await store.begin(str(number), "t", now=now, until=now + 1)
            await store.done(str(number), now=now, until=now + 1)
        rows = await store._run(
            lambda: store._opened().execute("SELECT count(*) FROM hopmq_deliveries").fetchone()
        )
    assert rows[0] < 300


async def test_who_is_cancelled_while_the_file_is_written_breaks_nothing(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "deliveries.db") as store:
        await store.done("before", now=NOW, until=NOW + 100)
        writing = asyncio.create_task(store.done("k", now=NOW, until=NOW + 100))
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait([writing])
        assert (await store.begin("k", "t", now=NOW, until=NOW + 10)).state == "done"


async def test_of_many_processes_one_gets_each_message(tmp_path: Path) -> None:
    path, processes, keys = tmp_path / "deliveries.db", 4, 200
    async with SqliteStore(path) as store:
        await store.done("there", now=NOW, until=NOW)
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(processes) as pool:
        result = pool.starmap_async(claimed, [(str(path), keys)] * processes)
        claims = await asyncio.to_thread(result.get, 100)
    every = sorted(key for each in claims for key in each)
    assert every == sorted(map(str, range(keys)))


def claimed(path: str, keys: int) -> list[str]:
    """Claim what one process can get of the keys."""

    async def claim() -> list[str]:
        mine = []
        async with SqliteStore(path, timeout=20.0) as store:
            for key in map(str, range(keys)):
                claim = await store.begin(key, secrets.token_hex(8), now=NOW, until=NOW + 1000)
                if claim.state == "begun":
                    mine.append(key)
        return mine

    run: Callable[..., list[str]] = asyncio.run
    return run(claim())
