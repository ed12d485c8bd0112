"""One event loop and codec: members are processes of their own."""

import pytest

from conftest import PLAINEST
from flavours import Flavour


@pytest.fixture(scope="session", params=[PLAINEST], ids=str)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """Return the one event loop and codec."""
    chosen: Flavour = request.param
    return chosen


@pytest.fixture(scope="session")
def anyio_backend(flavour: Flavour) -> tuple[str, dict[str, bool]]:
    """Run on the loop of this flavour."""
    return flavour.backend
