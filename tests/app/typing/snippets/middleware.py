"""Middleware are for consuming or for publishing, as functions and as objects."""

from collections.abc import Awaitable, Callable
from typing import Any

from messages import Order

from hopmq.app import (
    App,
    CallNext,
    ConsumeContext,
    ConsumeMiddleware,
    PublishContext,
    PublishMiddleware,
    Router,
)
from hopmq.app.middleware import Logging, RateLimit, Timeout


async def timed(context: ConsumeContext, call_next: CallNext[ConsumeContext]) -> Any:
    print(context.attempt)
    return await call_next(context)


async def stamped(context: PublishContext, call_next: CallNext[PublishContext]) -> Any:
    context.properties.app_id = "shop"
    return await call_next(context)


class Counting:
    count = 0

    async def __call__(
        self, context: ConsumeContext, call_next: Callable[[ConsumeContext], Awaitable[Any]], /
    ) -> Any:
        self.count += 1
        return await call_next(context)


def plain(context: ConsumeContext, call_next: CallNext[ConsumeContext]) -> None:
    print(context, call_next)


async def short(context: ConsumeContext) -> Any:
    print(context)


consuming: list[ConsumeMiddleware] = [timed, Counting(), Timeout(5), Logging(), RateLimit(10)]
publishing: list[PublishMiddleware] = [stamped, RateLimit(10)]
app = App("amqp://localhost", middleware=consuming, publish_middleware=publishing)
router = Router(middleware=[timed])


@app.consumer("orders", middleware=[timed, Counting()])
async def on_order(order: Order) -> None:
    print(order)


App("amqp://localhost", middleware=[stamped])  # error
App("amqp://localhost", publish_middleware=[timed])  # error
Router(middleware=[plain])  # error
app.consumer("orders", middleware=[short])  # error
app.endpoint("orders", middleware=[Counting])  # error
