"""Real RabbitMQ brokers for tests and demonstrations: one node each, on free loopback ports."""

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from hopmq.errors import UsageError
from hopmq.testing.certificates import Certificates
from hopmq.testing.errors import BrokerError
from hopmq.testing.installations import Installation, find_installation
from hopmq.testing.ports import LOOPBACK
from hopmq.testing.settings import NodeSettings, Ports
from hopmq.testing.supervision import NodeProcess, supervised

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

_CREDENTIALS = "guest:guest"


class RabbitMQ:
    """One broker with data of its own, gone without a trace when it is stopped.

    It runs within `with RabbitMQ() as broker: ...`, or from `start` to `stop`.

    All methods block; call them in a thread from asynchronous code. Ports and data outlive
    `kill`, `shutdown` and `restart`; `stop` removes the data.
    """

    def __init__(
        self,
        installation: Installation | None = None,
        *,
        tls: bool = False,
        plugins: Sequence[str] = (),
        config: str = "",
        schedulers: int = 2,
        start_timeout: float = 60.0,
    ) -> None:
        """Describe a broker; nothing is started yet.

        Args:
            installation: Release to run; the newest one installed when left out.
            tls: Whether to listen for TLS too, with certificates made at the start.
            plugins: Plugins to enable, such as `rabbitmq_management`.
            config: More lines for `rabbitmq.conf`.
            schedulers: Threads that run Erlang code.
            start_timeout: Seconds that a start may take.

        Raises:
            UsageError: No RabbitMQ is installed.
        """
        self._installation = installation or find_installation()
        self._tls = tls
        self._plugins = tuple(plugins)
        self._config = config
        self._schedulers = schedulers
        self._start_timeout = start_timeout
        self._ports = Ports.free()
        self._folder: TemporaryDirectory[str] | None = None
        self._settings: NodeSettings | None = None
        self._process: NodeProcess | None = None

    def __repr__(self) -> str:
        """Show the release, the port and whether it runs."""
        state = "running" if self.is_running else "down"
        return f"<RabbitMQ {self.version} on port {self.port}, {state}>"

    def __enter__(self) -> Self:
        """Start the broker; one that does not start is stopped again."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the broker and remove its data."""
        self.stop()

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
    def tls_port(self) -> int:
        """Port for AMQP over TLS; nothing listens there unless `tls` was asked for."""
        return self._ports.tls

    @property
    def url(self) -> str:
        """Address of the default virtual host, with the default user's credentials."""
        return f"amqp://{_CREDENTIALS}@{LOOPBACK}:{self.port}/%2F"

    @property
    def tls_url(self) -> str:
        """Address over TLS; the certificate is signed by `certificates.authority`."""
        return f"amqps://{_CREDENTIALS}@localhost:{self.tls_port}/%2F"

    @property
    def management_url(self) -> str:
        """Address of the management plugin's HTTP API, for the same user."""
        return f"http://{LOOPBACK}:{self._ports.management}/api"

    @property
    def certificates(self) -> Certificates:
        """Certificates of this broker and for its clients.

        Raises:
            UsageError: It was not asked for TLS, or was not started yet.
        """
        if self._settings is None or self._settings.certificates is None:
            msg = "no certificates: ask for RabbitMQ(tls=True) and start it"
            raise UsageError(msg)
        return self._settings.certificates

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
        if self.is_running:
            return
        settings = self._settings or self._prepare()
        server = settings.installation.scripts / "rabbitmq-server"
        command = supervised([str(server)], names_port=self._ports.names, address=LOOPBACK)
        self._process = NodeProcess(
            settings.installation.command(*command),
            settings.server_environment(),
            settings.folder / "output.log",
        )
        self._process.wait_until_ready(self._start_timeout)

    def stop(self) -> None:
        """End the broker at once and remove its data; idempotent."""
        self.kill()
        if self._folder is not None:
            self._folder.cleanup()
        self._folder = None
        self._settings = None

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
        self._running().signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused broker go on."""
        self._running().signal(signal.SIGCONT)

    def ctl(self, *arguments: str, timeout: float = 30.0) -> str:
        """Run `rabbitmqctl` on this broker and return what it printed.

        Raises:
            BrokerError: The command failed; the message has its output.
        """
        self._running()
        settings = self._settings or self._prepare()
        words = (settings.installation.scripts / "rabbitmqctl", "-q", "-n", settings.node_name)
        try:
            done = subprocess.run(
                settings.installation.command(*words, *arguments),
                env=settings.environment(),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            msg = f"rabbitmqctl {' '.join(arguments)} took longer than {timeout:g} s"
            raise BrokerError(msg) from error
        if done.returncode:
            said = done.stdout.strip()
            msg = f"rabbitmqctl {' '.join(arguments)} ended with status {done.returncode}: {said}"
            raise BrokerError(msg)
        return done.stdout

    # --- how -------------------------------------------------------------------------------

    def _prepare(self) -> NodeSettings:
        self._installation.refresh()
        self._folder = self._installation.new_folder()
        folder = Path(self._folder.name)
        self._settings = NodeSettings(
            installation=self._installation,
            folder=folder,
            ports=self._ports,
            certificates=Certificates.create(folder / "tls") if self._tls else None,
            plugins=self._plugins,
            config=self._config,
            schedulers=self._schedulers,
        )
        self._settings.write()
        return self._settings

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
