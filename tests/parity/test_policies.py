"""Policies: settings by pattern, for queues and exchanges that are there and that are to come."""

import re

import pytest

from parity.channel import ChannelDriver
from parity.policies import Policies, RefusedError
from parity.queues import drain_soon, fill, get_soon, has_count
from parity.waiting import eventually


def only(name: str) -> str:
    """Return a pattern for just that name."""
    return f"^{re.escape(name)}$"


async def test_a_limit_counts_at_once_for_a_queue_that_is_there(
    channel: ChannelDriver, policies: Policies, name: str
) -> None:
    await channel.declare(name, durable=True)
    await fill(channel, name, b"1", b"2", b"3")
    await policies.set(name, only(name), {"max-length": 2})
    await has_count(channel, name, 2)
    assert await drain_soon(channel, name, 2) == [b"2", b"3"]


async def test_a_policy_counts_for_a_queue_that_is_declared_later(
    channel: ChannelDriver, policies: Policies, name: str
) -> None:
    await policies.set(name, only(name), {"max-length": 1})
    await channel.declare(name, durable=True)
    await fill(channel, name, b"1", b"2")
    assert await drain_soon(channel, name, 1) == [b"2"]


async def test_a_cleared_policy_counts_no_longer(
    channel: ChannelDriver, policies: Policies, name: str
) -> None:
    await policies.set(name, only(name), {"max-length": 1})
    await channel.declare(name, durable=True)
    await fill(channel, name, b"1", b"2")
    await has_count(channel, name, 1)
    await policies.clear(name)
    await fill(channel, name, b"3")
    assert await drain_soon(channel, name, 2) == [b"2", b"3"]


async def test_a_policy_leaves_other_names_alone(
    channel: ChannelDriver, policies: Policies, name: str
) -> None:
    await policies.set(name, only(name), {"max-length": 1})
    await channel.declare(f"{name}-other", durable=True)
    await fill(channel, f"{name}-other", b"1", b"2")
    assert await drain_soon(channel, f"{name}-other", 2) == [b"1", b"2"]


async def test_the_policy_of_the_highest_priority_counts_alone(
    channel: ChannelDriver, policies: Policies, name: str
) -> None:
    await channel.declare(name, durable=True)
    await policies.set(f"{name}-low", only(name), {"max-length": 1, "overflow": "reject-publish"})
    await policies.set(f"{name}-high", only(name), {"max-length": 2}, priority=1)
    # The overflow of the lower one does not count: nothing is refused.
    assert await fill(channel, name, b"1", b"2", b"3") == "aaa"
    assert await drain_soon(channel, name, 2) == [b"2", b"3"]


@pytest.mark.parametrize("argument, policy", [(1, 3), (3, 1)])
async def test_of_two_limits_the_lower_one_counts(
    channel: ChannelDriver, policies: Policies, name: str, argument: int, policy: int
) -> None:
    await policies.set(name, only(name), {"max-length": policy})
    await channel.declare(name, durable=True, arguments={"x-max-length": argument})
    await fill(channel, name, b"1", b"2", b"3", b"4")
    assert await drain_soon(channel, name, 1) == [b"4"]


async def test_an_argument_comes_before_a_policy(
    channel: ChannelDriver, policies: Policies, name: str
) -> None:
    await policies.set(
        name, only(name), {"dead-letter-exchange": "", "dead-letter-routing-key": f"{name}-policy"}
    )
    for target in ("argument", "policy"):
        await channel.declare(f"{name}-{target}", durable=True)
    await channel.declare(
        name,
        durable=True,
        arguments={
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": f"{name}-argument",
        },
    )
    await fill(channel, name, b"dead")
    message = await get_soon(channel, name, no_ack=False)
    channel.reject(message.delivery_tag, requeue=False)
    assert await drain_soon(channel, f"{name}-argument", 1) == [b"dead"]
    assert await channel.count(f"{name}-policy") == 0


async def test_dead_letters_go_where_a_policy_says(
    channel: ChannelDriver, policies: Policies, name: str
) -> None:
    await channel.declare(name, durable=True)
    await channel.declare(f"{name}-dead", durable=True)
    await policies.set(
        name,
        only(name),
        {"dead-letter-exchange": "", "dead-letter-routing-key": f"{name}-dead"},
        apply_to="queues",
    )
    await fill(channel, name, b"dead")
    message = await get_soon(channel, name, no_ack=False)
    channel.reject(message.delivery_tag, requeue=False)
    assert await drain_soon(channel, f"{name}-dead", 1) == [b"dead"]


async def test_messages_expire_by_a_policy(
    channel: ChannelDriver, policies: Policies, name: str
) -> None:
    await channel.declare(name, durable=True)
    await policies.set(name, only(name), {"message-ttl": 20})
    await fill(channel, name, b"1")
    await has_count(channel, name, 0)


async def test_a_policy_gives_an_exchange_its_alternate(
    channel: ChannelDriver, policies: Policies, name: str
) -> None:
    await channel.exchange(name, "direct")
    await channel.exchange(f"{name}-alternate", "fanout")
    await channel.declare(f"{name}-unrouted", durable=True)
    await channel.bind(f"{name}-unrouted", f"{name}-alternate")
    await policies.set(
        name, only(name), {"alternate-exchange": f"{name}-alternate"}, apply_to="exchanges"
    )
    await fill(channel, "nowhere", b"1", exchange=name)
    assert await drain_soon(channel, f"{name}-unrouted", 1) == [b"1"]


async def test_a_policy_for_exchanges_does_not_bind_queues(
    channel: ChannelDriver, policies: Policies, name: str
) -> None:
    await policies.set(name, only(name), {"max-length": 1}, apply_to="exchanges")
    await channel.declare(name, durable=True)
    await fill(channel, name, b"1", b"2")
    assert await drain_soon(channel, name, 2) == [b"1", b"2"]


async def test_an_unused_queue_expires_by_a_policy(
    channel: ChannelDriver, policies: Policies, name: str
) -> None:
    await channel.exchange(name, "fanout")
    await channel.declare(name, durable=True)
    await channel.bind(name, name)
    await policies.set(name, only(name), {"expires": 50}, apply_to="queues")

    async def unbound() -> bool:
        asking = await channel.peer.channel()
        await asking.confirm()
        asking.publish(b"", exchange=name, mandatory=True)
        return type(await asking.any()).__name__ == "Returned"

    await eventually(unbound)


@pytest.mark.parametrize(
    "definition, fault",
    [
        ({}, "no policy provided"),
        ({"nope": 5}, "are not recognised policy settings"),
        ({"max-priority": 5}, "are not recognised policy settings"),
        ({"max-length": -1}, "-1 is not a valid maximum length"),
        ({"message-ttl": 1.5}, "1.5 is not a valid message TTL"),
        ({"expires": 0}, "0 is not a valid queue expiry"),
        ({"overflow": "nope"}, "is not a valid overflow value"),
        ({"dead-letter-exchange": 1}, "1 is not a valid dead letter exchange name"),
        ({"max-age": "1x"}, "is not a valid max age"),
    ],
)
async def test_settings_that_mean_nothing_are_refused(
    policies: Policies, name: str, definition: dict[str, object], fault: str
) -> None:
    with pytest.raises(RefusedError, match=fault):
        await policies.set(name, only(name), definition)


async def test_a_pattern_that_is_no_regular_expression_is_refused(
    policies: Policies, name: str
) -> None:
    with pytest.raises(RefusedError, match="pattern should be regular expression but is invalid"):
        await policies.set(name, "(", {"max-length": 1})


async def test_settings_that_a_release_does_not_know_are_refused(
    policies: Policies, name: str, release: str
) -> None:
    setting, known = {
        "3.10": ({"consumer-timeout": 100}, False),
        "4.0": ({"consumer-timeout": 100}, True),
        "4.3": ({"delayed-retry-min": 100}, True),
    }[release]
    if known:
        await policies.set(name, only(name), setting)
        return
    with pytest.raises(RefusedError, match="are not recognised policy settings"):
        await policies.set(name, only(name), setting)
