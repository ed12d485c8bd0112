"""The configuration of one RabbitMQ node: ports, files and environment."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from hopmq.testing.certificates import Certificates
from hopmq.testing.installations import Installation
from hopmq.testing.ports import LOOPBACK, free_ports

MANAGEMENT = "rabbitmq_management"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The ports of one node, all on its address."""

    amqp: int
    tls: int
    management: int
    distribution: int
    names: int

    @classmethod
    def free(cls) -> "Ports":
        """Pick ports that nothing listens on."""
        amqp, tls, management, distribution, names = free_ports(5)
        return cls(
            amqp=amqp, tls=tls, management=management, distribution=distribution, names=names
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """What a node is told at its start.

    Attributes:
        installation: Release to run.
        folder: Folder of the node's data, as seen from the machine.
        ports: Ports to listen on.
        address: Address to listen on: the loopback interface's first, or another of it for a
            node of a cluster.
        cookie: What nodes of one cluster have in common; None for a node that makes its own.
        tick: Seconds between two signs of life of nodes of a cluster, times four.
        certificates: Certificates of the TLS listener; None for no such listener.
        plugins: Names of the plugins to enable.
        config: More lines for `rabbitmq.conf`.
        schedulers: Threads that run Erlang code.
    """

    installation: Installation
    folder: Path
    ports: Ports = field(default_factory=Ports.free)
    address: str = LOOPBACK
    cookie: str | None = None
    tick: int = 60
    certificates: Certificates | None = None
    plugins: Sequence[str] = ()
    config: str = ""
    schedulers: int = 2

    @property
    def node_name(self) -> str:
        """Erlang's name of the node; no other node on the machine has it."""
        if not self.is_clustered:
            return f"hopmq-{self.ports.amqp}@localhost"
        # The name server of the cluster knows the first half alone.
        return f"hopmq-{self.address.rpartition('.')[2]}@{self.address}"

    @property
    def is_clustered(self) -> bool:
        """Whether it has an address of its own, where other nodes find it."""
        return self.address != LOOPBACK

    def write(self) -> None:
        """Write the files that the node reads."""
        (self.folder / "node.conf").write_text("\n".join(self._lines()) + "\n")
        (self.folder / "plugins").write_text(f"[{','.join(self.plugins)}].\n")
        if self.cookie is not None:
            cookie = self.folder / ".erlang.cookie"
            cookie.write_text(self.cookie)
            cookie.chmod(0o400)

    def environment(self) -> dict[str, str]:
        """Return the whole environment of the node and of commands about it."""
        home = str(self._inside(self.folder))
        return {
            **self._cluster_environment(),
            "HOME": home,
            "PATH": self.installation.path,
            "LANG": "C.UTF-8",
            # A name server of its own: no daemon stays behind, no other node is met.
            "ERL_EPMD_PORT": str(self.ports.names),
            "ERL_EPMD_ADDRESS": self.address,
            "ERL_CRASH_DUMP_SECONDS": "0",
            # Makes the start script become the broker instead of waiting for it.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_NODENAME": self.node_name,
            "RABBITMQ_DIST_PORT": str(self.ports.distribution),
            "RABBITMQ_MNESIA_BASE": f"{home}/data",
            "RABBITMQ_LOG_BASE": f"{home}/log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": f"{home}/pid",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": f"{home}/node",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{home}/none",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/plugins",
        }

    def server_environment(self) -> dict[str, str]:
        """Return the environment of the node itself."""
        count = self.schedulers
        arguments = (
            # Idle threads sleep at once: several brokers share a small machine.
            f"+S {count}:{count} +sbwt none +sbwtdcpu none +sbwtdio none "
            f"-kernel inet_dist_use_interface {self._erlang_address} {self._cluster_arguments()}"
        )
        return {**self.environment(), "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": arguments}

    @property
    def _erlang_address(self) -> str:
        return f"{{{self.address.replace('.', ',')}}}"

    @property
    def _from_own_address(self) -> str:
        # So that rules of a firewall know who speaks to whom.
        return f"-kernel inet_dist_connect_options [{{ip,{self._erlang_address}}}]"

    def _cluster_environment(self) -> dict[str, str]:
        if not self.is_clustered:
            return {}
        # Names whose host part has dots are long ones.
        return {
            "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_CTL_ERL_ARGS": self._from_own_address,
        }

    def _cluster_arguments(self) -> str:
        if not self.is_clustered:
            return ""
        return (
            f"{self._from_own_address} -kernel net_ticktime {self.tick} "
            # Else nodes that see each other part too, when one of them has lost the third.
            "-kernel prevent_overlapping_partitions false"
        )

    def _lines(self) -> list[str]:
        return [
            f"listeners.tcp.1 = {self.address}:{self.ports.amqp}",
            "disk_free_limit.absolute = 50MB",
            "log.console = true",
            "log.console.level = info",
            "log.file = false",
            *self._tls_lines(),
            *self._management_lines(),
            *self.config.splitlines(),
        ]

    def _tls_lines(self) -> list[str]:
        if self.certificates is None:
            return []
        return [
            f"listeners.ssl.1 = {self.address}:{self.ports.tls}",
            f"ssl_options.cacertfile = {self._inside(self.certificates.authority)}",
            f"ssl_options.certfile = {self._inside(self.certificates.server)}",
            f"ssl_options.keyfile = {self._inside(self.certificates.server_key)}",
            "ssl_options.verify = verify_peer",
            "ssl_options.fail_if_no_peer_cert = false",
        ]

    def _management_lines(self) -> list[str]:
        if MANAGEMENT not in self.plugins:
            return []
        return [
            f"management.tcp.ip = {self.address}",
            f"management.tcp.port = {self.ports.management}",
        ]

    def _inside(self, path: Path) -> PurePosixPath:
        return self.installation.inside(path)
