"""The refusals of the management API, in RabbitMQ's words and statuses."""

from http import HTTPStatus
from typing import Any

from hopmq.broker.refusal import Refusal
from hopmq.errors import HopMQError


class ApiError(HopMQError):
    """A request is refused.

    Attributes:
        status: Of the answer.
        error: RabbitMQ's word for the kind of refusal; None for an answer without a body.
        reason: Why: a text, mostly.
    """

    def __init__(
        self,
        status: HTTPStatus,
        error: str | None = None,
        reason: Any = None,  # Any: what JSON holds
    ) -> None:
        """Refuse."""
        super().__init__(f"{status.value} {error}: {reason}")
        self.status: HTTPStatus = status
        self.error: str | None = error
        self.reason: Any = reason


def not_found() -> ApiError:
    """Return the refusal of what does not exist."""
    return ApiError(HTTPStatus.NOT_FOUND, "Object Not Found", "Not Found")


def missing(what: str) -> ApiError:
    """Return the refusal of a request that needs something which does not exist."""
    return ApiError(HTTPStatus.NOT_FOUND, "not_found", what)


def bad_request(reason: Any) -> ApiError:  # Any: what JSON holds
    """Return the refusal of what means nothing."""
    return ApiError(HTTPStatus.BAD_REQUEST, "bad_request", reason)


def not_authorised(reason: str) -> ApiError:
    """Return the refusal of what a user may not do."""
    return ApiError(HTTPStatus.UNAUTHORIZED, "not_authorised", reason)


def keys_missing(*keys: str) -> ApiError:
    """Return the refusal of a body that lacks something."""
    return bad_request(f"[{','.join(f'{{key_missing,{key}}}' for key in keys)}]")


def refused(refusal: Refusal) -> ApiError:
    """Return what the API answers where a client would have its channel closed."""
    kind, _, reason = refusal.text.partition(" - ")
    if refusal.code == 403:
        return not_authorised("Access refused.")
    if refusal.code == 404:
        return missing(reason or kind)
    return bad_request(reason or kind)
