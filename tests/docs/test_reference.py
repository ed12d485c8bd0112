"""The reference is complete, and links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import hopmq
from hopmq import app, broker, errors, testing
from hopmq.url import _NUMBERS, _TEXTS
from hopmq.wire.selection import NO_EXTENSIONS, REQUIRE_EXTENSIONS

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs/reference"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_DIRECTIVE = re.compile(r"^\.\. (?:auto\w+|py:data):: (\w+)", re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(#[^)\s]*)?\)")


def documented(page: str) -> set[str]:
    """Return the names that a page of the reference describes."""
    return set(_DIRECTIVE.findall((REFERENCE / page).read_text()))


def error_names() -> set[str]:
    """Return the names of all errors."""
    things = vars(errors).values()
    return {
        each.__name__
        for each in things
        if isinstance(each, type) and issubclass(each, errors.HopMQError)
    }


def test_every_error_is_documented_once() -> None:
    assert documented("errors.md") == error_names()


def test_every_public_name_is_documented() -> None:
    assert documented("api.md") == set(hopmq.__all__) - error_names()


def test_every_public_name_for_tests_is_documented() -> None:
    assert documented("testing.md") == set(testing.__all__)


def test_every_public_name_of_the_broker_is_documented() -> None:
    assert documented("broker.md") == set(broker.__all__)


def test_every_public_name_of_applications_is_documented() -> None:
    modules = {"asgi", "middleware"}
    public = {*app.__all__, *app.asgi.__all__, *app.middleware.__all__} - modules
    assert documented("app.md") == public


@pytest.mark.parametrize("module", [errors, app.errors])
def test_the_tree_of_errors_is_the_one_in_the_code(module: ModuleType) -> None:
    assert module.__doc__ is not None
    tree = module.__doc__.split("\n\n", 1)[1].strip()
    assert tree in (REFERENCE / "errors.md").read_text()


def test_every_url_parameter_is_documented() -> None:
    text = (REFERENCE / "url.md").read_text()
    for name in _NUMBERS | _TEXTS | {"auth_mechanism", "vhost"}:
        assert f"`{name}`" in text or f"{name}=" in text, name


def test_the_switches_of_the_codec_are_documented() -> None:
    text = (REFERENCE / "environment.md").read_text()
    assert {NO_EXTENSIONS, REQUIRE_EXTENSIONS} <= set(re.findall(r"HOPMQ_\w+", text))


@pytest.mark.parametrize(
    "command, some", [("demo", {"--url", "--messages"}), ("broker", {"--tls-port", "--emulate"})]
)
def test_every_option_of_a_command_is_documented(command: str, some: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-Im", "hopmq", command, "--help"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    options = options_in(done.stdout)
    assert some <= options
    page = (REFERENCE / "command-line.md").read_text()
    section = page.partition(f"\n## `hopmq {command}`\n")[2].partition("\n## ")[0]
    assert options <= options_in(section) | {"--help"}


def options_in(text: str) -> set[str]:
    """Return the options that a text names."""
    return set(re.findall(r"--[a-z]+(?:-[a-z]+)*", text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for path, anchor in _LINK.findall(page.read_text()):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        if anchor:
            assert anchor[1:] in headings(target), path + anchor


def headings(page: Path) -> set[str]:
    """Return the anchors of a page, as GitHub and MyST make them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
