"""Who may connect, and what they may do: users, passwords, permissions (RabbitMQ, Access Control)."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from hopmq.errors import UsageError

Operation: TypeAlias = Literal["configure", "write", "read"]
OPERATIONS: Final[tuple[Operation, ...]] = ("configure", "write", "read")

ADMINISTRATOR: Final = "administrator"
"""The tag of users who may do everything by the management API."""

HASHING_ALGORITHM: Final = "rabbit_password_hashing_sha256"
"""The one algorithm known here, as RabbitMQ names it: a salt of four bytes and SHA-256."""

_SALT_SIZE: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What a user may do in one virtual host, as regular expressions on names.

    Attributes:
        configure: What may be declared and deleted.
        write: What may be published to, and bound as a destination.
        read: What may be consumed from, and bound as a source.
    """

    configure: str = ".*"
    write: str = ".*"
    read: str = ".*"

    def allows(self, operation: Operation, name: str) -> bool:
        """Return whether an operation on something of that name is allowed."""
        pattern = getattr(self, operation)
        # An empty pattern matches nothing but the empty name, as RabbitMQ has it.
        return re.search(pattern or "^$", name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who may connect.

    Attributes:
        name: The name.
        password_hash: As RabbitMQ exports it: base64 of salt and SHA-256; empty for a user
            who cannot log in by password.
        tags: What the user may see of the management API, such as `administrator`.
        permissions: By the name of the virtual host; without one, it cannot be used.
    """

    name: str
    password_hash: str = field(default="", repr=False)
    tags: tuple[str, ...] = ()
    permissions: dict[str, Permission] = field(default_factory=dict)

    def has_password(self, password: str | bytes) -> bool:
        """Return whether that is the user's password."""
        try:
            known = base64.b64decode(self.password_hash, validate=True)
        except ValueError:
            return False
        given = password.encode() if isinstance(password, str) else password
        salt = known[:_SALT_SIZE]
        return bool(known) and hmac.compare_digest(known, salt + _digest(salt, given))


def is_password_hash(text: str) -> bool:
    """Return whether a text can be the hash of a password; an empty one stands for none."""
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def hash_password(password: str) -> str:
    """Return the hash of a password, with a random salt (RabbitMQ, Passwords)."""
    salt = secrets.token_bytes(_SALT_SIZE)
    return base64.b64encode(salt + _digest(salt, password.encode())).decode()


def new_user(
    name: str,
    password: str,
    *,
    tags: Iterable[str] = (),
    permissions: dict[str, Permission] | None = None,
) -> User:
    """Return a user with a password, who may do everything in `/` unless told otherwise."""
    if not name:
        raise UsageError("a user has a name")
    allowed = {"/": Permission()} if permissions is None else permissions
    return User(
        name=name, password_hash=hash_password(password), tags=tuple(tags), permissions=allowed
    )


class Access:
    """The users of a broker.

    Attributes:
        epoch: Grows with every change, so that what was looked up before can be told to be old.
    """

    def __init__(self, users: Iterable[User]) -> None:
        """Know `users`."""
        # Copies: what is allowed here is no business of another broker with the same users.
        self._users: dict[str, User] = {
            user.name: replace(user, permissions=dict(user.permissions)) for user in users
        }
        self.epoch: int = 0

    def __iter__(self) -> Iterator[User]:
        return iter(list(self._users.values()))

    def user(self, name: str) -> User | None:
        """Return the user of that name."""
        return self._users.get(name)

    def set(self, user: User) -> None:
        """Add a user, or replace the one of that name."""
        self._users[user.name] = user
        self.epoch += 1

    def remove(self, name: str) -> None:
        """Remove a user, if there is one of that name."""
        self._users.pop(name, None)
        self.epoch += 1

    def authenticate(self, name: str, password: str | bytes) -> User | None:
        """Return the user whose name and password these are."""
        user = self._users.get(name)
        if user is None or not user.has_password(password):
            return None
        return user

    def allows(self, name: str, vhost: str, operation: Operation, resource: str) -> bool:
        """Return whether a user may do something with a queue or exchange."""
        user = self._users.get(name)
        if user is None or vhost not in user.permissions:
            return False
        return user.permissions[vhost].allows(operation, resource)


def _digest(salt: bytes, password: bytes) -> bytes:
    return hashlib.sha256(salt + password).digest()
