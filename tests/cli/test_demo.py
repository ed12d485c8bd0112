"""`hopmq demo` as its user runs it: a process, its output and its status."""

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import hopmq
from brokers.selection import BrokerChoice, chosen_brokers
from cli.processes import TIMEOUT, assert_sentence, run, running
from hopmq.cli.chosen_broker import preferred_installation
from hopmq.cli.embedded import _interrupts_held_back
from hopmq.testing import RabbitMQ
from hopmq.url import parse_url

OK = "{0} published, {0} confirmed, {0} consumed, 0 lost, 0 duplicated"

# The demo starts the same broker whichever of them the tests run against: once is enough.
INSTALLED = [each for each in chosen_brokers() if each.installation is not None]
once = pytest.mark.parametrize(
    "rabbitmq",
    INSTALLED[:1] or [BrokerChoice(label="no-broker")],
    indirect=True,
    ids=lambda choice: choice.label,
)

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


def assert_gone(output: str) -> int:
    """Expect that nothing listens any more where the demo's broker did; return its port."""
    port = re.search(r"at amqp://guest@127\.0\.0\.1:(\d+)", output)
    assert port is not None, output
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port[1])), 1.0)
    return int(port[1])


def test_without_an_address_an_embedded_broker_is_used_and_ended(tmp_path: Path) -> None:
    done = run("demo", folder=tmp_path)
    assert done.stdout.startswith("starting an embedded broker in a process of its own\n")
    assert re.search(rf"broker +HopMQ {re.escape(hopmq.__version__)} at ", done.stdout)
    assert done.stdout.splitlines()[-1] == OK.format("20,000")
    assert not done.stderr
    assert_gone(done.stdout)


def test_a_demo_that_is_killed_leaves_no_embedded_broker(tmp_path: Path) -> None:
    with running("demo", "--messages", "10000000", folder=tmp_path) as process:
        broker = child_of(process.pid)
        process.kill()
        process.wait(TIMEOUT)
        wait_until_gone(broker)


@once
def test_a_rabbitmq_is_started_where_one_is_asked_for_and_ended(
    rabbitmq: RabbitMQ, tmp_path: Path
) -> None:
    # The address of another broker in the variable is no contradiction: the option was typed.
    words = ("demo", "--rabbitmq", "--messages", "100")
    done = run(*words, folder=tmp_path, variables={"AMQP_URL": "amqp://127.0.0.1:1"})
    assert done.stdout.startswith("starting RabbitMQ ")
    assert done.stdout.splitlines()[-1] == OK.format("100")
    assert assert_gone(done.stdout) != rabbitmq.port


def child_of(parent: int) -> int:
    """Return the process that a demo runs its embedded broker in."""
    children = Path(f"/proc/{parent}/task/{parent}/children")
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        for child in children.read_text().split():
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
        time.sleep(0.02)
    pytest.fail("the demo started no broker")


def wait_until_gone(process: int) -> None:
    """Wait until a process has ended."""
    deadline = time.monotonic() + TIMEOUT
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < deadline, "the broker lives on"
        time.sleep(0.02)


@pytest.fixture
def other_thread() -> Iterator[threading.Thread]:
    """Return a thread that waits for the end of the test."""
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    yield thread
    ended.set()
    thread.join(TIMEOUT)


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """Return where a byte can be read as soon as a thread has taken a signal."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(TIMEOUT)
        theirs.setblocking(False)
        before = signal.set_wakeup_fd(theirs.fileno())
        yield ours
        signal.set_wakeup_fd(before)


def test_an_interrupt_while_a_broker_starts_is_heard_behind_that() -> None:
    steps = []

    def start() -> None:
        with _interrupts_held_back():
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            steps.append("started")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert steps == ["started"]


def test_one_that_another_thread_takes_is_heard_behind_that_too(
    other_thread: threading.Thread, taken: socket.socket
) -> None:
    steps = []

    def start() -> None:
        with _interrupts_held_back():
            assert other_thread.ident is not None
            signal.pthread_kill(other_thread.ident, signal.SIGINT)
            assert taken.recv(1) == bytes([signal.SIGINT])
            steps.append("started")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert steps == ["started"]


def test_an_interrupt_of_all_is_told_in_a_word_and_ends_the_embedded_broker(tmp_path: Path) -> None:
    with running("demo", "--messages", "10000000", folder=tmp_path) as process:
        broker = child_of(process.pid)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
        _, said = process.communicate(timeout=TIMEOUT)
        assert said.strip() == "hopmq: interrupted"
        assert process.returncode == 130
        wait_until_gone(broker)


@once
def test_an_interrupt_is_told_in_a_word_and_ends_the_rabbitmq(
    rabbitmq: RabbitMQ, tmp_path: Path
) -> None:
    root = preferred_installation().root
    home = tmp_path if root is None else root / "tmp"
    before = set(home.iterdir())
    with running("demo", "--rabbitmq", folder=tmp_path, TMPDIR=str(tmp_path)) as process:
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
sys.exit(hopmq.cli.main(["demo", "--rabbitmq"]))
"""


def test_without_a_rabbitmq_the_demo_says_what_to_do(tmp_path: Path) -> None:
    done = run(folder=tmp_path, script=NO_RABBITMQ)
    assert_sentence(done, ".*rabbitmq-server.*without --rabbitmq the embedded broker is used.*")


def test_an_address_and_a_rabbitmq_to_be_started_exclude_each_other(tmp_path: Path) -> None:
    done = run("demo", "--rabbitmq", "--url", "amqp://localhost", folder=tmp_path)
    assert_sentence(done, "--url and --rabbitmq exclude each other. See: hopmq demo --help")
