"""One entry of an export: its fields, checked, with errors that say where it stands."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from hopmq.errors import EncodeError, UsageError
from hopmq.typedefs import FieldTable
from hopmq.wire import active
from hopmq.wire.limits import SHORTSTR_SIZE

Table: TypeAlias = Mapping[str, Any]  # Any: what JSON holds

_NEEDED: Final = "\0needed"


class DefinitionsError(UsageError):
    """Definitions cannot be loaded; the message says which entry is wrong, and how."""


class Entry:
    """One object of one section, such as `queues[3]`."""

    def __init__(self, section: str, position: int, table: object) -> None:
        """Check that it is an object at all."""
        self.place: str = f"{section}[{position}]"
        if not isinstance(table, Mapping):
            raise DefinitionsError(f"{self.place} is not an object")
        self._table: Table = table
        name = table.get("name")
        if isinstance(name, str):
            self.place += f" {name!r}"

    def error(self, fault: str) -> DefinitionsError:
        """Return the error that this entry has a fault."""
        return DefinitionsError(f"{self.place}: {fault}")

    def has(self, key: str) -> bool:
        """Return whether a field is there."""
        return key in self._table

    def text(self, key: str, default: str = _NEEDED) -> str:
        """Return a string."""
        value = self._get(key, default)
        if not isinstance(value, str):
            raise self._wrong(key, "a string", value)
        return value

    def name(self, key: str = "name", default: str = _NEEDED) -> str:
        """Return a name, which has to fit a short string of AMQP."""
        value = self.text(key, default)
        try:
            size = len(value.encode())
        except UnicodeEncodeError as error:
            raise self.error(f"{key} is no text: {error}") from error
        if size > SHORTSTR_SIZE:
            raise self.error(f"{key} is longer than {SHORTSTR_SIZE} bytes")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return a boolean."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false", value)
        return value

    def table(self, key: str) -> Table:
        """Return an object; an empty one where there is none."""
        value = self._get(key, {})
        if isinstance(value, list) and all(isinstance(p, list) and len(p) == 2 for p in value):
            # RabbitMQ before 4.3 writes some objects as lists of pairs.
            return dict(value)
        if not isinstance(value, Mapping):
            raise self._wrong(key, "an object", value)
        return value

    def arguments(self) -> FieldTable:
        """Return the arguments, which have to fit a table of AMQP."""
        arguments = dict(self.table("arguments"))
        try:
            active.encode_table(arguments)
        except EncodeError as error:
            raise self.error(f"arguments cannot be sent by AMQP: {error}") from error
        return arguments

    def words(self, key: str) -> tuple[str, ...]:
        """Return a list of words, which older releases write as one string with commas."""
        value = self._get(key, [])
        if isinstance(value, str):
            value = value.split(",")
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise self._wrong(key, "a list of strings", value)
        return tuple(word.strip() for word in value if word.strip())

    def get(self, key: str) -> Any:  # Any: what JSON holds
        """Return a field as it stands; None where there is none."""
        return self._table.get(key)

    def _get(self, key: str, default: object) -> Any:  # Any: what JSON holds
        if key not in self._table and default is _NEEDED:
            raise self.error(f"{key} is missing")
        return self._table.get(key, default)

    def _wrong(self, key: str, wanted: str, value: object) -> DefinitionsError:
        return self.error(f"{key} has to be {wanted}, not {str(value)[:60]!r}")
