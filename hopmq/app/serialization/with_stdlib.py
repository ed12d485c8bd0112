"""The types that are read with neither pydantic nor msgspec: what JSON itself has."""

import json
import types
import typing
from collections.abc import Callable
from typing import Any, Final

from hopmq.app.errors import DeclarationError
from hopmq.app.serialization.reasons import type_name

_Check = Callable[[Any, str], Any]

_SCALARS: Final[dict[Any, type]] = {
    str: str,
    bool: bool,
    int: int,
    float: float,
    None: type(None),
    type(None): type(None),
}


def json_reader(type_: Any) -> Callable[[bytes], Any]:
    """Return what reads JSON as a type of `dict`, `list`, `str`, `int`, `float`, `bool`, `None`.

    Raises:
        DeclarationError: It is another type.
    """
    check = _check_of(type_)
    return lambda body: check(json.loads(body), "$")


def value_reader(type_: Any) -> Callable[[Any], Any]:
    """Return what makes a type of a header or a word; raises as `json_reader`."""
    check = _check_of(type_)
    parse = {int: int, float: float}.get(type_)
    if parse is None:
        return lambda value: check(value, "$")
    return lambda value: parse(value) if isinstance(value, str) else check(value, "$")


def _check_of(type_: Any) -> _Check:
    origin = typing.get_origin(type_)
    arguments = typing.get_args(type_)
    if type_ is Any or type_ is object:
        return lambda value, _where: value
    if isinstance(type_, type | None) and type_ in _SCALARS:
        return _scalar(_SCALARS[type_])
    if type_ is list or origin is list:
        return _items(_check_of(arguments[0] if arguments else Any))
    if type_ is dict or (origin is dict and arguments[0] is str):
        return _values(_check_of(arguments[1] if arguments else Any))
    if origin in {typing.Union, types.UnionType}:
        return _any_of([_check_of(each) for each in arguments], type_name(type_))
    raise DeclarationError(
        f"{type_name(type_)} is read by a library: pip install 'hopmq[pydantic]' or 'hopmq[msgspec]'"
    )


def _scalar(kind: type) -> _Check:
    def check(value: Any, where: str) -> Any:
        if type(value) is kind:
            return value
        if kind is float and type(value) is int:
            return float(value)
        raise ValueError(_expected(kind.__name__, value, where))

    return check


def _items(check_item: _Check) -> _Check:
    def check(value: Any, where: str) -> Any:
        if not isinstance(value, list):
            raise ValueError(_expected("list", value, where))  # noqa: TRY004  # it is the body's fault
        return [check_item(each, f"{where}[{i}]") for i, each in enumerate(value)]

    return check


def _values(check_value: _Check) -> _Check:
    def check(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise ValueError(_expected("dict", value, where))  # noqa: TRY004  # it is the body's fault
        return {key: check_value(each, f"{where}.{key}") for key, each in value.items()}

    return check


def _any_of(checks: list[_Check], name: str) -> _Check:
    def check(value: Any, where: str) -> Any:
        for each in checks:
            try:
                return each(value, where)
            except ValueError:
                continue
        raise ValueError(_expected(name, value, where))

    return check


def _expected(name: str, value: Any, where: str) -> str:
    return f"Expected {name}, got {type(value).__name__} - at {where[:100]}"
