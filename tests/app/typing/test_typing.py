"""Applications infer the types of their users, and wrong uses are errors, in both type checkers."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import hopmq

SNIPPETS = Path(__file__).parent / "snippets"
FILES = sorted(SNIPPETS.glob("*.py"))
SOURCE = Path(hopmq.__file__).parents[1]
TIME_LIMIT = 300.0

Place = tuple[str, int]
Errors = dict[Place, list[str]]

_WANTED = re.compile(r"# error\b")
_MYPY = re.compile(r"(?P<file>[^:\n]+):(?P<line>\d+): error: (?P<text>.*)")


def mypy(folder: Path) -> Errors:
    """Return what mypy finds wrong."""
    done = _run(folder, "mypy", "--strict", "--no-pretty", *(path.name for path in FILES))
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    errors: Errors = {}
    for found in _MYPY.finditer(done.stdout):
        place = Path(found["file"]).name, int(found["line"])
        errors.setdefault(place, []).append(found["text"])
    return errors


def pyright(folder: Path) -> Errors:
    """Return what pyright finds wrong."""
    config = {"extraPaths": [str(SOURCE)], "typeCheckingMode": "strict"}
    (folder / "pyrightconfig.json").write_text(json.dumps(config))
    done = _run(folder, "pyright", "--outputjson", "--pythonpath", sys.executable)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    errors: Errors = {}
    for each in json.loads(done.stdout)["generalDiagnostics"]:
        if each["severity"] == "error":
            place = Path(each["file"]).name, each["range"]["start"]["line"] + 1
            errors.setdefault(place, []).append(each["message"])
    return errors


def _run(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    # mypy finds by itself what is installed, and wants no word of it.
    path = {} if "site-packages" in SOURCE.parts else {"MYPYPATH": str(SOURCE)}
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=os.environ | path,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
        check=False,
    )


def wanted() -> set[Place]:
    """Return the lines that are wrong on purpose."""
    return {
        (path.name, number)
        for path in FILES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if _WANTED.search(line)
    }


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_right_uses_have_their_types_and_wrong_ones_are_errors(
    checker: Callable[[Path], Errors], tmp_path: Path
) -> None:
    for path in FILES:
        shutil.copy(path, tmp_path)  # away from packages, of which they are no part
    errors = checker(tmp_path)
    unwanted = {place: texts for place, texts in errors.items() if place not in wanted()}
    assert not unwanted
    assert wanted() - errors.keys() == set()
    assert len(wanted()) > 30
