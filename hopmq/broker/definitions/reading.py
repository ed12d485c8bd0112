"""From an export to what it asks for, checked before anything of it is done."""

import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from pamqp.commands import Exchange, Queue

from hopmq.broker.access import (
    HASHING_ALGORITHM,
    Permission,
    User,
    is_password_hash,
)
from hopmq.broker.definitions.entries import DefinitionsError, Entry, Table
from hopmq.broker.emulation import Emulation
from hopmq.broker.policies import Policy
from hopmq.broker.policy_rules import PolicyError, new_policy
from hopmq.broker.vhost_metadata import VhostMetadata
from hopmq.typedefs import FieldTable
from hopmq.wire import new_method

logger: logging.Logger = logging.getLogger("hopmq.broker")

T = TypeVar("T")

_IGNORED: Final = ("topic_permissions", "global_parameters")
_OPERATOR_POLICY: Final = "operator_policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What one user may do in one virtual host."""

    place: str
    username: str
    vhost: str
    permission: Permission


@dataclass(frozen=True, slots=True, kw_only=True)
class InVhost:
    """Something of one virtual host, with its place in the export."""

    place: str
    vhost: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDefinition(InVhost):
    """A policy, or an operator policy."""

    policy: Policy
    is_operator: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration(InVhost):
    """An exchange or a queue."""

    method: Exchange.Declare | Queue.Declare


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingDefinition(InVhost):
    """A binding."""

    source: str
    destination: str
    to_exchange: bool
    routing_key: str
    arguments: FieldTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """What an export holds.

    Attributes:
        users, vhosts, grants: Who may connect, where to, and what they may do.
        policies: Policies and operator policies.
        exchanges, queues, bindings: The topology.
    """

    users: list[User] = field(default_factory=list)
    vhosts: dict[str, VhostMetadata] = field(default_factory=dict)
    grants: list[Grant] = field(default_factory=list)
    policies: list[PolicyDefinition] = field(default_factory=list)
    exchanges: list[Declaration] = field(default_factory=list)
    queues: list[Declaration] = field(default_factory=list)
    bindings: list[BindingDefinition] = field(default_factory=list)


def read_definitions(
    source: str | os.PathLike[str] | Mapping[str, Any],  # Any: what JSON holds
    emulation: Emulation,
    vhost: str | None = None,
) -> Definitions:
    """Read an export.

    Args:
        source: The path of a JSON file, or what it holds.
        emulation: The release whose rules count for policies.
        vhost: For an export of a single virtual host, the one that it is for.

    Raises:
        DefinitionsError: Something in it is wrong; the message says which entry.
        OSError: The file cannot be read.
    """
    table = source if isinstance(source, Mapping) else _from_file(Path(source))
    for section in _IGNORED:
        if table.get(section):
            logger.info("definitions: %s are ignored", section.replace("_", " "))
    return Definitions(
        users=_each(table, "users", _user) if vhost is None else [],
        vhosts=dict(_each(table, "vhosts", _vhost)) if vhost is None else {},
        grants=_each(table, "permissions", _grant) if vhost is None else [],
        policies=[
            *_each(table, "policies", lambda entry: _policy(entry, emulation, vhost)),
            *_operator_policies(table, emulation, vhost),
        ],
        exchanges=_each(table, "exchanges", lambda entry: _exchange(entry, vhost)),
        queues=_each(table, "queues", lambda entry: _queue(entry, vhost)),
        bindings=_each(table, "bindings", lambda entry: _binding(entry, vhost)),
    )


def _from_file(path: Path) -> Table:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DefinitionsError(f"{path} is no JSON: {error}") from error
    if not isinstance(table, dict):
        raise DefinitionsError(f"{path} holds no object")
    return table


def _each(table: Table, section: str, read: Callable[[Entry], T]) -> list[T]:
    return [read(entry) for entry in _entries(table, section)]


def _entries(table: Table, section: str) -> Iterator[Entry]:
    entries = table.get(section, [])
    if not isinstance(entries, list):
        raise DefinitionsError(f"{section} is not a list")
    for position, entry in enumerate(entries):
        yield Entry(section, position, entry)


# --- users and virtual hosts -----------------------------------------------------------------------


def _user(entry: Entry) -> User:
    password_hash = entry.text("password_hash", "")
    algorithm = entry.text("hashing_algorithm", HASHING_ALGORITHM)
    if password_hash and algorithm != HASHING_ALGORITHM:
        raise entry.error(
            f"hashing_algorithm {algorithm} is not supported, only {HASHING_ALGORITHM} is: set the "
            "user's password anew"
        )
    if not is_password_hash(password_hash):
        raise entry.error("password_hash is no base64")
    name = entry.name()
    if not name:
        raise entry.error("a user has a name")
    return User(name=name, password_hash=password_hash, tags=entry.words("tags"))


def _vhost(entry: Entry) -> tuple[str, VhostMetadata]:
    metadata = Entry("vhosts", 0, entry.table("metadata"))
    metadata.place = f"{entry.place}: metadata"
    described = metadata if metadata.has("description") else entry
    tagged = metadata if metadata.has("tags") else entry
    kind = metadata.get("default_queue_type") or entry.get("default_queue_type")
    return entry.name(), VhostMetadata(
        description=described.text("description", ""),
        tags=tagged.words("tags"),
        default_queue_type=kind if isinstance(kind, str) and kind != "undefined" else None,
    )


def _grant(entry: Entry) -> Grant:
    patterns = {key: entry.text(key) for key in ("configure", "write", "read")}
    for key, pattern in patterns.items():
        try:
            re.compile(pattern)
        except re.error as error:
            raise entry.error(f"{key} is no regular expression: {error}") from error
    return Grant(
        place=entry.place,
        username=entry.name("user"),
        vhost=entry.name("vhost"),
        permission=Permission(**patterns),
    )


# --- policies ----------------------------------------------------------------------------------------


def _policy(
    entry: Entry, emulation: Emulation, vhost: str | None, *, is_operator: bool = False
) -> PolicyDefinition:
    value = Entry("value", 0, entry.table("value")) if is_operator else entry
    table = {"pattern": value.text("pattern"), "definition": value.table("definition")}
    for key in ("priority", "apply-to"):
        if value.has(key):
            table[key] = value.get(key)
    try:
        policy = new_policy(entry.name(), table, emulation, is_operator=is_operator)
    except PolicyError as error:
        raise entry.error(str(error)) from error
    return PolicyDefinition(
        place=entry.place, vhost=_vhost_of(entry, vhost), policy=policy, is_operator=is_operator
    )


def _operator_policies(
    table: Table, emulation: Emulation, vhost: str | None
) -> Iterator[PolicyDefinition]:
    """Read those parameters that are operator policies; others are of plugins."""
    for entry in _entries(table, "parameters"):
        if entry.get("component") == _OPERATOR_POLICY:
            yield _policy(entry, emulation, vhost, is_operator=True)
        else:
            logger.info("definitions: %s is ignored: a parameter of a plugin", entry.place)


def _vhost_of(entry: Entry, vhost: str | None) -> str:
    return entry.name("vhost") if vhost is None else vhost


# --- topology ----------------------------------------------------------------------------------------


def _exchange(entry: Entry, vhost: str | None) -> Declaration:
    method = new_method(
        Exchange.Declare,
        exchange=entry.name(),
        exchange_type=entry.name("type"),
        durable=entry.flag("durable", True),
        auto_delete=entry.flag("auto_delete", False),
        internal=entry.flag("internal", False),
        arguments=entry.arguments(),
        nowait=True,
    )
    return Declaration(place=entry.place, vhost=_vhost_of(entry, vhost), method=method)


def _queue(entry: Entry, vhost: str | None) -> Declaration:
    method = new_method(
        Queue.Declare,
        queue=entry.name(),
        durable=entry.flag("durable", True),
        auto_delete=entry.flag("auto_delete", False),
        arguments=entry.arguments(),
        nowait=True,
    )
    return Declaration(place=entry.place, vhost=_vhost_of(entry, vhost), method=method)


def _binding(entry: Entry, vhost: str | None) -> BindingDefinition:
    kind = entry.text("destination_type", "queue")
    if kind not in {"queue", "exchange"}:
        raise entry.error(f"destination_type has to be queue or exchange, not {kind!r}")
    return BindingDefinition(
        place=entry.place,
        vhost=_vhost_of(entry, vhost),
        source=entry.name("source"),
        destination=entry.name("destination"),
        to_exchange=kind == "exchange",
        routing_key=entry.name("routing_key", ""),
        arguments=entry.arguments(),
    )
