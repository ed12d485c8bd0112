"""Faults of brokers: what becomes of connections that recover."""
