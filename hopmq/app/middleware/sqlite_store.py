"""Which messages were handled, as a file remembers it for every process of a machine."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from types import TracebackType
from typing import Final, Self, TypeVar

from hopmq.app.middleware.deduplication import Claim

R = TypeVar("R")

_PURGE_EVERY: Final = 256
_PURGE_AT_ONCE: Final = 1000
_PAUSE: Final = 0.01

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS hopmq_deliveries (
    key TEXT PRIMARY KEY,
    token TEXT,
    until REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS hopmq_deliveries_until ON hopmq_deliveries (until);
"""
"""A row without a token is done."""

_BEGIN: Final = """
INSERT INTO hopmq_deliveries (key, token, until) VALUES (:key, :token, :until)
ON CONFLICT (key) DO UPDATE SET token = excluded.token, until = excluded.until
WHERE hopmq_deliveries.until <= :now
"""
_LOOK: Final = "SELECT token, until FROM hopmq_deliveries WHERE key = :key"
_EXTEND: Final = "UPDATE hopmq_deliveries SET until = :until WHERE key = :key AND token = :token"
_RELEASE: Final = "DELETE FROM hopmq_deliveries WHERE key = :key AND token = :token"
_DONE: Final = """
INSERT INTO hopmq_deliveries (key, token, until) VALUES (:key, NULL, :until)
ON CONFLICT (key) DO UPDATE SET token = NULL, until = excluded.until
"""
_PURGE: Final = """
DELETE FROM hopmq_deliveries WHERE key IN (
    SELECT key FROM hopmq_deliveries WHERE until <= :now LIMIT :limit
)
"""


class SqliteStore:
    """Remembers in a file of SQLite, which any number of processes of one machine may share.

    The file outlives a crash of the processes. A crash of the machine may take what was written
    last. All statements run in one thread.
    """

    def __init__(self, path: str | PathLike[str], *, timeout: float = 5.0) -> None:
        """Describe it; the file is opened, or made, when it is needed first.

        Args:
            path: The file; on a local disk, since SQLite's locks are not for network disks.
            timeout: Seconds to wait while another process writes.
        """
        self._path = path
        self._timeout = timeout
        self._thread: ThreadPoolExecutor | None = None
        self._database: sqlite3.Connection | None = None
        self._begun = 0

    async def begin(self, key: str, token: str, *, now: float, until: float) -> Claim:
        """Claim a message."""
        return await self._run(lambda: self._begin(key, token, now, until))

    async def extend(self, key: str, token: str, *, until: float) -> None:
        """Keep a claim longer."""
        await self._run(lambda: self._write(_EXTEND, key=key, token=token, until=until))

    async def release(self, key: str, token: str) -> None:
        """Give a claim up."""
        await self._run(lambda: self._write(_RELEASE, key=key, token=token))

    async def done(self, key: str, *, now: float, until: float) -> None:
        """Remember that the work is done."""
        del now  # what is over is purged when the next is begun
        await self._run(lambda: self._write(_DONE, key=key, until=until))

    async def close(self) -> None:
        """Close the file; it is opened again if need be. Idempotent."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        """Use it."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file."""
        await self.close()

    # --- inside; all but `_run` in the thread ------------------------------------------------

    async def _run(self, work: Callable[[], R]) -> R:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="hopmq-sqlite")
        working = asyncio.get_running_loop().run_in_executor(self._thread, work)
        return await asyncio.shield(working)  # what was asked for is written, whoever has gone

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            # Without a transaction around it, each statement is one, and one step to all others.
            database = sqlite3.connect(self._path, timeout=self._timeout, isolation_level=None)
            try:
                self._have_log(database)
                database.execute("PRAGMA synchronous = NORMAL")
                database.executescript(_SCHEMA)
            except BaseException:
                database.close()
                raise
            self._database = database
        return self._database

    def _have_log(self, database: sqlite3.Connection) -> None:
        """Have writes go to a log of their own, beside which others read.

        Of processes that ask for that at once, SQLite has one succeed and does not have the others wait.
        """
        for tries_left in reversed(range(int(self._timeout / _PAUSE) + 1)):
            try:
                database.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if not tries_left or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                time.sleep(_PAUSE)
            else:
                return

    def _begin(self, key: str, token: str, now: float, until: float) -> Claim:
        self._begun += 1
        if self._begun % _PURGE_EVERY == 0:
            self._write(_PURGE, now=now, limit=_PURGE_AT_ONCE)
        while True:
            if self._write(_BEGIN, key=key, token=token, now=now, until=until):
                return Claim("begun", until)
            row = self._opened().execute(_LOOK, {"key": key}).fetchone()
            if row is not None:  # else it was released in this moment
                return Claim("done" if row[0] is None else "busy", row[1])

    def _write(self, statement: str, **values: str | float) -> int:
        """Return how many rows have changed."""
        return self._opened().execute(statement, values).rowcount

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
