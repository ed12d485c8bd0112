"""Tests of what keeps programs going."""
