"""What keeps programs going when something fails: above the client, which knows nothing of it."""

from hopmq.resilience.backoff import Backoff, Constant, Exponential, GiveUpAfter

__all__ = ["Backoff", "Constant", "Exponential", "GiveUpAfter"]
