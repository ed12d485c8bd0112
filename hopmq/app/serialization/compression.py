"""Content encodings, gzip and zstd; what is unpacked never exceeds its limit."""

import gzip
import zlib
from collections.abc import Callable
from typing import Any, Final

from hopmq.app.errors import PayloadError
from hopmq.app.serialization.reasons import bounded, reason_of
from hopmq.errors import UsageError

_GZIP_ONLY: Final = 31
"""zlib's number for a window of 32 KiB in a gzip wrapping (zlib manual, inflateInit2)."""

_KNOWN: Final = "gzip and zstd are"
_MAX_WINDOW: Final = 1 << 31
_MIN_WINDOW: Final = 1 << 10


def compress(body: bytes, encoding: str) -> bytes:
    """Pack a body.

    Raises:
        UsageError: The encoding is not known, or needs a library.
    """
    name = encoding.strip().lower()
    if name == "gzip":
        return gzip.compress(body, mtime=0)
    if name == "zstd":
        pack, _ = _zstd()
        return pack(body)
    raise UsageError(f"content encoding {encoding!r} is not known; {_KNOWN}")


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Unpack a body of at most `limit` bytes.

    Raises:
        PayloadError: It is larger, not of that encoding, or the encoding is not known.
    """
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return body
    unpack = _UNPACK.get(name)
    if unpack is None:
        raise PayloadError(f"content encoding {bounded(encoding, 40)!r} is not known; {_KNOWN}")
    try:
        unpacked = unpack(body, limit)
    except (PayloadError, MemoryError):
        raise
    except UsageError as error:
        raise PayloadError(str(error)) from error
    except Exception as error:
        raise PayloadError(f"the body is not {name}: {reason_of(error)}") from error
    if len(unpacked) > limit:
        raise _too_large(limit)
    return unpacked


def _too_large(limit: int) -> PayloadError:
    return PayloadError(f"the body is larger than {limit} bytes when unpacked (max_decoded)")


def _members(body: bytes, limit: int, make: Callable[[], Any]) -> bytes:
    """Unpack members one after another, up to one byte more than the limit."""
    unpacked = bytearray()
    while body:
        member = make()
        unpacked += member.decompress(body, limit + 1 - len(unpacked))
        if len(unpacked) > limit:
            break
        if not member.eof:
            raise EOFError("it ends too early")
        body = member.unused_data
    return bytes(unpacked)


def _gunzip(body: bytes, limit: int) -> bytes:
    return _members(body, limit, lambda: zlib.decompressobj(_GZIP_ONLY))


def _unzstd(body: bytes, limit: int) -> bytes:
    _, unpack = _zstd()
    return unpack(body, limit)


_UNPACK: Final = {"gzip": _gunzip, "zstd": _unzstd}


def _zstd() -> tuple[Callable[[bytes], bytes], Callable[[bytes, int], bytes]]:
    """Return how to pack and to unpack: by Python 3.14 itself, or by zstandard."""
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return _zstandard()
    return zstd.compress, lambda body, limit: _members(body, limit, zstd.ZstdDecompressor)


def _zstandard() -> tuple[Callable[[bytes], bytes], Callable[[bytes, int], bytes]]:
    try:
        import zstandard
    except ImportError as error:
        raise UsageError("zstd needs a library: pip install 'hopmq[zstd]'") from error

    def unpack(body: bytes, limit: int) -> bytes:
        size = zstandard.frame_content_size(body)
        if size > limit:
            raise _too_large(limit)
        window = min(max(limit, _MIN_WINDOW), _MAX_WINDOW)
        unpacker = zstandard.ZstdDecompressor(max_window_size=window)
        if size == 0:
            return b""
        return unpacker.decompress(body, max_output_size=limit, allow_extra_data=False)

    return zstandard.compress, unpack
