"""The combinations of event loop and codec that asynchronous tests run on."""

import importlib.util
import os
from dataclasses import dataclass

from hopmq import wire
from hopmq.wire.selection import NO_EXTENSIONS, is_set


@dataclass(frozen=True, slots=True)
class Flavour:
    """One event loop with one codec."""

    loop: str
    codec: wire.Codec

    @property
    def backend(self) -> tuple[str, dict[str, bool]]:
        """Name the event loop as anyio wants it."""
        return "asyncio", {"use_uvloop": self.loop == "uvloop"}

    def __str__(self) -> str:
        """Spell it as it stands in the names of tests."""
        return f"{self.loop}-{self.codec.name}"


def flavours() -> list[Flavour]:
    """List the combinations: each loop with the compiled codec, asyncio with the pure one too.

    Without the compiled codec every loop runs with the pure one.
    """
    compiled = compiled_codec()
    loops = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]
    if compiled is None:
        return [Flavour(loop, wire.PURE) for loop in loops]
    return [Flavour("asyncio", wire.PURE), *(Flavour(loop, compiled) for loop in loops)]


def compiled_codec() -> wire.Codec | None:
    """Return the compiled codec, or None where it is switched off or was not built.

    One that was built and is broken raises here: that is never to be passed over.
    """
    if is_set(os.environ, NO_EXTENSIONS):
        return None
    try:
        return wire.load_compiled()
    except ModuleNotFoundError:
        return None
