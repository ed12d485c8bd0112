"""/api/users, /api/whoami and /api/permissions: who may do what."""

import re
from typing import Any, Final

from hopmq.broker.access import (
    HASHING_ALGORITHM,
    Permission,
    User,
    hash_password,
    is_password_hash,
)
from hopmq.broker.management.call import (
    CREATED,
    DONE,
    Answer,
    Call,
    Resource,
    check_keys,
    checked_name,
    found,
    text,
)
from hopmq.broker.management.errors import bad_request
from hopmq.broker.management.rights import Needs

Table = dict[str, Any]  # Any: what JSON holds

_PATTERNS: Final = ("configure", "write", "read")


def tags_of(body: Table) -> tuple[str, ...]:
    """Return the field `tags`: a list, or words with commas between them."""
    tags = body["tags"]
    if isinstance(tags, str):
        tags = tags.split(",")
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise bad_request("tags has to be a list of strings")
    return tuple(tag.strip() for tag in tags if tag.strip())


# --- users -----------------------------------------------------------------------------------------


def _view(user: User) -> Table:
    return {
        "name": user.name,
        "password_hash": user.password_hash,
        "hashing_algorithm": HASHING_ALGORITHM,
        "tags": list(user.tags),
        "limits": {},
    }


def _whoami(call: Call) -> Table:
    return {"name": call.user.name, "tags": list(call.user.tags), "is_internal_user": True}


def _list(call: Call) -> list[Table]:
    return [_view(user) for user in sorted(call.state.access, key=lambda user: user.name)]


def _without_permissions(call: Call) -> list[Table]:
    return [_view(user) for user in call.state.access if not user.permissions]


def _user(call: Call) -> User:
    user: User = found(call.state.access.user(call.values["user"]))
    return user


def _get(call: Call) -> Table:
    return _view(_user(call))


def _put(call: Call) -> Answer:
    name = checked_name(call.values["user"])
    body = call.body()
    if "tags" not in body:
        raise bad_request("tags_not_present")
    present = call.state.access.user(name)
    user = User(
        name=name,
        password_hash=_password_hash(body),
        tags=tags_of(body),
        permissions={} if present is None else present.permissions,
    )
    call.state.access.set(user)
    return CREATED if present is None else DONE


def _password_hash(body: Table) -> str:
    """Return the hash to keep; an empty one, for nobody to log in with, when there is no password."""
    if "password" in body:
        password = text(body, "password")
        return hash_password(password) if password else ""
    password_hash = text(body, "password_hash")
    if not is_password_hash(password_hash):
        raise bad_request(["not_base64", password_hash[:100]])
    algorithm = body.get("hashing_algorithm", HASHING_ALGORITHM)
    if password_hash and algorithm != HASHING_ALGORITHM:
        raise bad_request(f"hashing_algorithm {algorithm} is not supported: {HASHING_ALGORITHM} is")
    return password_hash


def _delete(call: Call) -> Answer:
    call.state.access.remove(_user(call).name)
    return DONE


def _delete_several(call: Call) -> Answer:
    names = call.body().get("users", [])
    if not isinstance(names, list):
        raise bad_request("users has to be a list")
    for name in names:
        call.state.access.remove(str(name))
    return DONE


# --- permissions -----------------------------------------------------------------------------------


def _permission_view(user: User, vhost: str) -> Table:
    permission = user.permissions[vhost]
    patterns = {key: getattr(permission, key) for key in _PATTERNS}
    return {"user": user.name, "vhost": vhost, **patterns}


def _permissions(call: Call) -> list[Table]:
    return [
        _permission_view(user, vhost) for user in call.state.access for vhost in user.permissions
    ]


def _permissions_of_user(call: Call) -> list[Table]:
    user = _user(call)
    return [_permission_view(user, vhost) for vhost in user.permissions]


def _permissions_of_vhost(call: Call) -> list[Table]:
    vhost = call.values["name"]
    found(call.state.vhosts.get(vhost))
    return [_permission_view(u, vhost) for u in call.state.access if vhost in u.permissions]


def _permission(call: Call) -> Table:
    user, vhost = _user(call), call.values["name"]
    found(user.permissions.get(vhost))
    return _permission_view(user, vhost)


def _set_permission(call: Call) -> Answer:
    body = call.body()
    check_keys(body, *_PATTERNS)
    user = call.state.access.user(call.values["user"])
    vhost = call.values["name"]
    if user is None or vhost not in call.state.vhosts:
        raise bad_request("vhost_or_user_not_found")
    patterns = {key: text(body, key) for key in _PATTERNS}
    for pattern in patterns.values():
        _check_pattern(pattern)
    is_new = vhost not in user.permissions
    call.state.allow(user.name, vhost, Permission(**patterns))
    return CREATED if is_new else DONE


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise bad_request(["invalid_regexp", pattern, [error.msg, error.pos]]) from error


def _clear_permission(call: Call) -> Answer:
    user, vhost = _user(call), call.values["name"]
    found(user.permissions.pop(vhost, None))
    call.state.access.epoch += 1
    return DONE


def _no_topic_permissions(_call: Call) -> list[Table]:
    return []


_ADMIN: Final = Needs.ADMINISTRATOR

RESOURCES: Final = (
    Resource(path="/whoami", get=_whoami),
    Resource(path="/users", needs=_ADMIN, get=_list, is_list=True),
    Resource(
        path="/users/without-permissions", needs=_ADMIN, get=_without_permissions, is_list=True
    ),
    Resource(path="/users/bulk-delete", needs=_ADMIN, post=_delete_several),
    Resource(path="/users/{user}", needs=_ADMIN, get=_get, put=_put, delete=_delete),
    Resource(
        path="/users/{user}/permissions", needs=_ADMIN, get=_permissions_of_user, is_list=True
    ),
    Resource(
        path="/vhosts/{name}/permissions", needs=_ADMIN, get=_permissions_of_vhost, is_list=True
    ),
    Resource(path="/permissions", needs=_ADMIN, get=_permissions, is_list=True),
    Resource(
        path="/permissions/{name}/{user}",
        needs=_ADMIN,
        get=_permission,
        put=_set_permission,
        delete=_clear_permission,
    ),
    Resource(path="/topic-permissions", needs=_ADMIN, get=_no_topic_permissions, is_list=True),
)
