"""What an application does while it runs."""
