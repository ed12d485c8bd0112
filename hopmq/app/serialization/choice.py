"""Which library reads a type."""

from collections.abc import Callable
from typing import Any, Final

from hopmq.app.errors import DeclarationError
from hopmq.app.serialization import with_msgspec, with_pydantic, with_stdlib
from hopmq.app.serialization.made_of import is_pydantics

_Make = Callable[[Any], Callable[[Any], Any]]

_JSON: Final = (with_msgspec.json_reader, with_pydantic.json_reader, with_stdlib.json_reader)
_MSGPACK: Final = (with_msgspec.msgpack_reader, with_pydantic.msgpack_reader)
_VALUES: Final = (with_msgspec.value_reader, with_pydantic.value_reader, with_stdlib.value_reader)


def json_reader(type_: Any) -> Callable[[bytes], Any]:
    """Return what reads JSON as a type.

    Raises:
        DeclarationError: Nobody can; says why.
    """
    return _first(type_, _JSON)


def msgpack_reader(type_: Any) -> Callable[[bytes], Any]:
    """Return what reads MessagePack as a type; raises as `json_reader`."""
    return _first(type_, _MSGPACK)


def value_reader(type_: Any) -> Callable[[Any], Any]:
    """Return what makes a type of a header or of a word of a routing key, converting texts.

    Raises:
        DeclarationError: Nobody can; says why.
    """
    return _first(type_, _VALUES)


def _first(type_: Any, makers: tuple[_Make, ...]) -> Callable[[Any], Any]:
    """Ask the libraries in turn; what is pydantic's, pydantic before msgspec."""
    if is_pydantics(type_):
        makers = (makers[1], makers[0])
    refusals: list[str] = []
    for make in makers:
        try:
            return make(type_)
        except ImportError:
            continue
        except DeclarationError as error:
            refusals.append(str(error))
    # The last resort's own advice is for those who have no library that could say more.
    raise DeclarationError("; ".join(refusals[:2]) or "pip install 'hopmq[msgspec]' to read it")
