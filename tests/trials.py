"""How hard Hypothesis tries here."""

import os

from hypothesis import HealthCheck, settings

_DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"


def trials(examples: int, *, steps: int = 50) -> settings:
    """Return settings for so many examples, and 25 times as many in the deep profile."""
    return settings(
        max_examples=examples * (25 if _DEEP else 1),
        stateful_step_count=steps,
        deadline=None,
        derandomize=not _DEEP,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
