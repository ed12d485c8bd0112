"""Names of a package that are loaded when they are first used (PEP 562)."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def deferred(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Return what a package defines as its `__getattr__`.

    Type checkers do not look into it: beside it, import the same names under `TYPE_CHECKING`.

    Args:
        package: Its name.
        modules: Where each name is found: in that module, or it is the module.
    """

    def load(name: str) -> Any:  # whatever has that name
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(modules[name])
        loaded = module if modules[name] == f"{package}.{name}" else getattr(module, name)
        setattr(sys.modules[package], name, loaded)
        return loaded

    return load
