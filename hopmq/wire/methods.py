"""Methods and their arguments, driven by pamqp's tables of AMQP 0-9-1.

pamqp says what the methods are: classes, numbers, argument names and types. How they become
bytes is decided here, for none of pamqp's own marshalling and validation runs.
"""

from collections.abc import Callable
from struct import Struct
from typing import Any, Final, TypeAlias, TypeVar

from pamqp.base import Frame
from pamqp.commands import INDEX_MAPPING

from hopmq.errors import EncodeError, FrameSyntaxError
from hopmq.wire import decode_values, encode_values, reasons

_FrameT = TypeVar("_FrameT", bound=Frame)
_Encode: TypeAlias = Callable[[object, str], bytes]
_Decode: TypeAlias = Callable[[bytes, int], tuple[object, int]]

CONNECTION_CLASS: Final = 10

_DEPRECATED: Final = frozenset(
    {
        "ticket",
        "out_of_band",
        "capabilities",
        "insist",
        "known_hosts",
        "channel_id",
        "cluster_id",
    }
)
"""Arguments that AMQP 0-9-1 keeps only for their place; unset ones go as 0 or empty."""

_DEFAULTS: Final[dict[str, object]] = {
    "bit": False,
    "octet": 0,
    "short": 0,
    "long": 0,
    "longlong": 0,
    "shortstr": "",
    "longstr": b"",
    "table": None,
}


def new_method(kind: type[_FrameT], **fields: object) -> _FrameT:
    """Return a method whose other arguments are 0, False or empty, by their type.

    Raises:
        TypeError: When the method has no argument of that name.
    """
    method = kind.__new__(kind)
    for name, default in PLANS[kind.index].defaults:
        setattr(method, name, fields.pop(name, {} if default is None else default))
    if fields:
        raise TypeError(f"{kind.name} has no argument {', '.join(map(repr, fields))}")
    return method


def _integer(code: str) -> tuple[_Encode, _Decode]:
    layout = Struct(f">{code}")
    high = (1 << 8 * layout.size) - 1

    def encode(value: object, path: str) -> bytes:
        return layout.pack(encode_values.check_integer(value, high, path))

    def decode(data: bytes, at: int) -> tuple[object, int]:
        return layout.unpack_from(data, at)[0], at + layout.size

    return encode, decode


def _encode_table(value: object, path: str) -> bytes:
    return encode_values.table({} if value is None else value, path)


_CODECS: Final[dict[str, tuple[_Encode, _Decode]]] = {
    "octet": _integer("B"),
    "short": _integer("H"),
    "long": _integer("I"),
    "longlong": _integer("Q"),
    "shortstr": (encode_values.short_string, decode_values.short_string),
    "longstr": (encode_values.long_string, decode_values.long_string),
    "table": (_encode_table, decode_values.table),
}


class Step:
    """One argument, or up to eight bits that share an octet."""

    __slots__ = ("decode", "default", "encode", "kind", "names")

    def __init__(self, kind: str, names: tuple[str, ...]) -> None:
        """Find the functions for `kind`; for bits there are none."""
        self.kind: str = kind
        self.names: tuple[str, ...] = names
        self.default: object = _DEFAULTS[kind] if names[0] in _DEPRECATED else None
        codec = _CODECS.get(kind)
        self.encode: _Encode | None = codec[0] if codec else None
        self.decode: _Decode | None = codec[1] if codec else None


def _steps_of(kind: type[Frame]) -> tuple[Step, ...]:
    groups: list[tuple[str, list[str]]] = []
    for name in kind.__slots__:
        argument = kind.amqp_type(name)
        if argument == "bit" and groups and groups[-1][0] == "bit" and len(groups[-1][1]) < 8:
            groups[-1][1].append(name)
        else:
            groups.append((argument, [name]))
    return tuple(Step(argument, tuple(names)) for argument, names in groups)


class Plan:
    """How to encode and decode the arguments of one method."""

    __slots__ = ("class_id", "defaults", "index", "kind", "name", "steps")

    def __init__(self, kind: type[Frame]) -> None:
        """Read pamqp's tables once."""
        self.kind: type[Frame] = kind
        self.name: str = kind.name
        self.index: bytes = kind.index.to_bytes(4, "big")
        self.class_id: int = kind.index >> 16
        self.steps: tuple[Step, ...] = _steps_of(kind)
        self.defaults: list[tuple[str, object]] = [
            (name, _DEFAULTS[kind.amqp_type(name)]) for name in kind.__slots__
        ]


PLANS: Final[dict[int, Plan]] = {index: Plan(kind) for index, kind in INDEX_MAPPING.items()}
"""Every method of AMQP 0-9-1 with RabbitMQ's extensions, by class id << 16 | method id."""


def plan_of(method: object) -> Plan:
    """Return the plan of a method object.

    Raises:
        EncodeError: When it is no method.
    """
    plan = PLANS.get(method.index) if isinstance(method, Frame) else None
    if plan is None or not isinstance(method, plan.kind):
        raise EncodeError(reasons.wrong_type("a pamqp method", method))
    return plan


def _bits(method: Frame, names: tuple[str, ...]) -> bytes:
    octet = 0
    for position, name in enumerate(names):
        if getattr(method, name, None):
            octet |= 1 << position
    return octet.to_bytes(1, "big")


def encode_arguments(plan: Plan, method: Frame) -> bytes:
    """Encode the payload of a method frame: the method's id and its arguments."""
    parts = [plan.index]
    for step in plan.steps:
        if step.encode is None:
            parts.append(_bits(method, step.names))
            continue
        value = getattr(method, step.names[0], None)
        if value is None:
            value = step.default
        parts.append(step.encode(value, step.names[0]))
    return b"".join(parts)


def decode_arguments(plan: Plan, payload: bytes) -> Any:  # a pamqp method of the plan's kind
    """Decode the payload of a method frame, to its last byte.

    Raises:
        FrameSyntaxError: At offset 0, when the arguments are not exactly the method's.
    """
    method = plan.kind.__new__(plan.kind)
    try:
        at = _decode_steps(plan, method, payload)
    except FrameSyntaxError as error:
        raise FrameSyntaxError(0, reasons.in_method(plan.name, error.reason)) from None
    except decode_values.VALUE_FAULTS as error:
        reason = decode_values.value_fault(error)
        raise FrameSyntaxError(0, reasons.in_method(plan.name, reason)) from None
    if at != len(payload):
        raise FrameSyntaxError(0, reasons.in_method(plan.name, reasons.LEFT_OVER))
    return method


def _decode_steps(plan: Plan, method: Frame, payload: bytes) -> int:
    at = 4
    for step in plan.steps:
        if step.decode is None:
            octet = payload[at]
            at += 1
            for position, name in enumerate(step.names):
                setattr(method, name, octet & 1 << position != 0)
        else:
            value, at = step.decode(payload, at)
            setattr(method, step.names[0], value)
    return at
