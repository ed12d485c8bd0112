"""The other clients: what each needs, how its adapter is built, and whether it is there.

    python benchmarks/clients/peers.py         install and build all that can be
    python benchmarks/clients/peers.py NAME... only these

Those in Python go into an environment of their own; those in C, Go and Java are compiled against
what the system has. All of it lands in `build/benchmarks`.
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from description import ADAPTERS, BOTH_LOOPS, Client

BUILD = Path(__file__).parents[2] / "build" / "benchmarks"
REQUIREMENTS = Path(__file__).parent / "requirements.txt"
ENVIRONMENT = BUILD / "peers"
GO_PACKAGES = Path("/usr/share/gocode")
"""Where Debian keeps the sources of libraries in Go."""

GO_CLIENT = "github.com/rabbitmq/amqp091-go"
GO_CLIENT_VERSION = "v1.10.0"
"""The release that is fetched where Debian's package is not there."""

JARS = tuple(
    Path("/usr/share/java") / f"{name}.jar" for name in ("amqp-client", "slf4j-api", "slf4j-nop")
)
REMEDY = "make bench-peers"


class NotHereError(Exception):
    """A client cannot be built on this system; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A client, and how it is made ready.

    Attributes:
        client: How it is measured.
        product: The file that is there when it is ready.
        build: Makes it; raises NotHereError where that cannot be.
    """

    client: Client
    product: Path
    build: Callable[[Path], None]


# --- in Python ---------------------------------------------------------------------------------


def _stamp() -> Path:
    return ENVIRONMENT / f"installed-{_digest(REQUIREMENTS)}"


def _install(stamp: Path) -> None:
    """Make the environment of the clients in Python anew."""
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
    pip = [ENVIRONMENT / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--disable-pip-version-check", "-r", REQUIREMENTS], check=True)
    stamp.touch()


def _in_python(name: str, loops: tuple[str, ...] = ("",)) -> Peer:
    adapter = ADAPTERS / f"{name.replace('-', '_')}_client.py"
    command = (str(ENVIRONMENT / "bin" / "python"), str(adapter))
    return _peer(name, command, _stamp(), _install, loops)


# --- in C, Go and Java -------------------------------------------------------------------------


def _build_c(program: Path) -> None:
    _need("cc", "gcc")
    if not Path("/usr/include/amqp.h").exists():
        raise NotHereError("apt-get install librabbitmq-dev")
    source = ADAPTERS / "rabbitmq_c_client.c"
    compiling = ["cc", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-o", program, source]
    subprocess.run([*compiling, "-lrabbitmq"], check=True)


def _build_go(program: Path) -> None:
    _need("go", "golang-go")
    source = ADAPTERS / "amqp091_go_client.go"
    package = GO_PACKAGES / "src" / GO_CLIENT
    if package.exists():
        words = (package / "connection.go").read_text(encoding="utf-8")
        found = re.search(r'buildVersion\s*=\s*"([^"]+)"', words)
        version = found.group(1) if found else "unknown"
        settings = ["env", "GO111MODULE=off", f"GOPATH={GO_PACKAGES}", f"GOCACHE={BUILD / 'go'}"]
        _go_build([*settings, "go"], source, version, program, program.parent)
        return
    version = GO_CLIENT_VERSION
    module = BUILD / "amqp091-go-module"
    shutil.rmtree(module, ignore_errors=True)
    module.mkdir()
    shutil.copy(source, module)
    subprocess.run(["go", "mod", "init", "benchmark"], cwd=module, check=True)
    subprocess.run(["go", "get", f"{GO_CLIENT}@{version}"], cwd=module, check=True)
    _go_build(["go"], module / source.name, version.removeprefix("v"), program, module)


def _go_build(go: list[str], source: Path, version: str, program: Path, folder: Path) -> None:
    flags = ["-ldflags", f"-X main.version={version}"]
    subprocess.run([*go, "build", *flags, "-o", program, source], cwd=folder, check=True)


def _build_java(folder: Path) -> None:
    _need("javac", "default-jdk-headless")
    if not all(jar.exists() for jar in JARS):
        raise NotHereError("apt-get install librabbitmq-client-java")
    source = ADAPTERS / "RabbitmqJavaClient.java"
    fresh = folder.with_suffix(".new")
    subprocess.run(["javac", "-d", fresh, "-cp", _classpath(JARS), source], check=True)
    fresh.rename(folder)


def _classpath(parts: tuple[Path, ...]) -> str:
    return ":".join(str(part) for part in parts)


def _need(program: str, package: str) -> None:
    if shutil.which(program) is None:
        raise NotHereError(f"apt-get install {package}")


def _digest(*sources: Path) -> str:
    return hashlib.sha256(b"".join(each.read_bytes() for each in sources)).hexdigest()[:12]


def _product(name: str, *sources: str) -> Path:
    """Name what is built from sources after what they are now."""
    return BUILD / f"{name}-{_digest(*(ADAPTERS / source for source in sources))}"


# --- all of them -------------------------------------------------------------------------------


def _peer(
    name: str,
    command: tuple[str, ...],
    product: Path,
    build: Callable[[Path], None],
    loops: tuple[str, ...] = ("",),
) -> Peer:
    missing = None if product.exists() else REMEDY
    return Peer(Client(name, command, loops, missing=missing), product, build)


def peers() -> list[Peer]:
    """List all of them, present or not."""
    c = _product("rabbitmq-c", "rabbitmq_c_client.c", "measuring.h")
    go = _product("amqp091-go", "amqp091_go_client.go")
    java = _product("rabbitmq-java", "RabbitmqJavaClient.java")
    run_java = ("java", "-cp", _classpath((java, *JARS)), "RabbitmqJavaClient")
    return [
        _in_python("aio-pika", BOTH_LOOPS),
        _in_python("aiormq", BOTH_LOOPS),
        _in_python("pika", BOTH_LOOPS),
        _in_python("py-amqp"),
        _in_python("faststream", BOTH_LOOPS),
        _peer("amqp091-go", (str(go),), go, _build_go),
        _peer("rabbitmq-java", run_java, java, _build_java),
        _peer("rabbitmq-c", (str(c),), c, _build_c),
    ]


def main() -> None:
    """Make ready what is not, and say what cannot be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = {peer.client.name: peer for peer in peers()}
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    names = parser.parse_args().names or known
    if unknown := set(names) - known.keys():
        parser.error(f"no client {', '.join(sorted(unknown))}")
    BUILD.mkdir(parents=True, exist_ok=True)
    for name in names:
        peer = known[name]
        try:
            if not peer.product.exists():
                peer.build(peer.product)
            print(f"{name}: ready")
        except NotHereError as why:
            print(f"{name}: left out ({why})")


if __name__ == "__main__":
    main()
