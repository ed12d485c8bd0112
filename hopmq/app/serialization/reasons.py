"""What is said of a body that cannot be read: field and fault, no values, never much."""

from typing import Any, Final

MAX_LENGTH: Final = 500
"""Characters; the text travels in a header of the parked message."""
_MAX_FAULTS: Final = 3


def reason_of(error: BaseException) -> str:
    """Say why a library could not read a body."""
    faults = getattr(error, "errors", None)
    if callable(faults) and type(error).__module__.startswith("pydantic"):
        return bounded(_of_fields(error))
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"it is not {error.encoding.upper()} at byte {error.start}"
    text = str(error)
    return bounded(text if isinstance(error, ValueError) and text else _with_type(error, text))


def _with_type(error: BaseException, text: str) -> str:
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def _of_fields(error: Any) -> str:  # pydantic's ValidationError
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    said = [_of_field(each) for each in faults[:_MAX_FAULTS]]
    if len(faults) > _MAX_FAULTS:
        said.append(f"and {len(faults) - _MAX_FAULTS} more")
    return "; ".join(said)


def _of_field(fault: dict[str, Any]) -> str:  # as pydantic gives them
    field = ".".join(str(each) for each in fault["loc"])
    return f"{bounded(field, 100)}: {fault['msg']}" if field else str(fault["msg"])


def bounded(text: str, length: int = MAX_LENGTH) -> str:
    """Cut a text, and keep out of it what would break a line, a log or UTF-8."""
    if len(text) > length:
        text = f"{text[: length - 3]}..."
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def type_name(type_: Any) -> str:
    """Name a type as its users write it."""
    plain = isinstance(type_, type) and not getattr(type_, "__args__", None)
    return bounded(type_.__qualname__ if plain else str(type_).replace("typing.", ""), 100)
