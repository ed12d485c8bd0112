"""What an application is made of when it starts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hopmq.app.clock import Clock
from hopmq.app.context import PublishMiddleware
from hopmq.app.declarations import ConsumerDeclaration, EndpointDeclaration
from hopmq.app.rpc import RemoteErrors
from hopmq.app.running.hooks import Hooks
from hopmq.app.running.source import Source
from hopmq.app.serialization import Serialization
from hopmq.app.topology import Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What `App` was given, and what was declared on it; see there for each."""

    app: Any  # the application, which stands above this module
    source: Source
    consumers: tuple[ConsumerDeclaration, ...]
    endpoints: tuple[EndpointDeclaration, ...]
    destinations: tuple[Topology, ...]
    hooks: Hooks
    publish_middleware: tuple[PublishMiddleware, ...]
    serialization: Serialization
    errors: RemoteErrors
    overrides: Mapping[Callable[..., Any], Callable[..., Any]]
    clock: Clock
    consumes: bool
    declares: bool
    threads: int
    request_timeout: float
