"""Serialization: a body's content type decides who reads it, once for each type."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from hopmq.app.errors import DeclarationError, PayloadError
from hopmq.app.serialization.compression import compress, decompress
from hopmq.app.serialization.limits import SizeLimits
from hopmq.app.serialization.media_type import parse_media_type
from hopmq.app.serialization.reasons import bounded, reason_of, type_name
from hopmq.app.serialization.serializer import Json, MessagePack, Octets, Serializer, Text
from hopmq.client.message import Message
from hopmq.errors import EncodeError, UsageError

_MAX_SPELLINGS: Final = 64
"""Spellings of content types that are kept for each handler: peers choose them."""

_Read = Callable[[bytes], Any]


class Encoded(NamedTuple):
    """A body, and what its message's properties say of it.

    Attributes:
        body: The bytes.
        content_type: How they are read.
        content_encoding: How they are packed; None where they are not.
    """

    body: bytes
    content_type: str
    content_encoding: str | None = None


class Serialization:
    """How payloads become bodies and bodies payloads.

    Built in are `application/json` (any `+json` as well), `application/msgpack` (with msgspec),
    `text/plain` (`str`) and `application/octet-stream` (`bytes`). Nothing is ever unpickled.
    """

    def __init__(
        self,
        *serializers: Serializer,
        default: str = "application/json",
        limits: SizeLimits | None = None,
    ) -> None:
        """Know formats.

        Args:
            serializers: Further ones; they come before those that are built in.
            default: The content type of messages that have none, and of what is published.
            limits: How large bodies may be.

        Raises:
            UsageError: Nobody serializes the default.
        """
        built_in: tuple[Serializer, ...] = (Json(), MessagePack(), Text(), Octets())
        self._serializers: dict[str, Serializer] = {
            each.content_type: each for each in (*built_in, *serializers)
        }
        self._default = default
        self._limits = limits or SizeLimits()
        self._serializer(default)

    def encode(
        self, value: Any, *, content_type: str | None = None, content_encoding: str | None = None
    ) -> Encoded:
        """Write a payload.

        Bytes are taken as they are, whatever their content type; by itself it is
        `application/octet-stream`. All else is written in the default format, a `str` too, unless
        `content_type` says otherwise.

        Args:
            value: The payload.
            content_type: Its format.
            content_encoding: How it is packed: `gzip`, `zstd`; None for not at all.

        Raises:
            EncodeError: It has no form there.
            UsageError: Content type or encoding are not known.
        """
        if isinstance(value, bytes | bytearray | memoryview):
            body = bytes(value)
            content_type = content_type or Octets.content_type
        else:
            content_type = content_type or self._default
            body = self._write(value, self._serializer(content_type))
        if content_encoding is None:
            return Encoded(body, content_type)
        return Encoded(compress(body, content_encoding), content_type, content_encoding)

    def _write(self, value: Any, serializer: Serializer) -> bytes:
        try:
            return serializer.encode(value)
        except UsageError:
            raise
        except Exception as error:
            name = type_name(type(value))
            raise EncodeError(
                f"{name} cannot be written as {serializer.content_type}: {reason_of(error)}"
            ) from error

    def _serializer(self, content_type: str) -> Serializer:
        for name in parse_media_type(content_type).names:
            if name in self._serializers:
                return self._serializers[name]
        known = ", ".join(sorted(self._serializers))
        raise UsageError(f"content type {content_type!r} is not known; known are {known}")

    def decoder(self, type_: Any, where: str) -> Callable[[Message], Any]:
        """Return what reads messages as `type_`.

        The content type decides how. `bytes` takes every one. A content encoding is undone first.
        The function raises a `PayloadError` for a message that it cannot read.

        Args:
            type_: What is wanted: any annotation that a library reads.
            where: Who wants it, for the text of errors.

        Raises:
            DeclarationError: No serializer reads a body as `type_`.
        """
        if type_ is bytes:
            return self._checked(lambda _: bytes, "bytes")
        readers, refusals = self._readers(type_)
        if not readers:
            reasons = "; ".join(dict.fromkeys(refusals.values()))
            raise DeclarationError(f"{where}: nobody reads {type_name(type_)}: {reasons}")
        return self._checked(
            _Formats(readers, refusals, self._default, type_name(type_)).find, type_name(type_)
        )

    def _readers(self, type_: Any) -> tuple[dict[str, _Read], dict[str, str]]:
        readers: dict[str, _Read] = {}
        refusals: dict[str, str] = {}
        for name, serializer in self._serializers.items():
            try:
                readers[name] = serializer.decoder(type_)
            except DeclarationError as error:
                refusals[name] = str(error)
        return readers, refusals

    def _checked(self, find: Callable[[str | None], _Read], name: str) -> Callable[[Message], Any]:
        """Put limits, unpacking and the naming of faults around readers."""
        found: dict[str | None, _Read] = {}
        max_body, max_decoded = self._limits.max_body, self._limits.max_decoded

        def decode(message: Message) -> Any:
            properties = message.properties
            body = message.body
            if len(body) > max_body:
                raise PayloadError(
                    f"the body has {len(body)} bytes, {max_body} are let in (max_body)"
                )
            if properties.content_encoding is not None:
                body = decompress(body, properties.content_encoding, max_decoded)
            content_type = properties.content_type
            read = found.get(content_type)
            if read is None:
                read = find(content_type)
                if len(found) < _MAX_SPELLINGS:
                    found[content_type] = read
            try:
                return read(body)
            except (PayloadError, MemoryError):
                raise
            except Exception as error:
                # Not its cause: a library's text shows values, and this one's end in logs.
                raise PayloadError(f"the body is no {name}: {reason_of(error)}") from None

        return decode


class _Formats:
    """The formats in which one type comes."""

    def __init__(
        self, readers: Mapping[str, _Read], refusals: Mapping[str, str], default: str, type_: str
    ) -> None:
        self._readers = readers
        self._refusals = refusals
        self._default = default
        self._type = type_

    def find(self, content_type: str | None) -> _Read:
        """Return what reads a content type.

        Raises:
            PayloadError: Nobody does.
        """
        media_type = parse_media_type(content_type or self._default)
        for name in media_type.names:
            if name in self._readers:
                if not media_type.is_utf8:
                    raise PayloadError(
                        f"the body is {bounded(str(media_type.charset), 40)}, not UTF-8"
                    )
                return self._readers[name]
        shown = bounded(media_type.name, 100)
        known = ", ".join(sorted(self._readers))
        for name in media_type.names:
            if name in self._refusals:
                raise PayloadError(
                    f"{shown} is not read as {self._type}, {known} is: {self._refusals[name]}"
                )
        raise PayloadError(f"content type {shown!r} is not known; for {self._type} {known} is")
