"""Groups with partitions as applications declare them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from app.groups.conftest import Declaring
from app.groups.waiting import until
from hopmq import Connection, Exchange, Pool
from hopmq.app import App, Constant, ConsumeContext, Group, Parking, Retry

LEDGER = Group("ledger", partitions=4)


@dataclass
class Entry:
    """A payload."""

    account: int
    number: int


class Setting:
    """A group that applications are members of, and what they have handled."""

    def __init__(self, pool: Pool, url: str, exchange: Exchange) -> None:
        self.pool, self.url, self.exchange = pool, url, exchange
        self.handled: dict[int, list[tuple[str, int]]] = {account: [] for account in range(12)}
        self.attempts: list[int] = []
        self.broken: tuple[int, int] | None = None
        self.pausing: tuple[int, int] | None = None

    def app(self, name: str, connection: Connection | None = None) -> App:
        """Return a member of the group."""
        app = App(connection or self.url, name=name)

        @app.consumer(
            exchange=self.exchange,
            group=LEDGER,
            prefetch=5,
            retry=Retry(attempts=3, backoff=Constant(0.001)),
            name="ledger",
        )
        async def enter(entry: Entry, context: ConsumeContext) -> None:
            if (entry.account, entry.number) == self.broken:
                self.attempts.append(context.attempt)
                raise ValueError("out of balance")
            if (entry.account, entry.number) == self.pausing:
                await context.consumer.pause()
            self.handled[entry.account].append((name, entry.number))

        return app

    async def publish(self, first: int, last: int) -> None:
        """Publish entries of these numbers to all accounts."""
        async with self.pool.channel() as channel:
            for number in range(first, last + 1):
                for account in self.handled:
                    await channel.publish(
                        b'{"account": %d, "number": %d}' % (account, number),
                        exchange=self.exchange,
                        routing_key=f"account.{account}",
                        content_type="application/json",
                    )

    def count(self) -> int:
        return sum(map(len, self.handled.values()))

    def in_order(self) -> bool:
        return all(
            [number for _, number in entries] == sorted({number for _, number in entries})
            for entries in self.handled.values()
        )

    def names(self) -> set[str]:
        return {name for entries in self.handled.values() for name, _ in entries}


@pytest.fixture
async def setting(
    pool: Pool, amqp_url: str, name: str, declare: Declaring
) -> AsyncIterator[Setting]:
    exchange = Exchange.topic(name)
    await declare(LEDGER, exchange, "#")
    yield Setting(pool, amqp_url, exchange)
    await pool.delete_queue(f"{name}.ledger.parked")


async def test_what_fails_for_good_is_parked_and_can_be_given_back(setting: Setting) -> None:
    setting.broken = (3, 2)
    async with setting.app("a"):
        await setting.publish(1, 5)
        await until(lambda: setting.count() == 59)
        assert setting.attempts == [1, 2, 3]
        assert [number for _, number in setting.handled[3]] == [1, 3, 4, 5]
        setting.broken = None
        parking = Parking(
            setting.pool,
            LEDGER.queue_name(setting.exchange.name),
            exchange=LEDGER.exchange_name(setting.exchange.name),
        )
        [parked] = await parking.list()
        assert (parked.routing_key, parked.reason) == ("account.3", "out of balance")
        assert await parking.requeue(parked.id) == 1
        await until(lambda: setting.count() == 60)
        assert setting.handled[3][-1][1] == 2


async def test_while_one_is_paused_the_others_have_its_share(setting: Setting) -> None:
    async with setting.app("a") as a, setting.app("b"):
        await a.consumers["ledger"].pause()
        await setting.publish(1, 3)
        await until(lambda: setting.count() == 36)
        assert setting.names() == {"b"}
        await a.consumers["ledger"].resume()
        published = 3
        while setting.names() != {"a", "b"}:
            published += 1
            await setting.publish(published, published)
            await until(lambda due=12 * published: setting.count() == due)  # type: ignore[misc]
    assert setting.in_order()


async def test_applications_come_and_go_and_every_account_keeps_its_order(
    setting: Setting,
) -> None:
    await setting.publish(1, 10)
    async with setting.app("a"):
        await until(lambda: setting.count() > 10)
        async with setting.app("b"):
            await setting.publish(11, 20)
            await until(lambda: setting.count() > 130)
        await setting.publish(21, 25)
    async with setting.app("c"):
        await until(lambda: setting.count() == 300)
    assert setting.in_order()


async def test_one_connection_is_enough_for_a_member(setting: Setting, other: Connection) -> None:
    async with setting.app("a", other):
        await setting.publish(1, 3)
        await until(lambda: setting.count() == 36)
    assert setting.in_order()


async def test_a_handler_may_pause_its_own_consumer(setting: Setting) -> None:
    setting.pausing = (3, 2)
    async with setting.app("a") as app:
        await setting.publish(1, 5)
        await until(lambda: app.consumers["ledger"].is_paused)
        await app.consumers["ledger"].resume()
        await until(lambda: setting.count() == 60)
    assert setting.in_order()
