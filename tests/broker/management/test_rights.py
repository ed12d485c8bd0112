"""Users, virtual hosts and permissions by the management API, and who may use it."""

from collections.abc import Callable, Iterator
from urllib.parse import unquote

import pytest

from broker.management.api import Api
from broker.management.conftest import Managed

NOT_THERE = (404, "Object Not Found", "Not Found")
EVERYTHING = {"configure": ".*", "write": ".*", "read": ".*"}

NewUser = Callable[..., Api]


@pytest.fixture
def new_user(api: Api, name: str) -> Iterator[NewUser]:
    """Return what makes a user of some tags and returns the API as that user sees it."""
    made: list[str] = []

    def make(tags: str, vhost: str | None = None) -> Api:
        user = f"{name}-{len(made)}"
        made.append(user)
        api.put(f"/users/{user}", {"password": "secret", "tags": tags})
        if vhost is not None:
            api.put(f"/permissions/{vhost}/{user}", EVERYTHING)
        return api.as_user(user, "secret")

    yield make
    for user in made:
        api.delete(f"/users/{user}")


# --- who may use it --------------------------------------------------------------------------------


def test_without_credentials_it_asks_for_them(api: Api) -> None:
    reply = api.request("GET", "/overview", anonymous=True)
    assert (reply.status, reply.value) == (401, None)
    assert reply.headers["www-authenticate"].startswith("Basic realm=")


def test_a_wrong_password_is_refused(api: Api) -> None:
    for user, password in (("guest", "wrong"), ("nobody", "guest"), ("guest", "")):
        reply = api.as_user(user, password).request("GET", "/overview")
        assert (reply.status, reply.value["error"]) == (401, "not_authorized")


@pytest.mark.parametrize(
    "tags, path, refusal",
    [
        ("", "/overview", "Not management user"),
        ("", "/whoami", "Not management user"),
        ("management", "/nodes", "Not monitor user"),
        ("management", "/users", "Not administrator user"),
        ("monitoring", "/users", "Not administrator user"),
        ("policymaker", "/definitions", "Not administrator user"),
        ("management", "/permissions", "Not administrator user"),
        ("management", "/overview", None),
        ("management", "/policies", None),
        ("monitoring", "/nodes", None),
        ("policymaker", "/policies", None),
        ("administrator", "/users", None),
    ],
)
def test_tags_decide_what_a_user_sees(
    new_user: NewUser, tags: str, path: str, refusal: str | None
) -> None:
    api = new_user(tags)
    if refusal is None:
        api.get(path)
    else:
        assert api.refused("GET", path) == (401, "not_authorised", refusal)


def test_changes_need_more_than_looking(new_user: NewUser, vhost: str) -> None:
    api = new_user("management", vhost)
    refusal = (401, "not_authorised", "Not administrator user")
    assert api.refused("PUT", f"/vhosts/{vhost}") == refusal
    assert api.refused("DELETE", f"/vhosts/{vhost}") == refusal
    assert api.refused("PUT", "/users/x", {"tags": ""}) == refusal
    status, error, _ = api.refused(
        "PUT", f"/policies/{vhost}/p", {"pattern": "", "definition": {"max-length": 1}}
    )
    assert (status, error) == (401, "not_authorised")


def test_a_user_sees_the_virtual_hosts_that_it_may_enter(
    api: Api, new_user: NewUser, vhost: str, managed: Managed
) -> None:
    api.put(f"/queues/{vhost}/q", {})
    inside, outside = new_user("management", vhost), new_user("management")
    assert [each["name"] for each in inside.get("/vhosts")] == [unquote(vhost)]
    assert [each["name"] for each in inside.get("/queues")] == ["q"]
    assert outside.get("/vhosts") == []
    assert outside.get("/queues") == []
    refusal = {
        True: (404, "not_found", "Not Found"),
        False: (401, "not_authorised", "User not authorised to access virtual host"),
    }[managed.release == "4.3"]
    assert outside.refused("GET", f"/queues/{vhost}") == refusal
    assert outside.refused("PUT", f"/queues/{vhost}/x", {}) == refusal


def test_permissions_count_for_what_is_made(api: Api, new_user: NewUser, vhost: str) -> None:
    user = new_user("management")
    name = user.get("/whoami")["name"]
    api.put(f"/permissions/{vhost}/{name}", {"configure": "^allowed", "write": ".*", "read": ""})
    user.put(f"/queues/{vhost}/allowed", {})
    refusal = (401, "not_authorised", "Access refused.")
    assert user.refused("PUT", f"/queues/{vhost}/other", {}) == refusal
    assert user.refused("DELETE", f"/queues/{vhost}/allowed/contents") == refusal


def test_who_am_i(new_user: NewUser) -> None:
    answer = new_user("management,monitoring").get("/whoami")
    assert sorted(answer["tags"]) == ["management", "monitoring"]


# --- users -----------------------------------------------------------------------------------------


def test_a_user_is_made_changed_and_removed(api: Api, name: str) -> None:
    path = f"/users/{name}"
    api.put(path, {"password": "one", "tags": "management"}, status=201)
    api.put(path, {"password": "two", "tags": ["management", "other"]}, status=204)
    user = api.get(path)
    assert (user["name"], sorted(user["tags"])) == (name, ["management", "other"])
    assert user["hashing_algorithm"] == "rabbit_password_hashing_sha256"
    assert api.as_user(name, "one").request("GET", "/whoami").status == 401
    assert api.as_user(name, "two").get("/whoami")["name"] == name
    api.delete(path)
    assert api.refused("GET", path) == NOT_THERE
    assert api.refused("DELETE", path) == NOT_THERE


def test_a_hash_that_was_made_elsewhere_is_taken(api: Api, name: str) -> None:
    api.put(f"/users/{name}-1", {"password": "secret", "tags": "management"})
    password_hash = api.get(f"/users/{name}-1")["password_hash"]
    api.put(f"/users/{name}-2", {"password_hash": password_hash, "tags": "management"})
    assert api.as_user(f"{name}-2", "secret").get("/whoami")["name"] == f"{name}-2"
    reply = api.request("POST", "/users/bulk-delete", {"users": [f"{name}-1", f"{name}-2"]})
    assert reply.status == 204
    assert api.refused("GET", f"/users/{name}-1") == NOT_THERE


@pytest.mark.parametrize(
    "body, reason",
    [
        ({"password": "x"}, "tags_not_present"),
        ({"password_hash": "!!", "tags": ""}, ["not_base64", "!!"]),
    ],
)
def test_a_user_that_means_nothing_is_refused(
    api: Api, name: str, body: object, reason: object
) -> None:
    assert api.refused("PUT", f"/users/{name}", body) == (400, "bad_request", reason)


# --- virtual hosts and permissions -----------------------------------------------------------------


def test_a_virtual_host_is_made_and_removed_with_all_that_is_in_it(api: Api, name: str) -> None:
    path = f"/vhosts/{name}"
    api.put(path, {"description": "d", "tags": "a,b"}, status=201)
    vhost = api.get(path)
    assert (vhost["name"], vhost["description"]) == (name, "d")
    assert sorted(vhost["tags"]) == ["a", "b"]
    api.put(f"/queues/{name}/q", {})
    api.delete(path)
    assert api.refused("GET", path) == NOT_THERE
    assert api.refused("DELETE", path) == NOT_THERE
    api.put(path)
    assert api.get(f"/queues/{name}") == []
    api.delete(path)


def test_whoever_makes_a_virtual_host_may_use_it(api: Api, vhost: str) -> None:
    granted = {"user": "guest", "vhost": unquote(vhost), **EVERYTHING}
    assert api.get(f"/vhosts/{vhost}/permissions") == [granted]
    assert api.get(f"/permissions/{vhost}/guest") == granted
    assert granted in api.get("/users/guest/permissions")


def test_permissions_are_given_and_taken(
    api: Api, vhost: str, name: str, new_user: NewUser
) -> None:
    new_user("")
    path = f"/permissions/{vhost}/{name}-0"
    api.put(path, {"configure": ".*", "write": "w", "read": ""}, status=201)
    api.put(path, {"configure": ".*", "write": "x", "read": ""}, status=204)
    assert api.get(path)["write"] == "x"
    api.delete(path)
    assert api.refused("GET", path) == NOT_THERE
    assert api.refused("DELETE", path) == NOT_THERE


def test_permissions_of_nobody_and_nowhere_are_refused(api: Api, vhost: str, name: str) -> None:
    refusal = (400, "bad_request", "vhost_or_user_not_found")
    assert api.refused("PUT", f"/permissions/{vhost}/{name}", EVERYTHING) == refusal
    assert api.refused("PUT", "/permissions/nope/guest", EVERYTHING) == refusal
    status, error, reason = api.refused("PUT", f"/permissions/{vhost}/guest", {"configure": "."})
    assert reason == "[{key_missing,write},{key_missing,read}]"
    status, error, reason = api.refused(
        "PUT", f"/permissions/{vhost}/guest", {**EVERYTHING, "write": "("}
    )
    assert (status, error, reason[0]) == (400, "bad_request", "invalid_regexp")
