"""The sans-IO core: a client and a server pushed against each other, and hostile peers."""
