"""One flavour is enough here: the client's own tests run on all of them."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, with the codec in use."""
    return "asyncio"
