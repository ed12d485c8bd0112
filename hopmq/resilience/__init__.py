"""What keeps programs going when something fails: above the client, which knows nothing of it."""
