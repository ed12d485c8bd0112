"""What users write into signatures: dependencies and headers."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar, overload

from hopmq.app.errors import DeclarationError
from hopmq.typedefs import FieldValue
from hopmq.values import Value

Scope: TypeAlias = Literal["message", "app"]

T = TypeVar("T")


@dataclass(slots=True, frozen=True, eq=False, repr=False)
class Dependency(Value):
    """What `Depends` leaves in a signature.

    Attributes:
        function: What gives the value.
        scope: How long it lives.
    """

    function: Callable[..., Any]
    scope: Scope = "message"


@overload
def Depends(function: Callable[..., AsyncIterator[T]], /, *, scope: Scope = "message") -> T: ...
@overload
def Depends(function: Callable[..., Iterator[T]], /, *, scope: Scope = "message") -> T: ...
@overload
def Depends(function: Callable[..., Awaitable[T]], /, *, scope: Scope = "message") -> T: ...
@overload
def Depends(function: Callable[..., T], /, *, scope: Scope = "message") -> T: ...
def Depends(  # noqa: N802  # it stands where a value of a class would
    function: Callable[..., Any], /, *, scope: Scope = "message"
) -> Any:
    """Have a function give a parameter: as its default, or in its `Annotated[Db, ...]`.

    The function is plain or async, a generator or an async one: what it yields is the value, and
    what comes after is done when the value is needed no more, with the failure thrown in at
    the `yield`. Its own parameters are found as those of handlers are. A plain function runs in the
    event loop: it must not block.

    Args:
        function: Gives the value.
        scope: `message`: called once for each message, however many need it. `app`: called once
            when the application starts, and closed when it ends.

    Raises:
        DeclarationError: It is no function, or there is no such scope.
    """
    if not callable(function):
        raise DeclarationError(f"Depends needs a function, not {function!r}")
    if scope not in {"message", "app"}:
        raise DeclarationError(f"a dependency's scope is 'message' or 'app', not {scope!r}")
    return Dependency(function, scope)


@dataclass(slots=True, frozen=True, eq=False, repr=False)
class Header(Value):
    """Has a parameter given by a header: `Annotated[int, Header("x-tenant")]`.

    The value is converted to the annotation, texts too: `"5"` is an `int`. One that cannot be,
    and a header that is missing where the parameter has no default, are a `PayloadError`.

    Attributes:
        name: The header's.
    """

    name: str


class Headers(dict[str, FieldValue]):
    """All headers of a message, for a parameter of this type: a copy that handlers may change."""

    __slots__ = ()
