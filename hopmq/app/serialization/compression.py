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
_WINDOW: Final = 8 * 1024 * 1024
"""What a frame may ask for whatever its size (RFC 9659)."""
_MAX_WINDOW: Final = 1 << 31
"""More than zstd itself knows."""


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

    def unpack(body: bytes, limit: int) -> bytes:
        window = min(max(limit, _WINDOW), _MAX_WINDOW).bit_length()
        options = {zstd.DecompressionParameter.window_log_max: min(window, 31)}
        frame = zstd.ZstdDecompressor(options=options)
        unpacked: bytes = frame.decompress(body, limit + 1)
        if len(unpacked) <= limit and (frame.unused_data or not frame.eof):
            raise ValueError("something else follows it, or its end is missing")
        return unpacked

    return zstd.compress, unpack


def _zstandard() -> tuple[Callable[[bytes], bytes], Callable[[bytes, int], bytes]]:
    try:
        import zstandard
    except ImportError as error:
        raise UsageError("zstd needs a library: pip install 'hopmq[zstd]'") from error

    def unpack(body: bytes, limit: int) -> bytes:
        size = zstandard.frame_content_size(body)
        if size > limit:
            raise _too_large(limit)
        window = min(max(limit, _WINDOW), _MAX_WINDOW)
        unpacker = zstandard.ZstdDecompressor(max_window_size=window)
        if size == 0:  # of such a frame `decompress` looks at nothing else
            empty = unpacker.decompressobj()
            unpacked = empty.decompress(body)
            if empty.unused_data or not empty.eof:
                raise ValueError("something else follows it, or its end is missing")
            return unpacked
        try:
            return unpacker.decompress(body, max_output_size=limit, allow_extra_data=False)
        except zstandard.ZstdError:
            # Of a frame that does not say its size it is not told apart: too large, or cut off.
            with unpacker.stream_reader(body) as reader:
                if len(reader.read(limit + 1)) > limit:
                    raise _too_large(limit) from None
            raise

    return zstandard.compress, unpack
