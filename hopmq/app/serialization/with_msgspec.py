"""Types that msgspec reads: structs, dataclasses, typed dictionaries, builtins."""

from collections.abc import Callable, Iterator
from typing import Any

from hopmq.app.errors import DeclarationError
from hopmq.app.serialization.reasons import type_name


def json_reader(type_: Any) -> Callable[[bytes], Any]:
    """Return what reads JSON as a type.

    Raises:
        DeclarationError: It is no type for msgspec.
        ImportError: There is no msgspec.
    """
    import msgspec

    _check(type_)
    read: Callable[[bytes], Any] = msgspec.json.Decoder(type_).decode
    return read


def msgpack_reader(type_: Any) -> Callable[[bytes], Any]:
    """Return what reads MessagePack as a type; raises as `json_reader`."""
    import msgspec

    _check(type_)
    read: Callable[[bytes], Any] = msgspec.msgpack.Decoder(type_).decode
    return read


def value_reader(type_: Any) -> Callable[[Any], Any]:
    """Return what makes a type of a header or a word, texts converted; raises as `json_reader`."""
    import msgspec

    _check(type_)
    convert = msgspec.convert
    return lambda value: convert(value, type_, strict=False)


def _check(type_: Any) -> None:
    """Find what msgspec would only refuse when a message is there."""
    import msgspec

    try:
        msgspec.json.Decoder(type_)
        unknown = next(_unknown(msgspec.inspect.type_info(type_)), None)
    except Exception as error:  # TypeError, NameError of a forward reference, ...
        raise DeclarationError(f"msgspec: {error}") from error
    if unknown is not None:
        raise DeclarationError(f"msgspec does not know {type_name(unknown)}")


def _unknown(info: Any) -> Iterator[Any]:
    """Yield the types that msgspec leaves to hooks."""
    from msgspec import inspect

    seen: dict[int, Any] = {}
    waiting = [info]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen[id(each)] = each
        if isinstance(each, tuple):
            waiting.extend(each)
        elif isinstance(each, inspect.CustomType):
            if each.cls is not object:
                yield each.cls
        elif isinstance(each, inspect.Type | inspect.Field):
            waiting.extend(getattr(each, name) for name in each.__struct_fields__)
