"""Free TCP ports on the loopback interface."""

import random
import socket

LOOPBACK = "127.0.0.1"

# Below every system's range for outgoing connections, so that a port stays free while its broker is
# down and can be listened on again. Brokers have a range of their own: they listen long after their
# ports were picked, while the proxies of other processes come and go.
FOR_BROKERS = range(20_000, 24_000)
FOR_PROXIES = range(24_000, 32_000)


def free_ports(count: int, among: range = FOR_BROKERS) -> list[int]:
    """Pick `count` different ports that nothing listens on."""
    found: list[int] = []
    for port in random.sample(among, len(among)):
        if len(found) == count:
            break
        if _is_free(port):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
