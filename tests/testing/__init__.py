"""Tests of what `hopmq.testing` gives to other tests."""
