"""The processes of one node: started as one group, ended as one group.

The group is the broker, its name server and a watcher that ends the group when the process
that started it is gone, however that came about.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from hopmq.testing.errors import BrokerError

_WATCH = """\
exec 3<&0 </dev/null
{ read -r _ <&3; kill -KILL 0; } &
"""
_SERVE_NAMES = """\
epmd -port "$1" -address "$2" 3<&- &
shift 2
"""
_RUN = """\
exec "$@" 3<&-
"""

_POLL_INTERVAL = 0.03
_READY = b"completed with "
"""The last words of a start, on the node's standard output: `completed with 2 plugins.`"""

_TAIL_LINES = 60


def supervised(command: Sequence[str]) -> list[str]:
    """Spell the command that starts `command` with a watcher."""
    return ["/bin/sh", "-c", _WATCH + _RUN, "sh", *command]


def supervised_with_names(command: Sequence[str], *, port: int, address: str) -> list[str]:
    """Spell the command that starts `command` with a watcher and a name server of its own."""
    script = _WATCH + _SERVE_NAMES + _RUN
    return ["/bin/sh", "-c", script, "sh", str(port), address, *command]


class NodeProcess:
    """A running node."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        """Start the node; its output is appended to `log`."""
        self._log = log
        with log.open("ab") as output:
            self._log_start = output.tell()
            self._process = subprocess.Popen(
                command,
                env=dict(environment),
                cwd="/",
                stdin=subprocess.PIPE,  # never written to: its end tells the watcher
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id of the broker's virtual machine, and of its process group."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the broker's process lives, even if it is paused."""
        return self._process.poll() is None

    def wait_until_ready(self, timeout: float) -> None:
        """Return once every listener is open.

        Raises:
            BrokerError: It ended, or took longer; nothing of it is left running.
        """
        deadline = time.monotonic() + timeout
        while _READY not in self._output():
            if not self.is_running:
                self._fail(f"RabbitMQ ended with status {self._process.returncode} at its start")
            if time.monotonic() > deadline:
                self._fail(f"RabbitMQ was not ready within {timeout:g} s")
            time.sleep(_POLL_INTERVAL)

    def signal(self, number: int) -> None:
        """Send a signal to the broker alone."""
        if self.is_running:
            os.kill(self.pid, number)

    def pause(self) -> None:
        """Halt the broker, and return once all its threads stand still."""
        self.signal(signal.SIGSTOP)
        if sys.platform == "linux":
            # The signal is taken by one thread, in its own time, and the others run until then.
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def wait(self, timeout: float) -> None:
        """Wait until the broker has ended, then end the rest of its group.

        Raises:
            BrokerError: It took longer; nothing of it is left running.
        """
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._fail(f"RabbitMQ had not ended within {timeout:g} s")
        self.kill()

    def kill(self) -> None:
        """End the whole group at once."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _output(self) -> bytes:
        with self._log.open("rb") as output:
            output.seek(self._log_start)
            return output.read()

    def _fail(self, what: str) -> None:
        self.kill()
        tail = self._output().decode(errors="replace").splitlines()[-_TAIL_LINES:]
        msg = "\n".join([f"{what}; its output ends with:", *tail])
        raise BrokerError(msg)
