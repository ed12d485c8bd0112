"""Orders in SQLite; several processes may use one file."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import suppress
from uuid import UUID

from shop import DATABASE, Order, Quote

_TABLE = """
CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY,
    item TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    cents INTEGER NOT NULL
)
"""
_PATIENCE = 10.0
"""Seconds to wait for another process that writes."""


class Store:
    """Orders, each once."""

    def __init__(self, path: str) -> None:
        """Open the file, or make it."""
        self._lock = threading.Lock()
        self._database = sqlite3.connect(
            path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
        )
        with suppress(sqlite3.OperationalError):  # another process is about to, and holds the lock
            self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute(_TABLE)

    def add(self, order: Order, quote: Quote) -> Quote:
        """Store an order, unless it is there; return what it was stored with."""
        row = (str(order.id), order.item, order.quantity, quote.cents)
        with self._lock:
            self._database.execute("INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?)", row)
        stored = self.quote(order.id)
        assert stored is not None
        return stored

    def quote(self, id: UUID) -> Quote | None:
        """Return what an order costs; None for one that is not there (yet)."""
        with self._lock:
            found = self._database.execute("SELECT cents FROM orders WHERE id = ?", (str(id),))
            row = found.fetchone()
        return None if row is None else Quote(cents=row[0])

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def open_store() -> Iterator[Store]:
    """Give the store, for as long as the application runs: a dependency."""
    store = Store(DATABASE)
    yield store
    store.close()
