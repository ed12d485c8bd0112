"""One log line per frame, with bodies and secrets left out."""

import logging
from typing import Final

from hopmq import wire
from hopmq.errors import FrameSyntaxError

logger: logging.Logger = logging.getLogger("hopmq.wire")

_SECRET_METHODS: Final = {
    "Connection.StartOk",
    "Connection.Secure",
    "Connection.SecureOk",
    "Connection.UpdateSecret",
}


class WireTrace:
    """Follow one direction of one connection."""

    def __init__(self, name: str, direction: str) -> None:
        """Log under `name`; `direction` is `<` for what comes and `>` for what goes."""
        self._prefix = f"{name} {direction}"
        self._decoder = wire.PURE.Decoder(frame_max=1 << 31)

    def feed(self, data: bytes | memoryview) -> None:
        """Log the frames that are complete with `data`."""
        batch = self._decoder.feed(data)
        while batch:
            for event in batch:
                logger.debug("%s %s", self._prefix, describe(event))
            batch = self._decoder.more()


def describe(event: object) -> str:
    """Return one line on a wire event that gives away no secret and no body."""
    if isinstance(event, FrameSyntaxError):
        return f"unreadable: {event}"
    method = getattr(event, "method", None)
    if method is None:
        return repr(event)
    channel = getattr(event, "channel", 0)
    if method.name in _SECRET_METHODS:
        return f"{method.name} ch={channel} (secret left out)"
    fields = " ".join(f"{name}={value!r}" for name, value in method)
    return f"{method.name} ch={channel} {fields}".rstrip()
