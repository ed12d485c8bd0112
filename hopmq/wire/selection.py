"""Which codec is used, and why: one rule for every way of asking.

`HOPMQ_NO_EXTENSIONS`        take the pure codec, even where the compiled one is there.
`HOPMQ_REQUIRE_EXTENSIONS`   fail rather than take the pure codec.
Neither                      take the compiled codec where it is built.
"""

import warnings
from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from typing import Final

from hopmq.errors import UsageError
from hopmq.wire.codec import PURE, Codec

NO_EXTENSIONS: Final = "HOPMQ_NO_EXTENSIONS"
REQUIRE_EXTENSIONS: Final = "HOPMQ_REQUIRE_EXTENSIONS"

CODEC_VERSION: Final = 7
"""Raised with every change to the codecs' common surface; a compiled module with another is
left from an older build."""

_MODULE: Final = "hopmq._speedups.codec"
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"", "0", "false", "no", "off"})


def load_compiled() -> Codec:
    """Return the compiled codec.

    Raises:
        ModuleNotFoundError: When it is not built.
        ImportError: When it is there, and does not load or was built from other sources.
    """
    module = import_module(_MODULE)
    version = getattr(module, "CODEC_VERSION", None)
    if version != CODEC_VERSION:
        raise ImportError(
            f"{_MODULE} was built from other sources (version {version}, not {CODEC_VERSION}); "
            "install HopMQ again",
            name=_MODULE,
        )
    names = (field.name for field in fields(Codec) if field.name != "name")
    return Codec(name="cython", **{name: getattr(module, name) for name in names})


def is_set(environ: Mapping[str, str], name: str) -> bool:
    """Read a switch from the environment.

    Raises:
        UsageError: When its value is neither yes nor no.
    """
    value = environ.get(name, "").strip().lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise UsageError(f"{name} is {environ[name]!r}; use 1 or 0")


def select(environ: Mapping[str, str]) -> tuple[Codec, str]:
    """Return the codec to use and the reason in words.

    Raises:
        UsageError: When the environment contradicts itself or is unreadable.
        ImportError: When the compiled codec is required and cannot be had.
    """
    refused = is_set(environ, NO_EXTENSIONS)
    required = is_set(environ, REQUIRE_EXTENSIONS)
    if refused and required:
        raise UsageError(f"{NO_EXTENSIONS} and {REQUIRE_EXTENSIONS} contradict each other")
    if refused:
        return PURE, f"pure: {NO_EXTENSIONS} is set"
    try:
        compiled = load_compiled()
    except ImportError as error:
        fault = _fault(error)
        if required:
            raise ImportError(f"{REQUIRE_EXTENSIONS} is set, but {fault}", name=_MODULE) from error
        if not _is_missing(error):
            warnings.warn(f"HopMQ uses its pure codec: {fault}", RuntimeWarning, stacklevel=2)
        return PURE, f"pure: {fault}"
    return compiled, "cython: the compiled codec is installed"


def _is_missing(error: ImportError) -> bool:
    package = _MODULE.rpartition(".")[0]
    return isinstance(error, ModuleNotFoundError) and error.name in {_MODULE, package}


def _fault(error: ImportError) -> str:
    if _is_missing(error):
        return "the compiled codec is not built; install a wheel, or build with a C compiler"
    return f"the compiled codec does not load ({error})"
