"""The command line as its user runs it: a process, its output and its status."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

TIMEOUT = 60.0

# What would make the output depend on who runs the tests.
UNSET = ("AMQP_URL", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS")


def variables_of_tests(more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process under test."""
    return {name: value for name, value in os.environ.items() if name not in UNSET} | dict(more)


def run(
    *words: str, folder: Path, script: str | None = None, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line, or a script in its place, away from the source tree."""
    program = ["-m", "hopmq"] if script is None else ["-c", script]
    return subprocess.run(
        [sys.executable, *program, *words],
        cwd=folder,
        env=variables_of_tests(variables or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


@contextmanager
def running(*words: str, folder: Path, **variables: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the command line beside the test, in a group of its own as a shell does it."""
    with subprocess.Popen(
        [sys.executable, "-m", "hopmq", *words],
        cwd=folder,
        env=variables_of_tests(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def assert_sentence(done: subprocess.CompletedProcess[str], pattern: str) -> None:
    """Expect a failure that is told in one line, and in no traceback."""
    assert done.returncode == 1, done
    assert re.fullmatch(f"hopmq: {pattern}\n", done.stderr), done.stderr
