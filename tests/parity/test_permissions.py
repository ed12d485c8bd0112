"""Permissions: which request asks for which of configure, write and read, on what."""

from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from broker.management.api import Api
from brokers.running import SessionBrokers
from brokers.selection import BrokerChoice
from conftest import BROKERS, NO_BROKER, RunningBroker, running
from hopmq.broker import Broker
from hopmq.broker.access import Permission, User, new_user
from hopmq.typedefs import FieldTable
from hopmq.wire import Ack
from parity.channel import ChannelDriver
from parity.conftest import SharedPeer
from parity.endings import access_refused, not_found, refusal
from parity.peers import Peers

USER = "parity-limited"
STRANGER = "parity-stranger"
PASSWORD = "secret"
PATTERNS = {"configure": "^(all|configure)-", "write": "^(all|write)-", "read": "^(all|read)-"}
"""What the user may do shows in the first word of a name."""

WORDS = ("configure", "write", "read", "none")
CONTROLLED = [each for each in BROKERS if each.installation or each.emulate]


@pytest.fixture(scope="session", params=CONTROLLED or [NO_BROKER], ids=lambda choice: choice.label)
def broker(request: pytest.FixtureRequest, session_brokers: SessionBrokers) -> RunningBroker:
    """Return each broker in turn whose users we may change, with two of our own."""
    choice: BrokerChoice = request.param
    broker = running(choice, session_brokers)
    if broker.embedded is not None:
        permissions = {"/": Permission(**PATTERNS)}
        limited = new_user(USER, PASSWORD, permissions=permissions)
        stranger = new_user(STRANGER, PASSWORD, permissions={})
        for user in (limited, stranger):
            broker.embedded.call(partial(add, user))
    elif broker.rabbitmq is not None:
        let_in(Api(broker.rabbitmq.management_url))
    return broker


def let_in(api: Api) -> None:
    """Have both users in a RabbitMQ, which may have them from another module of the session."""
    for user in (USER, STRANGER):
        reply = api.request("PUT", f"/users/{user}", {"password": PASSWORD, "tags": ""})
        assert reply.status in {201, 204}, reply
    reply = api.request("PUT", f"/permissions/%2F/{USER}", PATTERNS)
    assert reply.status in {201, 204}, reply


def add(user: User, broker: Broker) -> None:
    """Let somebody in."""
    broker.state.access.set(user)


def url_of(user: str, url: str) -> str:
    """Return the address with other credentials."""
    return url.replace("guest:guest@", f"{user}:{PASSWORD}@")


@pytest.fixture(scope="module")
async def shared_limited(broker: RunningBroker) -> AsyncIterator[SharedPeer]:
    """Return the limited user's connection."""
    shared = SharedPeer(url_of(USER, broker.url))
    yield shared
    await shared.close()


@pytest.fixture
async def limited(shared_limited: SharedPeer, channel: ChannelDriver) -> ChannelDriver:
    """Return a channel of the limited user."""
    return await (await shared_limited.get()).channel()


def refused(release: str, access: str, what: str) -> tuple[str, int, str]:
    """Return the answer to a request that is not permitted."""
    kind = "" if release == "3.10" else f"{access} "
    return access_refused(f"{kind}access to {what} in vhost '/' refused for user '{USER}'")


Request = Callable[[ChannelDriver, str], Coroutine[Any, Any, object]]


async def publish(channel: ChannelDriver, exchange: str) -> None:
    """Publish and wait for the confirm."""
    await channel.confirm()
    await channel.put(exchange=exchange)


def dead_letters(exchange: str) -> FieldTable:
    """Return the arguments of a queue that passes on what it drops."""
    return {"x-dead-letter-exchange": exchange}


REQUESTS: dict[str, tuple[str, str, Request]] = {
    "declare a queue": ("configure", "queue", lambda c, q: c.declare(q)),
    "delete a queue": ("configure", "queue", lambda c, q: c.delete(q)),
    "purge": ("read", "queue", lambda c, q: c.purge(q)),
    "get": ("read", "queue", lambda c, q: c.get(q)),
    "consume": ("read", "queue", lambda c, q: c.consume(q)),
    "bind a queue": ("write", "queue", lambda c, q: c.bind(q, "all-exchange", "key")),
    "unbind a queue": ("write", "queue", lambda c, q: c.unbind(q, "all-exchange", "key")),
    "bind to an exchange": ("read", "exchange", lambda c, e: c.bind("all-queue", e, "key")),
    "unbind from an exchange": ("read", "exchange", lambda c, e: c.unbind("all-queue", e, "key")),
    "declare an exchange": ("configure", "exchange", lambda c, e: c.exchange(e)),
    "delete an exchange": ("configure", "exchange", lambda c, e: c.delete_exchange(e)),
    "bind an exchange": ("write", "exchange", lambda c, e: c.bind_exchange(e, "all-exchange")),
    "bind behind an exchange": (
        "read",
        "exchange",
        lambda c, e: c.bind_exchange("all-exchange", e),
    ),
    "unbind an exchange": ("write", "exchange", lambda c, e: c.unbind_exchange(e, "all-exchange")),
    "publish": ("write", "exchange", publish),
    "dead-letter to an exchange": (
        "write",
        "exchange",
        lambda c, e: c.declare(f"all-{e}", arguments=dead_letters(e)),
    ),
    "name an alternate exchange": (
        "write",
        "exchange",
        lambda c, e: c.exchange(f"all-{e}", arguments={"alternate-exchange": e}),
    ),
}


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("request_name", REQUESTS)
async def test_a_request_asks_for_one_permission(
    channel: ChannelDriver, limited: ChannelDriver, release: str, request_name: str, word: str
) -> None:
    access, kind, ask = REQUESTS[request_name]
    subject = f"{word}-{kind}"
    for name in ("all", word):
        await channel.declare(f"{name}-queue")
        await channel.exchange(f"{name}-exchange")
    if word == access:
        await ask(limited, subject)
        await limited.close()
        channel.peer.declared += limited.peer.forget_declared()
        return
    closed = await refusal(ask(limited, subject))
    limited.peer.forget_declared()
    assert closed.answer == refused(release, access, f"{kind} '{subject}'")


MISSING: dict[str, tuple[str, Request, tuple[str, int, str]]] = {
    "get": (
        "read",
        lambda c, word: c.get(f"{word}-missing"),
        not_found("no queue 'read-missing' in vhost '/'"),
    ),
    "publish": (
        "write",
        lambda c, word: publish(c, f"{word}-missing"),
        not_found("no exchange 'write-missing' in vhost '/'"),
    ),
}


@pytest.mark.parametrize("request_name", MISSING)
async def test_permission_is_asked_before_existence(
    limited: ChannelDriver, release: str, request_name: str
) -> None:
    access, ask, missing = MISSING[request_name]
    assert (await refusal(ask(limited, access))).answer == missing
    again = await limited.peer.channel()
    closed = await refusal(ask(again, "none"))
    kind = "queue" if request_name == "get" else "exchange"
    assert closed.answer == refused(release, access, f"{kind} 'none-missing'")


async def test_the_default_exchange_has_a_name_here(limited: ChannelDriver, release: str) -> None:
    closed = await refusal(publish(limited, ""))
    assert closed.answer == refused(release, "write", "exchange 'amq.default'")


async def test_a_queue_that_the_broker_names_is_to_be_configured(
    limited: ChannelDriver, release: str
) -> None:
    closed = await refusal(limited.declare(exclusive=True))
    limited.peer.forget_declared()
    before, _, after = refused(release, "configure", "queue '|'")[2].partition("|")
    assert closed.code == 403
    assert closed.text.startswith(f"{before}amq.gen-")
    assert closed.text.endswith(after)


@pytest.mark.parametrize("word", [*WORDS, "all"])
@pytest.mark.parametrize("kind", ["queue", "exchange"])
async def test_a_passive_declare_asks_for_any_permission_since_4_3(
    channel: ChannelDriver, limited: ChannelDriver, release: str, word: str, kind: str
) -> None:
    name = f"{word}-{kind}"
    if kind == "queue":
        await channel.declare(name)
        request: Coroutine[Any, Any, object] = limited.declare(name, passive=True)
    else:
        await channel.exchange(name)
        request = limited.exchange(name, passive=True)
    if word == "none" and release == "4.3":
        closed = await refusal(request)
        assert closed.answer == refused(release, "configure", f"{kind} '{name}'")
    else:
        await request
    limited.peer.forget_declared()


async def test_permissions_are_the_users_of_the_connection(
    channel: ChannelDriver, limited: ChannelDriver
) -> None:
    await channel.declare("none-queue")
    await channel.confirm()
    channel.publish(routing_key="none-queue", mandatory=True)
    await channel.next(Ack)


# --- virtual hosts -----------------------------------------------------------------------------


async def test_a_virtual_host_is_closed_to_those_without_permissions(peers: Peers) -> None:
    peer = await peers.dial(url_of(STRANGER, peers.url))
    closed = await refusal(peer.handshake())
    assert closed.answer == (
        "connection",
        530,
        f"NOT_ALLOWED - access to vhost '/' refused for user '{STRANGER}'",
    )
    assert closed.blamed == (10, 40)


async def test_a_virtual_host_has_to_exist_first(peers: Peers) -> None:
    peer = await peers.dial(url_of(STRANGER, peers.url))
    closed = await refusal(peer.handshake(vhost="no-such-host"))
    assert closed.text == "NOT_ALLOWED - vhost no-such-host not found"
