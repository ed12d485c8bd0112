"""Which codecs the wire tests run on, and how much Hypothesis tries."""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

from hopmq.wire import PURE, Codec

from .loading import COMPILED

settings.register_profile(
    "ci",
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile(
    "deep", parent=settings.get_profile("ci"), derandomize=False, max_examples=5_000
)
settings.register_profile(
    "unshrunk", parent=settings.get_profile("ci"), phases=[Phase.explicit, Phase.generate]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

CODECS = [pytest.param(PURE, id="pure")]
if COMPILED is not None:
    CODECS.append(pytest.param(COMPILED, id="cython"))


@pytest.fixture(scope="session", params=CODECS)
def codec(request: pytest.FixtureRequest) -> Codec:
    """Return each codec in turn."""
    chosen = request.param
    assert isinstance(chosen, Codec)
    return chosen


@pytest.fixture(scope="session")
def compiled() -> Codec:
    """Return the compiled codec, for tests that hold it against the pure one."""
    assert COMPILED is not None
    return COMPILED


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the comparisons where there is one codec only."""
    if COMPILED is not None:
        return
    alone = [item for item in items if "compiled" in getattr(item, "fixturenames", ())]
    if alone:
        config.hook.pytest_deselected(items=alone)
        items[:] = [item for item in items if item not in alone]
