"""Chaos files: what they say, what they must not say, and when it happens."""

import asyncio
from pathlib import Path

import pytest

import hopmq
from hopmq import Connection
from hopmq.broker import Broker
from hopmq.errors import UsageError
from hopmq.testing import ChaosRule, TurnedClock, apply_chaos, read_chaos

CHAOS = """
[[fault]]
do = "refuse"
at = "Queue.Declare"
code = 405
times = "all"
connection = "subject"
queue = "bad-*"

[[fault]]
do = "inject"
at = "Basic.GetEmpty"
data = "09 09 09 09 09 09 09 09"
after = 5
every = 60.5
lasts = 1

[[fault]]
do = "black_hole"
direction = "to_client"

[[fault]]
do = "restart"
keep = false
"""


def written(folder: Path, text: str) -> Path:
    """Write a chaos file."""
    path = folder / "chaos.toml"
    path.write_text(text)
    return path


async def test_a_chaos_file_says_what_happens_to_whom_and_when(tmp_path: Path) -> None:
    assert read_chaos(written(tmp_path, CHAOS)) == (
        ChaosRule(
            do="refuse",
            arguments={"at": "Queue.Declare", "code": 405, "times": None},
            where={"connection": "subject", "queue": "bad-*"},
        ),
        ChaosRule(
            do="inject",
            arguments={"at": "Basic.GetEmpty", "data": b"\x09" * 8},
            after=5,
            every=60.5,
            lasts=1,
        ),
        ChaosRule(do="black_hole", arguments={"direction": "to_client"}),
        ChaosRule(do="restart", arguments={"keep": False}),
    )


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("", r"tables \[\[fault\]\]"),
        ("fault = 1", r"tables \[\[fault\]\]"),
        ("[[fault]]\nx", "chaos file"),
        ("[[fault]]\ndo = 'explode'", "none of .*cut.*restart"),
        ("[[fault]]\ndo = 'clear'", "none of"),
        ("[[fault]]\ndo = 'cut'", "missing.*'at'"),
        ("[[fault]]\ndo = 'cut'\nat = 'Basic.Publsh'", "no frame 'Basic.Publsh'"),
        ("[[fault]]\ndo = 'refuse'\nat = 'header'\ncode = 404", "no request 'header'"),
        ("[[fault]]\ndo = 'nack'\nat = 'x'", "nack has no at"),
        ("[[fault]]\ndo = 'nack'\ntimes = '1'", "times cannot be '1'"),
        ("[[fault]]\ndo = 'nack'\nevery = 0", "every is more than 0"),
        ("[[fault]]\ndo = 'delay'\nseconds = true", "seconds cannot be True"),
        ("[[fault]]\ndo = 'split'\ndirection = 'up'", "direction cannot be 'up'"),
        ("[[fault]]\ndo = 'send_raw'\ndata = 'x'", "hexadecimal"),
        (
            "[[fault]]\ndo = 'nack'\n[[fault]]\ndo = 'restart'\nuser = 'x'",
            "fault 2: restart has no",
        ),
    ],
)
async def test_what_cannot_be_done_is_refused_with_its_place(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(UsageError, match=f"(?s){complaint}"):
        read_chaos(written(tmp_path, text))


async def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"missing\.toml"):
        read_chaos(tmp_path / "missing.toml")


async def test_rules_apply_to_a_running_broker(broker: Broker, connection: Connection) -> None:
    rule = ChaosRule(do="refuse", arguments={"at": "Queue.Declare", "code": 405})
    chaos = apply_chaos(broker, (rule,))
    with pytest.raises(hopmq.ResourceLockedError):
        await connection.declare_queue("q")
    assert chaos.hits == (1,)
    chaos.cancel()


async def test_rules_begin_repeat_and_end_by_the_clock(name: str) -> None:
    clock = TurnedClock()
    refusing = {"at": "Queue.Declare", "code": 405, "times": None}
    rule = ChaosRule(do="refuse", arguments=refusing, after=10, every=100, lasts=20)
    async with (
        Broker(host=None, name=name, clock=clock, heartbeat=0) as broker,
        hopmq.connect(broker.url) as connection,
    ):
        chaos = apply_chaos(broker, (rule,))
        refused = []
        for second in range(0, 240, 5):
            try:
                await connection.declare_queue("q")
            except hopmq.ResourceLockedError:
                refused.append(second)
            await clock.advance(5)
        assert refused == [10, 15, 20, 25, 110, 115, 120, 125, 210, 215, 220, 225]
        assert chaos.hits == (12,)
        chaos.cancel()
        await clock.advance(100)
        await connection.declare_queue("q")


async def test_a_rule_that_is_repeated_takes_the_place_of_what_it_was(
    broker: Broker, connection: Connection
) -> None:
    rule = ChaosRule(do="refuse", arguments={"at": "Queue.Declare", "code": 405}, every=0.01)
    chaos = apply_chaos(broker, (rule,))
    await asyncio.sleep(0.05)
    chaos.cancel()
    await connection.declare_queue("q")
    assert chaos.hits == (0,)


async def test_a_rule_can_restart_the_broker(broker: Broker, connection: Connection) -> None:
    chaos = apply_chaos(broker, (ChaosRule(do="restart"),))
    assert (await connection.wait_closed()).reply_code == 320
    while not broker.is_running:
        await asyncio.sleep(0.01)
    async with hopmq.connect(broker.url):
        assert chaos.hits == (1,)
