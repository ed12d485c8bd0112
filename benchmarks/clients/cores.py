"""Which core a process runs on: a client and its peer must not take each other's time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


def client_and_peer() -> tuple[int | None, int | None]:
    """Return a core for the client and another for its peer; None where there is but one."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Let processes that are started in this block inherit that core, and no other."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
