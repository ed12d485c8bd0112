"""Deleting exchanges, by request and by themselves."""

import pytest
from pamqp.commands import Exchange

from hopmq.wire import Ack, Returned
from parity.channel import ChannelDriver
from parity.closed import Closed
from parity.endings import (
    ON_DEFAULT_EXCHANGE,
    access_refused,
    not_found,
    precondition_failed,
    refusal,
)


async def is_there(channel: ChannelDriver, exchange: str) -> bool:
    """Tell whether an exchange exists, at the cost of a channel if not."""
    other = await channel.peer.channel()
    try:
        await other.exchange(exchange, passive=True)
    except Closed as refused:
        if not refused.is_missing:
            raise
        return False
    await other.close()
    return True


@pytest.mark.parametrize("if_unused", [False, True])
async def test_deleting_what_is_missing_succeeds(channel: ChannelDriver, if_unused: bool) -> None:
    await channel.delete_exchange("no-such-exchange", if_unused=if_unused)


async def test_a_deleted_exchange_is_gone(channel: ChannelDriver, name: str) -> None:
    await channel.exchange(name)
    await channel.delete_exchange(name)
    assert not await is_there(channel, name)


async def test_the_default_exchange_cannot_be_deleted(channel: ChannelDriver) -> None:
    closed = await refusal(channel.delete_exchange(""))
    assert closed.answer == ON_DEFAULT_EXCHANGE
    assert closed.blamed == (40, 20)


@pytest.mark.parametrize("exchange", ["amq.direct", "amq.topic", "amq.no-such-exchange"])
async def test_system_exchanges_cannot_be_deleted(channel: ChannelDriver, exchange: str) -> None:
    closed = await refusal(channel.delete_exchange(exchange))
    assert closed.answer == access_refused(
        f"deletion of system exchange '{exchange}' in vhost '/' not allowed"
    )


async def test_a_deleted_exchange_takes_its_bindings_along(
    channel: ChannelDriver, name: str
) -> None:
    await channel.confirm()
    await channel.declare(name, exclusive=True)
    await channel.exchange(name)
    await channel.bind(name, name, "key")
    await channel.delete_exchange(name)
    await channel.exchange(name)
    channel.publish(exchange=name, routing_key="key", mandatory=True)
    await channel.next(Returned)
    await channel.next(Ack)


# --- if-unused ---------------------------------------------------------------------------------


async def test_an_exchange_with_a_queue_is_in_use(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name, exclusive=True)
    await channel.exchange(name)
    await channel.bind(name, name)
    closed = await refusal(channel.delete_exchange(name, if_unused=True))
    assert closed.answer == precondition_failed(f"exchange '{name}' in vhost '/' in use")
    assert closed.blamed == (40, 20)
    assert await is_there(await channel.peer.channel(), name)


async def test_an_exchange_that_feeds_another_is_in_use(channel: ChannelDriver, name: str) -> None:
    await channel.exchange(name)
    await channel.bind_exchange("amq.fanout", name)
    closed = await refusal(channel.delete_exchange(name, if_unused=True))
    assert closed.answer == precondition_failed(f"exchange '{name}' in vhost '/' in use")


async def test_an_exchange_that_is_fed_by_another_is_not_in_use(
    channel: ChannelDriver, name: str
) -> None:
    await channel.exchange(name)
    await channel.bind_exchange(name, "amq.fanout")
    await channel.delete_exchange(name, if_unused=True)
    assert not await is_there(channel, name)


async def test_an_exchange_is_unused_again_after_its_last_unbind(
    channel: ChannelDriver, name: str
) -> None:
    await channel.declare(name, exclusive=True)
    await channel.exchange(name)
    await channel.bind(name, name)
    await channel.unbind(name, name)
    await channel.delete_exchange(name, if_unused=True)
    assert not await is_there(channel, name)


# --- auto-delete -------------------------------------------------------------------------------


async def test_an_auto_delete_exchange_waits_for_its_first_binding(
    channel: ChannelDriver, name: str
) -> None:
    await channel.exchange(name, auto_delete=True)
    await channel.declare(name, exclusive=True)
    await channel.unbind(name, name)
    assert await is_there(channel, name)


async def test_an_auto_delete_exchange_goes_with_its_last_binding(
    channel: ChannelDriver, name: str
) -> None:
    await channel.exchange(name, auto_delete=True)
    await channel.declare(name, exclusive=True)
    await channel.bind(name, name, "one")
    await channel.bind(name, name, "two")
    await channel.unbind(name, name, "one")
    assert await is_there(channel, name)
    await channel.unbind(name, name, "two")
    assert not await is_there(channel, name)


async def test_an_auto_delete_exchange_goes_with_its_last_queue(
    channel: ChannelDriver, name: str
) -> None:
    await channel.exchange(name, auto_delete=True)
    await channel.declare(name, exclusive=True)
    await channel.bind(name, name)
    await channel.delete(name)
    assert not await is_there(channel, name)


async def test_an_auto_delete_exchange_goes_with_the_last_exchange_it_feeds(
    channel: ChannelDriver, name: str
) -> None:
    await channel.exchange(name, auto_delete=True)
    await channel.exchange(f"{name}-fed")
    await channel.bind_exchange(f"{name}-fed", name)
    await channel.delete_exchange(f"{name}-fed")
    assert not await is_there(channel, name)


async def test_an_auto_delete_exchange_goes_with_its_last_unbind_from_an_exchange(
    channel: ChannelDriver, name: str
) -> None:
    await channel.exchange(name, auto_delete=True)
    await channel.bind_exchange("amq.fanout", name)
    await channel.unbind_exchange("amq.fanout", name)
    assert not await is_there(channel, name)


async def test_an_auto_delete_exchange_that_is_fed_stays(channel: ChannelDriver, name: str) -> None:
    await channel.exchange(name, auto_delete=True)
    await channel.bind_exchange(name, "amq.fanout")
    await channel.unbind_exchange(name, "amq.fanout")
    assert await is_there(channel, name)


async def test_auto_deletes_run_through_a_chain(channel: ChannelDriver, name: str) -> None:
    first, second = f"{name}-1", f"{name}-2"
    await channel.exchange(first, auto_delete=True)
    await channel.exchange(second, auto_delete=True)
    await channel.declare(name, exclusive=True)
    await channel.bind_exchange(second, first)
    await channel.bind(name, second)
    await channel.delete(name)
    assert not await is_there(channel, second)
    assert not await is_there(channel, first)


# --- nowait ------------------------------------------------------------------------------------


async def test_a_delete_without_waiting_has_no_answer(channel: ChannelDriver, name: str) -> None:
    await channel.exchange(name)
    channel.send(Exchange.Delete, exchange=name, nowait=True)
    await channel.expect_silence()
    closed = await refusal(channel.exchange(name, passive=True))
    assert closed.answer == not_found(f"no exchange '{name}' in vhost '/'")


async def test_a_delete_without_waiting_is_refused_all_the_same(channel: ChannelDriver) -> None:
    channel.send(Exchange.Delete, exchange="amq.direct", nowait=True)
    assert (await channel.until_closed()).answer == access_refused(
        "deletion of system exchange 'amq.direct' in vhost '/' not allowed"
    )


async def test_an_alternate_exchange_is_not_in_use(channel: ChannelDriver, name: str) -> None:
    await channel.exchange(name)
    await channel.exchange(f"{name}-2", arguments={"alternate-exchange": name})
    await channel.delete_exchange(name, if_unused=True)
    assert not await is_there(channel, name)
