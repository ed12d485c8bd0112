"""Programs of an example that run side by side, and are killed and started again."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import hopmq

SOURCE = {"PYTHONPATH": str(Path(hopmq.__file__).parents[1])}
"""Has a program import the package that is tested."""

_PATIENCE = 60.0
"""Seconds that a program has to end when it is told to."""


class Program:
    """One program; what it prints goes to a file."""

    def __init__(self, path: Path, environment: Mapping[str, str], log: Path) -> None:
        """Describe it; it does not run yet."""
        self.name: str = log.stem
        self._path = path
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", str(self._path)],
                cwd=self._path.parent,
                env=os.environ | SOURCE | self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """End it as a crash does."""
        self._running().kill()
        assert self._running().wait(_PATIENCE) == -signal.SIGKILL, self.output

    def end(self) -> int:
        """End it as a supervisor does; return its exit status."""
        self._running().send_signal(signal.SIGTERM)
        return self._running().wait(_PATIENCE)

    def wait(self) -> int:
        """Wait until it ends by itself; return its exit status."""
        return self._running().wait(_PATIENCE)

    @property
    def output(self) -> str:
        """What it has printed, in all of its lives."""
        return f"{self.name}:\n{self._log.read_text()}"

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave nothing behind."""
        process = self._running()
        if process.poll() is None:
            process.kill()
            process.wait(_PATIENCE)

    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process
