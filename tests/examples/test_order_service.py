"""The order service loses no order, whichever of its processes is killed, and when."""

import asyncio
import json
import logging
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import httpx
import pytest

import hopmq
from brokers.running import SessionBrokers
from brokers.selection import BrokerChoice, chosen_brokers
from conftest import NO_BROKER, running
from examples.shop import NONSENSE, PATIENCE, Customers, Queues, Service, until
from hopmq.app import Parked
from hopmq.testing import BrokerThread

VHOST = "order-service"
WAVES = 10
ORDERS_PER_WAVE = 40
SEED = 6
TIME_LIMIT = 120.0
"""Seconds for the whole, on a loaded machine."""

CHOSEN = chosen_brokers()
NEWEST = [
    *[each for each in CHOSEN if each.emulate][-1:],
    *[each for each in CHOSEN if each.installation][-1:],
]


@pytest.fixture(params=NEWEST or [NO_BROKER], ids=lambda choice: choice.label)
def url(request: pytest.FixtureRequest, session_brokers: SessionBrokers) -> Iterator[str]:
    """Return the address of a broker that holds nothing yet: embedded and RabbitMQ in turn."""
    choice: BrokerChoice = request.param
    if choice.emulate is not None:
        with BrokerThread(hopmq.broker.Broker(emulate=choice.emulate)) as thread:
            yield thread.url
        return
    rabbitmq = running(choice, session_brokers).rabbitmq
    assert rabbitmq is not None
    rabbitmq.ctl("add_vhost", VHOST)
    rabbitmq.ctl("set_permissions", "-p", VHOST, "guest", ".*", ".*", ".*")
    try:
        yield f"amqp://guest:guest@127.0.0.1:{rabbitmq.port}/{VHOST}"
    finally:
        rabbitmq.ctl("delete_vhost", VHOST)


@pytest.fixture(autouse=True)
def _broker_does_not_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the embedded broker tells apart from what the programs tell."""
    monkeypatch.setattr(logging.getLogger("hopmq.broker"), "disabled", True)


async def test_no_order_is_lost_when_processes_are_killed(url: str, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    with Service(url, tmp_path) as service:
        async with (
            asyncio.timeout(TIME_LIMIT),
            httpx.AsyncClient(base_url=service.address, timeout=PATIENCE) as http,
            hopmq.Pool(url) as pool,
        ):
            customers = Customers(http, chance)
            queues = Queues(pool)
            await until(queues.everybody_is_there, "all consume")
            await queues.listen()
            for number in range(WAVES):
                await wave(service, customers, queues, chance, number)
            await until(lambda: have_ended(service, customers, queues), "all are stored or parked")
            check(service.stored(), await queues.parked(), customers)
            await until(lambda: are_confirmed(service, queues), "what is stored is confirmed")
            shown = await asyncio.to_thread(service.show_parked)
            assert shown.count("shop.UnknownItemError moon") >= len(customers.poison)
            for program in (*service.workers, service.pricing):
                assert program.end() == 0, program.output
            assert service.web.end() in {0, -signal.SIGTERM}, service.web.output
            assert await queues.unfinished() == 0


async def wave(
    service: Service, customers: Customers, queues: Queues, chance: random.Random, number: int
) -> None:
    """Order, and kill somebody in the middle of the work; return once all are there again."""
    await queues.send_nonsense(number)
    before = len(service.stored())
    some = chance.randint(1, ORDERS_PER_WAVE // 2)

    async def is_time() -> bool:
        return len(service.stored()) >= before + some

    async with asyncio.TaskGroup() as group:
        group.create_task(customers.order_many(ORDERS_PER_WAVE))
        await until(is_time, f"{some} orders of a wave are stored")
        victims = chance.sample([service.pricing, *service.workers], chance.randint(1, 2))
        for victim in victims:
            victim.kill()
        for victim in victims:
            victim.start()
    await until(queues.everybody_is_there, "all consume again")


async def have_ended(service: Service, customers: Customers, queues: Queues) -> bool:
    """Return whether everything that was accepted has come to an end."""
    stored = service.stored()
    if len(stored) + await queues.parked_count() < len(customers.accepted) + WAVES:
        return False
    parked = await queues.parked()
    ended = stored | orders_in(parked).keys()
    return customers.accepted <= ended and len(nonsense_in(parked)) == WAVES


async def are_confirmed(service: Service, queues: Queues) -> bool:
    """Return whether exactly the orders that are stored were confirmed."""
    return queues.confirmed == service.stored()


def check(stored: set[UUID], parked: list[Parked], customers: Customers) -> None:
    """Compare what was accepted with what became of it."""
    orders = orders_in(parked)
    assert stored | orders.keys() == customers.accepted
    assert orders.keys() == customers.poison, [each.reason for each in orders.values()]
    assert not stored & orders.keys()
    assert {(each.error, each.reason) for each in orders.values()} == {
        ("shop.UnknownItemError", "moon")
    }
    nonsense = nonsense_in(parked)
    assert len(nonsense) == WAVES
    assert {each.error for each in nonsense.values()} == {"hopmq.app.errors.PayloadError"}
    assert all("Order" in each.reason for each in nonsense.values())


def orders_in(parked: list[Parked]) -> dict[UUID, Parked]:
    """Return what is parked of orders: one that was parked twice, by a worker that died of it, once."""
    return {
        UUID(json.loads(each.body)["id"]): each
        for each in parked
        if not each.body.startswith(NONSENSE)
    }


def nonsense_in(parked: list[Parked]) -> dict[bytes, Parked]:
    """Return what else is parked."""
    return {each.body: each for each in parked if each.body.startswith(NONSENSE)}
