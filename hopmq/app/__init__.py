"""Applications: consumers and endpoints by decorator, typed payloads, retries, groups, RPC.

from hopmq.app import App

app = App("amqp://localhost")


@app.consumer("orders")
async def on_order(order: dict[str, int]) -> None:
    print(order)


app.run()
"""

from typing import TYPE_CHECKING, Final

from hopmq.app.errors import (
    CallError,
    CallNotSentError,
    CallTimeoutError,
    CallUnknownError,
    DeclarationError,
    DeliveryLimitError,
    NoEndpointError,
    PayloadError,
    RemoteError,
)
from hopmq.deferred import deferred

if TYPE_CHECKING:
    from hopmq.app import asgi as asgi, middleware as middleware
    from hopmq.app.app import App
    from hopmq.app.batching import Batch, BatchFailures
    from hopmq.app.clock import Clock, sleep
    from hopmq.app.context import (
        CallNext,
        ConsumeContext,
        ConsumeMiddleware,
        Middleware,
        PublishContext,
        PublishMiddleware,
    )
    from hopmq.app.groups import Group
    from hopmq.app.health import AppHealth
    from hopmq.app.injection import Depends, Header, Headers
    from hopmq.app.published import Published
    from hopmq.app.publisher import Publisher
    from hopmq.app.retry import (
        Constant,
        Drop,
        Exponential,
        Linear,
        Park,
        Parked,
        Parking,
        Postpone,
        Retry,
        RetryAfter,
    )
    from hopmq.app.router import Router
    from hopmq.app.rpc import RemoteErrors, RpcClient
    from hopmq.app.running.consumer import RunningConsumer
    from hopmq.app.serialization import Encoded, Serialization, Serializer, SizeLimits
    from hopmq.app.testing import AppTest
    from hopmq.app.topology import Topology

__all__ = [
    "App",
    "AppHealth",
    "AppTest",
    "Batch",
    "BatchFailures",
    "CallError",
    "CallNext",
    "CallNotSentError",
    "CallTimeoutError",
    "CallUnknownError",
    "Clock",
    "Constant",
    "ConsumeContext",
    "ConsumeMiddleware",
    "DeclarationError",
    "DeliveryLimitError",
    "Depends",
    "Drop",
    "Encoded",
    "Exponential",
    "Group",
    "Header",
    "Headers",
    "Linear",
    "Middleware",
    "NoEndpointError",
    "Park",
    "Parked",
    "Parking",
    "PayloadError",
    "Postpone",
    "PublishContext",
    "PublishMiddleware",
    "Published",
    "Publisher",
    "RemoteError",
    "RemoteErrors",
    "Retry",
    "RetryAfter",
    "Router",
    "RpcClient",
    "RunningConsumer",
    "Serialization",
    "Serializer",
    "SizeLimits",
    "Topology",
    "asgi",
    "middleware",
    "sleep",
]

_LOADED_WHEN_USED: Final = {
    "App": "hopmq.app.app",
    "AppHealth": "hopmq.app.health",
    "AppTest": "hopmq.app.testing",
    "Batch": "hopmq.app.batching",
    "BatchFailures": "hopmq.app.batching",
    "CallNext": "hopmq.app.context",
    "Clock": "hopmq.app.clock",
    "Constant": "hopmq.app.retry",
    "ConsumeContext": "hopmq.app.context",
    "ConsumeMiddleware": "hopmq.app.context",
    "Depends": "hopmq.app.injection",
    "Drop": "hopmq.app.retry",
    "Encoded": "hopmq.app.serialization",
    "Exponential": "hopmq.app.retry",
    "Group": "hopmq.app.groups",
    "Header": "hopmq.app.injection",
    "Headers": "hopmq.app.injection",
    "Linear": "hopmq.app.retry",
    "Middleware": "hopmq.app.context",
    "Park": "hopmq.app.retry",
    "Parked": "hopmq.app.retry",
    "Parking": "hopmq.app.retry",
    "Postpone": "hopmq.app.retry",
    "PublishContext": "hopmq.app.context",
    "PublishMiddleware": "hopmq.app.context",
    "Published": "hopmq.app.published",
    "Publisher": "hopmq.app.publisher",
    "RemoteErrors": "hopmq.app.rpc",
    "Retry": "hopmq.app.retry",
    "RetryAfter": "hopmq.app.retry",
    "Router": "hopmq.app.router",
    "RpcClient": "hopmq.app.rpc",
    "RunningConsumer": "hopmq.app.running.consumer",
    "Serialization": "hopmq.app.serialization",
    "Serializer": "hopmq.app.serialization",
    "SizeLimits": "hopmq.app.serialization",
    "Topology": "hopmq.app.topology",
    "asgi": "hopmq.app.asgi",
    "middleware": "hopmq.app.middleware",
    "sleep": "hopmq.app.clock",
}
"""What stands for all but the errors: the parts that a program does not use are not loaded."""

if not TYPE_CHECKING:
    __getattr__ = deferred(__name__, _LOADED_WHEN_USED)


def __dir__() -> list[str]:
    """List the names, loaded or not."""
    return sorted(globals().keys() | _LOADED_WHEN_USED.keys())
