"""What each side brings to the handshake, and what both agreed on."""

from dataclasses import dataclass, field
from typing import Final

from pamqp.commands import Connection

from hopmq.core.sasl import Credentials, check_mechanisms, initial_response
from hopmq.typedefs import FieldTable
from hopmq.values import Value
from hopmq.wire import active, new_method
from hopmq.wire.limits import (
    DEFAULT_FRAME_MAX,
    DEFAULT_MAX_MESSAGE_SIZE,
    FRAME_MIN_SIZE,
    MAX_CHANNEL,
)

CLIENT_CAPABILITIES: Final[dict[str, bool]] = {
    "publisher_confirms": True,
    "exchange_exchange_bindings": True,
    "basic.nack": True,
    "consumer_cancel_notify": True,
    "connection.blocked": True,
    "consumer_priorities": True,
    "authentication_failure_close": True,
    "per_consumer_qos": True,
}


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class Tuning(Value):
    """The limits of a connection (AMQP 0-9-1, connection.tune); 0 means no limit of one's own.

    Attributes:
        channel_max: Highest channel id.
        frame_max: Largest frame in bytes, 4096 at least.
        heartbeat: Interval in seconds; 0 turns heartbeats off.
    """

    channel_max: int = 2047
    frame_max: int = DEFAULT_FRAME_MAX
    heartbeat: int = 60


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class ClientSettings(Value):
    """What a client brings: who it is, where it wants to go, and its limits."""

    credentials: Credentials
    virtual_host: str = "/"
    mechanisms: tuple[str, ...] = ("PLAIN", "AMQPLAIN")
    properties: FieldTable = field(default_factory=dict)
    tuning: Tuning = field(default_factory=Tuning)
    max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE
    close_timeout: float = 5.0

    def __post_init__(self) -> None:
        """Refuse here what could not be sent in the middle of the handshake."""
        frame_max = self.tuning.frame_max or DEFAULT_FRAME_MAX
        active.encode_method(0, self.open(), FRAME_MIN_SIZE)
        for mechanism in check_mechanisms(self.mechanisms):
            active.encode_method(0, self.start_ok(mechanism), frame_max)

    def start_ok(self, mechanism: str) -> Connection.StartOk:
        """Return how this client presents itself."""
        return new_method(
            Connection.StartOk,
            client_properties=self.properties,
            mechanism=mechanism,
            response=initial_response(mechanism, self.credentials),
            locale="en_US",
        )

    def open(self) -> Connection.Open:
        """Return the request for the virtual host."""
        return new_method(Connection.Open, virtual_host=self.virtual_host)


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class ServerSettings(Value):
    """What a server brings: what it is, how it authenticates, and its limits.

    Attributes:
        properties: What it says of itself.
        mechanisms: SASL mechanisms that it offers.
        tuning: The limits that it offers.
        frame_min: Smallest frame_max that a client may choose, and the limit before tuning.
        max_message_size: Largest body taken, in bytes.
        counts_bodies: Whether a body that goes beyond its announced size is told at once, as
            RabbitMQ does since 4.3, and not at the next frame.
        counter_offer: Protocol header that answers peers who speak no AMQP 0-9 at all.
        also_spoken: Protocol headers that are taken for that of AMQP 0-9-1.
        close_timeout: Seconds that a client has to answer a close.
        handshake_timeout: Seconds that a client has to open its connection.
        silent_close_delay: Seconds before a client that makes a mistake in the handshake is
            hung up on, so that guessing passwords takes time.
    """

    properties: FieldTable = field(default_factory=dict)
    mechanisms: tuple[str, ...] = ("PLAIN", "AMQPLAIN")
    tuning: Tuning = field(default_factory=Tuning)
    frame_min: int = FRAME_MIN_SIZE
    max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE
    counts_bodies: bool = True
    counter_offer: bytes = active.PROTOCOL_HEADER
    also_spoken: tuple[bytes, ...] = (b"AMQP\1\1\0\x09",)
    close_timeout: float = 5.0
    handshake_timeout: float = 10.0
    silent_close_delay: float = 0.0


def negotiate(ours: Tuning, theirs: Tuning) -> Tuning | str:
    """Return the lower of both sides' limits, or why the peer's cannot be accepted.

    Where neither side sets one, they are AMQP's highest channel and RabbitMQ's own frame_max.
    """
    if 0 < theirs.frame_max < FRAME_MIN_SIZE:
        return f"frame_max {theirs.frame_max} is below the minimum of {FRAME_MIN_SIZE}"
    return Tuning(
        channel_max=_lower(ours.channel_max, theirs.channel_max) or MAX_CHANNEL,
        frame_max=_lower(ours.frame_max, theirs.frame_max) or DEFAULT_FRAME_MAX,
        # We may switch heartbeats off; a peer that suggests none leaves the choice to us.
        heartbeat=_lower(ours.heartbeat, theirs.heartbeat) if ours.heartbeat else 0,
    )


def _lower(ours: int, theirs: int) -> int:
    """Return the lower limit, where 0 stands for none."""
    if not ours or not theirs:
        return ours or theirs
    return min(ours, theirs)
