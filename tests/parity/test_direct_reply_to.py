"""Direct reply-to: replies without a queue, to addresses that the broker makes."""

import re
from typing import Any

import pytest
from pamqp.commands import Basic

from hopmq.typedefs import FieldTable
from hopmq.wire import Ack, Delivery, Properties, Returned
from parity.channel import ChannelDriver
from parity.closed import Closed, refusal
from parity.driver import Peer
from parity.queues import SHORT, quiet
from parity.waiting import pass_time

BARE = "amq.rabbitmq.reply-to"

ALSO_RETURNED = {"3.10", "4.0"}
"""Releases that deliver a mandatory reply and return it too; later ones return nothing that has
the form of an address, whether anybody is there or not."""

HELD_TAGS = {"3.10", "4.0"}
"""Releases in which a reply does not take up its delivery tag."""


class Requester:
    """A channel that takes replies, and the address that its requests carry."""

    def __init__(self, channel: ChannelDriver, queue: str, address: str) -> None:
        self.channel = channel
        self.queue = queue
        self.address = address


async def request(channel: ChannelDriver, queue: str, **properties: Any) -> Any:
    """Send a request with the bare name and return it as its receiver gets it."""
    channel.publish(
        b"request", routing_key=queue, properties=Properties(reply_to=BARE, **properties)
    )
    receiver = await channel.peer.channel()
    await channel.declare(queue, passive=True)
    message = await receiver.get(queue)
    await receiver.close()
    return message


async def requester(channel: ChannelDriver, name: str) -> Requester:
    """Begin to take replies."""
    await channel.declare(name)
    await channel.consume(BARE, "replies", no_ack=True)
    message = await request(channel, name)
    return Requester(channel, name, message.properties.reply_to)


async def outcome(channel: ChannelDriver, address: str, body: bytes = b"reply") -> str:
    """Publish a mandatory reply; return whether it was `returned`, and whether `acked`."""
    publisher = await channel.peer.channel()
    await publisher.confirm()
    publisher.publish(body, routing_key=address, mandatory=True)
    first = await publisher.any()
    if type(first).__name__ == Returned.__name__:
        assert first.reply_text == "NO_ROUTE"
        await publisher.next(Ack)
    await publisher.close()
    return type(first).__name__.lower()


# --- requests and replies ----------------------------------------------------------------------


async def test_the_bare_name_becomes_an_address(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name)
    await channel.consume(BARE, no_ack=True)
    message = await request(channel, name, correlation_id="c", headers={"a": 1})
    assert re.fullmatch(rf"{re.escape(BARE)}\.[\w+/=]+\.[\w+/=]+", message.properties.reply_to)
    assert message.properties.correlation_id == "c"
    assert message.properties.headers == {"a": 1}


async def test_a_reply_comes_to_the_requesting_channel(
    channel: ChannelDriver, name: str, second_peer: Peer
) -> None:
    mine = await requester(channel, name)
    replier = await second_peer.channel()
    replier.publish(b"reply", routing_key=mine.address, properties=Properties(message_id="m"))
    reply = await channel.next(Delivery)
    assert (reply.body, reply.consumer_tag, reply.redelivered) == (b"reply", "replies", False)
    assert (reply.exchange, reply.routing_key) == ("", mine.address)
    assert reply.properties.message_id == "m"


async def test_requests_of_one_consumer_have_one_address(channel: ChannelDriver, name: str) -> None:
    mine = await requester(channel, name)
    assert (await request(channel, name)).properties.reply_to == mine.address


async def test_each_consumer_has_an_address_of_its_own(channel: ChannelDriver, name: str) -> None:
    mine = await requester(channel, name)
    other = await requester(await channel.peer.channel(), f"{name}-2")
    assert mine.address != other.address
    await channel.cancel("replies")
    await channel.consume(BARE, no_ack=True)
    assert (await request(channel, name)).properties.reply_to != mine.address


async def test_another_name_is_left_alone(channel: ChannelDriver, name: str) -> None:
    mine = await requester(channel, name)
    for reply_to in (mine.address, "a-queue", f"{BARE}.something", ""):
        channel.publish(routing_key=name, properties=Properties(reply_to=reply_to))
        message = await channel.get(name)
        assert message is not None
        assert message.properties.reply_to == reply_to


async def test_a_reply_may_ask_for_a_reply(channel: ChannelDriver, name: str) -> None:
    mine = await requester(channel, name)
    other = await channel.peer.channel()
    await other.consume(BARE, no_ack=True)
    other.publish(routing_key=mine.address, properties=Properties(reply_to=BARE))
    address = (await channel.next(Delivery)).properties.reply_to
    assert address is not None
    channel.publish(b"thanks", routing_key=address)
    assert (await other.next(Delivery)).body == b"thanks"


async def test_replies_and_delivery_tags(channel: ChannelDriver, name: str, release: str) -> None:
    mine = await requester(channel, name)
    for _ in range(3):
        channel.publish(b"reply", routing_key=mine.address)
    tags = [each.delivery_tag for each in await channel.collect(Delivery, 3)]
    assert tags == ([1, 1, 1] if release in HELD_TAGS else [1, 2, 3])


async def test_replies_keep_their_order(channel: ChannelDriver, name: str) -> None:
    mine = await requester(channel, name)
    replier = await channel.peer.channel()
    for number in range(100):
        replier.publish(b"%d" % number, routing_key=mine.address)
    bodies = [each.body for each in await channel.collect(Delivery, 100)]
    assert bodies == [b"%d" % number for number in range(100)]


# --- one consumer, which cannot settle ---------------------------------------------------------


async def test_the_consumer_cannot_acknowledge(channel: ChannelDriver) -> None:
    with pytest.raises(Closed) as caught:
        await channel.consume(BARE, no_ack=False)
    assert caught.value.answer == (
        "channel",
        406,
        "PRECONDITION_FAILED - reply consumer cannot acknowledge",
    )
    assert caught.value.blamed == (60, 20)


@pytest.mark.parametrize("tag", ["replies", "another"])
async def test_there_is_one_per_channel(channel: ChannelDriver, tag: str) -> None:
    await channel.consume(BARE, "replies", no_ack=True)
    assert await refusal(channel.consume(BARE, tag, no_ack=True)) == (
        "channel",
        406,
        "PRECONDITION_FAILED - reply consumer already set",
    )


async def test_a_request_without_one_is_refused(channel: ChannelDriver, name: str) -> None:
    other = await channel.peer.channel()
    await other.consume(BARE, no_ack=True)
    channel.publish(routing_key=name, properties=Properties(reply_to=BARE))
    closed = await channel.until_closed()
    assert closed.answer == (
        "channel",
        406,
        "PRECONDITION_FAILED - fast reply consumer does not exist",
    )
    assert closed.blamed == (60, 40)


async def test_it_may_call_itself_exclusive_and_have_any_argument(channel: ChannelDriver) -> None:
    arguments: FieldTable = {"x-priority": "no number"}
    await channel.consume(BARE, no_ack=True, exclusive=True, arguments=arguments)


async def test_its_tag_is_generated_or_given(channel: ChannelDriver) -> None:
    tag = await channel.consume(BARE, no_ack=True)
    assert tag.startswith("amq.ctag-")
    await channel.cancel(tag)
    assert await channel.consume(BARE, "mine", no_ack=True) == "mine"


async def test_it_may_begin_without_an_answer(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name)
    channel.send(Basic.Consume, queue=BARE, consumer_tag="t", no_ack=True, nowait=True)
    message = await request(channel, name)
    channel.publish(b"reply", routing_key=message.properties.reply_to)
    assert (await channel.next(Delivery)).consumer_tag == "t"


# --- nobody there ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cancel", "close", "connection"])
async def test_a_reply_to_nobody(
    channel: ChannelDriver, peer: Peer, name: str, release: str, how: str
) -> None:
    mine = await requester(await peer.channel(), name)
    if how == "cancel":
        await mine.channel.cancel("replies")
    elif how == "close":
        await mine.channel.close()
    else:
        await peer.close()
    expected = "returned" if release in ALSO_RETURNED else "ack"
    assert await outcome(channel, mine.address) == expected
    with pytest.raises(Closed) as caught:
        await channel.declare(mine.address, passive=True)
    assert caught.value.answer == (
        "channel",
        404,
        f"NOT_FOUND - no queue '{mine.address}' in vhost '/'",
    )


async def test_a_mandatory_reply_to_somebody(
    channel: ChannelDriver, name: str, release: str
) -> None:
    mine = await requester(channel, name)
    expected = "returned" if release in ALSO_RETURNED else "ack"
    assert await outcome(channel, mine.address) == expected
    assert (await channel.next(Delivery)).body == b"reply"


@pytest.mark.parametrize("form", ["longer", "other key", "no key", "bogus", "dot", "bare"])
async def test_a_forged_address_reaches_nobody(
    channel: ChannelDriver, name: str, release: str, form: str
) -> None:
    mine = await requester(channel, name)
    process, _key = mine.address.rsplit(".", 1)
    forged = {
        "longer": f"{mine.address}x",
        "other key": f"{process}.{'A' * 22}==",
        "no key": process,
        "bogus": f"{BARE}.bogus",
        "dot": f"{BARE}.",
        "bare": BARE,
    }[form]
    has_form = form in {"longer", "other key"} and release not in ALSO_RETURNED
    assert await outcome(channel, forged) == ("ack" if has_form else "returned")
    await quiet(channel)


# --- hands off what belongs to others ----------------------------------------------------------


@pytest.mark.parametrize("passive", [False, True])
@pytest.mark.parametrize("bare", [False, True])
async def test_declaring_one_is_looking_for_it(
    channel: ChannelDriver, second_peer: Peer, name: str, passive: bool, bare: bool
) -> None:
    mine = await requester(channel, name)
    queue = BARE if bare else mine.address
    found = await (await second_peer.channel()).declare(queue, passive=passive)
    assert (found.queue, found.message_count, found.consumer_count) == (queue, 0, 1)


MISSING = ("channel", 404, "NOT_FOUND - no queue '{}' in vhost '/'")
CREATOR = (
    "channel",
    406,
    "PRECONDITION_FAILED - only creator channel may consume from queue '{}' in vhost '/'",
)
UNBINDABLE = (
    "channel",
    403,
    "ACCESS_REFUSED - cannot bind or unbind to a volatile (direct reply-to) queue",
)
UNSUPPORTED = (
    "connection",
    540,
    "NOT_IMPLEMENTED - basic.get not supported by volatile queue '{}' in vhost '/'",
)
DEFAULT = (
    "channel",
    403,
    "ACCESS_REFUSED - operation not permitted on the default exchange",
)

INTRUSIONS: dict[str, dict[str, tuple[str, int, str] | None]] = {
    "delete": {"3.10": None, "4.0": None, "4.3": None},
    "purge": {"3.10": MISSING, "4.0": MISSING, "4.3": None},
    "get": {"3.10": MISSING, "4.0": MISSING, "4.3": UNSUPPORTED},
    "consume": {"3.10": MISSING, "4.0": MISSING, "4.3": CREATOR},
    "consume-no-ack": {"3.10": MISSING, "4.0": MISSING, "4.3": CREATOR},
    "bind": {"3.10": MISSING, "4.0": MISSING, "4.3": UNBINDABLE},
    "bind-default": {"3.10": DEFAULT, "4.0": DEFAULT, "4.3": UNBINDABLE},
    "unbind": {"3.10": None, "4.0": None, "4.3": UNBINDABLE},
}
"""What each release answers to a stranger; None: it succeeds, and changes nothing."""


@pytest.mark.parametrize("method", list(INTRUSIONS))
async def test_a_stranger_can_do_nothing_to_an_address(
    channel: ChannelDriver, second_peer: Peer, name: str, release: str, method: str
) -> None:
    mine = await requester(channel, name)
    address, other = mine.address, await second_peer.channel()
    attempt = {
        "delete": lambda: other.delete(address),
        "purge": lambda: other.purge(address),
        "get": lambda: other.get(address),
        "consume": lambda: other.consume(address),
        "consume-no-ack": lambda: other.consume(address, no_ack=True),
        "bind": lambda: other.bind(address, "amq.direct", "key"),
        "bind-default": lambda: other.bind(address, "", "key"),
        "unbind": lambda: other.unbind(address, "amq.direct", "key"),
    }[method]
    expected = INTRUSIONS[method][release]
    if expected is None:
        await attempt()
    else:
        scope, code, text = expected
        assert await refusal(attempt()) == (scope, code, text.format(address))
    channel.publish(b"still", routing_key=address)
    assert (await channel.next(Delivery)).body == b"still"


BARE_METHODS = {
    "purge": {"3.10": MISSING, "4.0": MISSING, "4.3": MISSING},
    "get": {"3.10": MISSING, "4.0": MISSING, "4.3": MISSING},
    "bind": {"3.10": MISSING, "4.0": MISSING, "4.3": MISSING},
}


@pytest.mark.parametrize("method", list(BARE_METHODS))
async def test_the_bare_name_is_no_queue(channel: ChannelDriver, release: str, method: str) -> None:
    attempt = {
        "purge": lambda: channel.purge(BARE),
        "get": lambda: channel.get(BARE),
        "bind": lambda: channel.bind(BARE, "amq.direct", "key"),
    }[method]
    scope, code, text = BARE_METHODS[method][release]
    assert await refusal(attempt()) == (scope, code, text.format(BARE))


async def test_an_address_is_reached_by_the_default_exchange_alone(
    channel: ChannelDriver, name: str
) -> None:
    mine = await requester(channel, name)
    publisher = await channel.peer.channel()
    await publisher.confirm()
    publisher.publish(exchange="amq.direct", routing_key=mine.address, mandatory=True)
    await publisher.next(Returned)
    await quiet(channel)


async def test_a_carbon_copy_reaches_it(channel: ChannelDriver, name: str) -> None:
    mine = await requester(channel, name)
    headers: FieldTable = {"CC": [mine.address]}
    channel.publish(b"copy", routing_key=f"{name}-none", properties=Properties(headers=headers))
    assert (await channel.next(Delivery)).body == b"copy"


async def test_a_dead_letter_reaches_it_or_not(
    channel: ChannelDriver, name: str, release: str
) -> None:
    mine = await requester(channel, name)
    arguments: FieldTable = {
        "x-message-ttl": 1,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": mine.address,
    }
    await channel.declare(f"{name}-2", arguments=arguments)
    channel.publish(b"dead", routing_key=f"{name}-2")
    if release == "4.0":
        await pass_time(SHORT)
        await channel.expect_silence()
        return
    assert (await channel.next(Delivery)).body == b"dead"
