"""What keeps programs going when something fails: above the client, which knows nothing of it."""

from typing import TYPE_CHECKING, Final

from hopmq.bindings import Binding
from hopmq.client.lifecycle import Counters
from hopmq.deferred import deferred
from hopmq.resilience.backoff import Backoff, Constant, Exponential, GiveUpAfter
from hopmq.resilience.policy import Recovery

if TYPE_CHECKING:
    # Loaded by __getattr__ when first used.
    from hopmq.client.health import Health, HealthLimits
    from hopmq.resilience.credentials import Credentials, CredentialsProvider
    from hopmq.resilience.signals import DrainOnSignal

__all__ = [
    "Backoff",
    "Binding",
    "Constant",
    "Counters",
    "Credentials",
    "CredentialsProvider",
    "DrainOnSignal",
    "Exponential",
    "GiveUpAfter",
    "Health",
    "HealthLimits",
    "Recovery",
]

_LOADED_WHEN_USED: Final = {
    "Credentials": "hopmq.resilience.credentials",
    "CredentialsProvider": "hopmq.resilience.credentials",
    "DrainOnSignal": "hopmq.resilience.signals",
    "Health": "hopmq.client.health",
    "HealthLimits": "hopmq.client.health",
}

if not TYPE_CHECKING:
    __getattr__ = deferred(__name__, _LOADED_WHEN_USED)


def __dir__() -> list[str]:
    """List the names, loaded or not."""
    return sorted(globals().keys() | _LOADED_WHEN_USED.keys())
