"""Python values to bytes: tables, arrays and what they hold, in pure Python."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from struct import Struct
from typing import Any, Final, TypeAlias

from hopmq.errors import EncodeError
from hopmq.typedefs import FieldTable, Timestamp
from hopmq.wire import reasons
from hopmq.wire.decode_values import EPOCH
from hopmq.wire.limits import SHORTSTR_SIZE, TABLE_DEPTH

# Encoders are found by the type of their value, which Callable cannot say: hence Any.
_Encode: TypeAlias = Callable[[Any, int], bytes]

_LONG_MAX: Final = 0xFFFF_FFFF
_LONGLONG_MAX: Final = 0xFFFF_FFFF_FFFF_FFFF

_LONG = Struct(">I").pack
_LONGLONG = Struct(">Q").pack
_FIELD_LENGTH = Struct(">BI").pack
_FIELD_INT16 = Struct(">Bh").pack
_FIELD_INT32 = Struct(">Bi").pack
_FIELD_INT64 = Struct(">Bq").pack
_FIELD_DOUBLE = Struct(">Bd").pack
_FIELD_DECIMAL = Struct(">BBi").pack
_FIELD_TIME = Struct(">BQ").pack
_OCTETS: Final = tuple(bytes((octet,)) for octet in range(256))
_SMALL_INTEGERS: Final = tuple(b"b" + octet for octet in _OCTETS)
"""Fields of -128..127: the negative ones are found from the end."""

_minus = datetime.__sub__


def check_integer(value: object, high: int, path: str) -> int:
    """Return `value` when it is an integer within 0..high."""
    if not isinstance(value, int):
        raise EncodeError(reasons.wrong_type("an int", value), path)
    if not 0 <= value <= high:
        raise EncodeError(reasons.out_of_range(0, high), path)
    return value


def short_string(value: object, path: str) -> bytes:
    """Encode a string of at most 255 bytes, with its length."""
    if not isinstance(value, str):
        raise EncodeError(reasons.wrong_type("a str", value), path)
    try:
        data = str.encode(value)
    except UnicodeEncodeError:
        raise EncodeError(reasons.SURROGATES, path) from None
    if len(data) > SHORTSTR_SIZE:
        raise EncodeError(reasons.string_too_long(len(data)), path)
    return _OCTETS[len(data)] + data


def long_string(value: object, path: str) -> bytes:
    """Encode str or bytes as a long string, with its length."""
    if isinstance(value, str):
        try:
            data = str.encode(value)
        except UnicodeEncodeError:
            raise EncodeError(reasons.SURROGATES, path) from None
    elif isinstance(value, (bytes, bytearray, memoryview)):
        data = octets(value, path)
    else:
        raise EncodeError(reasons.wrong_type("str or bytes", value), path)
    if len(data) > _LONG_MAX:
        raise EncodeError(reasons.TOO_LARGE, path)
    return _LONG(len(data)) + data


def octets(value: bytes | bytearray | memoryview, path: str = "") -> bytes:
    """Return what a buffer holds; `bytes` itself, anything else copied."""
    if isinstance(value, memoryview):
        try:
            contiguous = value.c_contiguous
        except ValueError:  # released
            contiguous = False
        if not contiguous:
            raise EncodeError(reasons.NOT_CONTIGUOUS, path)
    return value if isinstance(value, bytes) else bytes(value)


def time_seconds(value: datetime, *, exact: bool) -> int:
    """Return the seconds of a moment since 1970; a fraction is refused, or cut off."""
    if value.tzinfo is not UTC and value.utcoffset() is None:
        raise EncodeError(reasons.NAIVE)
    since = _minus(value, EPOCH)
    if exact and since.microseconds:
        raise EncodeError(reasons.MICROSECONDS)
    if since.days < 0:
        raise EncodeError(reasons.BEFORE_EPOCH)
    return since.days * 86_400 + since.seconds


def timestamp(value: object, path: str) -> bytes:
    """Encode a timestamp property, cut to whole seconds."""
    if isinstance(value, Timestamp):
        return _LONGLONG(check_integer(value, _LONGLONG_MAX, path))
    if not isinstance(value, datetime):
        raise EncodeError(reasons.wrong_type("a datetime or Timestamp", value), path)
    try:
        return _LONGLONG(time_seconds(value, exact=False))
    except EncodeError as error:
        raise EncodeError(error.reason, path) from None


def _none(_value: None, _depth: int) -> bytes:
    return b"V"


def _bool(value: bool, _depth: int) -> bytes:
    return b"t\x01" if value else b"t\x00"


def _int(value: int, _depth: int) -> bytes:
    if -0x80 <= value <= 0x7F:
        return _SMALL_INTEGERS[value]
    if -0x8000 <= value <= 0x7FFF:
        return _FIELD_INT16(0x73, value)
    if -0x8000_0000 <= value <= 0x7FFF_FFFF:
        return _FIELD_INT32(0x49, value)
    if -0x8000_0000_0000_0000 <= value <= 0x7FFF_FFFF_FFFF_FFFF:
        return _FIELD_INT64(0x6C, value)
    raise EncodeError(reasons.INT_TOO_LARGE)


def _float(value: float, _depth: int) -> bytes:
    return _FIELD_DOUBLE(0x64, value)


def decimal_parts(value: Decimal) -> tuple[int, int]:
    """Return scale and unscaled value, exactly, without the decimal context."""
    sign, digits, exponent = Decimal.as_tuple(value)
    if not isinstance(exponent, int):
        raise EncodeError(reasons.DECIMAL_SPECIAL)
    zero = digits == (0,)
    # Ten digits hold any 32-bit number, so nothing larger is worth computing.
    if exponent < -255 or len(digits) > 10 or (exponent > 10 and not zero):
        raise EncodeError(reasons.DECIMAL_TOO_LARGE)
    unscaled = 0
    for digit in digits:
        unscaled = unscaled * 10 + digit
    if exponent > 0 and not zero:
        unscaled *= 10**exponent
    if sign:
        unscaled = -unscaled
    if not -0x8000_0000 <= unscaled <= 0x7FFF_FFFF:
        raise EncodeError(reasons.DECIMAL_TOO_LARGE)
    return max(-exponent, 0), unscaled


def _decimal(value: Decimal, _depth: int) -> bytes:
    return _FIELD_DECIMAL(0x44, *decimal_parts(value))


def _datetime(value: datetime, _depth: int) -> bytes:
    return _FIELD_TIME(0x54, time_seconds(value, exact=True))


def _timestamp(value: Timestamp, _depth: int) -> bytes:
    return _FIELD_TIME(0x54, check_integer(value, _LONGLONG_MAX, ""))


def _str(value: str, _depth: int) -> bytes:
    try:
        data = str.encode(value)
    except UnicodeEncodeError:
        raise EncodeError(reasons.SURROGATES) from None
    if len(data) > _LONG_MAX:
        raise EncodeError(reasons.TOO_LARGE)
    return _FIELD_LENGTH(0x53, len(data)) + data


def _bytes(value: bytes | bytearray | memoryview, _depth: int) -> bytes:
    return b"x" + long_string(value, "")


def _list(value: list[object] | tuple[object, ...], depth: int) -> bytes:
    if depth >= TABLE_DEPTH:
        raise EncodeError(reasons.TOO_DEEP)
    parts = []
    for index, item in enumerate(value):
        try:
            parts.append((_ENCODERS.get(type(item)) or _encoder_of(item))(item, depth + 1))
        except EncodeError as error:
            raise EncodeError(error.reason, f"[{index}]{error.path}") from None
    return _joined(0x41, parts)


@lru_cache(maxsize=512)
def _key(key: str) -> bytes:
    return short_string(key, "")


def _dict(value: dict[str, object], depth: int) -> bytes:
    if depth >= TABLE_DEPTH:
        raise EncodeError(reasons.TOO_DEEP)
    parts: list[bytes] = []
    for key, item in value.items():
        if not isinstance(key, str):
            raise EncodeError(reasons.wrong_type("a str as table key", key))
        try:
            parts.append(_key(key))
            parts.append((_ENCODERS.get(type(item)) or _encoder_of(item))(item, depth + 1))
        except EncodeError as error:
            raise EncodeError(error.reason, f"[{str.__repr__(key)}]{error.path}") from None
    return _joined(0x46, parts)


def _joined(kind: int, parts: list[bytes]) -> bytes:
    content = b"".join(parts)
    if len(content) > _LONG_MAX:
        raise EncodeError(reasons.TOO_LARGE)
    return _FIELD_LENGTH(kind, len(content)) + content


_ENCODERS: Final[dict[type, _Encode]] = {
    type(None): _none,
    bool: _bool,
    Timestamp: _timestamp,
    int: _int,
    float: _float,
    Decimal: _decimal,
    datetime: _datetime,
    str: _str,
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    list: _list,
    tuple: _list,
    dict: _dict,
}


def _encoder_of(value: object) -> _Encode:
    for kind, encode in _ENCODERS.items():
        if isinstance(value, kind):
            return encode
    raise EncodeError(reasons.unsupported(value))


def table(value: object, path: str) -> bytes:
    """Encode a dict with its 4-byte length; errors name their place below `path`."""
    if not isinstance(value, dict):
        raise EncodeError(reasons.wrong_type("a dict", value), path)
    if not value:
        return b"\x00\x00\x00\x00"
    try:
        return _dict(value, 0)[1:]
    except EncodeError as error:
        raise EncodeError(error.reason, path + error.path) from None


def encode_table(value: FieldTable) -> bytes:
    """Encode a table with its 4-byte length.

    Raises:
        EncodeError: When something in it has no exact AMQP form.
    """
    return table(value, "")
