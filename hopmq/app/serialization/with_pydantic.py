"""Types that pydantic reads: models, and whatever else it knows."""

from collections.abc import Callable
from typing import Any

from hopmq.app.errors import DeclarationError
from hopmq.app.serialization.made_of import is_pydantics


def json_reader(type_: Any) -> Callable[[bytes], Any]:
    """Return what reads JSON as a type.

    What is not pydantic's own is read strictly, as msgspec would read it: a dataclass means the
    same whichever of them is installed.

    Raises:
        DeclarationError: It is no type for pydantic.
        ImportError: There is no pydantic.
    """
    validate: Callable[..., Any] = _validator(type_).validate_json
    if is_pydantics(type_):
        return validate
    return lambda body: validate(body, strict=True)


def msgpack_reader(type_: Any) -> Callable[[bytes], Any]:
    """Return what reads MessagePack, which msgspec takes apart; raises as `json_reader`."""
    import msgspec

    decode: Callable[[bytes], Any] = msgspec.msgpack.Decoder().decode
    validate: Callable[[Any], Any] = _validator(type_).validate_python
    return lambda body: validate(decode(body))


def value_reader(type_: Any) -> Callable[[Any], Any]:
    """Return what makes a type of a header or a word, texts converted; raises as `json_reader`."""
    validate: Callable[[Any], Any] = _validator(type_).validate_python
    return validate


def _validator(type_: Any) -> Any:  # a SchemaValidator
    import pydantic

    try:
        adapter = pydantic.TypeAdapter(type_)
        validator = adapter.validator
        _ = validator.validate_json  # a model that waits for a name says so here
        if not is_pydantics(type_):
            adapter.json_schema()  # a function or a class could be validated, but not sent
    except Exception as error:
        raise DeclarationError(f"pydantic: {_first_sentence(error)}") from error
    return validator


def _first_sentence(error: Exception) -> str:
    """Leave out the advice, and the link to more of it."""
    return str(error).partition("\n")[0].partition(". ")[0]
