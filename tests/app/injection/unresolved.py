"""A handler whose annotations are strings, as `from __future__ import annotations` makes them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from hopmq.app.injection import Depends


async def handler(order: Order, number: Annotated[int, Depends(lambda: 5)]) -> Any:
    """Give back what was given."""
    return order, number


class Order(msgspec.Struct):
    """Defined after its use."""

    id: int
