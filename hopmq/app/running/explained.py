"""What `App.run` says when an application cannot start or go on: a sentence, and no traceback."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from hopmq.errors import ConnectError, ConnectTimeoutError, CredentialsError, HopMQError

_UNREACHABLE: Final = frozenset({ConnectError, ConnectTimeoutError})
"""Nobody answered there; whoever did says itself what it does not like."""
_REMEDY: Final = (
    "check that a broker runs there and that the URL is right; "
    "`hopmq broker` starts one for development"
)


class Explained:
    """The errors of one run in which the program's own code had no part.

    What these say is all there is to say. A traceback of ours would show nothing else; that of
    a hook's or a dependency's error shows the user's own lines.
    """

    def __init__(self) -> None:
        """Know of none."""
        self._error: HopMQError | None = None
        self._has_started = False

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Take note of an error of the block, a part of the start."""
        with self._noted(has_started=False):
            yield

    @contextmanager
    def running(self) -> Iterator[None]:
        """Take note of an error of the block, which comes when all has started."""
        with self._noted(has_started=True):
            yield

    def sentence(self, error: HopMQError, name: str | None, places: Sequence[str]) -> str | None:
        """Return what there is to say of an error; None where the traceback counts.

        Args:
            error: What has ended an application.
            name: The application's.
            places: Where it was to connect to.
        """
        # A provider of credentials is the user's code.
        if error is not self._error or isinstance(error, CredentialsError):
            return None
        what = "the application" if name is None else f"application {name!r}"
        end = "cannot go on" if self._has_started else "cannot start"
        return f"hopmq: {what} {end}: {_reason(error, places)}"

    @contextmanager
    def _noted(self, *, has_started: bool) -> Iterator[None]:
        try:
            yield
        except HopMQError as error:
            self._error, self._has_started = error, has_started
            raise


def _reason(error: HopMQError, places: Sequence[str]) -> str:
    reason = str(error)
    if isinstance(error, ConnectError) and not any(place in reason for place in places):
        reason = ": ".join(filter(None, (", ".join(places), reason)))  # it says who, not where
    return f"{reason}; {_REMEDY}" if type(error) in _UNREACHABLE else reason
