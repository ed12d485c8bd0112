"""The compiled codec as these tests may use it."""

import os

from hopmq.wire import Codec, load_compiled
from hopmq.wire.selection import NO_EXTENSIONS, REQUIRE_EXTENSIONS, is_set

REQUIRED = is_set(os.environ, REQUIRE_EXTENSIONS)


def _compiled() -> Codec | None:
    """Return the compiled codec, or None where it is switched off or not built.

    One that is built and broken raises its ImportError here: that is never to be passed over.
    """
    if is_set(os.environ, NO_EXTENSIONS):
        return None
    try:
        return load_compiled()
    except ModuleNotFoundError:
        return None


COMPILED = _compiled()
