"""Show that the wire tests have teeth: each planted drift must make them fail.

The package is copied and built once as it is, which must pass, and once with each drift, which
must not. The differential tests have to be among those that notice, since the mistakes of
tomorrow have no example written for them.

    python tests/planted_drifts/run.py            all drifts
    python tests/planted_drifts/run.py unsigned   one of them
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from drifts import DRIFTS, Drift

ROOT = Path(__file__).resolve().parents[2]
DIFFERENTIAL = ("test_differential.py", "test_differential_methods.py")
RELEVANT = (
    "golden_frames",
    "golden_contents",
    "methods",
    "field_values",
    "malformed_frames",
    "malformed_methods",
    "malformed_tables",
    "differential",
    "differential_methods",
)
NOT_BUILT = shutil.ignore_patterns("*.so", "*.c", "__pycache__")


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def copy_project(folder: Path) -> None:
    """Copy what is needed to build the extension and to test it."""
    shutil.copytree(ROOT / "hopmq", folder / "hopmq", ignore=NOT_BUILT)
    shutil.copytree(ROOT / "tests" / "wire", folder / "tests" / "wire", ignore=NOT_BUILT)
    shutil.copy(ROOT / "setup.py", folder)


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which the copy is the package that is imported."""
    kept = {name: value for name, value in os.environ.items() if name != "HOPMQ_NO_EXTENSIONS"}
    return {
        **kept,
        "PYTHONPATH": str(folder),
        "HOPMQ_REQUIRE_EXTENSIONS": "1",
        "HYPOTHESIS_PROFILE": "unshrunk",
        "CFLAGS": "-O0",
    }


def build(folder: Path) -> None:
    """Build the extension within the copy."""
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    run = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise SystemExit(run.stdout + run.stderr)


def check_import(folder: Path) -> None:
    """Make sure that the copy is what will be tested."""
    program = "from hopmq._speedups import codec; print(codec.__file__)"
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    if not Path(run.stdout.strip()).is_relative_to(folder):
        raise SystemExit(f"the tests would load {run.stdout}")


def failures(folder: Path) -> tuple[int, Counter[str], str]:
    """Run the wire tests; return pytest's code, failures by file, and the output."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no"),
            *("-k", "not pure", *(f"tests/wire/test_{name}.py" for name in RELEVANT)),
        ],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"^FAILED tests/wire/(\w+\.py)", run.stdout, re.MULTILINE)
    return run.returncode, Counter(found), run.stdout + run.stderr


def test_with(drift: Drift | None) -> bool:
    """Build and test a copy with a drift, or with none; tell whether it went as it must."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        copy_project(folder)
        if drift:
            drift.apply(folder)
        build(folder)
        check_import(folder)
        code, failed, output = failures(folder)
    if drift is None:
        say(f"as it is: {'passes' if code == 0 else 'FAILS'}")
        if code:
            say(output)
        return code == 0
    noticed = code == 1 and any(failed[file] for file in DIFFERENTIAL)
    where = ", ".join(f"{count} in {file}" for file, count in failed.most_common()) or "none"
    say(
        f"{drift.name} ({drift.rule}): {'noticed' if noticed else 'NOT NOTICED'}; failures: {where}"
    )
    if code not in {0, 1}:
        say(output)
    return noticed


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[[], *(drift.name for drift in DRIFTS)])
    names = parser.parse_args().names
    chosen = [drift for drift in DRIFTS if not names or drift.name in names]
    results = [test_with(None), *(test_with(drift) for drift in chosen)]
    say(f"{sum(results[1:])} of {len(chosen)} planted drifts noticed")
    return int(not all(results))


if __name__ == "__main__":
    sys.exit(main())
