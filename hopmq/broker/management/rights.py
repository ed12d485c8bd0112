"""Who a request is from, and what users may see and do by their tags (RabbitMQ, Management)."""

import base64
import binascii
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from hopmq.broker.access import ADMINISTRATOR, Access, User
from hopmq.broker.management.errors import ApiError, missing, not_authorised, not_found

if TYPE_CHECKING:
    from hopmq.broker.state import BrokerState

_MONITORS: Final = frozenset({ADMINISTRATOR, "monitoring"})
_POLICYMAKERS: Final = frozenset({ADMINISTRATOR, "policymaker"})
_ALL: Final = _MONITORS | _POLICYMAKERS | {"management"}


class Needs(Enum):
    """What a resource asks of a user."""

    MANAGEMENT = "any tag of the management API"
    VHOST = "access to the virtual host"
    POLICYMAKER = "to make policies, and access to the virtual host if there is one"
    MONITORING = "to see what is of others"
    ADMINISTRATOR = "everything"


def authenticated(access: Access, authorization: str | None) -> User:
    """Return the user of an `Authorization` header of the basic scheme (RFC 7617).

    Raises:
        ApiError: There is none (401).
    """
    if authorization is None:
        raise ApiError(HTTPStatus.UNAUTHORIZED)
    scheme, _, encoded = authorization.partition(" ")
    user = None
    if scheme.lower() == "basic":
        try:
            name, _, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
            user = access.authenticate(name.decode(), password)
        except (binascii.Error, UnicodeDecodeError):
            user = None
    if user is None:
        raise ApiError(HTTPStatus.UNAUTHORIZED, "not_authorized", "Not_Authorized")
    return user


def is_monitor(user: User) -> bool:
    """Return whether a user sees what is of others."""
    return not _MONITORS.isdisjoint(user.tags)


def is_administrator(user: User) -> bool:
    """Return whether a user may do everything."""
    return ADMINISTRATOR in user.tags


def check_tags(user: User, needs: Needs) -> None:
    """Refuse a user whose tags do not suffice.

    Raises:
        ApiError: 401.
    """
    if _ALL.isdisjoint(user.tags):
        raise not_authorised("Not management user")
    if needs is Needs.ADMINISTRATOR and not is_administrator(user):
        raise not_authorised("Not administrator user")
    if needs is Needs.MONITORING and not is_monitor(user):
        raise not_authorised("Not monitor user")
    if needs is Needs.POLICYMAKER and _POLICYMAKERS.isdisjoint(user.tags):
        raise not_authorised("User not authorised to access object")


def check_vhost(state: "BrokerState", user: User, name: str, *, is_change: bool) -> None:
    """Refuse a virtual host that is not there, or not for this user.

    Raises:
        ApiError: 404 or 401, which depends on the release.
    """
    if name not in state.vhosts:
        raise missing("vhost_not_found") if is_change else not_found()
    if name in user.permissions:
        return
    if state.emulation.api_hides_vhosts:
        raise missing("Not Found")
    raise not_authorised("User not authorised to access virtual host")
