"""Faults: what an embedded broker can do to its clients, on cue."""

from hopmq.testing.faults.chaos import Chaos, ChaosRule, apply_chaos, read_chaos
from hopmq.testing.faults.fault import Fault
from hopmq.testing.faults.injection import Faults
from hopmq.testing.faults.selection import Direction

__all__ = ["Chaos", "ChaosRule", "Direction", "Fault", "Faults", "apply_chaos", "read_chaos"]
