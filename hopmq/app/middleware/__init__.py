"""What stands around handlers and publishing, and what of it is built in."""

from hopmq.app.middleware.circuit import CircuitBreaker
from hopmq.app.middleware.deduplication import Claim, Deduplication, DeduplicationStore
from hopmq.app.middleware.logs import Logging
from hopmq.app.middleware.memory_store import MemoryStore
from hopmq.app.middleware.rates import RateLimit
from hopmq.app.middleware.sqlite_store import SqliteStore
from hopmq.app.middleware.timeouts import Timeout

__all__ = [
    "CircuitBreaker",
    "Claim",
    "Deduplication",
    "DeduplicationStore",
    "Logging",
    "MemoryStore",
    "RateLimit",
    "SqliteStore",
    "Timeout",
]
