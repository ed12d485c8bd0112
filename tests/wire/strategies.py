"""What Hypothesis makes: values, methods and streams, from the grammar and pamqp's own tables."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from pamqp import base, commands

from hopmq.typedefs import Timestamp

from . import reference
from .reference import PROPERTY_TYPES

U8, U16, U32, U64 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32, 64))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_SECOND = 253_402_300_799  # of the year 9999


def _edges(bits: int) -> st.SearchStrategy[int]:
    """Return signed integers of a width, with a liking for the limits of all widths."""
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    near = [value + shift for exponent in (7, 8, 15, 16, 31, 32, 63) for value in
            (2**exponent, -(2**exponent)) for shift in (-1, 0, 1)]  # fmt: skip
    return st.integers(low, high) | st.sampled_from([n for n in near if low <= n <= high])


texts = st.text(max_size=30)
short_texts = texts.filter(lambda text: len(text.encode()) <= 255) | st.sampled_from(
    ["", "x" * 255, "é" * 127, "\x00"]
)
moments = st.integers(0, LAST_SECOND).map(lambda seconds: EPOCH + timedelta(seconds=seconds))
timestamps = st.integers(LAST_SECOND + 1, 2**64 - 1).map(Timestamp)
decimals = st.builds(reference.decimal_of, st.integers(0, 255), st.integers(-(2**31), 2**31 - 1))


def _nested(
    leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[str]
) -> st.SearchStrategy[dict[str, Any]]:
    values = st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=12,
    )
    return st.dictionaries(keys, values, max_size=6)


python_tables = _nested(
    st.none()
    | st.booleans()
    | _edges(64)
    | st.floats()
    | decimals
    | texts
    | st.binary(max_size=30)
    | moments
    | timestamps,
    short_texts,
)
"""Tables of every Python type that has an AMQP form."""

_whole = {"b": 8, "s": 16, "I": 32, "l": 64, "L": 64}
_unsigned = {"B": U8, "u": U16, "i": U32, "T": U64 | st.integers(0, 2**33)}
tagged_leaves: st.SearchStrategy[reference.Tagged] = st.one_of(
    *(st.tuples(st.just(tag), _edges(bits)) for tag, bits in _whole.items()),
    *(st.tuples(st.just(tag), numbers) for tag, numbers in _unsigned.items()),
    st.tuples(st.just("t"), U8),
    st.tuples(st.just("f"), st.floats(width=32)),
    st.tuples(st.just("d"), st.floats()),
    st.tuples(st.just("D"), st.tuples(U8, _edges(32))),
    st.tuples(st.just("S"), texts | st.binary(max_size=12)),
    st.tuples(st.just("x"), st.binary(max_size=12)),
    st.just(("V", None)),
)
tagged_values = st.recursive(
    tagged_leaves,
    lambda inner: (
        st.tuples(st.just("A"), st.lists(inner, max_size=4))
        | st.tuples(st.just("F"), st.lists(st.tuples(short_texts, inner), max_size=4))
    ),
    max_leaves=12,
)
tagged_tables = st.lists(st.tuples(short_texts, tagged_values), max_size=6)
"""Tables of every field type, as lists of names and tagged values; names may repeat."""


@st.composite
def lying_fields(draw: st.DrawFn, depth: int = 2) -> bytes:
    """Make a field value in which a length is a little wrong, while all around it is right."""
    deeper = lying_fields(depth - 1) if depth else st.nothing()
    letter = draw(st.sampled_from("FASx" if depth else "Sx"))
    if letter in "Sx":
        content = draw(st.binary(max_size=6))
    else:
        items = draw(st.lists(tagged_leaves.map(reference.field), max_size=2))
        if draw(st.booleans()):
            items.insert(draw(st.integers(0, len(items))), draw(deeper))
        name = reference.shortstr("n") if letter == "F" else b""
        content = b"".join(name + item for item in items)
    size = max(len(content) + draw(st.sampled_from([0, 0, -1, -2, -4, 1, 2, 4])), 0)
    return letter.encode() + size.to_bytes(4, "big") + content


@st.composite
def lying_tables(draw: st.DrawFn) -> bytes:
    """Make a table with such a value in it, at times the last one."""
    before = draw(st.lists(tagged_leaves.map(reference.field), max_size=1))
    behind = draw(st.lists(tagged_leaves.map(reference.field), max_size=1))
    fields = [*before, draw(lying_fields()), *behind]
    return reference.longstr(b"".join(reference.shortstr("k") + field for field in fields))


ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "bit": st.booleans(),
    "octet": U8,
    "short": U16,
    "long": U32,
    "longlong": U64,
    "shortstr": short_texts,
    "longstr": st.binary(max_size=50),
    "table": python_tables,
    "timestamp": moments | timestamps,
}

# --- what pamqp can do as well -------------------------------------------------------------------

_plain_names = st.text("abcXYZ019-_.:@#,/+ ", max_size=127)
_pamqp_integers = (
    st.integers(-32_768, 32_767)
    | st.integers(-(2**31), -32_769)
    | st.integers(65_536, 2**31 - 1)
    | st.integers(2**32, 2**63 - 1)
    | st.integers(-(2**63), -(2**31) - 1)
)
_pamqp_moments = st.integers(0, 2**32 - 1).map(lambda seconds: EPOCH + timedelta(seconds=seconds))
pamqp_tables = _nested(
    st.none() | st.booleans() | _pamqp_integers | decimals | texts | _pamqp_moments,
    st.text(max_size=20).filter(lambda key: len(key.encode()) <= 128),
).map(lambda table: _sorted(table))
"""Tables that pamqp writes as RabbitMQ means them; it sorts, so these are sorted before."""


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value


_PAMQP_ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    **ARGUMENTS,
    "longlong": st.integers(0, 2**63 - 1),
    "longstr": texts,
    "table": pamqp_tables,
}
# pamqp refuses to write anything else in these.
_PAMQP_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "ticket": st.just(0),
    "out_of_band": st.just("0"),
    "channel_id": st.just("0"),
    "known_hosts": st.just(""),
    "capabilities": st.just(""),
    "insist": st.just(False),
    "cluster_id": st.just(""),
    **dict.fromkeys(("queue", "exchange", "source", "destination"), _plain_names),
    "virtual_host": st.text(max_size=60),
}


def _method(kind: type[base.Frame], values: dict[str, Any]) -> base.Frame:
    method = kind.__new__(kind)
    for name, value in values.items():
        setattr(method, name, value)
    return method


def _methods(
    kind: type[base.Frame], fields: dict[str, st.SearchStrategy[Any]],
    arguments: dict[str, st.SearchStrategy[Any]],
) -> st.SearchStrategy[base.Frame]:  # fmt: skip
    values = {name: fields.get(name, arguments[kind.amqp_type(name)]) for name in kind.__slots__}
    return st.fixed_dictionaries(values).map(lambda chosen: _method(kind, chosen))


_KINDS = st.sampled_from(sorted(commands.INDEX_MAPPING.values(), key=lambda kind: kind.index))


def method_of(kind: type[base.Frame]) -> st.SearchStrategy[base.Frame]:
    """Return one kind of method with any values that AMQP can carry."""
    return _methods(kind, {}, ARGUMENTS)


methods = _KINDS.flatmap(method_of)
"""Methods with any values that AMQP can carry."""

pamqp_methods = _KINDS.flatmap(lambda kind: _methods(kind, _PAMQP_FIELDS, _PAMQP_ARGUMENTS))
"""Methods with values that pamqp can write."""

property_sets = st.fixed_dictionaries(
    {}, optional={name: ARGUMENTS[kind] for name, kind in PROPERTY_TYPES}
)
pamqp_property_sets = st.fixed_dictionaries(
    {},
    optional={
        name: {
            "shortstr": short_texts.filter(bool),
            "table": pamqp_tables,
            "octet": U8,
            "timestamp": _pamqp_moments,
        }[kind]
        for name, kind in PROPERTY_TYPES
    },
)
bodies = st.binary(max_size=60) | st.sampled_from([b"", bytes(4088), bytes(4089), bytes(10_000)])
channels = st.integers(1, 65_535)
