"""Queues of every kind, and what their arguments mean."""
