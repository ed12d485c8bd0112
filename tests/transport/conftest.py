"""Event loops in turn: what carries bytes does not depend on the codec."""

import importlib.util

import pytest

LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]


@pytest.fixture(scope="session", params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Run asynchronous tests on each event loop in turn."""
    return "asyncio", {"use_uvloop": request.param == "uvloop"}
