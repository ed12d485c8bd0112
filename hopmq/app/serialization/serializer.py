"""Formats of bodies: the protocol of a serializer, and those that are built in."""

import types
import typing
from collections.abc import Callable
from typing import Any, Final, Protocol

from hopmq.app.errors import DeclarationError
from hopmq.app.serialization import choice, writing
from hopmq.app.serialization.reasons import type_name
from hopmq.errors import EncodeError


class Serializer(Protocol):
    """Writes and reads bodies of one content type."""

    @property
    def content_type(self) -> str:
        """The content type, such as `application/json`, without parameters."""

    def encode(self, value: Any, /) -> bytes:
        """Write a value.

        Raises:
            EncodeError: It has no form here.
        """

    def decoder(self, type_: Any, /) -> Callable[[bytes], Any]:
        """Return what reads a body as `type_`; asked once for each handler, when it starts.

        Whatever the function raises is a `PayloadError` to the application.

        Raises:
            DeclarationError: Such a body never is a `type_`.
        """


class Json:
    """JSON, by pydantic, msgspec or the standard library, whichever fits the type."""

    content_type: Final = "application/json"

    def encode(self, value: Any, /) -> bytes:
        """Write a value as JSON."""
        return writing.write_json(value)

    def decoder(self, type_: Any, /) -> Callable[[bytes], Any]:
        """Return what reads JSON as `type_`."""
        return choice.json_reader(type_)


class MessagePack:
    """MessagePack, by msgspec."""

    content_type: Final = "application/msgpack"

    def encode(self, value: Any, /) -> bytes:
        """Write a value as MessagePack."""
        return writing.write_msgpack(value)

    def decoder(self, type_: Any, /) -> Callable[[bytes], Any]:
        """Return what reads MessagePack as `type_`."""
        return choice.msgpack_reader(type_)


class Text:
    """UTF-8, for `str`."""

    content_type: Final = "text/plain"

    def encode(self, value: Any, /) -> bytes:
        """Write a text."""
        if not isinstance(value, str):
            raise EncodeError(f"{type_name(type(value))} is no text")
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise EncodeError(f"the text is not UTF-8 at character {error.start}") from error

    def decoder(self, type_: Any, /) -> Callable[[bytes], Any]:
        """Return what reads a text, for types that a `str` is."""
        if not _is_any_of(type_, str):
            raise DeclarationError(f"a text is no {type_name(type_)}")
        return bytes.decode


class Octets:
    """Bytes as they are."""

    content_type: Final = "application/octet-stream"

    def encode(self, value: Any, /) -> bytes:
        """Take bytes."""
        if not isinstance(value, bytes | bytearray | memoryview):
            raise EncodeError(f"{type_name(type(value))} is not bytes")
        return bytes(value)

    def decoder(self, type_: Any, /) -> Callable[[bytes], Any]:
        """Return what gives bytes, for types that they are."""
        if not _is_any_of(type_, bytes):
            raise DeclarationError(f"bytes are no {type_name(type_)}")
        return bytes


def _is_any_of(type_: Any, wanted: type) -> bool:
    if typing.get_origin(type_) in {typing.Union, types.UnionType}:
        return any(_is_any_of(each, wanted) for each in typing.get_args(type_))
    return type_ is wanted or type_ is Any or type_ is object
