"""Instructions between marks that a program sets, counted by valgrind's callgrind.

Instructions hardly vary from run to run, as times do. A work is done a few times and then many
times, and the difference counts: what surrounds the work falls out.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def mark() -> None:
    """Call a function of the C library that callgrind is told to write its counts at."""
    os.getloadavg()


def counted(
    command: Sequence[str], seed: int, environment: Mapping[str, str] = os.environ
) -> list[int]:
    """Run a program; return the instructions between its first mark and the next, and so on.

    Args:
        command: What to run.
        seed: PYTHONHASHSEED.
        environment: Its other variables.
    """
    if not shutil.which("valgrind"):
        raise SystemExit("valgrind is not installed")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        run = subprocess.run(
            [
                *("valgrind", "--tool=callgrind", "--dump-before=getloadavg"),
                f"--callgrind-out-file={out}",
                *command,
            ],
            env={**environment, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise SystemExit(run.stderr)
        parts = sorted(Path(folder).glob("out.*"), key=lambda part: int(part.suffix[1:]))
        # The first dump is the start of the process.
        return [_total(part.read_text()) for part in parts][1:]


def _total(dump: str) -> int:
    found = re.search(r"^(?:totals|summary): (\d+)", dump, re.MULTILINE)
    if found is None:
        raise SystemExit("callgrind has written no total")
    return int(found[1])
