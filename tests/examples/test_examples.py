"""The examples: each runs as its reader would run it, ends by itself, and shows what it says."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import hopmq
from examples.programs import SOURCE

FOLDER = Path(__file__).resolve().parents[2] / "examples"
TIMEOUT = 120.0

EXPECTED = {
    "hello": r"received hello",
    "publish_subscribe": r"(?s)(?=.*Alice reads: it rains).*Bob reads: it rains.*",
    "routing": (
        r"pager: error: disk is full\n"
        r"archive: info: started\n"
        r"archive: error: disk is full"
    ),
    "topics": (
        r"europe\.# +gets europe\.berlin\.rain, europe\.berlin\.wind\n"
        r"\*\.\*\.rain +gets europe\.berlin\.rain, asia\.kyoto\.rain\n"
        r"# +gets europe\.berlin\.rain, europe\.berlin\.wind, asia\.kyoto\.rain"
    ),
    "headers": (
        r"printer: leaflet \{'format': 'pdf', 'pages': 1\}\n"
        r"archive: leaflet \{'format': 'pdf', 'pages': 1\}\n"
        r"archive: contract \{'format': 'text', 'signed': True\}"
    ),
    "confirms_and_returns": (
        r"confirmed: .*\n"
        r"nacked: .*\n"
        r"returned: NO_ROUTE\n"
        r"confirmed: .*\n"
        r"not sent: .*\n"
        r"of three at once, 1 confirmed, the rest nacked"
    ),
    "app_fastapi": r"ready: True\ntaken: 202\ncounted: \{'tea': 1\}",
    "app_litestar": r"ready: True\ncounted: \{'words': 4\}",
    "oauth2": (
        r"connected with token 1\n"
        r"token 2 came before that one expired; open"
    ),
}
WORK_QUEUE = {"work_queue_send", "worker"}
ENDLESS = {"app_hello"}
WITHOUT_BROKER = {"app_testing"}


def run(example: str, url: str, folder: Path) -> str:
    """Run an example in a process of its own and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(FOLDER / f"{example}.py")],
        cwd=folder,
        env=os.environ | SOURCE | {"AMQP_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout.strip()


def test_every_example_is_tested() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == (
        EXPECTED.keys() | WORK_QUEUE | ENDLESS | WITHOUT_BROKER
    )


@pytest.mark.parametrize("example", EXPECTED)
def test_an_example_shows_what_it_says(example: str, amqp_url: str, tmp_path: Path) -> None:
    assert re.fullmatch(EXPECTED[example], run(example, amqp_url, tmp_path))


async def test_a_worker_does_every_task_of_the_queue_once(amqp_url: str, tmp_path: Path) -> None:
    queue = "hopmq.example.tasks"
    async with hopmq.connect(amqp_url) as connection:
        await connection.delete_queue(queue)
        try:
            assert run("work_queue_send", amqp_url, tmp_path) == "10 tasks are with the broker"
            *done, last = run("worker", amqp_url, tmp_path).splitlines()
        finally:
            assert await connection.delete_queue(queue) == 0
    assert last == "10 tasks done"
    assert Counter(done) == Counter(f"done: task {number}" for number in range(10))


@pytest.mark.parametrize("variables", [{}, {"AMQP_URL": "of a broker"}], ids=["memory", "broker"])
def test_the_first_application_greets_and_ends_on_ctrl_c(
    variables: dict[str, str], amqp_url: str, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-u", str(FOLDER / "app_hello.py")],
        cwd=tmp_path,
        env=os.environ | SOURCE | dict.fromkeys(variables, amqp_url),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "Hello, world!\n"
        program.send_signal(signal.SIGINT)
        output, _ = program.communicate(timeout=TIMEOUT)
    assert (program.returncode, output) == (0, "")


@pytest.mark.parametrize(
    "words, passed",
    [((), r"(passed: \w+\n){3}"), (("-m", "pytest", "-q", "-o", "asyncio_mode=auto"), "3 passed")],
    ids=["program", "pytest"],
)
def test_the_tests_of_an_application_pass(
    words: tuple[str, ...], passed: str, tmp_path: Path
) -> None:
    path = shutil.copy(FOLDER / "app_testing.py", tmp_path)  # away from our settings of pytest
    done = subprocess.run(
        [sys.executable, *words, str(path)],
        cwd=tmp_path,
        env=os.environ | SOURCE,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(passed, done.stdout)
