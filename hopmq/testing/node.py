"""One RabbitMQ node: its life, and what it is told while it runs."""

import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from hopmq.errors import UsageError
from hopmq.testing.errors import BrokerError
from hopmq.testing.installations import Installation
from hopmq.testing.ports import LOOPBACK
from hopmq.testing.settings import NodeSettings, Ports
from hopmq.testing.supervision import NodeProcess, supervised, supervised_with_names

CREDENTIALS: Final = "guest:guest"

_NO_MEMORY: Final = "0.00001"
_USUAL_MEMORY: Final = "0.4"
"""Shares of the machine's memory; this one is RabbitMQ's default up to 3.13."""


class RabbitMQNode(ABC):
    """One node of RabbitMQ.

    All methods block; call them in a thread from asynchronous code. Ports and data outlive `kill`,
    `shutdown` and `restart`.
    """

    def __init__(
        self, installation: Installation, *, ports: Ports, address: str, start_timeout: float
    ) -> None:
        """Describe a node; nothing is started yet."""
        self._installation = installation
        self._ports = ports
        self._address = address
        self._start_timeout = start_timeout
        self._settings: NodeSettings | None = None
        self._process: NodeProcess | None = None

    def __repr__(self) -> str:
        """Show the release, where it listens and whether it runs."""
        state = "running" if self.is_running else "down"
        place = f"port {self.port}" if self._address == LOOPBACK else f"{self._address}:{self.port}"
        return f"<{type(self).__name__} {self.version} on {place}, {state}>"

    # --- what it is ------------------------------------------------------------------------

    @property
    def version(self) -> str:
        """Release, such as `4.0.5`."""
        return self._installation.version

    @property
    def port(self) -> int:
        """Port for AMQP without TLS."""
        return self._ports.amqp

    @property
    def url(self) -> str:
        """Address of the default virtual host, with the default user's credentials."""
        return f"amqp://{CREDENTIALS}@{self._address}:{self.port}/%2F"

    @property
    def management_url(self) -> str:
        """Address of the management plugin's HTTP API, for the same user."""
        return f"http://{self._address}:{self._ports.management}/api"

    @property
    def pid(self) -> int:
        """Process id of the broker's virtual machine."""
        return self._running().pid

    @property
    def is_running(self) -> bool:
        """Whether its process lives, even if it is paused."""
        return self._process is not None and self._process.is_running

    @property
    def log(self) -> str:
        """Everything the broker has printed since its first start."""
        path = self._log_file
        return path.read_text(errors="replace") if path else ""

    # --- its life --------------------------------------------------------------------------

    def start(self) -> None:
        """Start the broker and return once it accepts connections; nothing happens if it runs.

        After `kill` or `shutdown`, it starts on the same ports and data.

        Raises:
            BrokerError: It did not start in time; the message ends with its output.
        """
        if not self.is_running:
            self._launch().wait_until_ready(self._start_timeout)

    def kill(self) -> None:
        """End the broker's processes at once, as a crash would; its data stays.

        A release that keeps its metadata in Mnesia (4.0 and older) may have lost what was declared
        in the last two seconds, although it was answered.
        """
        if self._process is not None:
            self._process.kill()
        self._process = None

    def shutdown(self, timeout: float = 30.0) -> None:
        """End the broker in good order: clients are told (320), its data stays.

        Raises:
            BrokerError: It took longer than `timeout`; it was killed.
        """
        process, self._process = self._running(), None
        process.signal(signal.SIGTERM)
        process.wait(timeout)

    def restart(self) -> None:
        """End the broker in good order and start it on the same ports and data."""
        self.shutdown()
        self.start()

    def pause(self) -> None:
        """Halt the broker: connections stay open and nothing is answered."""
        self._running().pause()

    def resume(self) -> None:
        """Let a paused broker go on."""
        self._running().signal(signal.SIGCONT)

    # --- what it is told -------------------------------------------------------------------

    def set_memory_alarm(self) -> None:
        """Have no memory left: clients that publish are blocked, in the whole cluster."""
        self._set_memory(_NO_MEMORY)

    def clear_memory_alarm(self) -> None:
        """Have memory again."""
        self._set_memory(_USUAL_MEMORY)

    def _set_memory(self, share: str) -> None:
        self.evaluate(f"vm_memory_monitor:set_vm_memory_high_watermark({share}).")

    def close_connections(self, reason: str = "closed by a test") -> None:
        """Close all connections of this node in good order (320)."""
        # The command `close_all_connections` does it to all nodes.
        text = reason.replace("\\", "\\\\").replace('"', '\\"')
        pids = "rabbit_networking:local_connections()"
        self.evaluate(f'rabbit_networking:close_connections({pids}, "{text}").')

    def evaluate(self, expression: str, *, timeout: float = 30.0) -> str:
        """Have the broker evaluate Erlang, and return the value in Erlang's spelling.

        `expression` ends with a full stop. That takes milliseconds, and a second where Erlang's
        `erl_call` is not installed and `rabbitmqctl eval` has to do it.

        Raises:
            BrokerError: It failed; the message tells how.
        """
        self._running()
        settings = self._settings or self._prepare()
        erl_call = settings.installation.erl_call
        if erl_call is None:
            return self.ctl("eval", expression, timeout=timeout).strip()
        kind = "-name" if "." in settings.node_name else "-sname"
        cookie = (settings.folder / ".erlang.cookie").read_text().strip()
        words = (erl_call, kind, settings.node_name, "-c", cookie, "-e")
        said = self._run("erl_call", words, f"{expression}\n", timeout)
        if not said.startswith("{ok, "):
            raise BrokerError(f"{expression.strip()} ended with {said.strip()}")
        return said.strip().removeprefix("{ok, ").removesuffix("}")

    def ctl(self, *arguments: str, timeout: float = 30.0) -> str:
        """Run `rabbitmqctl` on this broker and return what it printed.

        Raises:
            BrokerError: The command failed; the message has its output.
        """
        self._running()
        settings = self._settings or self._prepare()
        words = (settings.installation.scripts / "rabbitmqctl", "-q", "-n", settings.node_name)
        return self._run(f"rabbitmqctl {' '.join(arguments)}", (*words, *arguments), "", timeout)

    def _run(
        self, what: str, words: Sequence[str | PurePosixPath], said: str, timeout: float
    ) -> str:
        """Run a program beside the node and return what it printed."""
        settings = self._settings or self._prepare()
        try:
            done = subprocess.run(
                settings.installation.command(*words),
                env=settings.environment(),
                cwd="/",
                input=said,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise BrokerError(f"{what} took longer than {timeout:g} s") from error
        if done.returncode:
            msg = f"{what} ended with status {done.returncode}: {done.stdout.strip()}"
            raise BrokerError(msg)
        return done.stdout

    # --- how -------------------------------------------------------------------------------

    @abstractmethod
    def _prepare(self) -> NodeSettings:
        """Make the folder and the files of the node, and keep its settings."""

    def _launch(self) -> NodeProcess:
        """Start the process, and do not wait until it is ready."""
        settings = self._settings or self._prepare()
        server = str(settings.installation.scripts / "rabbitmq-server")
        if settings.is_clustered:
            command = supervised([server])
        else:
            command = supervised_with_names(
                [server], port=settings.ports.names, address=settings.address
            )
        self._process = NodeProcess(
            settings.installation.command(*command),
            settings.server_environment(),
            settings.folder / "output.log",
        )
        return self._process

    def _running(self) -> NodeProcess:
        if self._process is None:
            msg = "the broker is not running: start it first"
            raise UsageError(msg)
        return self._process

    @property
    def _log_file(self) -> Path | None:
        if self._settings is None:
            return None
        path = self._settings.folder / "output.log"
        return path if path.exists() else None
