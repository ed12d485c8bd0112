"""No password, and nothing made from one, in any log line, repr or error, whatever happens."""

import asyncio
import base64
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest
from pamqp.commands import Connection

import hopmq
from hopmq.client.connect_options import ConnectOptions
from hopmq.client.dialing import plan
from hopmq.core.sasl import MECHANISMS, Credentials
from hopmq.errors import HopMQError
from hopmq.testing import RabbitMQ
from hopmq.testing.certificates import Certificates
from hopmq.url import parse_url
from hopmq.wire import new_method
from scripted import frames
from scripted.server import ScriptedServer

from .ends import soon, start, turns
from .handshakes import STEPS, closing

USER = "carol"
SECRET = "hunter2/ü:s3cret@x"  # needs percent-encoding, and is no ASCII
FRESH = "fresh-t0ken-9000"
KEY_PASSWORD = "k3y-passw0rd"


def forms(secret: str) -> Iterator[str]:
    """List what would give a secret away."""
    raw = secret.encode()
    responses = [make(Credentials(USER, secret)) for make in MECHANISMS.values()]
    yield secret
    yield quote(secret, safe="")
    yield repr(raw)[2:-1]
    yield raw.hex()
    for data in [raw, *responses]:
        if data:
            yield base64.b64encode(data).decode()
            yield base64.urlsafe_b64encode(data).decode()


FORBIDDEN = [form for secret in (SECRET, FRESH, KEY_PASSWORD) for form in forms(secret)]


@dataclass(slots=True)
class Evidence:
    """Everything that a program or its operator may get to see."""

    texts: list[str] = field(default_factory=list)

    def show(self, *things: object) -> None:
        """Take down how things present themselves."""
        for thing in things:
            self.texts += [repr(thing), str(thing)]

    def raised(self, error: BaseException) -> None:
        """Take down an error with all that led to it, unless it says to leave that out."""
        self.texts += traceback.format_exception(error)
        seen: set[int] = set()
        chain: list[BaseException | None] = [error]
        while chain:
            link = chain.pop()
            if link is not None and id(link) not in seen:
                seen.add(id(link))
                self.show(link, link.args, vars(link))
                context = None if link.__suppress_context__ else link.__context__
                chain += [link.__cause__, context]

    def check(self) -> None:
        """Find nothing."""
        found = [text for text in self.texts for form in FORBIDDEN if form in text]
        assert found == []


class Witness(logging.Handler):
    """Takes down every log record, with its arguments and its traceback."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(logging.DEBUG)
        self.evidence = evidence

    def emit(self, record: logging.LogRecord) -> None:
        self.evidence.show(record.getMessage(), record.args)
        if record.exc_info and record.exc_info[1]:
            self.evidence.raised(record.exc_info[1])


@pytest.fixture
async def evidence() -> AsyncIterator[Evidence]:
    """Collect while the test runs, with everything logged that can be; then look at it."""
    found = Evidence()
    witness = Witness(found)
    loop = asyncio.get_running_loop()
    loggers = [logging.getLogger(name) for name in ("hopmq", "asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(witness)
        logger.setLevel(logging.DEBUG)
    loop.set_debug(True)
    yield found
    loop.set_debug(False)
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(witness)
        logger.setLevel(level)
    assert found.texts
    found.check()


def url_of(server: ScriptedServer, query: str = "") -> str:
    """Return a URL with the secret in it."""
    return f"amqp://{USER}:{quote(SECRET, safe='')}@127.0.0.1:{server.port}/{query}"


async def fails(evidence: Evidence, awaitable: Awaitable[object]) -> HopMQError:
    """Take down how something fails."""
    with pytest.raises(HopMQError) as raised:
        await soon(awaitable)
    evidence.raised(raised.value)
    return raised.value


# --- lifecycles --------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["PLAIN", "AMQPLAIN"])
async def test_a_life_without_trouble(
    server: ScriptedServer, evidence: Evidence, mechanism: str
) -> None:
    opening = hopmq.connect(url_of(server, f"?auth_mechanism={mechanism}"), name="quiet")
    evidence.show(opening)
    async with opening as connection:
        peer = await soon(server.peer())
        channel = await soon(connection.channel())
        info = await soon(channel.declare_queue("q"))
        handle = channel.publish_nowait(b"body", routing_key="q")
        receipt = await soon(handle)
        consumer = await soon(channel.consume("q"))
        peer.deliver(channel.number, consumer.consumer_tag, 1)
        message = await soon(anext(consumer))
        evidence.show(connection, channel, consumer, info, handle, receipt, message)
        evidence.show(message.properties, message.process(), message.ack())
        await soon(connection.update_secret(FRESH))
        session = connection._session
        evidence.show(session, session.core, session.link, session.core.settings, session.label)
        evidence.show(session.core.opening.handshake, asyncio.all_tasks())
    assert any("StartOk" in text for text in evidence.texts)
    assert any("UpdateSecret" in text for text in evidence.texts)


async def test_credentials_of_a_provider_that_are_renewed(
    server: ScriptedServer, evidence: Evidence
) -> None:
    passwords = [SECRET, FRESH]

    async def provide() -> hopmq.resilience.Credentials:
        if not passwords:
            raise OSError("the vault is sealed")
        given = hopmq.resilience.Credentials(
            username=USER, password=passwords.pop(0), expires_in=0.02
        )
        evidence.show(given)
        return given

    opening = hopmq.connect(f"amqp://127.0.0.1:{server.port}/", credentials=provide)
    evidence.show(opening)
    async with opening as connection:
        peer = await soon(server.peer())
        await soon(peer.receives("Connection.UpdateSecret"))
        evidence.show(connection, connection._session, asyncio.all_tasks())
        while not any("vault is sealed" in text for text in evidence.texts):
            await asyncio.sleep(0.01)
    assert any("StartOk" in text for text in evidence.texts)
    assert any("UpdateSecret" in text for text in evidence.texts)


def test_what_describes_a_connection_shows_no_secret() -> None:
    evidence = Evidence()
    url = f"amqps://{USER}:{quote(SECRET, safe='')}@localhost/?password={KEY_PASSWORD}"
    endpoint = parse_url(url)
    options = ConnectOptions(username=USER, password=SECRET)
    evidence.show(endpoint, endpoint.address, options, Credentials(USER, SECRET))
    evidence.show(plan(endpoint, options), plan(endpoint, options).settings)
    evidence.check()


BAD_URLS = [
    f"amqp://{USER}:{SECRET}@localhost",
    f"amqp://{USER}:{SECRET}@localhost:port",
    f"amqp://{USER}:{quote(SECRET, safe='')}@localhost:99999",
    f"amqp://{USER}:{quote(SECRET, safe='')}@[localhost",
    f"amqp://{USER}:{quote(SECRET, safe='')}@localhost/a/b",
    f"amqp://{USER}:{quote(SECRET, safe='')}@localhost?unknown=1",
    f"amqp://{USER}:{quote(SECRET, safe='')}@localhost?heartbeat=often",
    f"http://{USER}:{quote(SECRET, safe='')}@localhost",
    f"amqp+unix://{USER}:{quote(SECRET, safe='')}@",
    f"amqp://{USER}:{FRESH}/x@localhost",
    f"amqp://{USER}:{FRESH}?x@localhost",
    f"amqp://{USER}:{FRESH}#x@localhost",
    f"amqps://{USER}:{quote(SECRET, safe='')}@localhost?verify=maybe",
    f"amqps://localhost?cacertfile=/missing&password={KEY_PASSWORD}",
    f"{SECRET}",
]


@pytest.mark.parametrize("number", range(len(BAD_URLS)))
def test_a_url_that_is_not_valid_is_not_repeated(number: int) -> None:
    evidence = Evidence()
    with pytest.raises(hopmq.UsageError) as raised:
        hopmq.connect(BAD_URLS[number])
    evidence.raised(raised.value)
    evidence.check()


@pytest.mark.parametrize(
    "options",
    [
        {"password": SECRET + "\udc80"},
        {"password": SECRET * 10_000},
        {"password": SECRET, "vhost": "v" * 256},
        {"password": SECRET, "heartbeat": -1},
        {"password": SECRET, "client_properties": {"odd": object()}},
        {"password": SECRET, "auth_mechanisms": ["KERBEROS"]},
    ],
    ids=["surrogate", "too-long", "vhost", "heartbeat", "properties", "mechanism"],
)
@pytest.mark.parametrize("mechanism", ["PLAIN", "AMQPLAIN"])
def test_an_option_that_is_not_valid_gives_no_secret_away(
    options: dict[str, object], mechanism: str
) -> None:
    evidence = Evidence()
    with pytest.raises(hopmq.UsageError) as raised:
        hopmq.connect(**{"auth_mechanisms": [mechanism], "username": USER, **options})  # type: ignore[arg-type]
    evidence.raised(raised.value)
    evidence.check()


REFUSALS = {
    "silence": ("Connection.Tune", b""),
    "403": ("Connection.Tune", closing(403, "ACCESS_REFUSED")),
    "530": ("Connection.OpenOk", closing(530, "not found")),
    "541": ("Connection.OpenOk", closing(541, "failed")),
    "garbage": ("Connection.Tune", b"\x00" * 20),
    "challenge": (
        "Connection.Tune",
        frames.method(0, new_method(Connection.Secure, challenge="?")),
    ),
    "tune": ("Connection.Tune", frames.method(0, new_method(Connection.Tune, frame_max=1))),
}


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("mechanism", ["PLAIN", "AMQPLAIN"])
async def test_a_handshake_that_fails(
    server: ScriptedServer, evidence: Evidence, refusal: str, mechanism: str
) -> None:
    step, instead = REFUSALS[refusal]
    server.gate.replace(step, instead)
    url = url_of(server, f"?auth_mechanism={mechanism}&connection_timeout=100")
    await fails(evidence, hopmq.connect(url))
    await fails(evidence, hopmq.connect([url, url]))


@pytest.mark.parametrize("step", STEPS)
async def test_a_handshake_that_is_cut_or_cancelled(
    server: ScriptedServer, evidence: Evidence, step: str
) -> None:
    held = server.gate.hold(step)
    task = start(hopmq.connect(url_of(server)))
    await soon(held.reached())
    evidence.show(task)
    server.peers[0].reset()
    await fails(evidence, task)
    task = start(hopmq.connect(url_of(server)))
    await soon(held.reached(2))
    task.cancel()
    outcome = (await soon(asyncio.gather(task, return_exceptions=True)))[0]
    assert isinstance(outcome, asyncio.CancelledError)
    evidence.raised(outcome)


@pytest.mark.parametrize("host", ["127.0.0.1:1", "no-such-host.invalid:1", "a..b:1"])
@pytest.mark.parametrize("scheme", ["amqp", "amqps"])
async def test_a_host_that_is_not_there(evidence: Evidence, host: str, scheme: str) -> None:
    url = f"{scheme}://{USER}:{quote(SECRET, safe='')}@{host}/"
    await fails(evidence, hopmq.connect(url, connect_timeout=4))


async def test_tls_that_fails(
    server: ScriptedServer, evidence: Evidence, certificates: Certificates
) -> None:
    secret = quote(SECRET, safe="")
    url = f"amqps://{USER}:{secret}@localhost:{server.port}/"
    await fails(evidence, hopmq.connect(url))
    with pytest.raises(hopmq.UsageError) as raised:
        hopmq.connect(f"{url}?certfile={certificates.authority}&password={KEY_PASSWORD}")
    evidence.raised(raised.value)


async def test_a_connection_that_is_lost(server: ScriptedServer, evidence: Evidence) -> None:
    connection = await soon(hopmq.connect(url_of(server), recovery=None))
    peer = await soon(server.peer())
    channel = await soon(connection.channel())
    server.gate.drop("Basic.Ack")
    server.gate.drop("Connection.UpdateSecretOk")
    publish = start(channel.publish(b"lost", routing_key="q"))
    refresh = start(connection.update_secret(FRESH))
    await soon(peer.receives("Connection.UpdateSecret"))
    evidence.show(publish, refresh)
    peer.reset()
    await fails(evidence, publish)
    await fails(evidence, refresh)
    await fails(evidence, channel.get("q"))
    await fails(evidence, connection.update_secret(FRESH))
    evidence.raised(await soon(connection.wait_closed()))
    evidence.show(connection, channel)


async def test_a_secret_that_is_refused_or_cannot_be_sent(
    server: ScriptedServer, evidence: Evidence
) -> None:
    connection = await soon(hopmq.connect(url_of(server), recovery=None, request_timeout=0.05))
    peer = await soon(server.peer())
    await fails(evidence, connection.update_secret(FRESH + "\udc80"))
    await fails(evidence, connection.update_secret(FRESH * 100_000))
    await fails(evidence, connection.update_secret(FRESH, "\udc80"))
    server.gate.drop("Connection.UpdateSecretOk")
    await fails(evidence, connection.update_secret(FRESH))
    peer.close_connection(530, "NOT_ALLOWED")
    evidence.raised(await soon(connection.wait_closed()))
    await soon(connection.close())


async def test_a_broker_that_refuses_the_password(rabbitmq: RabbitMQ, evidence: Evidence) -> None:
    for mechanism in ("PLAIN", "AMQPLAIN"):
        url = rabbitmq.url.replace("guest:guest", f"{USER}:{quote(SECRET, safe='')}")
        error = await fails(evidence, hopmq.connect(url, auth_mechanisms=[mechanism]))
        assert type(error) is hopmq.AuthenticationError
    await turns()
