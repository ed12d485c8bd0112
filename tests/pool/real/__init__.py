"""Faults of real brokers: each release, with producers and consumers at work."""
