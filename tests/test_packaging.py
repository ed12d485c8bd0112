"""The distributions: what is in them, that they install alone, and the switches of their build."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Mapping
from email.message import Message
from email.parser import Parser
from pathlib import Path
from types import ModuleType

import pamqp
import pytest

import hopmq
from hopmq.errors import UsageError
from hopmq.wire import selection

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 300.0
NOT_SOURCES = (".git", ".venv", ".hatch", "build", "dist", "_build", "__pycache__", ".*_cache")
SWITCHES = (selection.NO_EXTENSIONS, selection.REQUIRE_EXTENSIONS)


def run(
    *words: str | Path, folder: Path, check: bool = True, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a program with both switches unset, but for what `variables` say."""
    environment = {key: value for key, value in os.environ.items() if key not in SWITCHES}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env=environment | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if check:
        assert done.returncode == 0, done.stdout
    return done


def build(kind: str, folder: Path, **variables: str) -> Path:
    """Build one distribution from `folder` with the tools of this environment."""
    words = ("-Im", "build", "--no-isolation", f"--{kind}", "--outdir", folder / "dist")
    run(sys.executable, *words, folder=folder, check=True, **variables)
    (made,) = (folder / "dist").iterdir()
    return made


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack a source distribution and return the folder inside."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (inside,) = folder.iterdir()
    return inside


def names(wheel: Path) -> list[str]:
    """List the files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the source tree; making the sdist leaves the generated C in it."""
    copy = tmp_path_factory.mktemp("source") / "tree"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_SOURCES))
    return copy


@pytest.fixture(scope="module")
def sdist(tree: Path) -> Path:
    """Return the source distribution."""
    made = build("sdist", tree)
    assert (tree / "hopmq/_speedups/codec.c").exists()
    return made


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the compiled wheel, built from the source distribution."""
    folder = unpack(sdist, tmp_path_factory.mktemp("compiled"))
    return build("wheel", folder, CFLAGS="-O0", HOPMQ_REQUIRE_EXTENSIONS="1")


@pytest.fixture(scope="module")
def pure_wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel without the compiled codec, built from the source distribution."""
    folder = unpack(sdist, tmp_path_factory.mktemp("pure"))
    return build("wheel", folder, HOPMQ_NO_EXTENSIONS="1")


def install(wheel: Path, folder: Path) -> Path:
    """Install a wheel and pamqp, and nothing else, in a new environment; return its Python."""
    venv.create(folder, with_pip=False)
    python = folder / "bin/python"
    words = ("--python", python, "install", "--quiet", "--no-index", "--no-deps", wheel)
    run(sys.executable, "-Im", "pip", *words, folder=folder)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    shutil.copytree(Path(pamqp.__file__).parent, site_packages / "pamqp")
    return python


# --- contents ----------------------------------------------------------------------------------


@pytest.mark.packaging
def test_the_sdist_holds_everything_to_build_test_and_document(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "hopmq/_speedups").glob("*.p*")}
    assert "hopmq/_speedups/codec.pyx" in sources
    assert sources | {"setup.py", "LICENSE", "README.md", "Makefile", "hopmq/py.typed"} <= held
    assert {"tests", "docs", "examples", "benchmarks", "scripts"} <= held


@pytest.mark.packaging
def test_no_distribution_holds_generated_c(sdist: Path, wheel: Path, pure_wheel: Path) -> None:
    with tarfile.open(sdist) as archive:
        held = [*archive.getnames(), *names(wheel), *names(pure_wheel)]
    generated = (".c", ".pyc", ".html")
    # What is written in C by hand is a program of the benchmarks.
    assert not [each for each in held if each.endswith(generated) and "benchmarks/" not in each]


@pytest.mark.packaging
def test_wheels_hold_the_package_the_front_for_pytest_and_no_cython(
    wheel: Path, pure_wheel: Path
) -> None:
    held = [*names(wheel), *names(pure_wheel)]
    assert {name.partition("/")[0].partition("-")[0] for name in held} == {
        "hopmq",
        "pytest_hopmq.py",
    }
    assert not [name for name in held if name.endswith((".pyx", ".pxd", ".pxi"))]
    assert held.count("hopmq/py.typed") == held.count("hopmq/_speedups/codec.pyi") == 2


@pytest.mark.packaging
def test_the_compiled_codec_is_in_the_compiled_wheel_only(wheel: Path, pure_wheel: Path) -> None:
    def modules(held: list[str]) -> list[str]:
        return [name for name in held if name.endswith((".so", ".pyd"))]

    assert [name.partition(".")[0] for name in modules(names(wheel))] == ["hopmq/_speedups/codec"]
    assert "none-any" not in wheel.name
    assert not modules(names(pure_wheel))
    assert pure_wheel.name.endswith("-py3-none-any.whl")


@pytest.mark.packaging
def test_the_metadata_asks_for_pamqp_alone(wheel: Path) -> None:
    metadata = metadata_of(wheel)
    required = [each for each in metadata.get_all("Requires-Dist", []) if "extra ==" not in each]
    assert metadata["Version"] == hopmq.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert [each.partition("<")[0].partition(">")[0] for each in required] == ["pamqp"]


def metadata_of(wheel: Path) -> Message:
    """Read a wheel's metadata."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


# --- installed alone ---------------------------------------------------------------------------


@pytest.mark.packaging
def test_the_compiled_wheel_works_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    python = install(wheel, tmp_path / "venv")
    script = "import hopmq; assert hopmq.speedups_enabled, hopmq.speedups_reason"
    run(python, "-Werror", "-c", script, folder=tmp_path)
    run(python, "-c", script, folder=tmp_path, HOPMQ_REQUIRE_EXTENSIONS="1")
    refused = "import hopmq; assert not hopmq.speedups_enabled"
    run(python, "-c", refused, folder=tmp_path, HOPMQ_NO_EXTENSIONS="1")


@pytest.mark.packaging
def test_the_pure_wheel_works_in_a_clean_environment(pure_wheel: Path, tmp_path: Path) -> None:
    python = install(pure_wheel, tmp_path / "venv")
    script = "import hopmq; assert not hopmq.speedups_enabled; print(hopmq.speedups_reason)"
    assert "not built" in run(python, "-Werror", "-c", script, folder=tmp_path).stdout
    required = run(
        python, "-c", "import hopmq", folder=tmp_path, check=False, HOPMQ_REQUIRE_EXTENSIONS="1"
    )
    assert "ModuleNotFoundError" in required.stdout


# --- the switches of the build -----------------------------------------------------------------


@pytest.fixture(scope="module")
def setup_script() -> ModuleType:
    """Return setup.py as a module; only a build runs it as a script."""
    spec = importlib.util.spec_from_file_location("setup_script", ROOT / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WORDS = ["1", "true", "YES", "On", " on ", "", " ", "0", "False", "no", "OFF", "2", "y", "enabled"]


@pytest.mark.parametrize("word", [None, *WORDS])
def test_build_and_run_time_read_a_switch_alike(setup_script: ModuleType, word: str | None) -> None:
    name = selection.NO_EXTENSIONS
    environment = {} if word is None else {name: word}
    try:
        at_run_time: bool | None = selection.is_set(environment, name)
    except UsageError:
        at_run_time = None
    try:
        at_build: bool | None = setup_script.flag(environment, name)
    except SystemExit:
        at_build = None
    assert at_build is at_run_time


def test_contradicting_switches_stop_the_build(setup_script: ModuleType) -> None:
    environment: Mapping[str, str] = dict.fromkeys(SWITCHES, "1")
    with pytest.raises(SystemExit, match="both set"):
        setup_script.wants_extensions(environment)
    with pytest.raises(UsageError):
        selection.select(environment)


@pytest.fixture
def small_tree(tmp_path: Path) -> Path:
    """Return a source tree with a codec that takes no time to compile."""
    for name in ("setup.py", "pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    folder = tmp_path / "hopmq/_speedups"
    folder.mkdir(parents=True)
    (folder / "codec.pyx").write_text("ANSWER = 42\n")
    return tmp_path


def test_a_broken_compiler_fails_the_build(small_tree: Path) -> None:
    words = (sys.executable, "setup.py", "build_ext", "--build-lib", "out")
    done = run(*words, folder=small_tree, check=False, CC="false")
    assert done.returncode != 0
    assert not list(small_tree.glob("out/**/*.so"))


def test_a_missing_cython_source_fails_the_build_and_says_so(small_tree: Path) -> None:
    (small_tree / "hopmq/_speedups/codec.pyx").unlink()
    done = run(sys.executable, "setup.py", "build_ext", folder=small_tree, check=False)
    assert done.returncode != 0
    assert "codec.pyx is missing from this source tree" in done.stdout


def test_no_compiler_is_needed_when_extensions_are_switched_off(small_tree: Path) -> None:
    words = (sys.executable, "setup.py", "build_ext", "--build-lib", "out")
    run(*words, folder=small_tree, CC="false", HOPMQ_NO_EXTENSIONS="1")
