"""Compiled twins of pure modules; `hopmq.wire.selection` decides on their use."""

import hopmq.wire  # noqa: F401  # a compiled module may be imported first: it needs its twin
