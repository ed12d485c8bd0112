"""Faults of clusters: three nodes, quorum queues, producers and consumers at work."""
