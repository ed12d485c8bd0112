"""Open links: from URLs and options to one whose handshake is complete."""

import asyncio
import logging
import os
import socket
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeVar

from hopmq import wire
from hopmq._version import __version__
from hopmq.client.connect_options import ConnectOptions, check_tuning
from hopmq.client.message import message_types
from hopmq.client.new_link import NewLink
from hopmq.core.connection import ConnectionCore
from hopmq.core.sasl import Credentials, check_mechanisms
from hopmq.core.settings import CLIENT_CAPABILITIES, ClientSettings, Tuning
from hopmq.errors import ConnectTimeoutError, UsageError
from hopmq.transport.dial import Target, dial
from hopmq.transport.tls import client_context
from hopmq.typedefs import FieldTable
from hopmq.url import Endpoint
from hopmq.values import Value
from hopmq.wire.limits import DEFAULT_FRAME_MAX

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("hopmq.connection")

_INTERPRETERS: Final = {"cpython": "CPython", "pypy": "PyPy"}
_NAME: Final = sys.implementation.name
_PLATFORM: Final = f"{_INTERPRETERS.get(_NAME, _NAME)} {sys.version.split()[0]}"
_DEFAULT_MECHANISMS = ("PLAIN", "AMQPLAIN")


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class Plan(Value):
    """One attempt: where to, as whom, and for how long."""

    address: str
    name: str
    target: Target
    settings: ClientSettings
    connect_timeout: float


def plan(endpoint: Endpoint, options: ConnectOptions) -> Plan:
    """Combine a URL with the options; options win."""
    numbers = endpoint.numbers
    name = options.name or endpoint.texts.get("name") or default_name()
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


async def open_link(attempt: Plan) -> NewLink:
    """Try one broker.

    Raises:
        ConnectError: It did not come about.
    """
    loop = asyncio.get_running_loop()
    delivered, fetched = message_types(wire.active)
    core = ConnectionCore(
        attempt.settings,
        loop.time(),
        codec=wire.active,
        delivery_type=delivered,
        fetched_type=fetched,
    )
    new_link = NewLink(core, loop, f"{attempt.name} ({attempt.target})")
    try:
        async with asyncio.timeout(attempt.connect_timeout):
            await dial(attempt.target, new_link.link)
            await new_link.opened
    except TimeoutError:
        new_link.abandon()
        raise ConnectTimeoutError(
            f"{attempt.address}: not open within {attempt.connect_timeout:g} seconds; the peer is "
            "unreachable, overloaded, or does not speak AMQP"
        ) from None
    except BaseException:
        new_link.abandon()
        raise
    return new_link


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
        "platform": _PLATFORM,
        "connection_name": name,
        **given,
        "capabilities": CLIENT_CAPABILITIES,
    }
    wire.active.encode_table(table)  # refuse here what cannot be sent later
    return table


def default_name() -> str:
    """Name a connection by host, program and process."""
    return _name_of(socket.gethostname(), sys.argv[0] if sys.argv else "", os.getpid())


@lru_cache(maxsize=1)
def _name_of(host: str, program: str, pid: int) -> str:
    # pathlib would take longer to load than any module of this package.
    return f"{host}:{os.path.basename(program) or 'python'}:{pid}"  # noqa: PTH119


def _first(option: T | None, from_url: T | None, default: T) -> T:
    if option is not None:
        return option
    return default if from_url is None else from_url
