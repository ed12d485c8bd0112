"""A pool owns connections and channels, so that its users never do."""

from hopmq.resilience.pool.pool import Pool
from hopmq.resilience.pool.statistics import PoolStatistics, SideStatistics

__all__ = ["Pool", "PoolStatistics", "SideStatistics"]
