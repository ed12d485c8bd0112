"""What a content type says (RFC 9110, 8.3.1): the format, and the charset of texts."""

from typing import Final, NamedTuple

_SUFFIXES: Final = ("json", "msgpack")
"""Structured syntaxes (RFC 6839): `application/vnd.order+json` is read as `application/json`."""


class MediaType(NamedTuple):
    """A content type, taken apart.

    Attributes:
        name: Type and subtype, in lower case.
        charset: In lower case; None where none is given.
    """

    name: str
    charset: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """What a serializer for it may be registered as: its own name, then its syntax."""
        _, plus, suffix = self.name.rpartition("+")
        return (
            (self.name, f"application/{suffix}") if plus and suffix in _SUFFIXES else (self.name,)
        )

    @property
    def is_utf8(self) -> bool:
        """Whether UTF-8 reads it; JSON needs no charset (RFC 8259, 8.1)."""
        return self.charset in {None, "utf-8", "utf8", "us-ascii"}


def parse_media_type(content_type: str) -> MediaType:
    """Take a content type apart; of nonsense, the name is what no serializer has."""
    name, *parameters = content_type.split(";")
    charset = None
    for each in parameters:
        key, _, value = each.partition("=")
        if key.strip().lower() == "charset":
            charset = value.strip().strip('"').lower()
    return MediaType(name.strip().lower(), charset)
