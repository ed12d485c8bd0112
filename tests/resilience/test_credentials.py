"""Credentials that expire are renewed in time, and whatever fails on the way is told once."""

import asyncio
import logging
from random import Random
from typing import Any

import pytest

from hopmq.errors import ConnectionLostError, CredentialsError, RequestTimeoutError
from hopmq.resilience.backoff import Constant, GiveUpAfter
from hopmq.resilience.credentials import Credentials, Renewal

SECRETS = ["first-secret", "second-secret", "third-secret"]


class Latest(Random):
    """Chance that always draws the least."""

    def uniform(self, a: float, b: float) -> float:
        return a


class Earliest(Random):
    """Chance that always draws the most."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Sleeper:
    """Sleeps until the test wakes it, and remembers for how long it was to be."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[float] = asyncio.Queue()
        self.woken: asyncio.Queue[None] = asyncio.Queue()

    async def __call__(self, seconds: float) -> None:
        self.begun.put_nowait(seconds)
        await self.woken.get()

    async def wake(self) -> float:
        """Wait for a sleep to begin, end it, and return how long it would have been."""
        seconds = await self.begun.get()
        self.woken.put_nowait(None)
        return seconds


class Bench:
    """A renewal, the provider it asks, and the broker it tells, all in the test's hands."""

    def __init__(self, **options: Any) -> None:
        self.sleeper = Sleeper()
        self.answers: list[Credentials | Exception] = []
        self.updates: asyncio.Queue[str] = asyncio.Queue()
        self.refusals: list[Exception] = []
        self.asked = 0
        self.renewal = Renewal(
            self.provide,
            "orders",
            sleep=self.sleeper,
            **{"chance": Latest(), "backoff": Constant(1.0), **options},
        )

    async def provide(self) -> Credentials:
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def update(self, secret: str) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.updates.put_nowait(secret)

    def gives(self, *answers: Credentials | Exception) -> None:
        self.answers += answers

    async def open(self) -> None:
        """Be open, with what the provider gave first."""
        await self.renewal.credentials()
        self.renewal.begin(self.update)


def secret(number: int, life: float | None = 90.0) -> Credentials:
    return Credentials(username="carol", password=SECRETS[number], expires_in=life)


def tasks() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if "renewal" in task.get_name()]


# --- asking ------------------------------------------------------------------------------------


async def test_each_connect_asks_anew() -> None:
    bench = Bench()
    bench.gives(secret(0), secret(1, None))
    first, second = await bench.renewal.credentials(), await bench.renewal.credentials()
    assert (first.username, first.password) == ("carol", SECRETS[0])
    assert second.password == SECRETS[1]


async def test_a_provider_that_fails_is_an_error_of_the_connect_with_its_cause() -> None:
    bench = Bench()
    cause = OSError("no route to the token endpoint")
    bench.gives(cause)
    with pytest.raises(CredentialsError, match="OSError: no route to the token endpoint") as caught:
        await bench.renewal.credentials()
    assert caught.value.__cause__ is cause


async def test_a_provider_that_does_not_answer_is_given_up() -> None:
    async def never() -> Credentials:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(CredentialsError, match=r"did not answer within 0\.01 seconds"):
        await Renewal(never, "orders", timeout=0.01).credentials()


@pytest.mark.parametrize("life", [0, -1, float("nan"), float("inf"), "60"])
async def test_a_life_that_cannot_be_meant_is_refused(life: Any) -> None:
    bench = Bench()
    bench.gives(secret(0, life))
    with pytest.raises(CredentialsError, match="expires_in") as caught:
        await bench.renewal.credentials()
    assert SECRETS[0] not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [None, ("carol", "p"), Credentials(password=b"bytes")],  # type: ignore[arg-type]
)
async def test_what_is_no_credentials_is_refused(given: Any) -> None:
    bench = Bench()
    bench.gives(given)
    with pytest.raises(CredentialsError, match="is a str"):
        await bench.renewal.credentials()


def test_a_password_shows_in_no_repr() -> None:
    assert SECRETS[0] not in repr(secret(0))


# --- renewing ----------------------------------------------------------------------------------


async def test_credentials_are_renewed_at_two_thirds_of_their_life_again_and_again() -> None:
    bench = Bench()
    bench.gives(secret(0, 90.0), secret(1, 30.0), secret(2, 90.0))
    await bench.open()
    assert await bench.sleeper.wake() == pytest.approx(60.0)
    assert await bench.updates.get() == SECRETS[1]
    assert await bench.sleeper.wake() == pytest.approx(20.0)
    assert await bench.updates.get() == SECRETS[2]
    await bench.renewal.stop()


async def test_renewals_are_spread_over_a_tenth() -> None:
    bench = Bench(chance=Earliest())
    bench.gives(secret(0, 90.0))
    await bench.open()
    assert await bench.sleeper.begun.get() == pytest.approx(54.0)
    await bench.renewal.stop()


async def test_what_does_not_expire_is_not_renewed() -> None:
    bench = Bench()
    bench.gives(secret(0, None))
    await bench.open()
    assert tasks() == []


async def test_renewing_ends_with_credentials_that_do_not_expire() -> None:
    bench = Bench()
    bench.gives(secret(0), secret(1, None))
    await bench.open()
    (task,) = [task for task in asyncio.all_tasks() if task.get_name() in tasks()]
    await bench.sleeper.wake()
    await task
    assert bench.updates.get_nowait() == SECRETS[1]


async def test_a_provider_that_fails_is_asked_again_and_told_of_once_per_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    failures = [OSError("down"), OSError("down"), ValueError("odd"), ValueError("odd")]
    bench.gives(secret(0), *failures, secret(1))
    await bench.open()
    await bench.sleeper.wake()
    for _ in failures:
        assert await bench.sleeper.wake() == 1.0
    assert await bench.updates.get() == SECRETS[1]
    await bench.renewal.stop()
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert warnings == [
        "orders: cannot renew credentials: the credentials provider failed: OSError: down",
        "orders: cannot renew credentials: the credentials provider failed: ValueError: odd",
    ]
    assert not any(each in caplog.text for each in SECRETS)


async def test_a_broker_that_does_not_answer_an_update_is_asked_again() -> None:
    bench = Bench()
    bench.gives(secret(0), secret(1), secret(2))
    bench.refusals = [RequestTimeoutError("no answer")]
    await bench.open()
    await bench.sleeper.wake()
    await bench.sleeper.wake()
    assert await bench.updates.get() == SECRETS[2]
    await bench.renewal.stop()


async def test_no_wait_is_so_long_that_the_rest_of_a_life_is_gone() -> None:
    bench = Bench(backoff=Constant(60.0))
    bench.gives(secret(0, 30.0), OSError("down"))
    await bench.open()
    await bench.sleeper.wake()
    assert await bench.sleeper.begun.get() == pytest.approx(1.0)
    await bench.renewal.stop()


async def test_a_backoff_may_give_up(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(backoff=GiveUpAfter(Constant(1.0), attempts=1))
    bench.gives(secret(0), OSError("down"), OSError("down"))
    await bench.open()
    (task,) = [task for task in asyncio.all_tasks() if task.get_name() in tasks()]
    await bench.sleeper.wake()
    await bench.sleeper.wake()
    await task
    assert "gave up" in caplog.text


# --- ending ------------------------------------------------------------------------------------


async def test_an_end_of_the_connection_ends_renewing() -> None:
    bench = Bench()
    bench.gives(secret(0), secret(1))
    bench.refusals = [ConnectionLostError("reset")]
    await bench.open()
    (task,) = [task for task in asyncio.all_tasks() if task.get_name() in tasks()]
    await bench.sleeper.wake()
    await task
    assert bench.asked == 2


async def test_stopping_leaves_no_task() -> None:
    bench = Bench()
    bench.gives(secret(0))
    await bench.open()
    await bench.sleeper.begun.get()
    await bench.renewal.stop()
    assert tasks() == []
    await bench.renewal.stop()


async def test_a_new_link_begins_anew() -> None:
    bench = Bench()
    bench.gives(secret(0, 90.0), secret(1, 30.0))
    await bench.open()
    assert await bench.sleeper.begun.get() == pytest.approx(60.0)
    bench.renewal.pause()
    await bench.open()
    assert await bench.sleeper.begun.get() == pytest.approx(20.0)
    assert len(tasks()) == 1
    await bench.renewal.stop()
