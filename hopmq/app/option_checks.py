"""What the options of decorators have to be: mistakes are told where they are made."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Final

from hopmq.app.batching import Batch
from hopmq.app.context import ConsumeMiddleware
from hopmq.app.declarations import ACK_POLICIES
from hopmq.app.errors import DeclarationError
from hopmq.app.groups import Group
from hopmq.app.placing import BindingKey
from hopmq.app.retry import Retry
from hopmq.client.consuming import check_prefetch
from hopmq.entities import Queue, name_of

_EXAMPLES: Final = {Retry: "Retry(attempts=5)", Batch: "Batch(100)", Group: 'Group("billing")'}


def check_queue(queue: object) -> None:
    """Refuse what is neither a queue nor the name of one; None is for others to judge."""
    if callable(queue):
        raise DeclarationError(
            f"the decorator of {getattr(queue, '__name__', queue)!r} needs a queue: "
            '@app.consumer("orders"), with parentheses'
        )
    if not isinstance(queue, Queue | str | None):
        raise DeclarationError(f"a queue or its name is due, not {queue!r}")
    if queue is not None and name_of(queue) == "":
        raise DeclarationError("a queue needs a name, for it to be found again after a restart")


def check_handling(ack: str, prefetch: int, concurrency: object) -> None:
    """Refuse an acknowledgement policy that is none, and numbers that cannot be meant."""
    if ack not in ACK_POLICIES:
        raise DeclarationError(f"ack is one of {', '.join(ACK_POLICIES)}, not {ack!r}")
    check_prefetch(prefetch)
    if not isinstance(concurrency, int) or concurrency < 1:
        raise DeclarationError(f"concurrency is at least 1, not {concurrency!r}")
    if 0 < prefetch < concurrency:
        raise DeclarationError(
            f"a prefetch of {prefetch} never gives {concurrency} handlers something to do: it has "
            f"to be {concurrency} at least"
        )


def check_kinds(*, retry: object, batch: object, group: object) -> None:
    """Refuse what is of another type than it has to be."""
    for name, value, kind in (
        ("retry", retry, Retry),
        ("batch", batch, Batch),
        ("group", group, Group),
    ):
        if not isinstance(value, kind | None):
            raise DeclarationError(f"{name} is {_EXAMPLES[kind]} or None, not {value!r}")


def check_partitioned(**given: object) -> None:
    """Refuse options that partitions of a group have no use for."""
    wrong = [f"{name}=" for name, value in given.items() if value is not None]
    if wrong:
        raise DeclarationError(
            "of each partition of a group one message is handled at a time, in order: leave out "
            + ", ".join(wrong)
        )


def checked_keys(bindings: object) -> tuple[BindingKey, ...]:
    """Return binding keys, given one or several."""
    keys = (bindings,) if isinstance(bindings, str | Mapping) else bindings
    keys = tuple(keys) if isinstance(keys, Iterable) else (keys,)
    for each in keys:
        if not isinstance(each, str | Mapping):
            raise DeclarationError(
                f"a binding is a routing key or a table of arguments, not {each!r}"
            )
    return keys


def checked_middleware(given: object) -> tuple[ConsumeMiddleware, ...]:
    """Return middleware that can be called with a context and what comes next."""
    if not isinstance(given, Iterable):
        raise DeclarationError(f"middleware is a list, such as [Logging()], not {given!r}")
    middleware = tuple(given)
    for each in middleware:
        if isinstance(each, type):
            raise DeclarationError(
                f"middleware {each.__name__} is a class, and one of it is due: {each.__name__}()"
            )
        if not callable(each) or not _takes_two(each):
            raise DeclarationError(
                f"middleware {each!r} cannot be called with a context and what comes next"
            )
    return middleware


def _takes_two(middleware: ConsumeMiddleware) -> bool:
    try:
        inspect.signature(middleware).bind(None, None)
    except TypeError:
        return False
    except ValueError:
        return True  # one of those in C that do not tell
    return True
