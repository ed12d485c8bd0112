"""A small HTTP/1.1 server (RFC 9112), bounded in everything that a client decides."""

import asyncio
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final, Protocol

from hopmq.broker.sockets import cannot_listen

logger: logging.Logger = logging.getLogger("hopmq.broker.management")

_MAX_CHUNK_LINE: Final = 256
_LINGER_READS: Final = 64

_REQUEST_LINE: Final = re.compile(r"([A-Z]{1,16}) ([\x21-\x7e]+) HTTP/1\.([01])")
_FIELD: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(;[^\r\n]*)?\r\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a client may ask for.

    Attributes:
        head: Bytes of a request line and its headers.
        body: Bytes of a body, as RabbitMQ has it by default.
        timeout: Seconds for each of: the next request, its body, and the answer to be taken.
        linger: Seconds in which a client may take the last answer.
        connections: How many there may be; others are dropped.
    """

    head: int = 16 * 1024
    body: int = 20_000_000
    timeout: float = 30.0
    linger: float = 2.0
    connections: int = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request.

    Attributes:
        method: Its method, such as GET.
        path: The path, as it was sent.
        query: What follows the question mark, as it was sent.
        headers: By names in lower case; of several of one name, joined by commas.
        body: The body; empty until the request was admitted.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer."""

    status: HTTPStatus
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Application(Protocol):
    """What answers requests; it does not wait for anything."""

    def admit(self, request: Request) -> Response | None:
        """Refuse a request by its headers, before its body is read; None to go on."""

    def answer(self, request: Request) -> Response:
        """Answer a request that was admitted."""

    def fault(self, status: HTTPStatus, reason: str) -> Response:
        """Return the answer to what is no proper request."""


class _FaultError(Exception):
    """A request is none, or asks too much; its connection ends with the answer."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class HttpServer:
    """Listen, and have an application answer."""

    def __init__(self, application: Application, limits: Limits = Limits()) -> None:
        """Listen nowhere yet."""
        self._application = application
        self._limits = limits
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> int:
        """Begin to listen and return the port; 0 asks for a free one.

        Raises:
            OSError: That is not possible; the message names the address.
        """
        try:
            self._server = await asyncio.start_server(
                self._accept, host, port, limit=self._limits.head
            )
        except OSError as error:
            raise cannot_listen(f"{host}:{port}", error) from error
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and end all connections. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self._limits.timeout)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= self._limits.connections:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport = writer.transport
        try:
            while await self._serve_one(reader, writer):
                pass
            await self._close(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            logger.debug("a client is gone, or too slow: %r", error)
        finally:
            transport.abort()

    async def _close(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Let the client read the last answer: bytes of its own that nobody reads would reset it."""
        writer.write_eof()
        async with asyncio.timeout(self._limits.linger):
            for _ in range(_LINGER_READS):
                if not await reader.read(self._limits.head):
                    return

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer the next request and return whether there may be another one."""
        try:
            async with asyncio.timeout(self._limits.timeout):
                request, minor = _parse_head(await _read_head(reader))
            keep = _keeps_alive(request, minor)
            response = self._application.admit(request)
            if response is None:
                if _has_body(request):
                    body = await self._read_body(request, reader, writer)
                    request = replace(request, body=body)
                response = self._application.answer(request)
            elif _has_body(request):
                keep = False  # a body that nobody reads stands before the next request
        except _FaultError as fault:
            request, keep = Request(method="", path=""), False
            response = self._application.fault(fault.status, fault.reason)
        writer.write(_serialized(response, keep=keep, without_body=request.method == "HEAD"))
        async with asyncio.timeout(self._limits.timeout):
            await writer.drain()
        return keep

    async def _read_body(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        size = _announced_size(request, self._limits)
        if request.headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        async with asyncio.timeout(self._limits.timeout):
            if size is None:
                return await _read_chunks(reader, self._limits)
            return await reader.readexactly(size)


# --- reading ---------------------------------------------------------------------------------------


async def _read_head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise _FaultError(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "request headers are too large"
        ) from error


def _parse_head(head: bytes) -> tuple[Request, int]:
    """Return the request and the minor version of HTTP/1."""
    first, *lines = head.decode("latin-1").lstrip("\r\n").removesuffix("\r\n\r\n").split("\r\n")
    match = _REQUEST_LINE.fullmatch(first)
    if match is None:
        raise _FaultError(HTTPStatus.BAD_REQUEST, "no request of HTTP/1.1")
    headers: dict[str, str] = {}
    for line in lines:
        parts = _FIELD.fullmatch(line)
        if parts is None:
            raise _FaultError(HTTPStatus.BAD_REQUEST, "a header field is malformed")
        name, value = parts[1].lower(), parts[2].rstrip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    method, target, minor = match.groups()
    if target.lower().startswith(("http://", "https://")):
        target = "/" + target.split("/", 3)[3] if target.count("/") >= 3 else "/"
    path, _, query = target.partition("#")[0].partition("?")
    return Request(method=method, path=path, query=query, headers=headers), int(minor)


def _keeps_alive(request: Request, minor: int) -> bool:
    wanted = request.headers.get("connection", "").lower()
    return "keep-alive" in wanted if minor == 0 else "close" not in wanted


def _has_body(request: Request) -> bool:
    headers = request.headers
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _announced_size(request: Request, limits: Limits) -> int | None:
    """Return the size of the body; None when it comes in chunks."""
    coding, length = (request.headers.get(n) for n in ("transfer-encoding", "content-length"))
    if coding is not None:
        if length is not None:
            # Two lengths are how one request is smuggled into another (RFC 9112, 6.1).
            raise _FaultError(HTTPStatus.BAD_REQUEST, "both content-length and transfer-encoding")
        if coding.lower() != "chunked":
            raise _FaultError(HTTPStatus.NOT_IMPLEMENTED, "unknown transfer coding")
        return None
    if length is None or not (length.isascii() and length.isdigit()):
        raise _FaultError(HTTPStatus.BAD_REQUEST, "content-length is no number")
    if len(length) > len(str(limits.body)) or int(length) > limits.body:
        raise _too_large(limits)
    return int(length)


async def _read_chunks(reader: asyncio.StreamReader, limits: Limits) -> bytes:
    body = bytearray()
    while size := await _read_chunk_size(reader):
        if len(body) + size > limits.body:
            raise _too_large(limits)
        body += await reader.readexactly(size)
        if await reader.readexactly(2) != b"\r\n":
            raise _FaultError(HTTPStatus.BAD_REQUEST, "a chunk does not end where it should")
    trailer = 0
    while (line := await _read_line(reader)) != b"\r\n":
        trailer += len(line)
        if trailer > limits.head:
            raise _FaultError(HTTPStatus.BAD_REQUEST, "the trailer is too large")
    return bytes(body)


async def _read_chunk_size(reader: asyncio.StreamReader) -> int:
    line = await _read_line(reader)
    match = _CHUNK_SIZE.fullmatch(line) if len(line) <= _MAX_CHUNK_LINE else None
    if match is None:
        raise _FaultError(HTTPStatus.BAD_REQUEST, "a chunk has no size")
    return int(match[1], 16)


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n")
    except asyncio.LimitOverrunError as error:
        raise _FaultError(HTTPStatus.BAD_REQUEST, "a line is too long") from error


def _too_large(limits: Limits) -> _FaultError:
    return _FaultError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"a body of more than {limits.body} bytes is not taken",
    )


# --- writing ---------------------------------------------------------------------------------------


def _serialized(response: Response, *, keep: bool, without_body: bool) -> bytes:
    headers = {"server": "HopMQ", **response.headers}
    if response.status is not HTTPStatus.NO_CONTENT:
        headers["content-length"] = str(len(response.body))
    if not keep:
        headers["connection"] = "close"
    head = f"HTTP/1.1 {response.status.value} {response.status.phrase}\r\n"
    head += "".join(f"{name}: {_without_breaks(value)}\r\n" for name, value in headers.items())
    return head.encode("latin-1", "replace") + b"\r\n" + (b"" if without_body else response.body)


def _without_breaks(value: str) -> str:
    return value.replace("\r", " ").replace("\n", " ")
