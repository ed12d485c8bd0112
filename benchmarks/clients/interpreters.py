"""Other interpreters with HopMQ installed, each in an environment of its own."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / "build" / "benchmarks"


def version_of(python: str) -> str | None:
    """Return the release of an interpreter, such as `3.13.0`; None if it does not run."""
    try:
        asked = subprocess.run(
            [python, "-c", "import platform; print(platform.python_version())"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return asked.stdout.strip() or None if asked.returncode == 0 else None


def prepared(python: str) -> tuple[str, str]:
    """Return the release of `python` and an interpreter of it that has HopMQ.

    Args:
        python: A path, or a version such as `3.13` for `python3.13`.

    With HOPMQ_BUILT set, what is installed already counts as current.
    """
    found = next(
        ((each, version) for each in (python, f"python{python}") if (version := version_of(each))),
        None,
    )
    if found is None:
        raise SystemExit(f"no interpreter {python}: give the path of one")
    command, version = found
    folder = ENVIRONMENTS / f"python-{version}"
    interpreter = folder / "bin" / "python"
    fresh = not interpreter.exists()
    if fresh:
        subprocess.run([command, "-m", "venv", str(folder)], check=True)
    if fresh or not os.environ.get("HOPMQ_BUILT"):
        pip = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"{ROOT}[uvloop]"], check=True)
    return version, str(interpreter)
