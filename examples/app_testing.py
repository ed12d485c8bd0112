"""A test of an application: no broker to start, nothing to wait for.

`python -m pytest app_testing.py` runs the tests with pytest-asyncio (`asyncio_mode = auto`); as a
program it runs them one after the other.
"""

import asyncio
from dataclasses import dataclass
from typing import Annotated

from hopmq import Exchange, Queue
from hopmq.app import App, Constant, Depends, Retry

# --- the application ---------------------------------------------------------------------------

app = App("amqp://rabbit.example.com")


@dataclass
class Invoice:
    """What somebody owes."""

    number: int
    cents: int


@dataclass
class Reminder:
    """What is sent when it is not paid."""

    number: int


class Bank:
    """Where payments arrive."""

    async def has_paid(self, invoice: Invoice) -> bool:
        """Ask."""
        raise NotImplementedError("no bank in this example")


def get_bank() -> Bank:
    """Give the bank to handlers."""
    return Bank()


reminders = app.publisher(Reminder, exchange=Exchange.topic("billing"), routing_key="reminder")


@app.consumer(Queue.quorum("invoices"), retry=Retry(attempts=3, backoff=Constant(3600)))
async def check(invoice: Invoice, bank: Annotated[Bank, Depends(get_bank)]) -> None:
    """Remind of an invoice that is not paid."""
    if not await bank.has_paid(invoice):
        await reminders.publish(Reminder(invoice.number))


# --- its tests ---------------------------------------------------------------------------------


class StandIn(Bank):
    """Is away as often as it is told to."""

    def __init__(self, away: int = 0) -> None:
        """Know no payments."""
        self.away = away
        self.asked = 0

    async def has_paid(self, invoice: Invoice) -> bool:
        """Answer that nobody has paid."""
        self.asked += 1
        if self.asked <= self.away:
            raise ConnectionError("the bank is closed")
        return False


async def test_a_reminder_is_sent() -> None:
    """Messages are routed, delivered and acknowledged, as by RabbitMQ."""
    async with app.test(overrides={get_bank: StandIn}) as t:
        await t.publish(Invoice(1, 4500), routing_key="invoices")
        await t.drain()
        assert t.published(Reminder) == [Reminder(1)]


async def test_a_bank_that_is_away_is_asked_again() -> None:
    """Two hours go by in this test, and take no time."""
    bank = StandIn(away=2)
    async with app.test(overrides={get_bank: lambda: bank}) as t:
        await t.publish(Invoice(1, 4500), routing_key="invoices")
        assert bank.asked == 1
        await t.advance(3600)
        assert bank.asked == 2
        await t.drain()  # turns the clock on as far as retries need it
        assert t.published(Reminder) == [Reminder(1)]


async def test_an_invoice_that_is_none_is_parked() -> None:
    """What can never work is kept, with the reason."""
    async with app.test(overrides={get_bank: StandIn}) as t:
        await t.publish({"number": "one"}, routing_key="invoices")
        await t.drain()
        assert t.waiting("invoices.parked") == 1
        assert t.published(Reminder) == []


async def main() -> None:
    """Run the tests."""
    for test in (
        test_a_reminder_is_sent,
        test_a_bank_that_is_away_is_asked_again,
        test_an_invoice_that_is_none_is_parked,
    ):
        await test()
        print("passed:", test.__name__)


if __name__ == "__main__":
    asyncio.run(main())
