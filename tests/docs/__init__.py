"""Tests of what README and documentation say."""
