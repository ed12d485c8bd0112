"""Policies that only some kinds of queues know, or that are for some kinds alone."""

import pytest

from hopmq.typedefs import FieldTable
from hopmq.wire import Delivery
from parity.channel import ChannelDriver
from parity.policies import Policies, RefusedError
from parity.queues import SHORT, declare_kind, drain_soon, fill, get_soon, has_count
from parity.waiting import eventually, pass_time


async def test_a_policy_may_be_for_one_kind_alone(
    channel: ChannelDriver, policies: Policies, name: str, release: str
) -> None:
    if release == "3.10":
        with pytest.raises(RefusedError, match="apply-to"):
            await policies.set(name, f"^{name}", {"max-length": 1}, apply_to="quorum_queues")
        return
    await policies.set(name, f"^{name}", {"max-length": 1}, apply_to="quorum_queues")
    for kind in ("classic", "quorum"):
        await declare_kind(channel, f"{name}-{kind}", kind)
        await fill(channel, f"{name}-{kind}", b"1", b"2")
        await has_count(channel, f"{name}-{kind}", 1 if kind == "quorum" else 2)


@pytest.mark.parametrize("argument", [1, 5])
async def test_of_two_delivery_limits_the_lower_one_counts(
    channel: ChannelDriver, policies: Policies, name: str, argument: int
) -> None:
    await policies.set(name, f"^{name}$", {"delivery-limit": 2}, apply_to="queues")
    await channel.declare(f"{name}-dead")
    arguments: FieldTable = {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": f"{name}-dead",
        "x-delivery-limit": argument,
    }
    await declare_kind(channel, name, "quorum", arguments)
    await fill(channel, name, b"1")
    for _ in range(min(2, argument) + 1):
        message = await get_soon(channel, name, no_ack=False)
        channel.reject(message.delivery_tag)
    letter = await get_soon(channel, f"{name}-dead")
    assert letter.properties.headers["x-first-death-reason"] == "delivery_limit"


@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_the_way_to_overflow_may_change_while_the_queue_is_full(
    channel: ChannelDriver, policies: Policies, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind, {"x-max-length": 2})
    await fill(channel, name, b"1", b"2", b"3")
    await policies.set(name, f"^{name}$", {"overflow": "reject-publish"}, apply_to="queues")

    async def refuses() -> bool:
        return await fill(channel, name, b"4") == "n"

    await eventually(refuses)
    assert (await drain_soon(channel, name, 2))[-1] in {b"3", b"4"}


async def test_delays_may_come_from_a_policy(
    channel: ChannelDriver, policies: Policies, name: str, release: str
) -> None:
    definition = {"delayed-retry-type": "all", "delayed-retry-min": 1000}
    if release != "4.3":
        with pytest.raises(RefusedError, match="are not recognised policy settings"):
            await policies.set(name, f"^{name}$", definition, apply_to="queues")
        return
    await policies.set(name, f"^{name}$", definition, apply_to="queues")
    await declare_kind(channel, name, "quorum")
    await fill(channel, name, b"1")
    await channel.consume(name)
    channel.reject((await channel.next(Delivery)).delivery_tag)
    await pass_time(SHORT)
    await channel.expect_silence()
    assert (await channel.next(Delivery)).redelivered
