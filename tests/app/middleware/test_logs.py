"""A line in the log for each message."""

import asyncio
import logging

import pytest

from app.middleware.conftest import Contexts, done, fail
from hopmq.app.clock import sleep
from hopmq.app.context import ConsumeContext
from hopmq.app.middleware import Logging
from hopmq.app.retry import Drop, Park, Postpone, RetryAfter
from hopmq.testing import TurnedClock


async def test_what_was_handled_has_one_structured_line(
    context: Contexts, clock: TurnedClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(context: ConsumeContext) -> str:
        await sleep(clock, 1.5)
        return "result"

    caplog.set_level(logging.INFO, "hopmq.app.messages")
    handling = asyncio.create_task(Logging()(context("m-1"), work))
    await clock.advance(2)
    assert await handling == "result"
    [record] = caplog.records
    assert record.levelno == logging.INFO
    assert record.message == "orders: done after 1.500 s"
    expected = {
        "consumer": "orders",
        "queue": "orders-queue",
        "exchange": "shop",
        "routing_key": "order.created",
        "message_id": "m-1",
        "attempt": 1,
        "redelivered": False,
        "messages": 1,
        "seconds": 1.5,
        "outcome": "done",
        "error": None,
    }
    assert {name: record.__dict__[name] for name in expected} == expected


async def test_what_failed_is_a_warning_that_tells_the_class_alone(
    context: Contexts, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ValueError, match="secret"):
        await Logging()(context("m-1", "m-2"), fail)
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert (record.__dict__["outcome"], record.__dict__["error"]) == ("failed", "ValueError")
    assert record.__dict__["messages"] == 2
    assert "secret" not in str(record.__dict__)


@pytest.mark.parametrize(
    "error, outcome",
    [
        (asyncio.CancelledError(), "cancelled"),
        (Drop(), "dropped"),
        (Park(), "parked"),
        (Postpone(1), "postponed"),
        (RetryAfter(1), "retried"),
    ],
)
async def test_the_outcome_tells_what_was_decided(
    context: Contexts, caplog: pytest.LogCaptureFixture, error: BaseException, outcome: str
) -> None:
    async def decide(context: ConsumeContext) -> None:
        raise error

    caplog.set_level(logging.INFO)
    with pytest.raises(type(error)):
        await Logging("shop", level=logging.INFO)(context(), decide)
    [record] = caplog.records
    assert record.name == "shop"
    assert record.__dict__["outcome"] == outcome
    assert (record.levelno == logging.WARNING) is (outcome == "cancelled")


async def test_a_level_that_nobody_listens_to_costs_no_record(
    context: Contexts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await Logging(level=logging.DEBUG)(context(), done)
    assert not caplog.records
