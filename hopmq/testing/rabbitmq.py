"""Real RabbitMQ brokers for tests and demonstrations: one node each, on free loopback ports."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from hopmq.errors import UsageError
from hopmq.testing.certificates import Certificates
from hopmq.testing.installations import Installation, find_installation
from hopmq.testing.node import CREDENTIALS, RabbitMQNode
from hopmq.testing.ports import LOOPBACK
from hopmq.testing.settings import NodeSettings, Ports

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory


class RabbitMQ(RabbitMQNode):
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
        super().__init__(
            installation or find_installation(),
            ports=Ports.free(),
            address=LOOPBACK,
            start_timeout=start_timeout,
        )
        self._tls = tls
        self._plugins = tuple(plugins)
        self._config = config
        self._schedulers = schedulers
        self._folder: TemporaryDirectory[str] | None = None

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

    # --- TLS -------------------------------------------------------------------------------

    @property
    def tls_port(self) -> int:
        """Port for AMQP over TLS; nothing listens there unless `tls` was asked for."""
        return self._ports.tls

    @property
    def tls_url(self) -> str:
        """Address over TLS; the certificate is signed by `certificates.authority`."""
        return f"amqps://{CREDENTIALS}@localhost:{self.tls_port}/%2F"

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

    # --- its end ---------------------------------------------------------------------------

    def stop(self) -> None:
        """End the broker at once and remove its data; idempotent."""
        self.kill()
        if self._folder is not None:
            self._folder.cleanup()
        self._folder = None
        self._settings = None

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
