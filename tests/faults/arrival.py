"""Make two things meet in one turn of the loop: what the client reads, and something else."""

from collections.abc import Callable

import pytest

from hopmq.transport.link import Link


class Arrival:
    """Runs functions right after a client's link has handled what it read.

    Whoever waits for what was read has been told by then, and has not run yet.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._then: list[Callable[[], object]] = []
        handle = Link.buffer_updated

        def buffer_updated(link: Link, nbytes: int) -> None:
            handle(link, nbytes)
            due, self._then = self._then, []
            for function in due:
                function()

        monkeypatch.setattr(Link, "buffer_updated", buffer_updated)

    def then(self, function: Callable[[], object]) -> None:
        """Run `function` once, after the next read."""
        self._then.append(function)
