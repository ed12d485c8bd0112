"""Where the releases of RabbitMQ differ in what a client sees."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from hopmq.errors import UsageError

Release: TypeAlias = Literal["3.10", "4.0", "4.3"]

RELEASES: Final[tuple[Release, ...]] = get_args(Release)


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulation:
    """What one release does; the fields are the differences.

    Attributes:
        release: The release's number, as asked for.
        version: The exact release that the behaviour was compared with.
        max_message_size: Largest body taken, in bytes.
        frame_min: Smallest frame_max that a client may choose.
        counts_bodies: Whether a body longer than announced is told at once.
        counter_offer: Protocol header that answers what is no AMQP 0-9.
        also_spoken: Protocol headers that are taken for that of AMQP 0-9-1.
        names_operations: Whether a refusal names the permission that is missing.
        hides_from_strangers: Whether a passive declaration asks for any permission at all.
        checks_delivery_modes: Whether a delivery mode has to be 1 or 2.
        rewrites_expirations: Whether an expiration is delivered as the number that it was read as.
        log_exchange: Whether the virtual host / has the exchange amq.rabbitmq.log.
        message_containers: Dead-lettering and headers as RabbitMQ writes them since 4.0.
        default_delivery_limit: Deliveries of a quorum queue without a limit of its own, or None.
        global_prefetch: Whether `basic.qos` with `global` is for the channel rather than each consumer.
        nack_counts: Whether a nack counts against a quorum queue's delivery limit, as a reject does.
        timeout_cancels: Whether a delivery acknowledgement timeout on a quorum queue cancels the
            consumer rather than closing its channel.
        delayed_retry: Whether quorum queues know `x-delayed-retry-type`.
        quorum_priorities: Levels of priority that a quorum queue has; 1 for none.
        strict_priorities: Whether a quorum queue serves higher priorities first, always.
        levels_expire: Whether each priority of a quorum queue expires at a head of its own, and what came
            back at another, rather than at the one head of the queue.
        exchanges_survive: Whether exchanges outlive a restart though they are not durable; and
            whether auto-delete ones, durable or not, do not when it took their last binding.
        past_follows: Whether a dead message's next queue knows that it was delivered before:
            nowhere, between quorum queues, or everywhere.
        property_bytes: Whether the bytes of a quorum queue are those of properties, too.
        rising_consumers: Whether the active consumer of a quorum queue makes way for one of a
            higher priority.
        stream_filters: Whether streams filter for their consumers.
        checks_offsets: Whether any text that is no offset in a stream is refused as such.
        stream_nacks: Whether a nack to a stream is as good as an ack.
        volatile_queues: Whether an address of direct reply-to is as good as a queue.
        queue_timeouts: Whether queues have delivery acknowledgement timeouts of their own.
        default_queue_types: Whether the kind of queue that a virtual host has by default counts.
        policies_by_kind: Whether a policy may be for one kind of queue alone.
        api_quotes_amqp: Whether the management API says in AMQP's words that an exchange or a queue is
            missing.
        api_hides_vhosts: Whether the management API denies that a virtual host exists to whom it is not
            open.
        api_escapes: Whether the management API escapes in its reasons what a browser might take for markup.
        api_version: Whether the management API has a resource for the version alone.
        api_queue_types: Whether the management API shows the kind of every queue among its arguments.
        api_timeouts: Whether the management API shows the delivery acknowledgement timeout of consumers.
        api_lists_missing: Whether the management API lists the protocol that has no listener, rather than
            naming it.
    """

    release: Release
    version: str
    max_message_size: int
    frame_min: int
    counts_bodies: bool
    counter_offer: bytes
    also_spoken: tuple[bytes, ...]
    names_operations: bool
    log_exchange: bool
    hides_from_strangers: bool
    checks_delivery_modes: bool
    rewrites_expirations: bool
    message_containers: bool
    default_delivery_limit: int | None
    global_prefetch: bool
    nack_counts: bool
    timeout_cancels: bool
    delayed_retry: bool
    quorum_priorities: int
    strict_priorities: bool
    levels_expire: bool
    exchanges_survive: bool
    past_follows: Literal["nowhere", "quorum", "everywhere"]
    property_bytes: bool
    rising_consumers: bool
    stream_filters: bool
    checks_offsets: bool
    stream_nacks: bool
    volatile_queues: bool
    queue_timeouts: bool
    default_queue_types: bool
    policies_by_kind: bool
    api_quotes_amqp: bool
    api_hides_vhosts: bool
    api_escapes: bool
    api_version: bool
    api_queue_types: bool
    api_timeouts: bool
    api_lists_missing: bool


_AMQP_0_9_1: Final = b"AMQP\0\0\x09\1"
_AMQP_1_0_SASL: Final = b"AMQP\3\1\0\0"

_EMULATIONS: Final[dict[str, Emulation]] = {
    "3.10": Emulation(
        release="3.10",
        version="3.10.8",
        max_message_size=128 * 1024 * 1024,
        frame_min=4096,
        counts_bodies=False,
        counter_offer=_AMQP_0_9_1,
        also_spoken=(b"AMQP\1\1\0\x09", b"AMQP\1\1\x08\0"),
        names_operations=False,
        hides_from_strangers=False,
        checks_delivery_modes=True,
        rewrites_expirations=False,
        log_exchange=False,
        message_containers=False,
        default_delivery_limit=None,
        global_prefetch=True,
        nack_counts=True,
        timeout_cancels=False,
        delayed_retry=False,
        quorum_priorities=1,
        strict_priorities=False,
        levels_expire=False,
        exchanges_survive=False,
        past_follows="nowhere",
        property_bytes=False,
        rising_consumers=False,
        stream_filters=False,
        checks_offsets=False,
        stream_nacks=False,
        volatile_queues=False,
        queue_timeouts=False,
        default_queue_types=False,
        policies_by_kind=False,
        api_quotes_amqp=True,
        api_hides_vhosts=False,
        api_escapes=True,
        api_version=False,
        api_queue_types=False,
        api_timeouts=False,
        api_lists_missing=False,
    ),
    "4.0": Emulation(
        release="4.0",
        version="4.0.5",
        max_message_size=16 * 1024 * 1024,
        frame_min=4096,
        counts_bodies=False,
        counter_offer=_AMQP_1_0_SASL,
        also_spoken=(b"AMQP\1\1\0\x09",),
        names_operations=True,
        hides_from_strangers=False,
        checks_delivery_modes=False,
        rewrites_expirations=True,
        log_exchange=False,
        message_containers=True,
        default_delivery_limit=20,
        global_prefetch=True,
        nack_counts=True,
        timeout_cancels=False,
        delayed_retry=False,
        quorum_priorities=2,
        strict_priorities=False,
        levels_expire=False,
        exchanges_survive=False,
        past_follows="quorum",
        property_bytes=False,
        rising_consumers=True,
        stream_filters=True,
        checks_offsets=False,
        stream_nacks=True,
        volatile_queues=False,
        queue_timeouts=True,
        default_queue_types=True,
        policies_by_kind=True,
        api_quotes_amqp=False,
        api_hides_vhosts=False,
        api_escapes=True,
        api_version=True,
        api_queue_types=True,
        api_timeouts=True,
        api_lists_missing=False,
    ),
    "4.3": Emulation(
        release="4.3",
        version="4.3.6",
        max_message_size=16 * 1024 * 1024,
        frame_min=8192,
        counts_bodies=True,
        counter_offer=_AMQP_1_0_SASL,
        also_spoken=(b"AMQP\1\1\0\x09",),
        names_operations=True,
        hides_from_strangers=True,
        checks_delivery_modes=False,
        rewrites_expirations=True,
        log_exchange=True,
        message_containers=True,
        default_delivery_limit=20,
        global_prefetch=False,
        nack_counts=False,
        timeout_cancels=True,
        delayed_retry=True,
        quorum_priorities=32,
        strict_priorities=True,
        levels_expire=True,
        exchanges_survive=True,
        past_follows="everywhere",
        property_bytes=True,
        rising_consumers=True,
        stream_filters=True,
        checks_offsets=True,
        stream_nacks=True,
        volatile_queues=True,
        queue_timeouts=True,
        default_queue_types=True,
        policies_by_kind=True,
        api_quotes_amqp=False,
        api_hides_vhosts=True,
        api_escapes=False,
        api_version=True,
        api_queue_types=True,
        api_timeouts=True,
        api_lists_missing=True,
    ),
}

NEWEST: Final[Release] = "4.3"


def emulation_of(release: str) -> Emulation:
    """Return what `release` does.

    Raises:
        UsageError: It is none of those that can be emulated.
    """
    found = _EMULATIONS.get(release)
    if found is None:
        known = ", ".join(_EMULATIONS)
        raise UsageError(f"cannot emulate RabbitMQ {release!r}; known: {known}")
    return found
