"""A handler whose annotation means nothing at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.injection.unresolved import Order as Ordre


async def handler(order: Ordre) -> None:
    """Never be called."""
