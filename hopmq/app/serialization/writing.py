"""Values made JSON or MessagePack."""

import json
from dataclasses import fields, is_dataclass
from typing import Any

from hopmq.app.serialization.reasons import reason_of, type_name
from hopmq.errors import EncodeError


def write_json(value: Any) -> bytes:
    """Write a value as JSON; pydantic's models by their aliases, as they are read.

    Raises:
        EncodeError: It has no form in JSON.
    """
    try:
        return _json(value)
    except Exception as error:
        raise _unwritable(value, "JSON", error) from error


def write_msgpack(value: Any) -> bytes:
    """Write a value as MessagePack.

    Raises:
        EncodeError: It has no form in MessagePack, or there is no msgspec.
    """
    try:
        import msgspec
    except ImportError as error:
        raise EncodeError("MessagePack needs msgspec: pip install 'hopmq[msgspec]'") from error
    try:
        return msgspec.msgpack.encode(value, enc_hook=_python)
    except Exception as error:
        raise _unwritable(value, "MessagePack", error) from error


def _unwritable(value: Any, form: str, error: Exception) -> EncodeError:
    return EncodeError(f"{type_name(type(value))} cannot be written as {form}: {reason_of(error)}")


def _json(value: Any) -> bytes:
    serializer = getattr(type(value), "__pydantic_serializer__", None)
    if serializer is not None:
        written: bytes = serializer.to_json(value, by_alias=True)
        return written
    try:
        import msgspec
    except ImportError:
        return _json_without_msgspec(value)
    return msgspec.json.encode(value, enc_hook=_jsonable)


def _json_without_msgspec(value: Any) -> bytes:
    try:
        import pydantic_core
    except ImportError:
        return json.dumps(
            value, default=_fields, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()
    return pydantic_core.to_json(value, by_alias=True, inf_nan_mode="null")


def _jsonable(value: Any) -> Any:
    """Make what msgspec does not know what it does."""
    serializer = getattr(type(value), "__pydantic_serializer__", None)
    if serializer is not None:
        return serializer.to_python(value, mode="json", by_alias=True)
    return _known_to_pydantic(value)


def _python(value: Any) -> Any:
    """Make what msgspec does not know what it does; bytes remain bytes."""
    serializer = getattr(type(value), "__pydantic_serializer__", None)
    if serializer is None:
        return _known_to_pydantic(value)
    written = serializer.to_python(value, mode="python", by_alias=True)
    # What stays as it is in Python, such as a secret, is written as JSON has it.
    return _jsonable(value) if type(written) is type(value) else written


def _known_to_pydantic(value: Any) -> Any:
    try:
        import pydantic_core
    except ImportError:
        raise TypeError(f"{type_name(type(value))} is not known to msgspec") from None
    return pydantic_core.to_jsonable_python(value, by_alias=True)


def _fields(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    raise TypeError(
        f"{type_name(type(value))} is written by a library: pip install 'hopmq[pydantic]'"
    )
