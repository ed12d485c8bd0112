"""What goes wrong: cancellation, hostile and stalled peers, timeouts, TLS, secrets, leaks."""
