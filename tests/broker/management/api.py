"""A client of the management API that hides nothing."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlsplit

TIMEOUT = 30.0
_PATIENCE = 60.0
_PAUSE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the server answered.

    Attributes:
        status: The status.
        headers: By names in lower case.
        value: What the JSON of the body says; None without a body.
    """

    status: int
    headers: Mapping[str, str]
    value: Any  # Any: what JSON holds


def quoted(name: str) -> str:
    """Spell a name so that it is one part of a path."""
    return quote(name, safe="")


class Api:
    """The management API as one user sees it."""

    def __init__(self, url: str, user: str = "guest", password: str = "guest") -> None:
        self._url = url
        self._parts = urlsplit(url)
        self._authorization = base64.b64encode(f"{user}:{password}".encode()).decode()

    def as_user(self, user: str, password: str) -> "Api":
        """Return the same API for somebody else."""
        return Api(self._url, user, password)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        anonymous: bool = False,
    ) -> Reply:
        """Send a request and return the answer; a body of bytes is sent as it is."""
        sent = dict(headers or {})
        if not anonymous:
            sent["Authorization"] = f"Basic {self._authorization}"
        if body is not None:
            sent["Content-Type"] = "application/json"
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = HTTPConnection(self._parts.hostname or "", self._parts.port, timeout=TIMEOUT)
        try:
            connection.request(method, f"/api{path}", data, sent)
            response = connection.getresponse()
            raw = response.read()
        finally:
            connection.close()
        return Reply(
            status=response.status,
            headers={key.lower(): value for key, value in response.getheaders()},
            value=json.loads(raw) if raw else None,
        )

    def get(self, path: str) -> Any:  # Any: what JSON holds
        """Return what is there."""
        reply = self.request("GET", path)
        assert reply.status == 200, reply
        return reply.value

    def put(self, path: str, body: object = None, status: int = 201) -> None:
        """Make something."""
        reply = self.request("PUT", path, body)
        assert reply.status == status, reply

    def post(self, path: str, body: object, status: int = 200) -> Any:  # Any: what JSON holds
        """Do something and return what came of it."""
        reply = self.request("POST", path, body)
        assert reply.status == status, reply
        return reply.value

    def delete(self, path: str) -> None:
        """Remove something."""
        reply = self.request("DELETE", path)
        assert reply.status == 204, reply

    def refused(self, method: str, path: str, body: object = None) -> tuple[int, str, Any]:
        """Return how a request is refused: status, error and reason."""
        reply = self.request(method, path, body)
        assert reply.status >= 400, reply
        assert reply.headers["content-type"] == "application/json"
        return reply.status, reply.value["error"], reply.value["reason"]

    def soon(
        self, path: str, is_right: Callable[[Any], object], *, missing: bool = False
    ) -> Any:  # Any: what JSON holds
        """Return what is there once it is right: RabbitMQ's statistics come late."""
        end = time.monotonic() + _PATIENCE
        while True:
            reply = self.request("GET", path)
            if (reply.status == 404) if missing else self._is(reply, is_right):
                return reply.value
            assert time.monotonic() < end, reply
            time.sleep(_PAUSE)

    def _is(self, reply: Reply, is_right: Callable[[Any], object]) -> bool:
        return reply.status == 200 and bool(is_right(reply.value))
