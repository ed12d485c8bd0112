"""The order service as its test sees it: programs, customers and queues."""

import asyncio
import random
import sqlite3
import sys
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

import httpx

import hopmq
from examples.programs import Program
from hopmq.app import Parked, Parking
from hopmq.testing.ports import free_ports

FOLDER = Path(__file__).resolve().parents[2] / "examples/order_service"
SHOP = "shop"
ORDERS = "shop.orders"
PRICING = "shop.pricing.quote"
WORKERS = 2
AT_ONCE = 10
NONSENSE = b"[this is no order"

PATIENCE = 40.0
"""Seconds for anything that is waited for, on a loaded machine."""
INTERVAL = 0.05


async def until(condition: Callable[[], Coroutine[Any, Any, bool]], what: str) -> None:
    """Ask again until something is so: it happens in other processes, which tell nobody."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not await condition():
                await asyncio.sleep(INTERVAL)
    except TimeoutError:
        raise AssertionError(f"not within {PATIENCE:g} seconds: {what}") from None


class Service:
    """The three programs, and what can be seen of them from outside."""

    def __init__(self, url: str, folder: Path) -> None:
        (port,) = free_ports(1)
        self._database = folder / "shop.sqlite"
        self._environment = {
            "AMQP_URL": url,
            "SHOP_DATABASE": str(self._database),
            "SHOP_PORT": str(port),
        }
        self._folder = folder
        self._running = ExitStack()
        self.web = self._program("web", "web")
        self.pricing = self._program("pricing", "pricing")
        self.workers = [self._program("workers", f"worker-{n}") for n in range(1, WORKERS + 1)]
        self.address = f"http://127.0.0.1:{port}"

    def _program(self, name: str, log: str) -> Program:
        path = FOLDER / f"{name}.py"
        return Program(path, self._environment, self._folder / f"{log}.log")

    @property
    def programs(self) -> list[Program]:
        return [self.web, self.pricing, *self.workers]

    def __enter__(self) -> Self:
        for program in self.programs:
            self._running.enter_context(program)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._running.close()
        if kind is not None:
            sys.stdout.writelines(program.output for program in self.programs)

    def show_parked(self) -> str:
        """Return what `parked.py` prints."""
        with self._program("parked", "parked") as program:
            assert program.wait() == 0, program.output
        return program.output

    def stored(self) -> set[UUID]:
        """Return the orders that are stored."""
        if not self._database.exists():
            return set()
        with closing(sqlite3.connect(self._database, timeout=PATIENCE)) as database:
            return {UUID(id) for (id,) in database.execute("SELECT id FROM orders")}


class Customers:
    """Who orders: every order until it is accepted."""

    def __init__(self, http: httpx.AsyncClient, chance: random.Random) -> None:
        self._http = http
        self._chance = chance
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self.accepted: set[UUID] = set()
        self.poison: set[UUID] = set()

    async def order_many(self, count: int) -> None:
        """Order this and that, several at a time; one thing of ten the shop does not sell."""
        items = self._chance.choices(["tea", "coffee", "sugar", "moon"], [3, 3, 3, 1], k=count)
        async with asyncio.TaskGroup() as group:
            for item in items:
                group.create_task(self.order(item))

    async def order(self, item: str) -> None:
        """Order something, with one id as often as it takes."""
        id = uuid4()
        body = {"item": item, "quantity": self._chance.randint(1, 9)}

        async def is_accepted() -> bool:
            try:
                async with self._at_once:
                    answer = await self._http.put(f"/orders/{id}", json=body)
            except httpx.TransportError:  # not there yet
                return False
            assert answer.status_code in {202, 503}, answer.text
            return answer.status_code == 202

        await until(is_accepted, "an order is accepted")
        self.accepted.add(id)
        if item == "moon":
            self.poison.add(id)


class Queues:
    """The queues of the service, by a pool of our own."""

    def __init__(self, pool: hopmq.Pool) -> None:
        self._pool = pool
        self._confirmed: set[UUID] = set()

    async def everybody_is_there(self) -> bool:
        """Return whether pricing and all workers consume."""
        queues = ((PRICING, 1), (ORDERS, WORKERS))
        counts = [(await self._look(queue)).consumer_count for queue, _ in queues]
        return counts == [count for _, count in queues]

    async def unfinished(self) -> int:
        """Return how many orders wait for a worker."""
        return (await self._look(ORDERS)).message_count

    async def parked_count(self) -> int:
        """Return how many are parked."""
        return await Parking(self._pool, ORDERS).count()

    async def _look(self, queue: str) -> hopmq.QueueInfo:
        try:
            return await self._pool.declare_queue(queue, passive=True)
        except hopmq.NotFoundError:
            return hopmq.QueueInfo(name=queue, message_count=0, consumer_count=0)

    async def listen(self) -> None:
        """Note from now on which orders are confirmed."""
        queue = await self._pool.declare_queue(hopmq.Queue.temporary())
        await self._pool.bind(queue.name, SHOP, "order.confirmed")
        await self._pool.consume(queue.name, self._note)

    def _note(self, message: hopmq.Message) -> None:
        assert message.message_id is not None
        self._confirmed.add(UUID(message.message_id))
        message.ack()

    @property
    def confirmed(self) -> set[UUID]:
        """The orders that were confirmed."""
        return self._confirmed

    async def send_nonsense(self, number: int) -> None:
        """Publish what is no order, as a program that somebody has misconfigured."""
        await self._pool.publish(
            NONSENSE + b" %d" % number, exchange=SHOP, routing_key="order.placed", mandatory=True
        )

    async def parked(self) -> list[Parked]:
        """Return what is parked."""
        return await Parking(self._pool, ORDERS).list(limit=10_000)
