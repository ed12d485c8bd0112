"""How a broker ends a channel or a connection, as an exception that tests match on."""

from collections.abc import Awaitable

import pytest
from pamqp.commands import Channel, Connection

_MISSING = ("NOT_FOUND - no queue '", "NOT_FOUND - no exchange '")


class Closed(Exception):  # noqa: N818  # a state, as in hopmq.errors
    """The broker closed a channel or the connection, with its reasons.

    Attributes:
        scope: `channel` or `connection`.
        code, text: What it said.
        class_id, method_id: The method that it blames, or zeros.
    """

    def __init__(self, scope: str, code: int, text: str, class_id: int, method_id: int) -> None:
        super().__init__(f"{scope} {code} {text} ({class_id}, {method_id})")
        self.scope = scope
        self.code = code
        self.text = text
        self.class_id = class_id
        self.method_id = method_id

    @classmethod
    def by(cls, method: Channel.Close | Connection.Close) -> "Closed":
        """Read a close method."""
        scope = "channel" if isinstance(method, Channel.Close) else "connection"
        return cls(
            scope,
            method.reply_code or 0,
            method.reply_text,
            method.class_id or 0,
            method.method_id or 0,
        )

    @property
    def answer(self) -> tuple[str, int, str]:
        """Scope, code and text, to compare at once."""
        return self.scope, self.code, self.text

    @property
    def blamed(self) -> tuple[int, int]:
        """The method that the close names."""
        return self.class_id, self.method_id

    @property
    def is_missing(self) -> bool:
        """Whether the request named what does not exist; what exists but is down does not count."""
        return self.code == 404 and self.text.startswith(_MISSING)


class Dropped(ConnectionError):  # noqa: N818  # a state, as above
    """The broker hung up without a close method."""


async def refusal(request: Awaitable[object]) -> tuple[str, int, str]:
    """Return how the broker refused; fail if it did not."""
    with pytest.raises(Closed) as caught:
        await request
    return caught.value.answer
