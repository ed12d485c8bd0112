"""`hopmq broker`: its options, and the broker that they describe."""

import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from hopmq.broker import Broker, Permission, User, new_user
from hopmq.broker.emulation import NEWEST, RELEASES, Release
from hopmq.cli import serve
from hopmq.cli.parameters import Credentials, Size
from hopmq.cli.service import Service
from hopmq.errors import UsageError
from hopmq.testing import Certificates
from hopmq.testing.faults import read_chaos
from hopmq.transport.tls import server_context

_FILE: Final = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_PORT: Final = click.IntRange(0, 65535)


@click.command(name="broker")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=_PORT,
    metavar="PORT",
    default=5672,
    show_default=True,
    help="Port; 0 for any free one.",
)
@click.option(
    "--unix", type=click.Path(path_type=Path), metavar="PATH", help="Unix socket to listen on too."
)
@click.option(
    "--tls",
    is_flag=True,
    help="Listen for TLS too; without --certfile, with a certificate made for this run.",
)
@click.option(
    "--tls-port",
    type=_PORT,
    metavar="PORT",
    default=5671,
    show_default=True,
    help="Port for TLS; 0 for any.",
)
@click.option("--certfile", type=_FILE, help="The broker's certificate, PEM.")
@click.option("--keyfile", type=_FILE, help="Its private key, PEM.")
@click.option("--cacertfile", type=_FILE, help="Authorities of clients' certificates, PEM.")
@click.option(
    "--user",
    "users",
    type=Credentials(),
    multiple=True,
    metavar="NAME:PASSWORD",
    help="Who may connect, in place of guest; may be repeated.",
)
@click.option(
    "--vhost",
    "vhosts",
    multiple=True,
    default=("/",),
    show_default=True,
    help="Virtual host; may be repeated.",
)
@click.option(
    "--emulate",
    type=click.Choice(RELEASES),
    default=NEWEST,
    show_default=True,
    help="RabbitMQ release to behave like.",
)
@click.option(
    "--memory-limit",
    type=Size(),
    default="512MiB",
    show_default=True,
    help="Size of all messages beyond which publishers are blocked.",
)
@click.option(
    "--definitions", type=_FILE, help="JSON file that RabbitMQ has exported, to start with."
)
@click.option(
    "--management-port",
    type=_PORT,
    metavar="PORT",
    help="Port for RabbitMQ's management API; without, there is none.",
)
@click.option("--chaos", type=_FILE, help="TOML file of faults, to happen to clients.")
@click.option("--trace", is_flag=True, help="Log every frame, without bodies and secrets.")
def broker_command(
    host: str,
    port: int,
    unix: Path | None,
    tls: bool,
    tls_port: int,
    certfile: Path | None,
    keyfile: Path | None,
    cacertfile: Path | None,
    users: tuple[tuple[str, str], ...],
    vhosts: tuple[str, ...],
    emulate: Release,
    memory_limit: int,
    definitions: Path | None,
    management_port: int | None,
    chaos: Path | None,
    trace: bool,
) -> int:
    """Run a broker in memory, for trying out, developing and testing.

    Any AMQP 0-9-1 client can connect to it. It writes nothing to disk and is one node: it is no
    replacement for RabbitMQ.
    """
    faults = () if chaos is None else read_chaos(chaos)
    with tls_files(certfile, keyfile, cacertfile, throwaway=tls) as secured:
        broker = Broker(
            host=host,
            port=port,
            path=unix,
            tls=secured.context,
            tls_port=tls_port,
            users=[administrator(*each, vhosts) for each in users] or None,
            vhosts=vhosts,
            emulate=emulate,
            memory_limit=memory_limit,
            definitions=definitions,
            management_port=management_port,
        )
        service = Service(
            broker=broker,
            trusted=secured.trusted,
            has_management=management_port is not None,
            faults=faults,
            frames=trace,
        )
        return serve.run(service)


def administrator(name: str, password: str, vhosts: tuple[str, ...]) -> User:
    """Return a user who may do anything."""
    everywhere = {vhost: Permission() for vhost in vhosts}
    return new_user(name, password, tags=("administrator",), permissions=everywhere)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    """What TLS is done with.

    Attributes:
        context: For the listener; None for no TLS.
        trusted: The authority that clients have to name, where it is one made for this run.
    """

    context: ssl.SSLContext | None = None
    trusted: Path | None = None


@contextmanager
def tls_files(
    certfile: Path | None, keyfile: Path | None, cacertfile: Path | None, *, throwaway: bool
) -> Iterator[Secured]:
    """Use the files given, or certificates that are removed at the end of the block.

    Raises:
        UsageError: A file cannot be used, or certificates cannot be made.
    """
    if certfile is not None:
        yield Secured(context=server_context(certfile, keyfile, cacertfile))
        return
    if keyfile is not None or cacertfile is not None:
        raise UsageError("--keyfile and --cacertfile need a --certfile")
    if not throwaway:
        yield Secured()
        return
    with tempfile.TemporaryDirectory(prefix="hopmq-tls-") as folder:
        made = Certificates.create(Path(folder))
        yield Secured(context=made.server_context(), trusted=made.authority)
