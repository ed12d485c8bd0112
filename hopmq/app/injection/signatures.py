"""What a function asks for: its parameters with their annotations, and of what kind it is."""

import functools
import inspect
import typing
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from hopmq.app.errors import DeclarationError

MISSING = inspect.Parameter.empty
"""Stands for a default or an annotation that is not there."""


class Kind(Enum):
    """How a function gives its result."""

    PLAIN = auto()
    ASYNC = auto()
    GENERATOR = auto()
    ASYNC_GENERATOR = auto()


GENERATORS: Final = frozenset({Kind.GENERATOR, Kind.ASYNC_GENERATOR})


class Parameter(NamedTuple):
    """One parameter.

    Attributes:
        name: Its name.
        type: Its annotation without metadata, or `MISSING`.
        metadata: What `Annotated` adds.
        annotation: Its annotation as it stands, forward references resolved.
        default: Its default, or `MISSING`.
        keyword_only: Whether it is given by name.
    """

    name: str
    type: Any
    metadata: tuple[Any, ...]
    annotation: Any
    default: Any
    keyword_only: bool


class Signature(NamedTuple):
    """What a function asks for.

    Attributes:
        function: The function.
        kind: How it gives its result.
        parameters: What it takes, positional ones first.
        returns: The annotation of its result; Any where there is none.
    """

    function: Callable[..., Any]
    kind: Kind
    parameters: tuple[Parameter, ...]
    returns: Any


def function_name(function: Callable[..., Any]) -> str:
    """Name a function for the text of errors."""
    inner = _innermost(function)
    return getattr(inner, "__qualname__", None) or type(inner).__qualname__


def read_signature(function: Callable[..., Any], where: str) -> Signature:
    """Take a signature apart.

    Raises:
        DeclarationError: It cannot be known, or has a parameter that nothing could be given for.
    """
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise DeclarationError(f"{where}: {error}") from error
    hints = _hints(function, where)
    return Signature(
        function,
        _kind(function),
        tuple(
            _parameter(each, hints, where)
            for name, each in parameters.items()
            if name not in _bound(function)
        ),
        hints.get("return", Any),
    )


def _parameter(parameter: inspect.Parameter, hints: dict[str, Any], where: str) -> Parameter:
    name = parameter.name
    if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
        raise DeclarationError(
            f"{where}: parameter {str(parameter).partition(':')[0]!r} could be anything"
        )
    annotation = hints.get(name, MISSING)
    while hasattr(annotation, "__value__"):  # type Db = Annotated[...]
        annotation = annotation.__value__
    metadata = getattr(annotation, "__metadata__", ())
    return Parameter(
        name,
        annotation.__origin__ if metadata else annotation,
        metadata,
        annotation,
        parameter.default,
        parameter.kind is parameter.KEYWORD_ONLY,
    )


def _bound(function: Callable[..., Any]) -> set[str]:
    """Return what partials give by name: nobody else does."""
    names: set[str] = set()
    while isinstance(function, functools.partial):
        names |= function.keywords.keys()
        function = function.func
    return names


def _innermost(function: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _definition(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that is written in Python: of a class its `__init__`."""
    inner = _innermost(function)
    if inspect.isclass(inner):
        return inner.__init__ if "__init__" in dir(inner) else inner
    if inspect.isroutine(inner):
        return inner
    return type(inner).__call__


def _hints(function: Callable[..., Any], where: str) -> dict[str, Any]:
    definition = _definition(function)
    try:
        return typing.get_type_hints(definition, include_extras=True)
    except Exception as error:
        raise DeclarationError(f"{where}: {_unresolved(definition, error)}") from error


def _unresolved(definition: Callable[..., Any], error: Exception) -> str:
    """Say which annotation has no meaning."""
    missing = getattr(error, "name", None)
    written = getattr(definition, "__annotations__", {})
    names = [name for name, each in written.items() if missing and missing in str(each)]
    if not names:
        return f"its annotations cannot be resolved: {error}"
    return (
        f"parameter {names[0]!r} is annotated as {str(written[names[0]])!r}, and {missing!r} is not found "
        "in the module: import it outside of TYPE_CHECKING, and define it at the top of the module"
    )


def _kind(function: Callable[..., Any]) -> Kind:
    inner = _innermost(function)
    is_object = not (inspect.isclass(inner) or inspect.isroutine(inner))
    called = _definition(inner) if is_object else inner
    if inspect.isasyncgenfunction(called):
        return Kind.ASYNC_GENERATOR
    if inspect.isgeneratorfunction(called):
        return Kind.GENERATOR
    if inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(called):
        return Kind.ASYNC
    wrapped = getattr(called, "__wrapped__", None)
    if wrapped is None:
        return Kind.PLAIN
    kind = _kind(wrapped)
    return kind if kind in GENERATORS else Kind.PLAIN
