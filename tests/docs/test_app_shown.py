"""What applications are made of is shown in the documentation, by examples that are run."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from docs.snippets import snippets
from docs.test_snippets import PAGES, TESTING
from hopmq.app import App, Publisher, Retry, Router, middleware

EXAMPLES = "\n".join(each.code for page in (*PAGES, TESTING) for each in snippets(page))
TEXT = "\n".join(page.read_text() for page in PAGES)

DECORATORS = ("consumer", "endpoint", "on_startup", "on_shutdown")
PARAMETERS = (
    "message: Message",
    ": Headers",
    "Header(",
    "{country}",
    "context: ConsumeContext",
    "app: App",
    "Depends(",
    'scope="app"',
    "body: bytes",
    "BaseModel",
    "@dataclass",
)
POLICIES = (
    'ack="manual"',
    'ack="first"',
    "retry=None",
    "give_up_on=",
    "on=(",
    "attempts=",
    "backoff=Exponential(",
    "backoff=Constant(",
    "backoff=Linear(",
    "at_once=",
    "raise Park(",
    "raise RetryAfter(",
    "raise Drop(",
    "order_by=",
    "batch=Batch(",
    "BatchFailures(",
    "group=Group(",
    "Group.broadcast(",
    "partitions=",
    "delay=",
    "at=",
    "idempotent=True",
)
CALLS: tuple[Callable[..., Any], ...] = (
    App.__init__,
    App.publish,
    App.request,
    App.test,
    Router.__init__,
    Router.consumer,
    Router.endpoint,
    Router.publisher,
    Publisher.publish,
    Retry,
)


@pytest.mark.parametrize("name", DECORATORS)
def test_every_decorator_is_shown(name: str) -> None:
    assert f".{name}" in EXAMPLES


@pytest.mark.parametrize("words", [*PARAMETERS, *POLICIES])
def test_every_kind_of_parameter_and_every_policy_is_shown(words: str) -> None:
    assert words in EXAMPLES


@pytest.mark.parametrize("name", sorted(set(middleware.__all__) - {"Claim", "DeduplicationStore"}))
def test_every_middleware_is_shown(name: str) -> None:
    assert f"{name}(" in EXAMPLES


def options() -> Iterator[Any]:
    """Yield every option, with what takes it."""
    for call in CALLS:
        for parameter in inspect.signature(call).parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY:
                yield pytest.param(parameter.name, id=f"{call.__qualname__}-{parameter.name}")


@pytest.mark.parametrize("name", list(options()))
def test_every_option_is_told_of(name: str) -> None:
    assert f"{name}=" in TEXT or f"`{name}`" in TEXT
