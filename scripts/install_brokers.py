"""Install the RabbitMQ releases that the tests run against and that this machine's package is not.

Each release comes from another release of Debian, in a folder of its own below
HOPMQ_BROKERS_HOME. A folder that is complete is kept and used again; one that is not is made
anew. Needs root and debootstrap.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hopmq.testing.installations import brokers_home, installation_in

TIMEOUT = 900.0
"""Seconds for one folder; half a minute is usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """One folder to have.

    Attributes:
        name: Name of the folder.
        suite: Release of Debian that it holds.
        required: Whether the tests cannot do without it.
    """

    name: str
    suite: str
    required: bool


FOLDERS = (
    Folder(name="debian-stable", suite="trixie", required=True),
    Folder(name="debian-unstable", suite="sid", required=False),
)


def main() -> int:
    """Install what is missing and say what is there."""
    missing = _missing_conditions()
    if missing:
        print(f"brokers cannot be installed: {missing}", file=sys.stderr)
        return 1
    home = brokers_home()
    home.mkdir(parents=True, exist_ok=True)
    with _alone(home):
        results = [(folder, _ensure(home, folder)) for folder in FOLDERS]
    return int(any(folder.required and not done for folder, done in results))


def _missing_conditions() -> str | None:
    if os.geteuid() != 0:
        return "entering their folders needs root"
    if shutil.which("debootstrap") is None:
        return "debootstrap is not installed"
    return None


def _ensure(home: Path, folder: Folder) -> bool:
    root = home / folder.name
    if _report(root, "present"):
        return True
    print(f"{folder.name}: installing from Debian {folder.suite} ...", flush=True)
    error = _install(root, folder.suite)
    if error is None and _report(root, "installed"):
        return True
    _complain(folder, error or "the folder holds no RabbitMQ")
    return False


def _report(root: Path, word: str) -> bool:
    found = installation_in(root)
    if found is not None:
        print(f"{root.name}: RabbitMQ {found.version} {word}", flush=True)
    return found is not None


def _install(root: Path, suite: str) -> str | None:
    """Fill a folder beside `root` and put it in place when it is complete; return what failed."""
    part = root.with_name(f"{root.name}.part")
    _remove(part)
    command = ["debootstrap", "--variant=minbase", "--include=rabbitmq-server", suite, str(part)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        _remove(part)
        return f"debootstrap took longer than {TIMEOUT:g} s"
    if done.returncode:
        _remove(part)
        return "\n".join(done.stdout.splitlines()[-15:])
    _remove(root)
    part.rename(root)
    return None


def _remove(root: Path) -> None:
    """Remove a folder, after whatever an interrupted debootstrap left mounted in it."""
    for mount in sorted(_mounts_below(root), reverse=True):
        subprocess.run(["umount", "--lazy", str(mount)], check=True)
    if root.exists():
        shutil.rmtree(root)


def _mounts_below(root: Path) -> Iterator[Path]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount = Path(line.split()[4])
        if mount.is_relative_to(root):
            yield mount


def _complain(folder: Folder, error: str) -> None:
    bar = "!" * 80
    consequence = "FAILED" if folder.required else "GOING ON WITHOUT IT"
    print(f"{bar}\n!!! {folder.name} (Debian {folder.suite}) did not install: {consequence}")
    print(f"{error}\n{bar}", flush=True)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Wait until no other run of this script works in `home`."""
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
