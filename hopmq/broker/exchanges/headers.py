"""The headers exchange: a message's headers against the arguments of bindings."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import datetime
from typing import Final, TypeAlias

from hopmq.broker.exchanges.binding import Binding, Destination
from hopmq.broker.exchanges.router import BindingTable, destinations_of
from hopmq.broker.exchanges.rules import NEWEST, RoutingRules
from hopmq.broker.exchanges.terms import term, type_of
from hopmq.broker.exchanges.values import content, seconds_of
from hopmq.broker.refusal import Refusal
from hopmq.typedefs import FieldTable, FieldValue, Timestamp
from hopmq.wire.events import Published

_MATCH: Final = "x-match"
_KINDS: Final = ("all", "any", "all-with-x", "any-with-x")
HEADERS_FLAG: Final = 0x20
"""The bit of the headers in the first byte of a property list."""

_Conditions: TypeAlias = tuple[tuple[str, Hashable], ...]
_Contents: TypeAlias = Mapping[str, Hashable]

PRESENT: Final = object()
"""A condition that any value meets: the argument is void."""


class HeadersRouter(BindingTable):
    """Routes by `x-match`: whether all or any of a binding's arguments stand in the headers."""

    __slots__ = ("_content", "_matchers")

    def __init__(self, rules: RoutingRules = NEWEST) -> None:
        """Start without bindings."""
        super().__init__()
        self._content: Callable[[FieldValue], Hashable] = _exact if rules.exact_headers else content
        self._matchers: dict[Binding, _Matcher] = {}

    def route(self, message: Published, routing_key: str) -> tuple[Destination, ...]:
        """Return what is bound with arguments that the headers match."""
        headers = headers_of(message)
        contents: _Contents = {name: self._header(value) for name, value in headers.items()}
        return destinations_of(
            binding for binding, matches in self._matchers.items() if matches(contents)
        )

    def _header(self, value: FieldValue) -> Hashable:
        if self._content is _exact and isinstance(value, datetime | Timestamp):
            return seconds_of(value) * 1000
        return self._content(value)

    def _check(self, binding: Binding) -> None:
        kind = binding.arguments.get(_MATCH, _KINDS[0])
        if kind in _KINDS:
            return
        fault = (
            f"value {term(kind)}; expected all, any, all-with-x, or any-with-x"
            if isinstance(kind, str)
            else f"type {type_of(kind)} (value {term(kind)}); expected longstr"
        )
        raise Refusal(406, f"PRECONDITION_FAILED - Invalid x-match field {fault}")

    def _added(self, binding: Binding) -> None:
        kind = str(binding.arguments.get(_MATCH, _KINDS[0]))
        names = _names_that_count(binding.arguments, with_x=kind.endswith("-with-x"))
        conditions = tuple(
            (name, PRESENT if value is None else self._content(value))
            for name, value in binding.arguments.items()
            if name in names
        )
        self._matchers[binding] = _Matcher(conditions, any if kind.startswith("any") else all)

    def _removed(self, binding: Binding) -> None:
        del self._matchers[binding]


class _Matcher:
    """The arguments of one binding, made ready to be compared."""

    __slots__ = ("_conditions", "_verdict")

    def __init__(self, conditions: _Conditions, verdict: Callable[[Iterable[bool]], bool]) -> None:
        self._conditions = conditions
        self._verdict = verdict

    def __call__(self, contents: _Contents) -> bool:
        return self._verdict(
            name in contents and (wanted is PRESENT or contents[name] == wanted)
            for name, wanted in self._conditions
        )


def headers_of(message: Published) -> FieldTable:
    """Return the message's headers; the properties are decoded only if there are any."""
    if not message.raw_properties[0] & HEADERS_FLAG:
        return {}
    return message.properties.headers or {}


def _names_that_count(arguments: FieldTable, *, with_x: bool) -> set[str]:
    names = arguments.keys() - {_MATCH}
    return names if with_x else {name for name in names if not name.startswith("x-")}


def _exact(value: FieldValue) -> Hashable:
    """Tell 1 from 1.0, which Python takes for equal."""
    return ("double", value) if isinstance(value, float) else content(value)
