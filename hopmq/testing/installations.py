"""Where RabbitMQ is installed: on the machine itself, and in folders that hold a whole system.

A folder made by `debootstrap` lets brokers of other releases run next to the machine's own.
Entering one needs root.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hopmq.errors import UsageError

DEFAULT_HOME = Path("/var/lib/hopmq-brokers")
"""Where the folders stand unless HOPMQ_BROKERS_HOME says otherwise."""

_SCRIPTS = PurePosixPath("/usr/lib/rabbitmq/bin")
"""Where Debian and others keep the scripts that run as any user."""

_ERL_CALL = PurePosixPath("/usr/lib/erlang/bin/erl_call")

_SERVER_LIBRARIES = ("lib/rabbitmq_server-*/plugins", "plugins")
_SHARED_FILES = ("etc/hosts", "etc/resolv.conf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One installed release of RabbitMQ.

    Attributes:
        version: Release, such as `4.0.5`.
        scripts: Folder of `rabbitmq-server` and `rabbitmqctl`, as seen from inside `root`.
        root: Folder that holds the whole system; None for the machine itself.
    """

    version: str
    scripts: PurePosixPath
    root: Path | None = None

    @property
    def path(self) -> str:
        """Where its programs look for others."""
        return os.environ.get("PATH", os.defpath) if self.root is None else os.defpath

    @property
    def erl_call(self) -> PurePosixPath | None:
        """Erlang's program that calls functions of a node, if it is there."""
        found = (self.root or Path("/")) / _ERL_CALL.relative_to("/")
        return _ERL_CALL if found.exists() else None

    def inside(self, path: Path) -> PurePosixPath:
        """Name `path` as the installation's own programs see it."""
        return PurePosixPath(path if self.root is None else "/" / path.relative_to(self.root))

    def new_folder(self) -> "tempfile.TemporaryDirectory[str]":
        """Make an empty folder that its programs can reach."""
        return tempfile.TemporaryDirectory(
            prefix="hopmq-rabbitmq-",
            dir=None if self.root is None else self.root / "tmp",
            ignore_cleanup_errors=True,
        )

    def command(self, *words: str | PurePosixPath) -> list[str]:
        """Spell a command so that it runs inside the installation.

        The folder's /proc is mounted in a name space of the command's own and is gone with it.
        """
        spelled = [str(word) for word in words]
        if self.root is None:
            return spelled
        return ["unshare", "--mount", "--mount-proc", f"--root={self.root}", "--", *spelled]

    def refresh(self) -> None:
        """Give the folder the machine's own host names and name servers."""
        if self.root is None:
            return
        for name in _SHARED_FILES:
            _copy_if_different("/" / Path(name), self.root / name)


def installations() -> list[Installation]:
    """List every RabbitMQ that can be started here, oldest release first.

    Folders are looked for in HOPMQ_BROKERS_HOME. One whose making was not finished is left out.
    """
    found = [*_on_machine(), *_in_folders(brokers_home())]
    return sorted(found, key=lambda installation: _sort_key(installation.version))


def find_installation(version: str | None = None) -> Installation:
    """Find the RabbitMQ of that release, or the newest one.

    Raises:
        UsageError: No such RabbitMQ is installed.
    """
    found = installations()
    matching = [each for each in found if version is None or each.version == version]
    if matching:
        return matching[-1]
    if not found:
        msg = (
            "RabbitMQ is not installed: install the package rabbitmq-server, "
            "or set AMQP_URL to the address of a broker that runs already"
        )
        raise UsageError(msg)
    present = ", ".join(each.version for each in found)
    msg = f"RabbitMQ {version} is not installed; present: {present}"
    raise UsageError(msg)


def brokers_home() -> Path:
    """Return the folder in which the folders of brokers stand."""
    return Path(os.environ.get("HOPMQ_BROKERS_HOME") or DEFAULT_HOME)


def _on_machine() -> Iterator[Installation]:
    server = _SCRIPTS / "rabbitmq-server"
    found = str(server) if Path(server).exists() else shutil.which("rabbitmq-server")
    if found is None:
        return
    scripts = Path(found).resolve().parent
    version = _version(scripts)
    if version:
        yield Installation(version=version, scripts=PurePosixPath(scripts))


def _in_folders(home: Path) -> Iterator[Installation]:
    if not _can_enter_folders() or not home.is_dir():
        return
    for root in sorted(home.iterdir()):
        found = installation_in(root)
        if found is not None:
            yield found


def installation_in(root: Path) -> Installation | None:
    """Return the RabbitMQ of a folder that holds a whole system, if it is complete."""
    # debootstrap works in a folder of that name and removes it at the very end.
    if (root / "debootstrap").exists():
        return None
    version = _version(root / _SCRIPTS.relative_to("/"))
    return Installation(version=version, scripts=_SCRIPTS, root=root) if version else None


def _can_enter_folders() -> bool:
    return os.name == "posix" and os.geteuid() == 0 and shutil.which("unshare") is not None


def _version(scripts: Path) -> str | None:
    """Read the release off the name of the broker's own library."""
    for libraries in _SERVER_LIBRARIES:
        for library in sorted(scripts.parent.glob(f"{libraries}/rabbit-[0-9]*"), reverse=True):
            return library.name.removeprefix("rabbit-").removesuffix(".ez")
    return None


def _sort_key(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def _copy_if_different(source: Path, target: Path) -> None:
    content = source.read_bytes() if source.exists() else None
    if content is None or (target.exists() and target.read_bytes() == content):
        return
    target.unlink(missing_ok=True)
    target.write_bytes(content)
