"""The storeys of the package: imports point down only, and the lower ones do no input or output."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import hopmq

PACKAGE = Path(hopmq.__file__).parent

STOREYS = (
    ("foundation",),
    ("wire", "_speedups"),
    ("core",),
    ("transport",),
    ("client", "broker"),
    ("resilience",),
    ("hopmq",),
    ("observability",),
    ("testing",),
    ("app",),
    ("cli",),
)
STRANGERS = {"client", "broker"}
"""Each other's peers: they meet on the wire alone, so that neither learns the other's mistakes."""
SHOWN = {("hopmq", "hopmq.testing")}
"""What type checkers see of an upper layer: it is loaded by its name, when a program first uses it."""
HEIGHTS = {layer: height for height, layers in enumerate(STOREYS) for layer in layers}

PURE_LAYERS = {"wire", "_speedups", "core"}
IMPURE = {"asyncio", "socket", "ssl", "time", "random", "logging"}

OPTIONAL = {
    "click",
    "msgspec",
    "pydantic",
    "zstandard",
    "rich",
    "uvloop",
    "pytest",
    "hypothesis",
    "pika",
    "anyio",
}
UPPER_LAYERS = {f"hopmq.{layer}" for layer in ("app", "cli", "testing", "broker")}


@dataclass(frozen=True, slots=True)
class Import:
    """One module imported by another."""

    importer: str
    imported: str
    at_run_time: bool


def module_name(path: Path) -> str:
    """Name the module that a file holds."""
    parts = ("hopmq", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def layer(module: str) -> str:
    """Name the storey of a module of the package."""
    parts = module.split(".")
    if len(parts) == 1:
        return "hopmq"
    if parts[1] == "__main__":
        return "cli"
    return parts[1] if (PACKAGE / parts[1]).is_dir() else "foundation"


def imports() -> list[Import]:
    """List every import of every module."""
    return [
        Import(importer, imported, at_run_time)
        for importer, path in MODULES.items()
        for imported, at_run_time in imports_of(ast.parse(path.read_text()), importer)
    ]


def imports_of(
    node: ast.AST, importer: str, *, at_run_time: bool = True
) -> Iterator[tuple[str, bool]]:
    """Yield what is imported below `node`, and whether loading the module imports it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, at_run_time) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from ((name, at_run_time) for name in imported_names(child, importer))
        else:
            delayed = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            loads = at_run_time and not delayed and not for_types
            yield from imports_of(child, importer, at_run_time=loads)


def imported_names(statement: ast.ImportFrom, importer: str) -> Iterator[str]:
    """Yield the modules of a `from` import: submodules where the names are such."""
    base = statement.module or ""
    if statement.level:
        package = importer if PACKAGE_OF[importer] else importer.rpartition(".")[0]
        for _ in range(statement.level - 1):
            package = package.rpartition(".")[0]
        base = f"{package}.{base}" if base else package
    for alias in statement.names:
        submodule = f"{base}.{alias.name}"
        yield submodule if submodule in MODULES else base


PACKAGE_OF = {module: path.name == "__init__.py" for module, path in MODULES.items()}
IMPORTS = imports()
INSIDE = [each for each in IMPORTS if each.imported.split(".")[0] == "hopmq"]


def test_the_package_was_read() -> None:
    assert {"hopmq", "hopmq.errors", "hopmq.wire", "hopmq.core"} <= MODULES.keys()
    assert INSIDE


def test_every_layer_has_its_storey() -> None:
    assert {layer(module) for module in MODULES} <= HEIGHTS.keys()


def test_imports_point_down_only() -> None:
    upward = [
        f"{each.importer} imports {each.imported}"
        for each in INSIDE
        if HEIGHTS[layer(each.imported)] > HEIGHTS[layer(each.importer)]
        and not ((each.importer, each.imported) in SHOWN and not each.at_run_time)
    ]
    assert not upward


def test_client_and_broker_meet_on_the_wire_alone() -> None:
    meetings = [
        f"{each.importer} imports {each.imported}"
        for each in INSIDE
        if {layer(each.importer), layer(each.imported)} == STRANGERS
    ]
    assert not meetings


def test_the_lower_layers_know_no_clock_network_or_chance() -> None:
    impure = [
        f"{each.importer} imports {each.imported}"
        for each in IMPORTS
        if layer(each.importer) in PURE_LAYERS and each.imported.split(".")[0] in IMPURE
    ]
    assert not impure


def test_no_import_goes_in_a_circle() -> None:
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for each in INSIDE:
        if each.at_run_time and each.imported in MODULES:
            graph[each.importer].add(each.imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' <- '.join(error.args[1])}")


def loaded_by(statements: str, folder: Path) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after some statements."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {statements}; print(*sys.modules, sep='\\n')"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_optional_and_no_upper_layer(tmp_path: Path) -> None:
    loaded = loaded_by("import hopmq", tmp_path)
    assert "hopmq.errors" in loaded
    assert not loaded & (OPTIONAL | UPPER_LAYERS)


def test_all_public_names_load_nothing_optional_and_no_upper_layer(tmp_path: Path) -> None:
    loaded = loaded_by("from hopmq import *", tmp_path)
    assert "hopmq.resilience.pool" in loaded
    assert not loaded & (OPTIONAL | UPPER_LAYERS)


def test_a_program_that_never_connects_loads_neither_client_nor_event_loop(tmp_path: Path) -> None:
    loaded = loaded_by("import hopmq; hopmq.Queue.quorum('orders'); hopmq.HopMQError", tmp_path)
    assert not loaded & {"asyncio", "hopmq.client", "hopmq.transport", "hopmq.resilience"}


def test_what_is_loaded_when_used_is_what_type_checkers_see() -> None:
    tree = ast.parse(MODULES["hopmq"].read_text())
    seen = {
        alias.asname or alias.name
        for block in tree.body
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert seen == hopmq._LOADED_WHEN_USED.keys()
    for name in seen:
        assert getattr(hopmq, name) is hopmq.__getattr__(name)  # type: ignore[operator]


@pytest.mark.parametrize("package", ["broker", "testing"])
def test_an_upper_package_is_loaded_when_first_used(package: str, tmp_path: Path) -> None:
    loaded = loaded_by(f"import hopmq; hopmq.{package}.__all__", tmp_path)
    assert f"hopmq.{package}" in loaded
    assert not loaded & OPTIONAL


def test_a_name_that_the_package_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'hopmq' has no attribute 'brokers'"):
        _ = hopmq.brokers  # type: ignore[attr-defined]
    assert {"broker", "testing"} <= set(dir(hopmq))
