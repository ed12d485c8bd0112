"""The HTTP server of the management API: what a client decides has bounds."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from http import HTTPStatus

import pytest

from hopmq.broker.management.http import HttpServer, Limits, Request, Response

LIMITS = Limits(head=1024, body=4096, linger=0.3, connections=3)
HASTY = replace(LIMITS, timeout=0.3)
TIME_LIMIT = 10.0

of_a_hasty_server = pytest.mark.parametrize("server", [HASTY], indirect=True, ids=["hasty"])


class Echo:
    """Answers with what it was asked; /secret is for nobody, /crash is a mistake."""

    def __init__(self) -> None:
        self.admitted: list[Request] = []

    def admit(self, request: Request) -> Response | None:
        """Refuse /secret."""
        self.admitted.append(request)
        return Response(status=HTTPStatus.UNAUTHORIZED) if request.path == "/secret" else None

    def answer(self, request: Request) -> Response:
        """Answer with the request."""
        if request.path == "/large":
            return Response(status=HTTPStatus.OK, body=b"x" * 20_000_000)
        said = f"{request.method} {request.path} {request.query} {request.body.decode()}"
        return Response(status=HTTPStatus.OK, body=said.encode())

    def fault(self, status: HTTPStatus, reason: str) -> Response:
        """Answer in JSON."""
        body = json.dumps({"error": status.phrase, "reason": reason}).encode()
        return Response(status=status, body=body, headers={"content-type": "application/json"})


class Client:
    """A connection that sends whatever it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the next answer."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(first.split()[1]), headers, body

    async def rest(self) -> bytes:
        """Return what comes until the server hangs up, by whichever means."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""


class Server:
    """A server with narrow limits, and its clients."""

    def __init__(self, limits: Limits) -> None:
        self.echo = Echo()
        self.http = HttpServer(self.echo, limits)
        self.port = 0
        self.clients: list[Client] = []

    async def connect(self) -> Client:
        """Open a connection."""
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        return client


@pytest.fixture
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    """Return a server that runs, and has patience unless a test wants it to have none."""
    async with asyncio.timeout(TIME_LIMIT):
        server = Server(getattr(request, "param", LIMITS))
        server.port = await server.http.start("127.0.0.1", 0)
        yield server
        for client in server.clients:
            client.writer.transport.abort()
        await server.http.stop()


@pytest.fixture
async def client(server: Server) -> Client:
    """Return a connection."""
    return await server.connect()


async def test_requests_of_one_connection_are_answered_in_order(client: Client) -> None:
    client.send(b"GET /one?a=1 HTTP/1.1\r\n\r\nPUT /two HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi")
    assert (await client.answer())[2] == b"GET /one a=1 "
    assert (await client.answer())[2] == b"PUT /two  hi"


async def test_bytes_may_come_one_by_one(client: Client) -> None:
    for octet in b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc":
        client.send(bytes([octet]))
        await asyncio.sleep(0)
    assert (await client.answer())[2] == b"POST /  abc"


async def test_a_body_may_come_in_chunks(client: Client) -> None:
    client.send(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.send(b"3\r\nabc\r\n2;name=value\r\nde\r\n0\r\nTrailer: x\r\n\r\nGET / HTTP/1.1\r\n\r\n")
    assert (await client.answer())[2] == b"PUT /  abcde"
    assert (await client.answer())[2] == b"GET /  "


async def test_a_client_that_asks_is_told_to_go_on(client: Client) -> None:
    client.send(b"PUT / HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
    assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"x")
    assert (await client.answer())[2] == b"PUT /  x"


@pytest.mark.parametrize(
    "head", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"]
)
async def test_the_server_hangs_up_where_the_client_wants_it(client: Client, head: bytes) -> None:
    client.send(head)
    status, headers, _ = await client.answer()
    assert (status, headers["connection"]) == (200, "close")
    assert await client.rest() == b""


async def test_an_answer_to_head_has_a_length_and_no_body(client: Client) -> None:
    client.send(b"HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n")
    answer = await client.rest()
    assert answer.endswith(b"\r\n\r\n")
    assert b"content-length: 8\r\n" in answer


@pytest.mark.parametrize(
    "sent, status",
    [
        (b"\x00\x01\x02\r\n\r\n", 400),
        (b"AMQP\x00\x00\x09\x01\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nname : value\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\na: b\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\na: b\x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\na: b\nc: d\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\na: " + b"x" * 2000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 2000, 431),
        (b"PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nContent-Length: 1_0\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n", 413),
        (b"PUT / HTTP/1.1\r\nContent-Length: " + b"9" * 500 + b"\r\n\r\n", 413),
        (b"PUT / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
        (b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        (b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", 400),
        (b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", 413),
        (b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 500 + b"\r\n", 400),
        (b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 500, 400),
    ],
)
async def test_what_is_no_proper_request_is_refused_in_json_and_ends(
    client: Client, sent: bytes, status: int
) -> None:
    client.send(sent)
    answered, headers, body = await client.answer()
    assert answered == status
    assert headers["content-type"] == "application/json"
    assert headers["connection"] == "close"
    assert json.loads(body)["reason"]
    assert await client.rest() == b""


async def test_the_body_of_a_refused_request_is_not_read(server: Server, client: Client) -> None:
    client.send(b"PUT /secret HTTP/1.1\r\nContent-Length: 4000\r\n\r\n")
    status, headers, _ = await client.answer()
    assert (status, headers["connection"]) == (401, "close")
    client.send(b"GET /smuggled HTTP/1.1\r\n\r\n")
    assert await client.rest() == b""
    assert [request.path for request in server.echo.admitted] == ["/secret"]


@of_a_hasty_server
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\na: b\r\n",
        b"PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc",
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
async def test_a_client_that_falls_silent_is_dropped(client: Client, sent: bytes) -> None:
    client.send(sent)
    assert await client.rest() == b""


@of_a_hasty_server
async def test_a_client_that_does_not_read_is_dropped(server: Server, client: Client) -> None:
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    client.send(b"GET /large HTTP/1.1\r\n\r\n")
    while not server.echo.admitted or server.http._open:
        await asyncio.sleep(0.01)
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert len(await client.rest()) < 20_000_000


async def test_a_large_answer_arrives_whole(client: Client) -> None:
    client.send(b"GET /large HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert len((await client.answer())[2]) == 20_000_000
    assert await client.rest() == b""


async def test_connections_beyond_the_limit_are_dropped(server: Server) -> None:
    first = [await server.connect() for _ in range(LIMITS.connections)]
    for client in first:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert (await client.answer())[0] == 200
    beyond = await server.connect()
    beyond.send(b"GET / HTTP/1.1\r\n\r\n")
    assert await beyond.rest() == b""
    first[0].writer.close()
    await first[0].writer.wait_closed()
    async with asyncio.timeout(TIME_LIMIT):
        while True:
            again = await server.connect()
            again.send(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
            if b"200 OK" in await again.rest():
                break


async def test_a_server_that_stops_ends_its_connections(server: Server, client: Client) -> None:
    client.send(b"GET / HTTP/1.1\r\n\r\n")
    await client.answer()
    await server.http.stop()
    await server.http.stop()
    assert await client.rest() == b""
    with pytest.raises(OSError):
        await server.connect()
