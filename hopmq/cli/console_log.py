"""Log lines on the console of a command, above whatever stands there in place."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from time import localtime, strftime

from rich.console import Console
from rich.text import Text

_BROKER = "hopmq.broker"
_WIRE = "hopmq.wire"
_STYLES = {logging.DEBUG: "dim", logging.WARNING: "yellow", logging.ERROR: "red"}


class ConsoleLog(logging.Handler):
    """Print records with their time of day, each on a line of its own."""

    def __init__(self, console: Console) -> None:
        """Print on `console`."""
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        try:
            time = strftime("%H:%M:%S", localtime(record.created))
            style = _STYLES.get(record.levelno, "")
            line = Text.assemble((time, "dim"), " ", (printable(self.format(record)), style))
            self._console.print(line, soft_wrap=True)
        except Exception:
            self.handleError(record)


@contextmanager
def broker_log_shown(console: Console, *, frames: bool) -> Iterator[None]:
    """Show what a broker logs while the block runs, and every frame if asked to."""
    handler = ConsoleLog(console)
    levels = {_BROKER: logging.INFO} | ({_WIRE: logging.DEBUG} if frames else {})
    before = {}
    for name, level in levels.items():
        logger = logging.getLogger(name)
        before[logger] = logger.level
        logger.setLevel(level)
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger, level in before.items():
            logger.removeHandler(handler)
            logger.setLevel(level)


def printable(text: str) -> str:
    """Return a text in which nothing acts on a terminal: clients choose their own names."""
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode()
        for each in text
    )
