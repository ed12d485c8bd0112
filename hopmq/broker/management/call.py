"""One request to the management API as its resources see it: who asks, for what, with which body."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn

from hopmq.broker.access import User
from hopmq.broker.direct import DirectChannel
from hopmq.broker.management.errors import bad_request, keys_missing, not_found
from hopmq.broker.management.rights import Needs, is_administrator
from hopmq.errors import EncodeError
from hopmq.typedefs import FieldTable
from hopmq.wire import active
from hopmq.wire.limits import SHORTSTR_SIZE

if TYPE_CHECKING:
    from hopmq.broker.peer import Peer
    from hopmq.broker.state import BrokerState
    from hopmq.broker.vhost import VirtualHost

Table = dict[str, Any]  # Any: what JSON holds


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerInfo:
    """Where the broker listens, as the API shows it."""

    protocol: str
    host: str
    port: int

    @property
    def is_tls(self) -> bool:
        """Whether it is encrypted."""
        return self.protocol.endswith("/ssl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A status without a body, for what is no GET."""

    status: HTTPStatus
    location: str | None = None


CREATED = Answer(status=HTTPStatus.CREATED)
DONE = Answer(status=HTTPStatus.NO_CONTENT)

Handler = Callable[["Call"], Any]  # Any: what JSON holds, or an Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What stands under one path.

    Attributes:
        path: With names in braces where a request has values.
        needs: What every method asks of a user.
        needs_to_change: The same for methods other than GET, where it is more.
        get, put, post, delete: What answers; None for a method that is not there.
        is_list: Whether GET gives a list that can be sorted, filtered and cut into pages.
    """

    path: str
    needs: Needs = Needs.MANAGEMENT
    needs_to_change: Needs | None = None
    get: Handler | None = None
    put: Handler | None = None
    post: Handler | None = None
    delete: Handler | None = None
    is_list: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request of a user who may make it.

    Attributes:
        state: The broker.
        node: Its name as a node.
        listeners: Where it listens.
        uptime: Seconds since it began to.
        user: Who asks.
        values: Of the names in the resource's path.
        query: Parameters behind the question mark.
        headers: By names in lower case.
        raw_body: What was sent.
    """

    state: "BrokerState"
    node: str
    listeners: Sequence[ListenerInfo]
    uptime: float
    user: User
    values: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw_body: bytes

    @property
    def vhost(self) -> "VirtualHost":
        """The virtual host of the path, which is there."""
        return self.state.vhosts[self.values["vhost"]]

    @property
    def channel(self) -> DirectChannel:
        """A channel of the user's own in the virtual host of the path."""
        return DirectChannel(self.state, self.vhost, self.user.name)

    def vhosts(self) -> Iterable["VirtualHost"]:
        """Return the virtual hosts of what a list shows: that of the path, or all the user's."""
        if "vhost" in self.values:
            return [self.vhost]
        found = self.state.vhosts.values()
        return [vhost for vhost in found if vhost.name in self.user.permissions]

    def peers(self) -> list["Peer"]:
        """Return the open connections that the user sees, oldest first."""
        names = {vhost.name for vhost in self.vhosts()}
        return [
            peer
            for peer in self.state.peers
            if peer.vhost is not None
            and peer.vhost.name in names
            and (self.sees_others or peer.username == self.user.name)
        ]

    @property
    def sees_others(self) -> bool:
        """Whether the user sees other users' connections."""
        return is_administrator(self.user) or "monitoring" in self.user.tags

    # --- the body ----------------------------------------------------------------------------

    def body(self) -> Table:
        """Return the body, an object of JSON; an empty one when nothing was sent.

        Raises:
            ApiError: It is something else (400).
        """
        return self._parsed("not_json")

    def definitions(self) -> Table:
        """Return the body of an upload of definitions, as `body` does."""
        return self._parsed("failed_to_parse_json")

    def _parsed(self, fault: str) -> Table:
        if not self.raw_body:
            return {}
        try:
            body = json.loads(self.raw_body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise bad_request(fault) from error
        if not isinstance(body, dict):
            raise bad_request(fault)
        return body

    def is_set(self, parameter: str) -> bool:
        """Return whether a parameter of the query is `true`."""
        return self.query.get(parameter) == "true"


def _refuse_constant(_text: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


def check_keys(body: Table, *keys: str) -> None:
    """Refuse a body without these keys (400)."""
    lacking = [key for key in keys if key not in body]
    if lacking:
        raise keys_missing(*lacking)


def flag(body: Table, key: str) -> bool:
    """Return a boolean, which may be spelled as a string; false when it is not there."""
    value = body.get(key, False)
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise bad_request(["not_boolean", value])


def text(body: Table, key: str, default: str = "") -> str:
    """Return a string."""
    value = body.get(key, default)
    if not isinstance(value, str):
        raise bad_request(f"{key} has to be a string")
    return value


def arguments_of(body: Table, key: str = "arguments") -> FieldTable:
    """Return arguments, which have to fit a table of AMQP."""
    arguments = body.get(key) or {}
    if not isinstance(arguments, dict):
        raise bad_request(f"{key} has to be an object")
    try:
        active.encode_table(arguments)
    except EncodeError as error:
        raise bad_request(f"{key}: {error}") from error
    return arguments


def checked_name(name: str) -> str:
    """Return a name; refuse one that does not fit a short string of AMQP (400)."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise bad_request("a name has to be text") from error
    if size > SHORTSTR_SIZE:
        raise bad_request(f"a name of more than {SHORTSTR_SIZE} bytes is not taken")
    return name


def found(thing: Any) -> Any:  # Any: whatever is looked for
    """Return what was looked for; refuse when it is None (404)."""
    if thing is None:
        raise not_found()
    return thing
