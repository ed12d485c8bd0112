"""Retries, delays and parking, made of what the broker has."""

from hopmq.app.retry.backoff import Constant, Exponential, Linear
from hopmq.app.retry.delays import Delays, publish_delayed, seconds_until
from hopmq.app.retry.failures import Failures, topology_of_failures
from hopmq.app.retry.parked import Parked
from hopmq.app.retry.parking import Parking
from hopmq.app.retry.policy import Retry
from hopmq.app.retry.verdicts import Drop, Park, Postpone, RetryAfter, Verdict

__all__ = [
    "Constant",
    "Delays",
    "Drop",
    "Exponential",
    "Failures",
    "Linear",
    "Park",
    "Parked",
    "Parking",
    "Postpone",
    "Retry",
    "RetryAfter",
    "Verdict",
    "publish_delayed",
    "seconds_until",
    "topology_of_failures",
]
