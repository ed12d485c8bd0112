"""Every public await has tests in which it is cancelled."""

import inspect
from collections.abc import Coroutine

from hopmq import Channel, Connection, Consumer, PublishHandle, Transaction
from hopmq.client.opening import Opening

from .operations import REQUESTS

ELSEWHERE = {
    "Channel": {
        "close": "test_cancel_requests",
        "drain": "test_cancel_ending",
        "publish": "test_cancel_publish",
        "publish_many": "test_cancel_publish",
        "reopen": "test_recovery_interrupted",
        "start_consumer": "test_recovery_interrupted",
        "try_consumer": "test_recovery_interrupted",
        "start": "test_cancel_requests",  # what `channel` does beyond opening
        "stop_consuming": "test_cancel_consume",
        "wait_for_confirms": "test_cancel_publish",
    },
    "Connection": {
        "close": "test_cancel_ending",
        "drain": "test_cancel_ending",
        "wait_closed": "test_cancel_ending",
        "wait_for": "test_recovery_interrupted",
    },
    "Consumer": {
        "__anext__": "test_cancel_consume",
        "cancel": "test_cancel_consume",
        "wait_closed": "test_cancel_consume",
    },
    "PublishHandle": {"wait": "test_cancel_publish"},
    "Transaction": {"commit": "test_cancel_ending", "rollback": "test_cancel_ending"},
}
"""Awaits that are more than one request, and the modules that cancel them."""

KINDS = (Channel, Connection, Consumer, PublishHandle, Transaction)


def awaits(kind: type) -> set[str]:
    """Return what of a class is awaited."""
    return {
        name
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") or name == "__anext__"
        if inspect.iscoroutinefunction(member) or gives_awaitable(member)
    }


def gives_awaitable(member: object) -> bool:
    """Return whether a plain method gives something to be awaited or entered."""
    result = inspect.get_annotations(member, eval_str=True).get("return")  # type: ignore[arg-type]
    return getattr(result, "__origin__", None) in {Opening, Coroutine}


def test_every_public_await_is_cancelled_by_some_test() -> None:
    found = {(kind.__name__, name) for kind in KINDS for name in awaits(kind)}
    requested = {operation.name for operation in REQUESTS}
    known = {(kind, name) for kind, names in ELSEWHERE.items() for name in names}
    missing = {(kind, name) for kind, name in found - known if name not in requested}
    assert not missing
    assert known <= found
