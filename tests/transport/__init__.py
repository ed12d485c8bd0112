"""Tests of what stands between a core and its peer."""
