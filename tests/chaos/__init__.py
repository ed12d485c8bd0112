"""The judge of chaos runs: it must see every promise that is broken."""
