"""Build the compiled codec; everything else about the project stands in pyproject.toml."""

import os
from collections.abc import Mapping
from pathlib import Path

from setuptools import Extension, setup

FOLDER = "hopmq/_speedups"
SOURCE = f"{FOLDER}/codec.pyx"

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"", "0", "false", "no", "off"})


def flag(environment: Mapping[str, str], name: str) -> bool:
    """Read a switch by the same words as the package does at run time."""
    value = environment.get(name, "").strip().lower()
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    raise SystemExit(f"{name}={value!r}: use 1, true, yes or on; or 0, false, no or off")


def wants_extensions(environment: Mapping[str, str]) -> bool:
    """Tell whether to compile: always, unless it is switched off."""
    refused = flag(environment, "HOPMQ_NO_EXTENSIONS")
    if refused and flag(environment, "HOPMQ_REQUIRE_EXTENSIONS"):
        raise SystemExit("HOPMQ_NO_EXTENSIONS and HOPMQ_REQUIRE_EXTENSIONS are both set")
    return not refused


def extensions() -> list[Extension]:
    """List the extensions to build; one that does not compile fails the build."""
    if not wants_extensions(os.environ):
        return []
    if not Path(SOURCE).exists():
        raise SystemExit(
            f"{SOURCE} is missing from this source tree; "
            "set HOPMQ_NO_EXTENSIONS=1 to install without the compiled codec"
        )
    from Cython.Build import cythonize

    codec = Extension("hopmq._speedups.codec", [SOURCE], include_dirs=[FOLDER])
    modules: list[Extension] = cythonize([codec], include_path=[FOLDER], language_level="3")
    return modules


if __name__ == "__main__":
    setup(ext_modules=extensions())
