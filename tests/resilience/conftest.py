"""What these tests share: a time limit, and each event loop in turn."""

from pathlib import Path

import pytest

from flavours import Flavour, flavours
from time_limits import limit

TIME_LIMIT = 180.0
"""Seconds for one test; a loaded machine included."""

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bound every asynchronous test of this folder."""
    limit(items, _HERE, TIME_LIMIT)


@pytest.fixture(
    scope="session",
    params=[each for each in flavours() if each.codec.name == flavours()[-1].codec.name],
    ids=str,
)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """Return each event loop with the codec that users have: nothing here depends on it."""
    chosen: Flavour = request.param
    return chosen


@pytest.fixture(scope="session")
def anyio_backend(flavour: Flavour) -> tuple[str, dict[str, bool]]:
    """Run on the loop of this flavour: pytest keeps what it made for another one's."""
    return flavour.backend
