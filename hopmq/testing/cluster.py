"""Clusters of real RabbitMQ nodes on this machine, to be broken node by node."""

import math
import random
import secrets
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from hopmq.errors import UsageError
from hopmq.testing.errors import BrokerError
from hopmq.testing.firewall import Firewall
from hopmq.testing.installations import Installation, find_installation
from hopmq.testing.node import RabbitMQNode
from hopmq.testing.ports import LOOPBACK, free_ports
from hopmq.testing.settings import NodeSettings, Ports
from hopmq.testing.supervision import NodeProcess, supervised

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

_POLL_INTERVAL: Final = 0.1
_NAMES_TIMEOUT: Final = 10.0
_COMMAND_TIMEOUT: Final = 30.0
_MAX_NODES: Final = 9

_CONFIG: Final = """\
cluster_formation.peer_discovery_backend = classic_config
cluster_partition_handling = pause_minority
"""


class ClusterNode(RabbitMQNode):
    """One node of a cluster, on a loopback address of its own.

    Attributes:
        address: That address.
    """

    def __init__(self, settings: NodeSettings, *, start_timeout: float) -> None:
        """Describe a node whose folder is there."""
        super().__init__(
            settings.installation,
            ports=settings.ports,
            address=settings.address,
            start_timeout=start_timeout,
        )
        self.address: str = settings.address
        self._settings = settings

    @property
    def name(self) -> str:
        """Erlang's name of the node."""
        return self._prepare().node_name

    def launch(self) -> None:
        """Start the process; `start` then waits until it is ready."""
        if not self.is_running:
            self._launch()

    def wait_until_ready(self) -> None:
        """Return once it accepts connections.

        Raises:
            BrokerError: It did not start in time; the message ends with its output.
        """
        self._running().wait_until_ready(self._start_timeout)

    def _prepare(self) -> NodeSettings:
        assert self._settings is not None
        return self._settings


class RabbitMQCluster:
    """Some nodes that are one RabbitMQ, with data of their own, gone when they are stopped.

    It runs within `with RabbitMQCluster() as cluster: ...`, or from `start` to `stop`. Each node
    has an address of its own on the loopback interface, and all have the same ports. All methods
    block; call them in a thread from asynchronous code.

    A node that a partition has cut off from the others confirms nothing any more. Before RabbitMQ
    4.3 it also closes its connections, and refuses new ones (`pause_minority`).

    Needs Linux, where all of 127.0.0.0/8 is the loopback interface.
    """

    def __init__(
        self,
        installation: Installation | None = None,
        *,
        nodes: int = 3,
        plugins: Sequence[str] = (),
        config: str = "",
        schedulers: int = 1,
        tick: int = 8,
        start_timeout: float = 120.0,
    ) -> None:
        """Describe a cluster; nothing is started yet.

        Args:
            installation: Release to run; the newest one installed when left out.
            nodes: How many, 1 to 9.
            plugins: Plugins to enable, such as `rabbitmq_management`.
            config: More lines for each `rabbitmq.conf`.
            schedulers: Threads that run Erlang code, of each node.
            tick: Seconds without a sign of life after which nodes give each other up.
            start_timeout: Seconds that the start of a node may take.

        Raises:
            UsageError: No RabbitMQ is installed.
        """
        if not 1 <= nodes <= _MAX_NODES:
            raise UsageError(f"a cluster has 1 to {_MAX_NODES} nodes")
        self._installation = installation or find_installation()
        self._count = nodes
        self._plugins = tuple(plugins)
        self._config = config
        self._schedulers = schedulers
        self._tick = tick
        self._start_timeout = start_timeout
        self._nodes: tuple[ClusterNode, ...] = ()
        self._folder: TemporaryDirectory[str] | None = None
        self._names: NodeProcess | None = None
        self._firewall: Firewall | None = None

    def __repr__(self) -> str:
        """Show the release and the nodes."""
        return f"<RabbitMQCluster {self.version}: {', '.join(map(repr, self._nodes)) or 'down'}>"

    def __enter__(self) -> Self:
        """Start the cluster; one that does not start is stopped again."""
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
        """Stop the cluster and remove its data."""
        self.stop()

    # --- what it is ------------------------------------------------------------------------

    @property
    def version(self) -> str:
        """Release, such as `4.0.5`."""
        return self._installation.version

    @property
    def nodes(self) -> tuple[ClusterNode, ...]:
        """Its nodes; none before the start."""
        return self._nodes

    @property
    def urls(self) -> list[str]:
        """Address of each node."""
        return [node.url for node in self._nodes]

    # --- its life --------------------------------------------------------------------------

    def start(self) -> None:
        """Start all nodes at once, and return when they are a cluster that accepts connections.

        Nodes that run already are left alone; nothing happens if all do.

        Raises:
            BrokerError: It did not come about in time.
        """
        if not self._nodes:
            self._prepare()
        down = [node for node in self._nodes if not node.is_running]
        for node in down:
            node.launch()
        for node in down:
            node.wait_until_ready()
        if down:
            self.wait_until_whole()

    def stop(self) -> None:
        """End all nodes at once and remove their data; idempotent."""
        for node in self._nodes:
            node.kill()
        self._nodes = ()
        if self._names is not None:
            self._names.kill()
        self._names = None
        if self._firewall is not None:
            self._firewall.close()
        self._firewall = None
        if self._folder is not None:
            self._folder.cleanup()
        self._folder = None

    def wait_until_whole(self, timeout: float = 60.0) -> None:
        """Return once every node knows that all others run.

        Raises:
            BrokerError: They did not within `timeout` seconds.
        """
        words = ("await_online_nodes", str(self._count), "--timeout", str(math.ceil(timeout)))

        def wait(node: ClusterNode) -> None:
            node.ctl(*words, timeout=timeout + _COMMAND_TIMEOUT)

        with ThreadPoolExecutor(self._count) as threads:
            list(threads.map(wait, self._nodes))

    # --- what it is told -------------------------------------------------------------------

    def partition(self, node: ClusterNode) -> None:
        """Cut a node off from the others; clients reach it still.

        Raises:
            UsageError: There is no firewall here that does it: it needs root and `nft`.
        """
        others = [each.address for each in self._nodes if each is not node]
        if self._firewall is None:
            self._firewall = Firewall(f"hopmq_{node.address.rpartition('.')[0]}")
        self._firewall.cut_off(node.address, others)

    def heal(self) -> None:
        """End all partitions.

        RabbitMQ 3.10 does not always bring a node back by itself; `restart` it then.
        """
        if self._firewall is not None:
            self._firewall.clear()

    def leader_of(self, queue: str, *, vhost: str = "/") -> ClusterNode:
        """Return the node on which the leader of a queue runs.

        Raises:
            BrokerError: No node that runs knows the queue, or who leads it.
        """
        words = ("list_queues", "-p", vhost, "name", "pid", "--no-table-headers")
        for node in (each for each in self._nodes if each.is_running):
            for line in node.ctl(*words).splitlines():
                name, _, pid = line.partition("\t")
                for each in self._nodes:
                    if name == queue and f"<{each.name}." in pid:
                        return each
        raise BrokerError(f"no node leads queue {queue!r}")

    # --- how -------------------------------------------------------------------------------

    def _prepare(self) -> None:
        self._installation.refresh()
        self._folder = self._installation.new_folder()
        ports = Ports.free()
        network = _free_network(ports, self._count)
        addresses = [f"{network}.{number}" for number in range(1, self._count + 1)]
        folder = Path(self._folder.name)
        self._serve_names(folder, ports.names, addresses)
        every = self._settings(folder, ports, addresses)
        config = _CONFIG + "".join(
            f"cluster_formation.classic_config.nodes.{number} = {settings.node_name}\n"
            for number, settings in enumerate(every, 1)
        )
        for settings in every:
            settings.folder.mkdir()
            replace(settings, config=config + self._config).write()
        self._nodes = tuple(
            ClusterNode(settings, start_timeout=self._start_timeout) for settings in every
        )

    def _settings(self, folder: Path, ports: Ports, addresses: Sequence[str]) -> list[NodeSettings]:
        cookie = secrets.token_hex(10)
        return [
            NodeSettings(
                installation=self._installation,
                folder=folder / f"node-{number}",
                # The name server would take one port for one node.
                ports=replace(ports, distribution=distribution),
                address=address,
                cookie=cookie,
                tick=self._tick,
                plugins=self._plugins,
                schedulers=self._schedulers,
            )
            for number, (address, distribution) in enumerate(
                zip(addresses, free_ports(self._count), strict=True), 1
            )
        ]

    def _serve_names(self, folder: Path, port: int, addresses: Sequence[str]) -> None:
        """Start the name server that all nodes share: it outlives each of them."""
        words = ["epmd", "-port", str(port), "-address", ",".join(addresses)]
        self._names = NodeProcess(
            self._installation.command(*supervised(words)),
            {"PATH": self._installation.path},
            folder / "names.log",
        )
        deadline = time.monotonic() + _NAMES_TIMEOUT
        while not _is_reached(addresses[-1], port):
            if time.monotonic() > deadline:
                raise BrokerError("the name server of the cluster did not start")
            time.sleep(_POLL_INTERVAL)


def _free_network(ports: Ports, count: int) -> str:
    """Pick the first three numbers of addresses on which nobody listens."""
    for _ in range(100):
        network = f"127.{random.randint(1, 250)}.{random.randint(0, 250)}"
        wanted = (ports.amqp, ports.names)
        if all(_is_free(f"{network}.{n}", port) for n in range(1, count + 1) for port in wanted):
            return network
    raise UsageError(f"no addresses besides {LOOPBACK}: clusters need Linux")


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True


def _is_reached(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True
