"""Open connections: from URLs and options to a session that is ready."""

import asyncio
import logging
import os
import platform
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hopmq import wire
from hopmq._version import __version__
from hopmq.client.connect_options import ConnectOptions, check_tuning, check_urls
from hopmq.client.connection import Connection
from hopmq.client.message import message_types
from hopmq.client.opening import Opening
from hopmq.client.session import Session
from hopmq.core.connection import ConnectionCore
from hopmq.core.sasl import Credentials, check_mechanisms
from hopmq.core.settings import CLIENT_CAPABILITIES, ClientSettings, Tuning
from hopmq.errors import ConnectError, ConnectTimeoutError, HopMQError, UsageError
from hopmq.transport.dial import Target, dial
from hopmq.transport.tls import client_context
from hopmq.typedefs import FieldTable
from hopmq.url import DEFAULT_URL, Endpoint, parse_url
from hopmq.wire.limits import DEFAULT_FRAME_MAX, DEFAULT_MAX_MESSAGE_SIZE

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("hopmq.connection")

_DEFAULT_MECHANISMS = ("PLAIN", "AMQPLAIN")


@dataclass(slots=True, frozen=True, kw_only=True)
class Plan:
    """One attempt: where to, as whom, and for how long."""

    address: str
    name: str
    target: Target
    settings: ClientSettings
    connect_timeout: float


def connect(
    urls: str | Sequence[str] = DEFAULT_URL,
    *,
    name: str | None = None,
    username: str | None = None,
    password: str | None = None,
    vhost: str | None = None,
    heartbeat: int | None = None,
    frame_max: int | None = None,
    channel_max: int | None = None,
    connect_timeout: float | None = None,
    request_timeout: float = 30.0,
    publish_timeout: float = 30.0,
    ssl_context: ssl.SSLContext | None = None,
    auth_mechanisms: Sequence[str] | None = None,
    client_properties: FieldTable | None = None,
    max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE,
    max_unread_size: int = 64 * 1024 * 1024,
) -> Opening[Connection]:
    """Connect to a broker: `await` it, or use it as `async with`.

    Args:
        urls: One URL, or several that are tried in order. `amqp://user:password@host:port/vhost`,
            `amqps://...`, `amqp+unix:///path?vhost=...`, or `memory://name/vhost` for the embedded
            broker of that name within this process and event loop, which is started if need be.
            With RabbitMQ's URI query parameters (cacertfile, certfile, keyfile, verify,
            server_name_indication, auth_mechanism, heartbeat, connection_timeout in milliseconds,
            channel_max, frame_max) and `name`. Both no path and `/` mean virtual host `/`; others are percent-encoded.
        name: What the broker shows for this connection; host, program and process by default.
        username: Overrides the URL's; guest by default.
        password: Overrides the URL's; guest by default.
        vhost: Overrides the URL's.
        heartbeat: Seconds; the lower of both sides holds, 0 turns heartbeats off. Default 60.
        frame_max: Bytes of the largest frame; the lower of both sides holds.
        channel_max: Number of channels; the lower of both sides holds. Default 2047.
        connect_timeout: Seconds for each URL, from the DNS query to open-ok. Default 10.
        request_timeout: Seconds the broker has to answer a request.
        publish_timeout: Seconds a publish may take, unless it says otherwise.
        ssl_context: Used for amqps URLs instead of what their parameters describe.
        auth_mechanisms: SASL mechanisms in order of preference: PLAIN, AMQPLAIN, EXTERNAL.
        client_properties: Shown by the broker beside our own.
        max_message_size: Bytes of the largest message body accepted from the broker.
        max_unread_size: Bytes of messages that may wait unread before the socket is left unread.

    Raises:
        UsageError: A URL or an option is not valid.
        AuthenticationError: The credentials were refused.
        VhostNotFoundError: The virtual host does not exist, or is not for this user.
        ConnectTimeoutError: No connection within `connect_timeout`.
        HandshakeError: The peer does not speak AMQP 0-9-1.
        ConnectError: Any other reason. With several URLs, the last one's error is raised and
            the message names all.
    """
    options = ConnectOptions(
        name=name,
        username=username,
        password=password,
        vhost=vhost,
        heartbeat=heartbeat,
        frame_max=frame_max,
        channel_max=channel_max,
        connect_timeout=connect_timeout,
        request_timeout=request_timeout,
        publish_timeout=publish_timeout,
        ssl_context=ssl_context,
        auth_mechanisms=auth_mechanisms,
        client_properties=client_properties or {},
        max_message_size=max_message_size,
        max_unread_size=max_unread_size,
    )
    plans = [plan(parse_url(url), options) for url in check_urls(urls)]
    return Opening(lambda: _connect_to_any(plans, options))


def plan(endpoint: Endpoint, options: ConnectOptions) -> Plan:
    """Combine a URL with the options; options win."""
    numbers = endpoint.numbers
    name = options.name or endpoint.texts.get("name") or _default_name()
    mechanisms = _first(options.auth_mechanisms, endpoint.mechanisms or None, _DEFAULT_MECHANISMS)
    tuning = Tuning(
        heartbeat=_first(options.heartbeat, numbers.get("heartbeat"), 60),
        frame_max=_first(options.frame_max, numbers.get("frame_max"), DEFAULT_FRAME_MAX),
        channel_max=_first(options.channel_max, numbers.get("channel_max"), 2047),
    )
    check_tuning(tuning)
    settings = ClientSettings(
        credentials=Credentials(
            _first(options.username, endpoint.username, "guest"),
            _first(options.password, endpoint.password, "guest"),
        ),
        virtual_host=_first(options.vhost, endpoint.vhost, "/"),
        mechanisms=check_mechanisms(tuple(mechanisms)),
        properties=_client_properties(name, options.client_properties),
        tuning=tuning,
        max_message_size=options.max_message_size,
    )
    milliseconds = numbers.get("connection_timeout")
    if milliseconds == 0:
        raise UsageError("URL parameter connection_timeout is at least 1 millisecond")
    seconds = 10.0 if milliseconds is None else milliseconds / 1000
    return Plan(
        address=endpoint.address,
        name=name,
        target=_target(endpoint, options),
        settings=settings,
        connect_timeout=_first(options.connect_timeout, None, seconds),
    )


async def _connect_to_any(plans: list[Plan], options: ConnectOptions) -> Connection:
    failures: list[HopMQError] = []
    for attempt in plans:
        try:
            return await _connect(attempt, options)
        except ConnectError as error:
            logger.info("%s: cannot connect: %s", attempt.address, error)
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    tried = "; ".join(
        f"{attempt.address}: {error}" for attempt, error in zip(plans, failures, strict=True)
    )
    raise type(failures[-1])(
        f"none of {len(plans)} brokers could be reached: {tried}"
    ) from failures[-1]


async def _connect(attempt: Plan, options: ConnectOptions) -> Connection:
    loop = asyncio.get_running_loop()
    delivered, fetched = message_types(wire.active)
    core = ConnectionCore(
        attempt.settings,
        loop.time(),
        codec=wire.active,
        delivery_type=delivered,
        fetched_type=fetched,
    )
    session = Session(
        core,
        loop,
        f"{attempt.name} ({attempt.target})",
        options.request_timeout,
        options.max_unread_size,
    )
    try:
        async with asyncio.timeout(attempt.connect_timeout):
            await dial(attempt.target, session.link)
            await session.opened
    except TimeoutError:
        session.abandon()
        raise ConnectTimeoutError(
            f"{attempt.address}: not open within {attempt.connect_timeout:g} seconds; the peer is "
            "unreachable, overloaded, or does not speak AMQP"
        ) from None
    except BaseException:
        session.abandon()
        raise
    connection = Connection(session, attempt.name, options.publish_timeout)
    logger.info("%s: connected to %s %s", session.label, connection.product, connection.version)
    return connection


def _target(endpoint: Endpoint, options: ConnectOptions) -> Target:
    context = client_context(endpoint)
    if options.ssl_context is not None:
        if not endpoint.tls:
            raise UsageError(f"{endpoint.address} is not encrypted: an ssl_context needs amqps://")
        context = options.ssl_context
    return Target(
        host=endpoint.host,
        port=endpoint.port,
        path=endpoint.path,
        memory=endpoint.memory,
        tls=context,
        server_hostname=endpoint.texts.get("server_name_indication"),
    )


def _client_properties(name: str, given: FieldTable) -> FieldTable:
    table = {
        "product": "HopMQ",
        "version": __version__,
        "platform": f"{platform.python_implementation()} {platform.python_version()}",
        "connection_name": name,
        **given,
        "capabilities": dict(CLIENT_CAPABILITIES),
    }
    wire.active.encode_table(table)  # refuse here what cannot be sent later
    return table


def _default_name() -> str:
    program = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    return f"{platform.node()}:{program}:{os.getpid()}"


def _first(option: T | None, from_url: T | None, default: T) -> T:
    if option is not None:
        return option
    return default if from_url is None else from_url
