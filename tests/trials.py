"""How hard Hypothesis tries here."""

import os

from hypothesis import HealthCheck, settings

_DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"


def use_everywhere() -> None:
    """Have tests that say nothing else try as hard as most do, from here on.

    Never by the clock, nor by chance: a machine that is busy, or unlucky, fails nothing.
    """
    settings.register_profile("everywhere", parent=trials(100))
    settings.load_profile("everywhere")


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
