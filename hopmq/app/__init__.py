"""Applications: consumers and endpoints by decorator, typed payloads, retries, groups, RPC."""
