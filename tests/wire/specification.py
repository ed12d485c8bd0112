"""Every method of AMQP 0-9-1 and RabbitMQ's extensions, copied by hand from the documents.

Names follow pamqp, the project's vocabulary; reserved arguments keep their pre-0-9-1 names.
"""

from typing import Any, NamedTuple

from .reference import arguments, frame


class MethodSpec(NamedTuple):
    """One method: its numbers, its name and its arguments in wire order."""

    class_id: int
    method_id: int
    name: str
    fields: tuple[tuple[str, str], ...]

    def payload(self, values: dict[str, Any]) -> bytes:
        """Return the method frame's payload for these argument values."""
        kinds = [kind for _, kind in self.fields]
        numbers = self.class_id.to_bytes(2, "big") + self.method_id.to_bytes(2, "big")
        return numbers + arguments(kinds, [values[name] for name, _ in self.fields])

    def frame(self, channel: int, values: dict[str, Any]) -> bytes:
        """Return the whole method frame."""
        return frame(1, channel, self.payload(values))

    @property
    def channel(self) -> int:
        """A channel that the method may travel on."""
        return 0 if self.class_id == 10 else 1


_CLOSE = "reply_code short, reply_text shortstr, class_id short, method_id short"
_TUNE = "channel_max short, frame_max long, heartbeat short"
_BINDING = (
    "ticket short, destination shortstr, source shortstr, routing_key shortstr, "
    "nowait bit, arguments table"
)

_METHODS = (
    (10, 10, "Connection.Start", ("version_major octet, version_minor octet, "
     "server_properties table, mechanisms longstr, locales longstr")),
    (10, 11, "Connection.StartOk", ("client_properties table, mechanism shortstr, "
     "response longstr, locale shortstr")),
    (10, 20, "Connection.Secure", "challenge longstr"),
    (10, 21, "Connection.SecureOk", "response longstr"),
    (10, 30, "Connection.Tune", _TUNE),
    (10, 31, "Connection.TuneOk", _TUNE),
    (10, 40, "Connection.Open", "virtual_host shortstr, capabilities shortstr, insist bit"),
    (10, 41, "Connection.OpenOk", "known_hosts shortstr"),
    (10, 50, "Connection.Close", _CLOSE),
    (10, 51, "Connection.CloseOk", ""),
    (10, 60, "Connection.Blocked", "reason shortstr"),
    (10, 61, "Connection.Unblocked", ""),
    (10, 70, "Connection.UpdateSecret", "new_secret longstr, reason shortstr"),
    (10, 71, "Connection.UpdateSecretOk", ""),
    (20, 10, "Channel.Open", "out_of_band shortstr"),
    (20, 11, "Channel.OpenOk", "channel_id longstr"),
    (20, 20, "Channel.Flow", "active bit"),
    (20, 21, "Channel.FlowOk", "active bit"),
    (20, 40, "Channel.Close", _CLOSE),
    (20, 41, "Channel.CloseOk", ""),
    (40, 10, "Exchange.Declare", ("ticket short, exchange shortstr, exchange_type shortstr, "
     "passive bit, durable bit, auto_delete bit, internal bit, nowait bit, arguments table")),
    (40, 11, "Exchange.DeclareOk", ""),
    (40, 20, "Exchange.Delete", "ticket short, exchange shortstr, if_unused bit, nowait bit"),
    (40, 21, "Exchange.DeleteOk", ""),
    (40, 30, "Exchange.Bind", _BINDING),
    (40, 31, "Exchange.BindOk", ""),
    (40, 40, "Exchange.Unbind", _BINDING),
    (40, 51, "Exchange.UnbindOk", ""),
    (50, 10, "Queue.Declare", ("ticket short, queue shortstr, passive bit, durable bit, "
     "exclusive bit, auto_delete bit, nowait bit, arguments table")),
    (50, 11, "Queue.DeclareOk", "queue shortstr, message_count long, consumer_count long"),
    (50, 20, "Queue.Bind", ("ticket short, queue shortstr, exchange shortstr, "
     "routing_key shortstr, nowait bit, arguments table")),
    (50, 21, "Queue.BindOk", ""),
    (50, 30, "Queue.Purge", "ticket short, queue shortstr, nowait bit"),
    (50, 31, "Queue.PurgeOk", "message_count long"),
    (50, 40, "Queue.Delete", ("ticket short, queue shortstr, if_unused bit, if_empty bit, "
     "nowait bit")),
    (50, 41, "Queue.DeleteOk", "message_count long"),
    (50, 50, "Queue.Unbind", ("ticket short, queue shortstr, exchange shortstr, "
     "routing_key shortstr, arguments table")),
    (50, 51, "Queue.UnbindOk", ""),
    (60, 10, "Basic.Qos", "prefetch_size long, prefetch_count short, global_ bit"),
    (60, 11, "Basic.QosOk", ""),
    (60, 20, "Basic.Consume", ("ticket short, queue shortstr, consumer_tag shortstr, "
     "no_local bit, no_ack bit, exclusive bit, nowait bit, arguments table")),
    (60, 21, "Basic.ConsumeOk", "consumer_tag shortstr"),
    (60, 30, "Basic.Cancel", "consumer_tag shortstr, nowait bit"),
    (60, 31, "Basic.CancelOk", "consumer_tag shortstr"),
    (60, 40, "Basic.Publish", ("ticket short, exchange shortstr, routing_key shortstr, "
     "mandatory bit, immediate bit")),
    (60, 50, "Basic.Return", ("reply_code short, reply_text shortstr, exchange shortstr, "
     "routing_key shortstr")),
    (60, 60, "Basic.Deliver", ("consumer_tag shortstr, delivery_tag longlong, redelivered bit, "
     "exchange shortstr, routing_key shortstr")),
    (60, 70, "Basic.Get", "ticket short, queue shortstr, no_ack bit"),
    (60, 71, "Basic.GetOk", ("delivery_tag longlong, redelivered bit, exchange shortstr, "
     "routing_key shortstr, message_count long")),
    (60, 72, "Basic.GetEmpty", "cluster_id shortstr"),
    (60, 80, "Basic.Ack", "delivery_tag longlong, multiple bit"),
    (60, 90, "Basic.Reject", "delivery_tag longlong, requeue bit"),
    (60, 100, "Basic.RecoverAsync", "requeue bit"),
    (60, 110, "Basic.Recover", "requeue bit"),
    (60, 111, "Basic.RecoverOk", ""),
    (60, 120, "Basic.Nack", "delivery_tag longlong, multiple bit, requeue bit"),
    (85, 10, "Confirm.Select", "nowait bit"),
    (85, 11, "Confirm.SelectOk", ""),
    (90, 10, "Tx.Select", ""),
    (90, 11, "Tx.SelectOk", ""),
    (90, 20, "Tx.Commit", ""),
    (90, 21, "Tx.CommitOk", ""),
    (90, 30, "Tx.Rollback", ""),
    (90, 31, "Tx.RollbackOk", ""),
)  # fmt: skip


def _fields(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (item.split() for item in text.split(", ") if item)
    return tuple((name, kind) for name, kind in pairs)


METHODS = tuple(MethodSpec(*numbers, name, _fields(text)) for *numbers, name, text in _METHODS)
BY_NAME = {spec.name: spec for spec in METHODS}

# These have an event of their own, with or without a content behind them.
CONTENT_METHODS = ("Basic.Publish", "Basic.Return", "Basic.Deliver", "Basic.GetOk")
SETTLING_METHODS = ("Basic.Ack", "Basic.Nack", "Basic.Reject")
PLAIN_METHODS = tuple(
    spec for spec in METHODS if spec.name not in (*CONTENT_METHODS, *SETTLING_METHODS)
)

SAMPLES: dict[str, tuple[Any, ...]] = {
    "octet": (9, 0, 255),
    "short": (0x1234, 0, 0xFFFF),
    "long": (0x12345678, 0, 0xFFFFFFFF),
    "longlong": (0x123456789ABCDEF0, 0, 0xFFFFFFFFFFFFFFFF),
    "shortstr": ("näme", "", "s" * 255),
    "longstr": (b"long \x00 \xff", b"", b"l" * 300),
    "table": ({"a": 1, "b": ["x", None]}, {}, {"n": {"m": True}}),
    "bit": (True, False, True),
}


def samples(spec: MethodSpec) -> list[dict[str, Any]]:
    """Return argument sets: ordinary, all zero, all at their limits, then each bit alone."""
    sets = [{name: SAMPLES[kind][row] for name, kind in spec.fields} for row in range(3)]
    bits = [name for name, kind in spec.fields if kind == "bit"]
    return [*sets, *({**sets[1], name: True} for name in bits)]
