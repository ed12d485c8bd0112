"""Connect with tokens of an OAuth 2.0 server, and have them renewed before they expire.

The server's token endpoint is TOKEN_URL. Without one, a stand-in is started here that gives out
the password of RabbitMQ's user guest for a token.
"""

import asyncio
import base64
import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import hopmq

URL = os.environ.get("AMQP_URL", "amqp://localhost")


class ClientCredentials:
    """A provider of credentials: the client credentials grant (RFC 6749, section 4.4)."""

    def __init__(self, endpoint: str, client_id: str, client_secret: str, **more: str) -> None:
        """Ask `endpoint`; `more` may be a scope or an audience."""
        login = f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}".encode()
        self._request = Request(  # noqa: S310  # the address is the program's own
            endpoint,
            data=urlencode({"grant_type": "client_credentials", **more}).encode(),
            headers={"Authorization": f"Basic {base64.b64encode(login).decode()}"},
        )
        self.given = 0
        self.has_given = asyncio.Event()

    async def __call__(self) -> hopmq.resilience.Credentials:
        """Return a token, and for how long it is good."""
        answer = await asyncio.to_thread(self._ask)
        self.given += 1
        self.has_given.set()
        return hopmq.resilience.Credentials(
            username="guest",  # for the stand-in; a broker that takes tokens reads the user there
            password=answer["access_token"],
            expires_in=answer.get("expires_in"),
        )

    def _ask(self) -> Mapping[str, Any]:
        with urlopen(self._request, timeout=10) as response:  # noqa: S310  # as above
            answer: Mapping[str, Any] = json.load(response)
        return answer


async def stand_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a token endpoint does; its tokens are good for two seconds."""
    await reader.readuntil(b"\r\n\r\n")
    body = json.dumps({"access_token": "guest", "token_type": "Bearer", "expires_in": 2})
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    await writer.drain()
    writer.close()


async def main() -> None:
    """Connect, and stay until the token was renewed."""
    server = await asyncio.start_server(stand_in, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    endpoint = os.environ.get("TOKEN_URL", f"http://127.0.0.1:{port}/token")
    tokens = ClientCredentials(endpoint, "orders", "a secret of the client's", scope="rabbitmq")
    async with server, hopmq.connect(URL, credentials=tokens) as connection:
        print("connected with token", tokens.given)
        tokens.has_given.clear()
        await tokens.has_given.wait()
        print("token", tokens.given, "came before that one expired;", connection.state)


if __name__ == "__main__":
    asyncio.run(main())
