"""Idle connections: the broker's memory for each, opened and before it has logged in."""

import argparse
import resource
import socket
import sys
import time

from serving import Served, embedded

from hopmq.core.connection import ConnectionCore
from hopmq.core.sasl import Credentials
from hopmq.core.settings import ClientSettings, Tuning
from hopmq.core.states import ConnectionState
from hopmq.url import parse_url

SETTINGS = ClientSettings(credentials=Credentials("guest", "guest"), tuning=Tuning(heartbeat=0))


def log_in(address: tuple[str, int]) -> socket.socket:
    """Return a socket on which a connection is open."""
    link = socket.create_connection(address, 30)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    core = ConnectionCore(SETTINGS, time.monotonic())
    while core.state is not ConnectionState.OPEN:
        for data in core.data_to_send(time.monotonic()):
            link.sendall(data)
        core.receive_data(link.recv(65_536), time.monotonic())
    return link


def measure(broker: Served, count: int) -> str:
    """Return the table of one run."""
    endpoint = parse_url(broker.url)
    address = (endpoint.host, endpoint.port)
    warm = [log_in(address) for _ in range(100)]
    start = broker.memory()
    silent = [socket.create_connection(address, 30) for _ in range(1000)]
    log_in(address)  # answered after all of them were accepted
    before_login = (broker.memory() - start) / len(silent)
    for link in silent:
        link.close()
    log_in(address)
    start = broker.memory()
    begun = time.perf_counter()
    links = [log_in(address) for _ in range(count)]
    seconds = time.perf_counter() - begun
    held = broker.memory() - start
    cpu = broker.cpu()
    time.sleep(3)
    idle = broker.cpu() - cpu
    for link in warm + links:
        link.close()
    return "\n".join(
        (
            f"| {broker.name} | |",
            "|---|--:|",
            f"| memory of a peer before login, KiB | {before_login / 1024:.1f} |",
            f"| connections held | {count:,} |",
            f"| memory of each, KiB | {held / count / 1024:.1f} |",
            f"| memory of all, MiB | {held / 2**20:.0f} |",
            f"| opened per second | {count / seconds:,.0f} |",
            f"| CPU while idle, % | {idle / 3 * 100:.1f} |",
        )
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with embedded() as broker:
        sys.stdout.write(measure(broker, options.count) + "\n")


if __name__ == "__main__":
    main()
