"""What README and documentation show in Python runs as it stands, on each broker."""

import asyncio
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import hopmq
from brokers.selection import BrokerChoice, chosen_brokers
from docs.snippets import Snippet, run_part, run_program, run_tests, snippets
from hopmq.testing import RabbitMQ

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").rglob("*.md"))
TESTING = ROOT / "docs/howto/testing.md"
TESTING_APPS = ROOT / "docs/howto/test-apps.md"
PAGES = [page for page in (README, *DOCS) if snippets(page) and page != TESTING]
NEWEST = [each for each in chosen_brokers() if each.installation][-1:]
VHOST = "documentation"


@pytest.fixture(scope="module")
def words(rabbitmq: RabbitMQ) -> Iterator[Mapping[str, str]]:
    """Return what stands for the addresses and files in the pages, in a virtual host of our own."""
    rabbitmq.ctl("add_vhost", VHOST)
    rabbitmq.ctl("set_permissions", "-p", VHOST, "guest", ".*", ".*", ".*")
    place = f"127.0.0.1:{rabbitmq.port}"
    files = rabbitmq.certificates
    yield {
        '"amqp://localhost"': f'"amqp://guest:guest@{place}/{VHOST}"',
        '"amqp://localhost/': f'"amqp://guest:guest@{place}/',
        "@localhost": f"@{place}",
        "rabbit.example.com": f"localhost:{rabbitmq.tls_port}",
        "/etc/ssl/rabbit/ca.pem": str(files.authority),
        "/etc/ssl/rabbit/client.pem": str(files.client),
        "/etc/ssl/rabbit/client.key": str(files.client_key),
    }
    rabbitmq.ctl("delete_vhost", VHOST)


def adapted(page: Path, words: Mapping[str, str]) -> list[Snippet]:
    """Return the blocks of a page for the broker at hand."""
    return [snippet.adapted(words) for snippet in snippets(page)]


async def run(page: Path, words: Mapping[str, str], folder: Path) -> list[str]:
    """Run a page from top to bottom; return what its programs print."""
    printed = []
    url = words['"amqp://localhost"'].strip('"')
    async with hopmq.connect(url) as connection, connection.channel() as channel:
        given: dict[str, Any] = {"connection": connection, "channel": channel}
        with module_of(page, given | {"asyncio": asyncio, "hopmq": hopmq}) as namespace:
            for snippet in adapted(page, words):
                if snippet.is_program:
                    printed.append(await asyncio.to_thread(run_program, snippet, folder))
                elif not snippet.is_test:
                    await run_part(snippet, namespace)
    return printed


@contextmanager
def module_of(page: Path, given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the names of a module, which is there for whoever resolves annotations."""
    module = ModuleType(f"page_{page.stem}")
    namespace = vars(module)
    namespace.update(given)
    sys.modules[module.__name__] = module
    try:
        yield namespace
    finally:
        del sys.modules[module.__name__]


def test_pages_with_code_are_found() -> None:
    names = {str(page.relative_to(ROOT)) for page in PAGES}
    assert {"README.md", "docs/app.md", "docs/tutorial.md", "docs/howto/publish.md"} <= names


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != README], ids=lambda page: page.stem
)
async def test_the_code_of_a_page_runs(
    page: Path, words: Mapping[str, str], tmp_path: Path
) -> None:
    await run(page, words, tmp_path)


async def test_readme_consumes_what_it_publishes(words: Mapping[str, str], tmp_path: Path) -> None:
    greeted, published, consumed = await run(README, words, tmp_path)
    assert greeted == "hello, world\n"
    assert re.fullmatch(r"Receipt\(delivery_tag=1\)\n", published)
    assert consumed == "hello\n"


@pytest.mark.parametrize("block", [0, 1, 2])
def test_readme_needs_no_more_than_ten_lines(block: int) -> None:
    lines = [line for line in snippets(README)[block].code.splitlines() if line.strip()]
    assert len(lines) <= 10


@pytest.mark.parametrize(
    "rabbitmq",
    NEWEST or [BrokerChoice(label="no-broker")],
    indirect=True,
    ids=lambda choice: choice.label,
)
async def test_the_code_about_real_brokers_runs(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    for snippet in snippets(TESTING):
        if snippet.is_program:
            output = await asyncio.to_thread(run_program, snippet, tmp_path)
            assert "ConnectionLostError\n" in output
        elif not snippet.is_test:
            await run_part(snippet, {"asyncio": asyncio, "hopmq": hopmq})


@pytest.mark.parametrize(
    "page, count", [(TESTING, 6), (TESTING_APPS, 2)], ids=["testing", "test-apps"]
)
def test_the_tests_about_testing_pass(page: Path, count: int, tmp_path: Path) -> None:
    tests = [snippet for snippet in snippets(page) if snippet.is_test]
    assert f"{count} passed" in run_tests(tests, tmp_path)
