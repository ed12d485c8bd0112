"""The management API as an application of HTTP: rights, resources, JSON, refusals."""

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from hopmq.broker.access import User
from hopmq.broker.management.call import Answer, Call, Handler, ListenerInfo, Resource
from hopmq.broker.management.errors import ApiError, refused
from hopmq.broker.management.http import Request, Response
from hopmq.broker.management.lists import listed, with_columns
from hopmq.broker.management.resources import RESOURCES
from hopmq.broker.management.resources.overview import CheckFailedError
from hopmq.broker.management.rights import authenticated, check_tags, check_vhost
from hopmq.broker.management.routes import Routes
from hopmq.broker.refusal import Refusal

if TYPE_CHECKING:
    from hopmq.broker.state import BrokerState

logger: logging.Logger = logging.getLogger("hopmq.broker.management")

_CHALLENGE: Final = 'Basic realm="RabbitMQ Management"'
_MOST_PARAMETERS: Final = 50
_ROUTES: Final = Routes(RESOURCES)


class ManagementApi:
    """Answers requests about one broker."""

    def __init__(self, state: "BrokerState", node: str, listeners: Sequence[ListenerInfo]) -> None:
        """Tell of a broker, under the name of a node, and of where it listens."""
        self._state = state
        self._node = node
        self._listeners = listeners
        self._started = state.clock.time()

    def admit(self, request: Request) -> Response | None:
        """Refuse a request by its headers; None to go on."""
        try:
            resource, values = _ROUTES.find(request.path)
            if request.method == "OPTIONS":
                return Response(status=HTTPStatus.OK, headers={"allow": _allowed(resource)})
            if _handler(resource, request.method) is None:
                return Response(
                    status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"allow": _allowed(resource)}
                )
            self._authorized(request, resource, values)
        except ApiError as error:
            return _refusal(error, request)
        return None

    def answer(self, request: Request) -> Response:
        """Answer a request that was admitted."""
        try:
            resource, values = _ROUTES.find(request.path)
            user = self._authorized(request, resource, values)
            call = Call(
                state=self._state,
                node=self._node,
                listeners=self._listeners,
                uptime=self._state.clock.time() - self._started,
                user=user,
                values=values,
                query=_parameters(request),
                headers=request.headers,
                raw_body=request.body,
            )
            return _answered(call, resource, request.method)
        except ApiError as error:
            return _refusal(error, request)
        except Refusal as refusal:
            return _refusal(refused(refusal), request)
        except Exception:
            logger.exception("%s %s could not be answered", request.method, request.path)
            return self.fault(HTTPStatus.INTERNAL_SERVER_ERROR, "see the broker's log")

    def fault(self, status: HTTPStatus, reason: str) -> Response:
        """Return the answer to what is no proper request."""
        error = status.phrase.lower().replace(" ", "_")
        return _json(status, {"error": error, "reason": reason})

    def _authorized(self, request: Request, resource: Resource, values: Mapping[str, str]) -> User:
        """Return the user that a request is from, who may make it.

        Raises:
            ApiError: There is none, or not what it asks for.
        """
        user = authenticated(self._state.access, request.headers.get("authorization"))
        is_change = request.method not in ("GET", "HEAD")
        needs = resource.needs
        if is_change and resource.needs_to_change is not None:
            needs = resource.needs_to_change
        check_tags(user, needs)
        if "vhost" in values:
            check_vhost(self._state, user, values["vhost"], is_change=is_change)
        return user


def _answered(call: Call, resource: Resource, method: str) -> Response:
    handler = _handler(resource, method)
    assert handler is not None
    result: Any = handler(call)  # Any: what JSON holds
    if isinstance(result, Answer):
        headers = {} if result.location is None else {"location": result.location}
        return Response(status=result.status, headers=headers)
    if method in ("GET", "HEAD"):
        if resource.is_list:
            result = listed(result, call.query)
        elif isinstance(result, dict):
            result = with_columns(result, call.query)
    return _json(HTTPStatus.OK, result)


def _handler(resource: Resource, method: str) -> Handler | None:
    handlers: dict[str, Handler | None] = {
        "GET": resource.get,
        "HEAD": resource.get,
        "PUT": resource.put,
        "POST": resource.post,
        "DELETE": resource.delete,
    }
    return handlers.get(method)


def _allowed(resource: Resource) -> str:
    methods = ("HEAD", "GET", "PUT", "POST", "DELETE")
    return ", ".join([*(each for each in methods if _handler(resource, each)), "OPTIONS"])


def _parameters(request: Request) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            request.query,
            keep_blank_values=True,
            max_num_fields=_MOST_PARAMETERS,
            errors="strict",
        )
    except (ValueError, UnicodeDecodeError) as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, "bad_request", "malformed query") from error
    return dict(pairs)


def _refusal(error: ApiError, request: Request) -> Response:
    logger.debug("%s %s: %s", request.method, request.path, error)
    if isinstance(error, CheckFailedError):
        return _json(error.status, error.body)
    if error.error is None:
        return Response(status=error.status, headers={"www-authenticate": _CHALLENGE})
    return _json(error.status, {"error": error.error, "reason": error.reason})


def _json(status: HTTPStatus, value: Any) -> Response:  # Any: what JSON holds
    return Response(
        status=status,
        body=json.dumps(value, separators=(",", ":")).encode(),
        headers={"content-type": "application/json", "cache-control": "no-cache"},
    )
