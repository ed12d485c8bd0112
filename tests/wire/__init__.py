"""Tests of the wire codecs: every rule holds for the pure and for the compiled one."""
