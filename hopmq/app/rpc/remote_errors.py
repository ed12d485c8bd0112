"""Which exceptions of an endpoint its callers learn of, and under which code."""

import inspect
import json
from typing import Any, Final

from hopmq.app.error_text import sendable, text_of
from hopmq.app.errors import DeclarationError, PayloadError, RemoteError
from hopmq.app.header_names import ERROR
from hopmq.app.retry.verdicts import Postpone
from hopmq.client.message import Message

INTERNAL: Final = "internal"
"""The code of every exception that was not registered."""
BAD_REQUEST: Final = "bad_request"
"""The code of a request that cannot be read as what the endpoint wants."""
UNAVAILABLE: Final = "unavailable"
"""The code of a request that is not worked on for now, as by an open circuit breaker."""
CONTENT_TYPE: Final = "application/json"

_LONGEST_CODE: Final = 255
_LONGEST_MESSAGE: Final = 64 * 1024
"""Characters of what callers are told."""


class RemoteErrors:
    """Exceptions that pass between an endpoint and its callers, by their codes.

    A caller gets an exception that is registered there under the code; otherwise a `RemoteError`
    with code and message. Of exceptions that are not registered where they are raised, callers
    learn nothing but that there was one: what they say may be nobody else's business.
    """

    def __init__(self, *, show_names: bool = False) -> None:
        """Know no exceptions.

        Args:
            show_names: Whether callers are told the class of one that is not registered.
        """
        self._show_names = show_names
        self._codes: dict[type[Exception], str] = {}
        self._types: dict[str, type[Exception]] = {}

    def register(self, exception: type[Exception], code: str | None = None) -> None:
        """Let an exception pass.

        Args:
            exception: Its class; it can be made of one text. Classes below it pass as well, under
                its code unless they have their own.
            code: What it is called on the way; by default the name of the class.

        Raises:
            DeclarationError: The code is taken, or the class cannot be made of one text.
        """
        code = exception.__name__ if code is None else code
        known = self._types.setdefault(code, exception)
        if known is not exception:
            raise DeclarationError(
                f"the code {code!r} stands for {known.__qualname__} already, and cannot for "
                f"{exception.__qualname__}"
            )
        _check_makeable(exception)
        self._codes[exception] = code

    def code_of(self, error: BaseException) -> tuple[str, str]:
        """Return code and message by which callers are told of an exception."""
        if isinstance(error, RemoteError):
            return _text(error.code), _text(error.message)
        for kind in type(error).__mro__:
            code = self._codes.get(kind)
            if code is not None:
                return code, _text_of(error)
        if isinstance(error, PayloadError):
            return BAD_REQUEST, text_of(error)
        if isinstance(error, Postpone):
            return UNAVAILABLE, _text(error.reason)
        return INTERNAL, type(error).__name__ if self._show_names else ""

    def encode(self, error: BaseException) -> tuple[str, bytes]:
        """Return an exception's code, and the body of the reply that tells of it."""
        code, message = self.code_of(error)
        code, message = code[:_LONGEST_CODE], message[:_LONGEST_MESSAGE]
        return code, json.dumps({"code": code, "message": message}).encode()

    def decode(self, reply: Message) -> Exception:
        """Return what a reply that tells of an error is raised as."""
        code = reply.headers.get(ERROR)
        error = RemoteError(str(code), _message_in(reply.body))
        kind = self._types.get(error.code)
        if kind is None:
            return error
        try:
            made = kind(error.message)
        except Exception:  # the user's class: whatever it does not like
            return error
        made.__cause__ = error
        return made


def _check_makeable(exception: type[Exception]) -> None:
    try:
        inspect.signature(exception).bind("")
    except TypeError:
        raise DeclarationError(
            f"{exception.__qualname__} cannot be registered: callers are to raise it, and it "
            "cannot be made of one text"
        ) from None
    except ValueError:
        return  # one of those in C that do not tell


def _text_of(error: BaseException) -> str:
    """Return what an exception was made of: the text of a KeyError is quoted."""
    arguments: tuple[Any, ...] = error.args  # whatever it was raised with
    only = arguments[0] if len(arguments) == 1 else None
    return sendable(only) if isinstance(only, str) else text_of(error)


def _text(value: object) -> str:
    """Return what was to be a text, and can be anything: exceptions do not check what they get."""
    return sendable(value if isinstance(value, str) else repr(value))


def _message_in(body: bytes) -> str:
    """Return the message that the body of an error tells; nothing where that is unreadable."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    message = told.get("message") if isinstance(told, dict) else None
    return message if isinstance(message, str) else ""
