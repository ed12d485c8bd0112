"""From a path to the resource that stands there."""

from collections.abc import Iterable
from urllib.parse import unquote

from hopmq.broker.management.call import Resource
from hopmq.broker.management.errors import bad_request, not_found

_ROOT = "api"


class Routes:
    """Resources by the parts of their paths; a fixed part comes before a value."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        """Know `resources`."""
        self._routes: dict[int, list[tuple[tuple[str, ...], Resource]]] = {}
        for resource in resources:
            parts = tuple(resource.path.strip("/").split("/"))
            self._routes.setdefault(len(parts), []).append((parts, resource))
        for routes in self._routes.values():
            routes.sort(key=lambda route: [part.startswith("{") for part in route[0]])

    def find(self, path: str) -> tuple[Resource, dict[str, str]]:
        """Return the resource of a path, and the values in it.

        Raises:
            ApiError: There is none (404), or the path is no text (400).
        """
        root, *parts = [_decoded(part) for part in path.removeprefix("/").split("/")]
        if root != _ROOT:
            raise not_found()
        for pattern, resource in self._routes.get(len(parts), ()):
            values = _values(pattern, parts)
            if values is not None:
                return resource, values
        raise not_found()


def _decoded(part: str) -> str:
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError as error:
        raise bad_request("the path is no UTF-8") from error


def _values(pattern: tuple[str, ...], parts: list[str]) -> dict[str, str] | None:
    values: dict[str, str] = {}
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted.startswith("{") and part:
            values[wanted[1:-1]] = part
        elif wanted != part:
            return None
    return values
