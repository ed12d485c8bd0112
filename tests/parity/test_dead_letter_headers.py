"""Dead letters tell how they died: x-death and its kin, exact to types and order."""

from typing import Any

import pytest

from hopmq.typedefs import FieldTable
from parity.channel import ChannelDriver
from parity.deaths import KEEPS_REDELIVERED, death, firsts_and_lasts, without_times
from parity.queues import both_kinds, declare_kind, fill, get_soon
from parity.typed import Typed, typed_headers

REASONS = [
    ("classic", "rejected"),
    ("classic", "expired"),
    ("classic", "maxlen"),
    ("quorum", "rejected"),
    ("quorum", "expired"),
    ("quorum", "maxlen"),
    ("quorum", "delivery_limit"),
]


async def dead(channel: ChannelDriver, name: str, kind: str, arguments: FieldTable) -> str:
    """Declare a queue and one for its dead letters; return the latter's name."""
    await channel.declare(f"{name}-dead", durable=True)
    to_dead: FieldTable = {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": f"{name}-dead",
    }
    await declare_kind(channel, name, kind, {**to_dead, **arguments})
    return f"{name}-dead"


async def kill(channel: ChannelDriver, name: str, kind: str, reason: str, **parts: Any) -> Any:
    """Publish a message, have it die for that reason, and return the dead letter."""
    limits: dict[str, FieldTable] = {
        "maxlen": {"x-max-length": 0},
        "delivery_limit": {"x-delivery-limit": 1},
    }
    where = await dead(channel, name, kind, limits.get(reason, {}))
    if reason == "expired":
        parts["expiration"] = "5"
    await fill(channel, name, b"body", **parts)
    if reason == "rejected":
        message = await get_soon(channel, name, no_ack=False)
        channel.reject(message.delivery_tag, requeue=False)
    for _ in range(2 if reason == "delivery_limit" else 0):
        message = await get_soon(channel, name, no_ack=False)
        channel.reject(message.delivery_tag)
    return await get_soon(channel, where)


@pytest.mark.parametrize("kind, reason", REASONS)
async def test_the_headers_of_a_first_death(
    channel: ChannelDriver, name: str, release: str, kind: str, reason: str
) -> None:
    letter = await kill(channel, name, kind, reason, headers={"mine": 1})
    expiration = "5" if reason == "expired" else None
    entry = death(release, queue=name, reason=reason, keys=[name], expiration=expiration)
    expected: dict[str, Typed] = {"mine": ("b", 1), "x-death": ("A", [("F", entry)])}
    expected |= firsts_and_lasts(release, entry, entry)
    headers = without_times(typed_headers(letter))
    assert headers == expected
    assert list(headers) == list(expected)
    assert list(headers["x-death"][1][0][1]) == list(entry)


@pytest.mark.parametrize("kind, reason", REASONS)
async def test_the_rest_of_the_message_is_as_it_was(
    channel: ChannelDriver, name: str, release: str, kind: str, reason: str
) -> None:
    letter = await kill(
        channel,
        name,
        kind,
        reason,
        message_id="m",
        content_type="text/plain",
        correlation_id="c",
        priority=3,
        delivery_mode=2,
        type="t",
        app_id="a",
    )
    assert (letter.exchange, letter.routing_key, letter.body) == ("", f"{name}-dead", b"body")
    properties = letter.properties
    assert (properties.message_id, properties.correlation_id, properties.priority) == ("m", "c", 3)
    assert (properties.content_type, properties.type, properties.app_id) == ("text/plain", "t", "a")
    assert (properties.delivery_mode, properties.expiration) == (2, None)
    was_delivered = reason in {"rejected", "delivery_limit"}
    assert letter.redelivered == (was_delivered and release in KEEPS_REDELIVERED)


@both_kinds
async def test_a_queues_own_limit_is_no_original_expiration(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    where = await dead(channel, name, kind, {"x-message-ttl": 5})
    await fill(channel, name, b"body")
    letter = await get_soon(channel, where)
    assert "original-expiration" not in letter.properties.headers["x-death"][0]


@both_kinds
async def test_the_expiration_is_removed_for_the_next_queue_to_keep(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    where = await dead(channel, name, kind, {})
    await fill(channel, name, b"body", expiration="60000")
    message = await get_soon(channel, name, no_ack=False)
    channel.reject(message.delivery_tag, requeue=False)
    letter = await get_soon(channel, where)
    assert letter.properties.expiration is None
    assert letter.properties.headers["x-death"][0]["original-expiration"] == "60000"


# --- carbon copies -----------------------------------------------------------------------------


async def test_routing_keys_are_the_key_and_the_copies_but_not_the_blind_ones(
    channel: ChannelDriver, name: str, release: str
) -> None:
    headers: FieldTable = {"CC": [f"{name}-cc"], "BCC": [f"{name}-bcc"]}
    letter = await kill(channel, name, "classic", "rejected", headers=headers)
    (entry,) = letter.properties.headers["x-death"]
    assert entry["routing-keys"] == [name, f"{name}-cc"]
    assert "BCC" not in letter.properties.headers
    assert ("CC" in letter.properties.headers) == (release != "3.10")


@pytest.mark.parametrize("override", [False, True])
async def test_without_a_new_key_copies_go_by_their_keys_too(
    channel: ChannelDriver, name: str, release: str, override: bool
) -> None:
    await channel.exchange(name, "direct")
    arguments: FieldTable = {"x-dead-letter-exchange": name}
    if override:
        arguments["x-dead-letter-routing-key"] = "new"
    await channel.declare(f"{name}-from", arguments=arguments)
    for key in ("new", "copy"):
        await channel.declare(f"{name}-{key}")
        await channel.bind(f"{name}-{key}", name, key)
    await fill(channel, f"{name}-from", b"body", headers={"CC": ["copy"]}, expiration="1")
    by = "new" if override else "copy"
    letter = await get_soon(channel, f"{name}-{by}")
    assert letter.routing_key == ("new" if override else f"{name}-from")
    assert ("CC" in letter.properties.headers) == (not override or release != "3.10")
    other = "copy" if override else "new"
    assert await channel.count(f"{name}-{other}") == 0


# --- deaths after the first --------------------------------------------------------------------


async def reject_to(channel: ChannelDriver, queue: str, where: str) -> Any:
    """Reject the message in a queue; return it as it arrives in another, left unsettled."""
    message = await get_soon(channel, queue, no_ack=False)
    channel.reject(message.delivery_tag, requeue=False)
    letter = await get_soon(channel, where, no_ack=False)
    channel.nack(letter.delivery_tag, requeue=True)
    return letter


@pytest.mark.parametrize("kind", ["classic"])
async def test_deaths_are_listed_latest_first_and_counted(
    channel: ChannelDriver, name: str, release: str, kind: str
) -> None:
    one, two = f"{name}-1", f"{name}-2"
    for queue, other in ((one, two), (two, one)):
        await declare_kind(
            channel,
            queue,
            kind,
            {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": other},
        )
    await fill(channel, one, b"body", expiration="5")
    first = await get_soon(channel, two, no_ack=False)
    channel.nack(first.delivery_tag)

    def entry(queue: str, reason: str, count: int) -> tuple[str, str, int]:
        return queue, reason, count

    expected = [
        [entry(two, "rejected", 1), entry(one, "expired", 1)],
        [entry(one, "rejected", 1), entry(two, "rejected", 1), entry(one, "expired", 1)],
        [entry(two, "rejected", 2), entry(one, "rejected", 1), entry(one, "expired", 1)],
        [entry(one, "rejected", 2), entry(two, "rejected", 2), entry(one, "expired", 1)],
    ]
    if release == "3.10":
        expected[1:] = [
            [entry(one, "rejected", 1), entry(one, "expired", 1), entry(two, "rejected", 1)],
            [entry(two, "rejected", 2), entry(one, "expired", 1), entry(one, "rejected", 1)],
            [entry(one, "rejected", 2), entry(one, "expired", 1), entry(two, "rejected", 2)],
        ]
    for turn, deaths in enumerate(expected):
        queue, where = (two, one) if turn % 2 == 0 else (one, two)
        letter = await reject_to(channel, queue, where)
        headers = letter.properties.headers
        listed = [(each["queue"], each["reason"], each["count"]) for each in headers["x-death"]]
        assert listed == deaths
        assert headers["x-first-death-queue"] == one
        assert headers["x-first-death-reason"] == "expired"
        if release != "3.10":
            assert headers["x-last-death-queue"] == queue
            assert headers["x-last-death-reason"] == "rejected"


async def test_3_10_sorts_the_entries_that_it_adds_later(
    channel: ChannelDriver, name: str, release: str
) -> None:
    await channel.declare(f"{name}-end")
    middle = await dead(channel, name, "classic", {})
    await channel.delete(middle)
    await channel.declare(
        middle, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": f"{name}-end"}
    )
    await fill(channel, name, b"body", expiration="1")
    letter = await reject_to(channel, middle, f"{name}-end")
    entries = [entry for _, entry in typed_headers(letter)["x-death"][1]]
    early = list(death(release, queue="", reason="", keys=[], expiration="1"))
    late = list(death(release, queue="", reason="", keys=[]))
    assert list(entries[1]) == early
    assert list(entries[0]) == (sorted(late) if release == "3.10" else late)


async def test_a_publisher_may_bring_headers_of_deaths_along(
    channel: ChannelDriver, name: str, release: str
) -> None:
    mine: FieldTable = {"x-death": "text", "x-first-death-queue": "mine"}
    letter = await kill(channel, name, "classic", "rejected", headers=mine)
    headers = letter.properties.headers
    assert headers["x-first-death-queue"] == {"3.10": "mine"}.get(release, name)
    (entry,) = headers["x-death"]
    assert (entry["queue"], entry["count"]) == (name, 1)


async def test_a_republished_letter_is_counted_on_or_begins_anew(
    channel: ChannelDriver, name: str, release: str
) -> None:
    letter = await kill(channel, name, "classic", "rejected")
    await fill(channel, name, b"again", headers=letter.properties.headers)
    again = await reject_to(channel, name, f"{name}-dead")
    (entry,) = again.properties.headers["x-death"]
    assert entry["count"] == {"3.10": 2, "4.0": 1, "4.3": 1}[release]
