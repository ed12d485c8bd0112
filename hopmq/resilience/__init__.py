"""What keeps programs going when something fails: above the client, which knows nothing of it."""

from hopmq.bindings import Binding
from hopmq.client.health import Health, HealthLimits
from hopmq.client.lifecycle import Counters
from hopmq.resilience.backoff import Backoff, Constant, Exponential, GiveUpAfter
from hopmq.resilience.credentials import Credentials, CredentialsProvider
from hopmq.resilience.policy import Recovery
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
