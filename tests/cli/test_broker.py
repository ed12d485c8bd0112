"""`hopmq broker` as its user runs it: what it says, whom it lets in, and how it ends."""

import asyncio
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import hopmq
from cli.processes import TIMEOUT, assert_sentence, run, running
from hopmq.errors import AuthenticationError, ConnectionForcedError, HandshakeError, UsageError


@contextmanager
def broker(*words: str, folder: Path) -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    """Run a broker; give its process and its banner, line by line."""
    with running("broker", "--port", "0", *words, folder=folder) as process:
        assert process.stdout is not None
        banner = []
        for line in process.stdout:
            banner.append(line.rstrip("\n"))
            if line.startswith("  to end it"):
                break
        assert banner, process.communicate(timeout=TIMEOUT)
        yield process, banner


def urls(banner: list[str]) -> list[str]:
    """Return the addresses that a banner shows."""
    return [line.strip() for line in banner if "://" in line]


def end(process: "subprocess.Popen[str]", number: signal.Signals) -> str:
    """End a broker; return what it printed after its banner."""
    process.send_signal(number)
    printed, said = process.communicate(timeout=TIMEOUT)
    assert not said
    return printed


# --- what it says ------------------------------------------------------------------------------


def test_the_banner_says_where_it_is_and_what_it_is_not(tmp_path: Path) -> None:
    with broker(folder=tmp_path) as (process, banner):
        end(process, signal.SIGINT)
    text = " ".join(" ".join(banner).split())
    assert banner[0] == f"HopMQ {hopmq.__version__}, embedded broker"
    assert re.search(r" amqp://guest:guest@127\.0\.0\.1:\d+/%2F ", text)
    for saying in (
        "it is for trying out, developing and testing",
        "it is not a replacement for RabbitMQ: nothing is written to disk",
        "no cluster",
        "behaves like RabbitMQ 4.3.6",
        "limits 512 MiB of messages, then publishers are blocked; bodies to 16 MiB",
    ):
        assert saying in text
    assert "beware" not in text


@pytest.mark.parametrize("release, bodies", [("3.10", "128 MiB"), ("4.0", "16 MiB")])
def test_the_banner_follows_the_release(release: str, bodies: str, tmp_path: Path) -> None:
    words = ("--emulate", release, "--memory-limit", "1.5GiB")
    with broker(*words, folder=tmp_path) as (_, banner):
        text = " ".join(" ".join(banner).split())
    assert f"behaves like RabbitMQ {release}." in text
    assert "limits 1.5 GiB of messages" in text
    assert f"bodies to {bodies}" in text


def test_a_broker_for_everybody_with_the_known_password_warns(tmp_path: Path) -> None:
    warning = "beware        other machines can reach it"
    with broker("--host", "0.0.0.0", folder=tmp_path) as (_, banner):
        assert any(warning in line for line in banner)
    with broker("--host", "0.0.0.0", "--user", "a:b", folder=tmp_path) as (_, banner):
        assert not any(warning in line for line in banner)


async def test_the_log_names_clients_and_has_no_control_characters(tmp_path: Path) -> None:
    with broker(folder=tmp_path) as (process, banner):
        async with hopmq.connect(urls(banner)[0], name="a\x1b[31mname"):
            pass
        printed = end(process, signal.SIGINT)
    assert re.search(r"(?m)^\d\d:\d\d:\d\d #1 a\\x1b\[31mname \(127.*user guest connected", printed)
    assert printed.replace("\n", "").isprintable()


async def test_frames_are_logged_without_bodies_and_secrets(tmp_path: Path) -> None:
    words = ("--trace", "--user", "orders:hunter2")
    with broker(*words, folder=tmp_path) as (process, banner):
        url = urls(banner)[0]
        async with (
            hopmq.connect(url, password="hunter2") as connection,
            connection.channel() as channel,
        ):
            await channel.declare_queue("traced")
            await channel.publish(b"a body of a letter", routing_key="traced")
        printed = end(process, signal.SIGINT)
    assert re.search(r"broker #1 < Queue\.Declare ch=\d+ .*queue='traced'", printed)
    assert re.search(r"broker #1 < Published\(.*body=<18 bytes>", printed)
    assert "hunter2" not in printed
    assert "letter" not in printed


# --- whom it lets in ---------------------------------------------------------------------------


async def test_users_come_in_place_of_guest_and_their_passwords_are_not_shown(
    tmp_path: Path,
) -> None:
    words = ("--user", "orders:se:cret", "--user", "bills:other", "--vhost", "a", "--vhost", "b")
    with broker(*words, folder=tmp_path) as (process, banner):
        url = urls(banner)[0]
        assert re.fullmatch(r"amqp://orders@127\.0\.0\.1:\d+/a", url)
        for name, password in (("orders", "se:cret"), ("bills", "other")):
            for vhost in ("a", "b"):
                async with hopmq.connect(
                    url, username=name, password=password, vhost=vhost
                ) as connection:
                    await connection.declare_queue("q")
        with pytest.raises(AuthenticationError):
            await hopmq.connect(url, username="guest", password="guest")
        printed = end(process, signal.SIGINT)
    assert "cret" not in "\n".join(banner) + printed


async def test_tls_works_with_a_certificate_made_for_the_run(tmp_path: Path) -> None:
    with broker("--tls", "--tls-port", "0", folder=tmp_path) as (process, banner):
        plain, secure = urls(banner)
        assert plain.startswith("amqp://")
        async with hopmq.connect(secure) as connection:
            assert connection.product == "HopMQ"
        end(process, signal.SIGTERM)
    with pytest.raises(UsageError, match="cacertfile"):  # it is gone
        await hopmq.connect(secure)


async def test_tls_uses_the_files_that_are_given(tmp_path: Path) -> None:
    files = hopmq.testing.Certificates.create(tmp_path, user="orders")
    words = (
        *("--certfile", str(files.server), "--keyfile", str(files.server_key)),
        *("--cacertfile", str(files.authority), "--tls-port", "0", "--user", "orders:secret"),
    )
    with broker(*words, folder=tmp_path) as (_, banner):
        _, secure = urls(banner)
        proof = f"cacertfile={files.authority}&certfile={files.client}&keyfile={files.client_key}"
        async with hopmq.connect(f"{secure}?{proof}&auth_mechanism=EXTERNAL") as connection:
            await connection.declare_queue("q")


async def test_a_unix_socket_is_listened_on_too_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "broker.sock"
    with broker("--unix", str(path), folder=tmp_path) as (process, banner):
        _, url = urls(banner)
        async with hopmq.connect(url) as connection:
            assert connection.product == "HopMQ"
        end(process, signal.SIGINT)
    assert not path.exists()


# --- what it is told by files, and tells others --------------------------------------------------


async def test_it_starts_with_the_definitions_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "definitions.json"
    path.write_text(
        """{"vhosts": [{"name": "/"}],
            "queues": [{"name": "defined", "vhost": "/", "durable": true, "auto_delete": false,
                        "arguments": {}}]}"""
    )
    with broker("--definitions", str(path), folder=tmp_path) as (_, banner):
        async with hopmq.connect(urls(banner)[0]) as connection:
            info = await connection.declare_queue("defined", passive=True)
    assert info.name == "defined"


async def test_its_management_api_answers_where_it_says(tmp_path: Path) -> None:
    with broker("--management-port", "0", folder=tmp_path) as (_, banner):
        address = re.search(r"management +http://127\.0\.0\.1:(\d+)/api", "\n".join(banner))
        assert address is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", int(address[1]))
        guest = "Z3Vlc3Q6Z3Vlc3Q="
        writer.write(f"GET /api/overview HTTP/1.0\r\nAuthorization: Basic {guest}\r\n\r\n".encode())
        async with asyncio.timeout(TIMEOUT):
            answer = await reader.read()
        writer.close()
    assert b" 200 OK" in answer.partition(b"\r\n")[0]


async def test_faults_of_a_file_happen_to_its_clients(tmp_path: Path) -> None:
    path = tmp_path / "chaos.toml"
    path.write_text("""[[fault]]\ndo = "close_connection"\nafter = 0.5\nevery = 0.1\n""")
    with broker("--chaos", str(path), folder=tmp_path) as (process, banner):
        async with asyncio.timeout(TIMEOUT):
            reason = await (await connected(urls(banner)[0])).wait_closed()
        end(process, signal.SIGINT)
    assert isinstance(reason, ConnectionForcedError)
    assert any("beware        faults happen to its clients" in line for line in banner)


async def connected(url: str) -> hopmq.Connection:
    """Open a connection, between two faults that hang up on whoever is about to."""
    while True:
        with suppress(HandshakeError):
            return await hopmq.connect(url, recovery=None)


@pytest.mark.parametrize("option", ["--definitions", "--chaos"])
def test_a_file_that_cannot_be_read_is_told(option: str, tmp_path: Path) -> None:
    path = tmp_path / "letter"
    path.write_text("dear all")
    done = run("broker", option, str(path), folder=tmp_path)
    assert_sentence(done, f".*{re.escape(str(path))}.*")


# --- how it ends -------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_its_end_is_told_to_clients(number: signal.Signals, tmp_path: Path) -> None:
    with broker(folder=tmp_path) as (process, banner):
        connection = await hopmq.connect(urls(banner)[0], recovery=None)
        printed = await asyncio.to_thread(end, process, number)
        async with asyncio.timeout(TIMEOUT):
            reason = await connection.wait_closed()
    assert isinstance(reason, ConnectionForcedError)
    assert reason.reply_code == 320
    assert "closing 1 client; Ctrl-C again to end at once" in printed
    assert process.returncode == 0


async def test_a_second_interrupt_ends_it_although_a_client_does_not_answer(tmp_path: Path) -> None:
    with broker(folder=tmp_path) as (process, banner):
        connection = await hopmq.connect(urls(banner)[0])
        connection._session.link.pause_reading()
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        while not (await asyncio.to_thread(process.stdout.readline)).startswith("closing 1 client"):
            pass
        process.send_signal(signal.SIGINT)
        # Shorter than the time that a client has to answer.
        assert await asyncio.to_thread(process.wait, 3.0) == 130
        await connection.close()


async def test_a_client_that_is_blocked_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with broker("--memory-limit", "1kB", folder=tmp_path) as (process, banner):
        connection = await hopmq.connect(urls(banner)[0], recovery=None)
        async with connection.channel() as channel:
            await channel.declare_queue("full")
            async with asyncio.timeout(TIMEOUT):
                while connection.state == "open":
                    channel.publish_nowait(bytes(1000), routing_key="full")
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(end, process, signal.SIGINT)
            async with asyncio.timeout(TIMEOUT):
                reason = await connection.wait_closed()
    assert isinstance(reason, ConnectionForcedError)


# --- what can go wrong -------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--port", "--tls-port", "--management-port"])
def test_a_port_in_use_is_told_with_what_to_do(option: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ("--port", "0", "--tls", "--tls-port", "0", option, str(port))
        done = run("broker", *words, folder=tmp_path)
    assert_sentence(
        done,
        rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use; "
        "choose another port, or 0 for any free one",
    )
    assert not done.stdout


def test_a_file_that_is_no_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "letter"
    path.write_text("dear all")
    done = run("broker", "--port", "0", "--unix", str(path), folder=tmp_path)
    assert_sentence(done, f"cannot listen on {re.escape(str(path))}: it is no socket")
    assert path.read_text() == "dear all"


def test_a_broker_that_does_not_start_leaves_the_socket_of_the_one_that_runs(
    tmp_path: Path,
) -> None:
    path = tmp_path / "broker.sock"
    with broker("--unix", str(path), folder=tmp_path) as (_, banner):
        port = urls(banner)[0].partition("@127.0.0.1:")[2].partition("/")[0]
        done = run("broker", "--port", port, "--unix", str(path), folder=tmp_path)
        assert done.returncode == 1
        assert path.exists()


@pytest.mark.parametrize(
    "words, pattern",
    [
        (("--user", "hunter2"), "Invalid value for '--user': .* NAME:PASSWORD.*"),
        (("--user", ":hunter2"), "Invalid value for '--user': .* NAME:PASSWORD.*"),
        (("--emulate", "5.0"), ".*'5.0' is not one of '3.10', '4.0', '4.3'.*"),
        (("--memory-limit", "plenty"), ".*'plenty' is not a size, such as 512MiB.*"),
        (("--port", "70000"), ".*'--port'.*"),
        (("--certfile", "none.pem"), ".*'none.pem' does not exist.*"),
        (("--host", "no-such-host.invalid"), "cannot listen on no-such-host.invalid:5672: .*"),
        (("--flavour", "mint"), "No such option.* See: hopmq broker --help"),
    ],
)
def test_wrong_words_are_told(words: tuple[str, ...], pattern: str, tmp_path: Path) -> None:
    done = run("broker", *words, folder=tmp_path)
    assert_sentence(done, pattern)
    assert "hunter2" not in done.stderr


def test_a_certificate_that_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "letter.pem"
    path.write_text("dear all")
    done = run("broker", "--certfile", str(path), folder=tmp_path)
    assert_sentence(done, f"cannot use the certificate {re.escape(str(path))}: .*")


def test_a_key_without_its_certificate_is_told(tmp_path: Path) -> None:
    path = tmp_path / "server.key"
    path.write_text("")
    assert_sentence(run("broker", "--keyfile", str(path), folder=tmp_path), ".* --certfile")
