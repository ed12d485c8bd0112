"""The way out of a scripted server: each frame is a step that a test can hold, drop or change."""

import asyncio
from collections import deque
from collections.abc import Callable

from scripted.frames import channel_of, name_of

Write = Callable[[bytes], None]


class Hold:
    """Frames of one name wait here until the test lets them go, and what follows on the channel."""

    def __init__(self, name: str, forget: Callable[[], None]) -> None:
        self._name = name
        self._forget = forget
        self._frames: deque[tuple[Write, bytes]] = deque()
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        """Return how many frames of the name wait."""
        return sum(name_of(data) == self._name for _, data in self._frames)

    def put(self, write: Write, data: bytes) -> bool:
        """Stop a frame of the name, and one that must not overtake it."""
        if name_of(data) != self._name and not self._is_behind(write, data):
            return False
        self._frames.append((write, data))
        self._arrived.set()
        return True

    async def reached(self, count: int = 1) -> None:
        """Wait until so many frames of the name wait here."""
        while len(self) < count:
            await self._arrived.wait()
            self._arrived.clear()

    def let_one_go(self) -> None:
        """Send the frame that has waited longest; go on holding."""
        write, data = self._frames.popleft()
        write(data)

    def release(self, *, instead: bytes | None = None, before: bytes = b"") -> None:
        """Send what waits, each frame in one write; hold no longer.

        Args:
            instead: Bytes to send in place of each frame of the name.
            before: Bytes to send ahead of each frame of the name, in the same write.
        """
        self._forget()
        while self._frames:
            write, data = self._frames.popleft()
            if name_of(data) == self._name:
                data = before + (data if instead is None else instead)
            write(data)

    def _is_behind(self, write: Write, data: bytes) -> bool:
        """Return whether a frame of the same channel waits here, of the same connection."""
        return any(
            (same, channel_of(other)) == (write, channel_of(data)) for same, other in self._frames
        )


class Gate:
    """The rules of one server, by the names of frames (`Queue.DeclareOk`, `header`, ...)."""

    def __init__(self) -> None:
        self._holds: dict[str, Hold] = {}
        self._instead: dict[str, bytes] = {}

    def hold(self, name: str) -> Hold:
        """Stop frames of that name from now on."""
        held = Hold(name, lambda: self.open(name))
        self._holds[name] = held
        return held

    def drop(self, name: str) -> None:
        """Send no frame of that name any more."""
        self.replace(name, b"")

    def replace(self, name: str, instead: bytes) -> None:
        """Send something else wherever a frame of that name is due."""
        self._instead[name] = instead

    def open(self, name: str) -> None:
        """Forget the rule for that name."""
        self._holds.pop(name, None)
        self._instead.pop(name, None)

    def pass_on(self, write: Write, data: bytes) -> None:
        """Do with a frame what the rules say."""
        data = self._instead.get(name_of(data), data)
        if data and not any(hold.put(write, data) for hold in self._holds.values()):
            write(data)
