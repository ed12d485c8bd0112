"""What embedded brokers log during a test, to be shown when it fails."""

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_LEVEL: Final = logging.INFO
_LONGEST: Final = 1000
"""Lines that are kept: the last ones tell why."""


class BrokerLog(logging.Filter):
    """Keep the lines of a logger, and let pass to others what they would have had without."""

    def __init__(self, logger: logging.Logger) -> None:
        """Keep nothing yet."""
        super().__init__()
        self._logger = logger
        self._own_level = logger.level
        self._records: deque[logging.LogRecord] = deque(maxlen=_LONGEST)

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep a record; return whether it goes to others."""
        self._records.append(record)
        if self._logger.level != _LEVEL:
            return True  # somebody has asked for more since
        above = self._logger.parent
        assert above is not None
        return record.levelno >= (self._own_level or above.getEffectiveLevel())

    def text(self) -> str:
        """Return the lines, with the milliseconds since the first one."""
        records = list(self._records)
        if not records:
            return "(nothing: no client has connected)"
        begun = records[0].created
        return "\n".join(
            f"{(record.created - begun) * 1000:9.1f} ms  {record.levelname:<7}  "
            f"{record.getMessage()}"
            for record in records
        )

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Keep what is logged while the block runs."""
        self._logger.setLevel(_LEVEL)
        self._logger.addFilter(self)
        try:
            yield
        finally:
            self._logger.removeFilter(self)
            self._logger.setLevel(self._own_level)
