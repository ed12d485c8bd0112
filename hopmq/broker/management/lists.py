"""Lists as a request wants them: filtered, sorted, cut into pages and columns."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from hopmq.broker.management.errors import ApiError, bad_request

Table = dict[str, Any]  # Any: what JSON holds

_PAGE_SIZE: Final = 100
_LARGEST_PAGE: Final = 500
_LONGEST_PATTERN: Final = 256


def listed(items: list[Table], query: Mapping[str, str]) -> Any:  # Any: what JSON holds
    """Return what GET of a list answers.

    Raises:
        ApiError: The parameters mean nothing (400).
    """
    items = _sorted(items, query)
    if "page" not in query and "page_size" not in query:
        return [with_columns(item, query) for item in items]
    page, size = _page_and_size(query)
    chosen = _filtered(items, query)
    pages = -(-len(chosen) // size)
    if page > max(pages, 1):
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "page_out_of_range",
            f"Page out of range, page: {page} page size: {size}, len: {len(chosen)}",
        )
    shown = chosen[(page - 1) * size : page * size]
    return {
        "total_count": len(items),
        "filtered_count": len(chosen),
        "item_count": len(shown),
        "page": page,
        "page_size": size,
        "page_count": pages,
        "items": [with_columns(item, query) for item in shown],
    }


def with_columns(item: Table, query: Mapping[str, str]) -> Table:
    """Return what of an object the parameter `columns` asks for; all without it."""
    wanted = query.get("columns")
    if not wanted:
        return item
    chosen: Table = {}
    for column in wanted.split(","):
        _copy(item, chosen, column.split("."))
    return chosen


def _copy(source: Table, target: Table, path: list[str]) -> None:
    first, *rest = path
    if first not in source:
        return
    if not rest:
        target[first] = source[first]
    elif isinstance(source[first], dict):
        _copy(source[first], target.setdefault(first, {}), rest)


def _sorted(items: list[Table], query: Mapping[str, str]) -> list[Table]:
    path = query.get("sort")
    if not path:
        return items
    return sorted(
        items,
        key=lambda item: _sort_key(_at(item, path)),
        reverse=query.get("sort_reverse") == "true",
    )


def _at(item: Table, path: str) -> object:
    value: object = item
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _sort_key(value: object) -> tuple[int, float, str]:
    """Order values of any kind: numbers, then texts, then the rest."""
    if isinstance(value, int | float):
        return 0, value, ""
    return (1, 0, value) if isinstance(value, str) else (2, 0, "")


def _page_and_size(query: Mapping[str, str]) -> tuple[int, int]:
    page, size = query.get("page", "1"), query.get("page_size", str(_PAGE_SIZE))
    for number in (page, size):
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise bad_request("Pagination parameters are invalid")
    if int(page) < 1 or not 1 <= int(size) <= _LARGEST_PAGE:
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "invalid_pagination_parameters",
            f"Invalid pagination parameters: page number {page}, "
            f"page size {query.get('page_size', 'undefined')}",
        )
    return int(page), int(size)


def _filtered(items: list[Table], query: Mapping[str, str]) -> list[Table]:
    wanted = query.get("name")
    if not wanted:
        return items
    if query.get("use_regex") != "true":
        lower = wanted.lower()
        return [item for item in items if lower in str(item.get("name", "")).lower()]
    if len(wanted) > _LONGEST_PATTERN:
        raise bad_request(f"a pattern of more than {_LONGEST_PATTERN} characters is not taken")
    try:
        pattern = re.compile(wanted, re.IGNORECASE)
    except re.error:
        return []
    return [item for item in items if pattern.search(str(item.get("name", "")))]
