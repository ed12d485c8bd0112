"""Faults from a file: what `hopmq broker --chaos FILE` does to its clients, and when."""

import asyncio
import inspect
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache, partial
from pathlib import Path
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from hopmq.broker import Broker
from hopmq.errors import UsageError
from hopmq.testing.faults.fault import Fault
from hopmq.testing.faults.injection import Faults
from hopmq.testing.faults.requests import check_requests
from hopmq.testing.faults.selection import Selection
from hopmq.testing.faults.streams import check_frames

RESTART: Final = "restart"
_ALL: Final = "all"
_WHEN: Final = frozenset({"after", "every", "lasts"})
_WHERE: Final = frozenset(each.name for each in fields(Selection))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosRule:
    """One fault of a chaos file.

    Attributes:
        do: A method of `Faults` that returns a fault, such as `cut`; or `restart`.
        arguments: Its arguments.
        where: Whom it is for: arguments of `Faults.on`.
        after: Seconds until it is asked for.
        every: Seconds after which it is asked for again, and again; None for once.
        lasts: Seconds after which it is cancelled; None for never.
    """

    do: str
    # Any: arguments of whichever method; checked against its signature when they were read.
    arguments: Mapping[str, Any] = field(default_factory=dict)
    where: Mapping[str, Any] = field(default_factory=dict)
    after: float = 0.0
    every: float | None = None
    lasts: float | None = None


def read_chaos(path: str | os.PathLike[str]) -> tuple[ChaosRule, ...]:
    """Read a chaos file: TOML with a table `[[fault]]` for each fault.

    A fault has `do`, the arguments of that method of `Faults`, whom it is for (`connection`,
    `user`, `vhost`, `channel`, `queue`) and when it happens (`after`, `every` and `lasts`, in
    seconds). `times = "all"` stands for None, and `data` holds bytes in hexadecimal.

    Raises:
        UsageError: The file cannot be read, or does not say what can be done.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"chaos file {os.fspath(path)}: {error}") from error
    tables = content.pop("fault", [])
    if content or not isinstance(tables, list) or not tables:
        raise UsageError(f"chaos file {os.fspath(path)}: it has tables [[fault]] and nothing else")
    rules = []
    for number, table in enumerate(tables, 1):
        try:
            rules.append(_rule(table))
        except UsageError as error:
            raise UsageError(f"chaos file {os.fspath(path)}, fault {number}: {error}") from None
    return tuple(rules)


def apply_chaos(broker: Broker, rules: tuple[ChaosRule, ...]) -> "Chaos":
    """Let the faults of a chaos file happen to a running broker, on its own event loop."""
    return Chaos(broker, rules)


class Chaos:
    """The faults of a chaos file while they happen.

    Attributes:
        rules: What the file says.
    """

    def __init__(self, broker: Broker, rules: tuple[ChaosRule, ...]) -> None:
        """Begin."""
        self.rules: tuple[ChaosRule, ...] = rules
        self._broker = broker
        self._faults = Faults(broker)
        self._clock = broker.state.clock
        self._current: dict[int, Fault] = {}
        self._past: dict[int, int] = dict.fromkeys(range(len(rules)), 0)
        self._restarts: set[asyncio.Task[None]] = set()
        self._is_over = False
        for index, rule in enumerate(rules):
            self._in(rule.after, partial(self._begin, index))

    @property
    def hits(self) -> tuple[int, ...]:
        """How often each rule's fault has happened."""
        current = self._current
        return tuple(
            past + (current[index].hits if index in current else 0)
            for index, past in self._past.items()
        )

    def cancel(self) -> None:
        """Let no more happen."""
        self._is_over = True
        for index in list(self._current):
            self._end(index)

    def _in(self, seconds: float, callback: Callable[[], None]) -> None:
        if seconds <= 0:
            callback()
        else:
            self._clock.call_at(self._clock.time() + seconds, callback)

    def _begin(self, index: int) -> None:
        if self._is_over:
            return
        self._end(index)
        rule = self.rules[index]
        if rule.do == RESTART:
            self._past[index] += 1
            restart = asyncio.get_running_loop().create_task(_restart(self._broker, rule.arguments))
            self._restarts.add(restart)
            restart.add_done_callback(self._restarts.discard)
        else:
            method = getattr(self._faults.on(**rule.where), rule.do)
            fault = self._current[index] = method(**rule.arguments)
            if rule.lasts is not None:
                self._in(rule.lasts, partial(self._end, index, fault))
        if rule.every is not None:
            self._in(rule.every, partial(self._begin, index))

    def _end(self, index: int, fault: Fault | None = None) -> None:
        """End what is there; with `fault`, only if that one is."""
        current = self._current.get(index)
        if current is not None and fault in {None, current}:
            del self._current[index]
            self._past[index] += current.hits
            current.cancel()


async def _restart(broker: Broker, arguments: Mapping[str, Any]) -> None:
    await broker.restart(**arguments)


# --- reading -------------------------------------------------------------------------------------


def _rule(table: Mapping[str, Any]) -> ChaosRule:
    do = table.get("do")
    if not isinstance(do, str) or do not in _signatures():
        raise UsageError(f"do = {do!r} is none of {', '.join(sorted(_signatures()))}")
    signature, types = _signatures()[do]
    where: dict[str, Any] = {}
    when: dict[str, Any] = {}
    arguments: dict[str, Any] = {}
    for key, value in table.items():
        if key in signature.parameters:
            arguments[key] = _checked(key, value, types[key])
        elif key in _WHERE and do != RESTART:
            where[key] = _checked(key, value, get_type_hints(Selection)[key])
        elif key in _WHEN:
            when[key] = _checked(key, value, float)
        elif key != "do":
            raise UsageError(f"{do} has no {key}")
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise UsageError(f"{do}: {error}") from None
    if do == "refuse":
        check_requests(arguments["at"])
    elif "at" in arguments:
        check_frames(arguments["at"])
    if when.get("every") == 0:
        raise UsageError("every is more than 0 seconds")
    return ChaosRule(do=do, arguments=arguments, where=where, **when)


@cache
def _signatures() -> dict[str, tuple[inspect.Signature, dict[str, Any]]]:
    """Return what can be done, with its arguments, and their types."""
    found = {}
    for name, method in inspect.getmembers(Faults, inspect.isfunction):
        types = get_type_hints(method)
        if not name.startswith("_") and types.get("return") is Fault:
            found[name] = (_without_self(method), types)
    found[RESTART] = (_without_self(Broker.restart), get_type_hints(Broker.restart))
    return found


def _without_self(method: Callable[..., object]) -> inspect.Signature:
    signature = inspect.signature(method)
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def _checked(key: str, value: object, annotation: Any) -> object:  # Any: a type or a union
    """Return a value of TOML as the argument it stands for."""
    options = get_args(annotation) if NoneType in get_args(annotation) else (annotation,)
    for option in options:
        if option is NoneType and value == _ALL:
            return None
        if get_origin(option) is Literal and value in get_args(option):
            return value
        if option is bytes and isinstance(value, str):
            return _octets(key, value)
        if option is float and type(value) in {int, float}:
            return value
        if type(value) is option:
            return value
    raise UsageError(f"{key} cannot be {value!r}")


def _octets(key: str, text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise UsageError(f"{key} has bytes in hexadecimal, not {text!r}") from None
