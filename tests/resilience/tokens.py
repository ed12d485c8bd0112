"""Tokens that RabbitMQ's OAuth 2.0 backend believes in, and an endpoint that gives them out."""

import asyncio
import base64
import json
import math
import subprocess
import time
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

from hopmq.testing import Installation, RabbitMQ

PLUGIN = "rabbitmq_auth_backend_oauth2"
SCOPES = ["rabbitmq.configure:*/*", "rabbitmq.read:*/*", "rabbitmq.write:*/*"]


class Issuer:
    """Signs tokens with a key of its own (RS256)."""

    def __init__(self, folder: Path) -> None:
        """Make the key."""
        self._key = folder / "issuer.pem"
        self.public = folder / "issuer-public.pem"
        _openssl("genrsa", "-out", str(self._key), "2048")
        _openssl("rsa", "-in", str(self._key), "-pubout", "-out", str(self.public))

    def token(self, expires: int) -> str:
        """Return a token that is good until then."""
        head = {"alg": "RS256", "typ": "JWT", "kid": "issuer"}
        claims = {
            "aud": ["rabbitmq"],
            "sub": "orders",
            "scope": SCOPES,
            "exp": expires,
        }
        signed = b".".join(_encoded(json.dumps(part).encode()) for part in (head, claims))
        signature = _openssl("dgst", "-sha256", "-sign", str(self._key), input=signed)
        return b".".join([signed, _encoded(signature)]).decode()


def broker_with_tokens(installation: Installation, public_key: PurePosixPath) -> RabbitMQ:
    """Describe a broker that takes tokens of an issuer, and its own users as well."""
    config = f"""\
auth_backends.1 = rabbit_auth_backend_oauth2
auth_backends.2 = internal
auth_oauth2.resource_server_id = rabbitmq
auth_oauth2.default_key = issuer
auth_oauth2.signing_keys.issuer = {public_key}
auth_oauth2.algorithms.1 = RS256
"""
    return RabbitMQ(installation, plugins=[PLUGIN], config=config, start_timeout=120.0)


class TokenEndpoint:
    """An HTTP server that gives out tokens, or refuses to.

    Its tokens are good for longer than it says: a busy machine may renew them late.

    Attributes:
        requests: The heads and bodies of the requests so far.
        fails: How many of the next requests are refused.
        expiries: When the tokens so far expire.
    """

    def __init__(self, issuer: Issuer, said: int, life: int) -> None:
        self.requests: list[str] = []
        self.fails = 0
        self.expiries: list[int] = []
        self._issuer = issuer
        self._said = said
        self._life = life

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._server.sockets[0].getsockname()
        return f"http://{host}:{port}/token"

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._answer, "127.0.0.1")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        size = next(
            int(line.partition(":")[2])
            for line in head.splitlines()
            if line.lower().startswith("content-length")
        )
        self.requests.append(head + (await reader.readexactly(size)).decode())
        if self.fails:
            self.fails -= 1
            status, answer = "503 Service Unavailable", {"error": "temporarily_unavailable"}
        else:
            status, answer = "200 OK", self._grant()
        body = json.dumps(answer)
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    def _grant(self) -> dict[str, Any]:
        self.expiries.append(math.ceil(time.time()) + self._life)
        token = self._issuer.token(self.expiries[-1])
        return {"access_token": token, "token_type": "Bearer", "expires_in": self._said}


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _openssl(*words: str, input: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *words], input=input, capture_output=True, check=True).stdout
