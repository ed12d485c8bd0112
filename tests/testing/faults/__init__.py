"""What the fault API does, as hopmq's client and a raw peer see it."""
