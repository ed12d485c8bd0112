"""What stands around handlers and publishing, and what of it is built in."""

from hopmq.app.middleware.composition import compose
from hopmq.app.middleware.logs import Logging
from hopmq.app.middleware.rates import RateLimit
from hopmq.app.middleware.timeouts import Timeout

__all__ = ["Logging", "RateLimit", "Timeout", "compose"]
