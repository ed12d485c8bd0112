"""`hopmq demo` as its user runs it: a process, its output and its status."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

import hopmq
from brokers.selection import BrokerChoice, chosen_brokers
from hopmq.cli.chosen_broker import preferred_installation
from hopmq.testing import RabbitMQ
from hopmq.url import parse_url

TIMEOUT = 60.0
OK = "{0} published, {0} confirmed, {0} consumed, 0 lost, 0 duplicated"

# The demo starts the same broker whichever of them the tests run against: once is enough.
INSTALLED = [each for each in chosen_brokers() if each.installation is not None]
once = pytest.mark.parametrize(
    "rabbitmq",
    INSTALLED[:1] or [BrokerChoice(label="no-broker")],
    indirect=True,
    ids=lambda choice: choice.label,
)

# What would make the output depend on who runs the tests.
UNSET = ("AMQP_URL", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS")


def run(
    *words: str, folder: Path, script: str | None = None, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line, or a script in its place, away from the source tree."""
    environment = {name: value for name, value in os.environ.items() if name not in UNSET}
    program = ["-m", "hopmq"] if script is None else ["-c", script]
    return subprocess.run(
        [sys.executable, *program, *words],
        cwd=folder,
        env=environment | dict(variables or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def assert_sentence(done: subprocess.CompletedProcess[str], pattern: str) -> None:
    """Expect a failure that is told in one line, and in no traceback."""
    assert done.returncode == 1, done
    assert re.fullmatch(f"hopmq: {pattern}\n", done.stderr), done.stderr


# --- the main job ------------------------------------------------------------------------------


def test_20000_messages_are_counted_through_each_broker(amqp_url: str, tmp_path: Path) -> None:
    done = run("demo", folder=tmp_path, variables={"AMQP_URL": amqp_url})
    assert done.returncode == 0, done
    assert done.stdout.splitlines()[-1] == OK.format("20,000")
    assert not done.stderr


def test_the_summary_names_rates_latencies_codec_loop_and_broker(
    rabbitmq: RabbitMQ, tmp_path: Path
) -> None:
    done = run("demo", "--url", rabbitmq.url, "--messages", "500", folder=tmp_path)
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[-1] == OK.format("500")
    for pattern in (
        r"500 messages of 100 bytes",
        r"published and confirmed [\d,]+ messages/s in [\d.]+ s",
        r"consumed and acknowledged [\d,]+ messages/s in [\d.]+ s",
        r"latency p50 p95 p99 max",
        r"publish to confirm( [\d,.]+ ms){4}",
        r"publish to consume( [\d,.]+ ms){4}",
        r"codec (cython|pure): .+",
        r"event loop (uvloop [\d.]+|asyncio)",
        rf"broker RabbitMQ {re.escape(rabbitmq.version)} at amqp://guest@127\.0\.0\.1:{rabbitmq.port}",
        rf"client HopMQ {re.escape(hopmq.__version__)} on \w+ [\d.]+\S*",
    ):
        assert any(re.fullmatch(pattern, line) for line in lines), pattern


def test_output_that_is_no_terminal_has_no_control_characters(
    amqp_url: str, tmp_path: Path
) -> None:
    done = run("demo", "--url", amqp_url, "--messages", "100", folder=tmp_path)
    assert done.stdout.replace("\n", "").isprintable()


def test_sizes_up_to_several_frames_arrive(amqp_url: str, tmp_path: Path) -> None:
    words = ("--url", amqp_url, "--messages", "20", "--size", "300000")
    done = run("demo", *words, folder=tmp_path)
    assert done.stdout.splitlines()[-1] == OK.format("20")


def test_the_option_goes_before_the_variable(amqp_url: str, tmp_path: Path) -> None:
    done = run(
        "demo",
        *("--url", amqp_url, "--messages", "10"),
        folder=tmp_path,
        variables={"AMQP_URL": "amqp://127.0.0.1:1"},
    )
    assert done.stdout.splitlines()[-1] == OK.format("10")


def test_the_pure_codec_is_named_where_it_is_chosen(amqp_url: str, tmp_path: Path) -> None:
    words = ("--url", amqp_url, "--messages", "100")
    switches = {"HOPMQ_NO_EXTENSIONS": "1", "HOPMQ_REQUIRE_EXTENSIONS": ""}
    done = run("demo", *words, folder=tmp_path, variables=switches)
    assert re.search(r"codec +pure: HOPMQ_NO_EXTENSIONS is set", done.stdout)
    assert done.stdout.splitlines()[-1] == OK.format("100")


@once
def test_without_an_address_a_rabbitmq_is_started_and_ended(
    rabbitmq: RabbitMQ, tmp_path: Path
) -> None:
    done = run("demo", "--messages", "100", folder=tmp_path)
    assert done.stdout.startswith("starting RabbitMQ ")
    assert done.stdout.splitlines()[-1] == OK.format("100")
    port = re.search(r"at amqp://guest@127\.0\.0\.1:(\d+)", done.stdout)
    assert port is not None
    assert int(port[1]) != rabbitmq.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port[1])), 1.0)


@once
def test_an_interrupt_is_told_in_a_word_and_ends_the_broker(
    rabbitmq: RabbitMQ, tmp_path: Path
) -> None:
    root = preferred_installation().root
    home = tmp_path if root is None else root / "tmp"
    before = set(home.iterdir())
    with subprocess.Popen(
        [sys.executable, "-m", "hopmq", "demo"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name not in UNSET}
        | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        data = wait_for_node(home, before)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert said.strip() == "hopmq: interrupted"
    assert not data.exists()


def wait_for_node(home: Path, before: set[Path]) -> Path:
    """Return the data folder of a node that has begun to start since `before`."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        for folder in set(home.iterdir()) - before:
            log = folder / "output.log"
            if log.exists() and log.stat().st_size:
                return folder
        time.sleep(0.02)
    pytest.fail("the demo started no broker")


# --- what can go wrong -------------------------------------------------------------------------


def test_a_wrong_password_is_told_and_not_shown(amqp_url: str, tmp_path: Path) -> None:
    endpoint = parse_url(amqp_url)
    url = f"amqp://guest:hunter2-not-it@{endpoint.host}:{endpoint.port}"
    done = run("demo", "--url", url, folder=tmp_path)
    assert_sentence(done, "the broker refused user 'guest': 403 .*")
    assert "hunter2" not in done.stdout + done.stderr


def test_a_missing_virtual_host_is_named(amqp_url: str, tmp_path: Path) -> None:
    endpoint = parse_url(amqp_url)
    user = f"{endpoint.username}:{endpoint.password}"
    url = f"amqp://{user}@{endpoint.host}:{endpoint.port}/no-such-vhost"
    assert_sentence(run("demo", "--url", url, folder=tmp_path), ".*'no-such-vhost'.*")


def test_a_refused_connection_is_told_with_its_address(tmp_path: Path) -> None:
    done = run("demo", "--url", "amqp://guest:hunter2@127.0.0.1:1", folder=tmp_path)
    assert_sentence(done, r"127\.0\.0\.1:1: cannot connect: .*")
    assert "hunter2" not in done.stderr


def test_a_host_that_does_not_exist_is_told(tmp_path: Path) -> None:
    done = run("demo", "--url", "amqp://no-such-host.invalid", folder=tmp_path)
    assert_sentence(done, r"no-such-host\.invalid:5672: cannot resolve the host name: .*")


def test_a_host_that_is_no_name_is_told(tmp_path: Path) -> None:
    done = run("demo", "--url", "amqp://a..b", folder=tmp_path)
    assert_sentence(done, r"a\.\.b:5672: not a valid host name: .*")


@pytest.mark.parametrize(
    "url, pattern",
    [
        ("hunter2@rabbit", "unknown URL scheme ''; .*"),
        ("http://guest:hunter2@rabbit", "unknown URL scheme 'http'; .*"),
        ("amqp://guest:hunter2@rabbit:port", "not a valid URL: check its host and port.*"),
        ("amqp://guest:hunter2@rabbit?heartbeet=1", "unknown URL parameter 'heartbeet'"),
    ],
)
def test_a_wrong_url_is_told_without_its_password(url: str, pattern: str, tmp_path: Path) -> None:
    done = run("demo", folder=tmp_path, variables={"AMQP_URL": url})
    assert_sentence(done, pattern)
    assert "hunter2" not in done.stderr


WITHOUT = """
import runpy, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
sys.argv = ["hopmq", "demo"]
runpy.run_module("hopmq", run_name="__main__")
"""


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_its_extra_the_command_says_what_to_install(missing: str, tmp_path: Path) -> None:
    done = run(folder=tmp_path, script=WITHOUT.format(missing=missing))
    assert_sentence(done, r".* not installed: pip install 'hopmq\[cli\]'")


def test_without_uvloop_the_demo_runs_on_asyncio(amqp_url: str, tmp_path: Path) -> None:
    script = WITHOUT.format(missing="uvloop")
    done = run(folder=tmp_path, script=script, variables={"AMQP_URL": amqp_url})
    assert re.search(r"event loop +asyncio", done.stdout), done
    assert done.stdout.splitlines()[-1] == OK.format("20,000")


NO_RABBITMQ = """
import hopmq.cli.chosen_broker
hopmq.cli.chosen_broker.installations = list
import sys
sys.exit(hopmq.cli.main(["demo"]))
"""


def test_without_any_broker_the_demo_says_what_to_do(tmp_path: Path) -> None:
    done = run(folder=tmp_path, script=NO_RABBITMQ)
    assert_sentence(done, ".*install RabbitMQ .*rabbitmq-server.*, or set AMQP_URL .*")


@pytest.mark.parametrize(
    "words, pattern",
    [
        ([], "Missing command.*"),
        (["demmo"], ".*'demmo'.*"),
        (["demo", "--messages", "0"], ".*'--messages'.*"),
        (["demo", "--messages", "many"], ".*'--messages'.*"),
        (["demo", "--size", "7"], ".*'--size'.*"),
        (["demo", "--no-such-option"], ".*--no-such-option.*"),
    ],
)
def test_a_wrong_word_is_told_in_one_sentence(
    words: list[str], pattern: str, tmp_path: Path
) -> None:
    assert_sentence(run(*words, folder=tmp_path), pattern)


# --- about itself ------------------------------------------------------------------------------


def test_the_version_is_told(tmp_path: Path) -> None:
    done = run("--version", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"hopmq {hopmq.__version__}\n")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["demo", "--help"]])
def test_help_is_there_without_a_broker(words: list[str], tmp_path: Path) -> None:
    done = run(*words, folder=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: hopmq")
    assert "demo" in done.stdout
