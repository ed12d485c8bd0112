"""The parking queue of the orders: `python parked.py`, or `python parked.py again` to retry all."""

import asyncio
import sys

from shop import ORDERS, shop_app


async def main() -> None:
    """Show what is parked, with the reason; put it back if told to."""
    async with shop_app("parked") as app:
        parking = app.parking(ORDERS)
        for parked in await parking.list():
            print(parked.id, parked.error, parked.reason, parked.body.decode(errors="replace"))
        if "again" in sys.argv[1:]:
            print(await parking.requeue_all(), "orders are worked on again")


if __name__ == "__main__":
    asyncio.run(main())
