"""The synthetic peer: compiled when first needed, and started for as long as it is."""

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cores import pinned

SOURCES = Path(__file__).parent / "peer"
BUILD = Path(__file__).parents[2] / "build" / "benchmarks"


def built() -> Path:
    """Return the program, compiled from the sources as they are."""
    files = sorted(SOURCES.glob("*.[ch]"))
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    program = BUILD / f"peer-{digest}"
    if not program.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        parts = [str(file) for file in files if file.suffix == ".c"]
        fresh = program.with_suffix(".new")
        subprocess.run(
            ["cc", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-o", str(fresh), *parts], check=True
        )
        fresh.rename(program)
    return program


@contextmanager
def synthetic_peer(core: int | None = None) -> Iterator[str]:
    """Run the peer, on that core if there is one to choose; give its URL."""
    program = built()
    with pinned(core):
        process = subprocess.Popen([program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip()
        if not port:
            raise SystemExit("the synthetic peer has not started")
        yield f"amqp://guest:guest@127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
