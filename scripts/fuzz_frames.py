"""Frames for fuzzing: legal ones of every kind, and ways to alter them where it hurts."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any  # values of every type that tables hold

from pamqp.base import Frame
from pamqp.commands import INDEX_MAPPING

from hopmq.typedefs import Timestamp
from hopmq.wire import PROPERTY_NAMES, PURE, Properties

FRAME_MAX = 8192
MAX_MESSAGE_SIZE = 5000
CONTENT_METHODS = frozenset({0x3C0028, 0x3C0032, 0x3C003C, 0x3C0047})
LETTERS = b"tbBsuIilLfdDSAxTFV"
SPECIAL_OCTETS = (0, 1, 2, 3, 8, 9, 63, 64, 65, 127, 128, 206, 254, 255)
SPECIAL_SIZES = (0, 1, 2, 3, 4, 255, 256, 4088, 4089, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)


# --- legal frames ------------------------------------------------------------------------------


class Generator:
    """Makes legal frames, in the order in which they are legal."""

    def __init__(self, rng: random.Random) -> None:
        """Draw everything from `rng`."""
        self.rng = rng
        self.kinds: list[type[Frame]] = list(INDEX_MAPPING.values())
        self.content_kinds = [kind for kind in self.kinds if kind.index in CONTENT_METHODS]

    def text(self, size: int = 12) -> str:
        """Return text of every width of UTF-8."""
        return "".join(self.rng.choices("abcxyz-._ é€🐇\x00", k=self.rng.randrange(size)))

    def value(self, depth: int = 0) -> Any:
        """Return a value for a table; its type decides its field type."""
        rng = self.rng
        kind = rng.randrange(11 if depth < 4 else 9)
        if kind == 0:
            return rng.choice([None, True, False])
        if kind == 1:
            return rng.getrandbits(rng.choice([7, 8, 15, 16, 31, 32, 63])) * rng.choice([1, -1])
        if kind == 2:
            return rng.choice([0.1, -0.0, 1e300, float("inf"), float("nan"), rng.random()])
        if kind == 3:
            return Decimal(rng.getrandbits(31) * rng.choice([1, -1])).scaleb(-rng.randrange(20))
        if kind == 4:
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.getrandbits(32))
        if kind == 5:
            return Timestamp(rng.getrandbits(rng.choice([33, 63, 64])))
        if kind == 6:
            return rng.randbytes(rng.randrange(12))
        if kind in {7, 8}:
            return self.text()
        if kind == 9:
            return [self.value(depth + 1) for _ in range(rng.randrange(4))]
        return self.table(depth + 1)

    def table(self, depth: int = 0) -> dict[str, Any]:
        """Return a table."""
        return {self.text(6): self.value(depth) for _ in range(self.rng.randrange(5))}

    def argument(self, kind: str) -> Any:
        """Return a value for an argument of a method, or for a property."""
        bits = {"bit": 1, "octet": 8, "short": 16, "long": 32, "longlong": 64}.get(kind)
        if bits:
            return self.rng.getrandbits(bits)
        if kind == "table":
            return self.table()
        return self.text().encode() if kind == "longstr" else self.text()

    def group(self, channel: int) -> list[bytes]:
        """Return frames that belong together."""
        chance = self.rng.random()
        if chance < 0.05:
            return [b"\x08\x00\x00\x00\x00\x00\x00\xce"]
        return self.method(channel, self.content_kinds if chance < 0.4 else self.kinds)

    def method(self, channel: int, kinds: list[type[Frame]]) -> list[bytes]:
        """Return the frames of a method, with a content where one is due."""
        kind = self.rng.choice(kinds)
        made = kind.__new__(kind)
        for name in kind.__slots__:
            value = self.argument(kind.amqp_type(name))
            setattr(made, name, bool(value) if kind.amqp_type(name) == "bit" else value)
        on = 0 if kind.index >> 16 == 10 else channel
        frames = [PURE.encode_method(on, made, FRAME_MAX)]
        if kind.index in CONTENT_METHODS:
            frames += self.content(channel)
        return frames

    def properties(self) -> Properties:
        """Return properties, half of them absent."""
        properties = Properties()
        for name in PROPERTY_NAMES:
            if self.rng.random() < 0.5:
                continue
            if name == "headers":
                properties.headers = self.table()
            elif name == "timestamp":
                properties.timestamp = Timestamp(self.rng.getrandbits(33))
            elif name in {"delivery_mode", "priority"}:
                setattr(properties, name, self.rng.getrandbits(8))
            else:
                setattr(properties, name, self.text())
        return properties

    def deep_table(self) -> bytes:
        """Return a table with about as many levels as are allowed."""
        kinds = ["F", *self.rng.choices("FA", k=self.rng.randrange(60, 68))]
        raw = b""
        for level in range(len(kinds) - 1, 0, -1):
            raw = kinds[level].encode() + len(raw).to_bytes(4, "big") + raw
            if kinds[level - 1] == "F":
                raw = b"\x01k" + raw
        return len(raw).to_bytes(4, "big") + raw

    def content(self, channel: int) -> list[bytes]:
        """Return a content header and its bodies."""
        body = self.rng.randbytes(self.rng.choice([0, 1, 50, 200, MAX_MESSAGE_SIZE + 1]))
        room = self.rng.choice([20, 60, 4088]) if len(body) < 500 else 4088
        raw = PURE.encode_properties(self.properties())
        if self.rng.random() < 0.1:
            raw = b"\x20\x00" + self.deep_table()
        fixed = b"\x00\x3c\x00\x00" + len(body).to_bytes(8, "big")
        frames = [frame(2, channel, fixed + raw)]
        frames += [frame(3, channel, body[at : at + room]) for at in range(0, len(body), room)]
        return frames


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    """Return a frame."""
    head = bytes([kind]) + channel.to_bytes(2, "big") + len(payload).to_bytes(4, "big")
    return head + payload + b"\xce"


# --- mutation ----------------------------------------------------------------------------------


class Mutator:
    """Alters frames; most keep a right size and end, so that what they carry is looked at."""

    def __init__(self, rng: random.Random) -> None:
        """Draw everything from `rng`."""
        self.rng = rng
        self.ways: list[Callable[[bytearray], None]] = [
            self.octet,
            self.octet,
            self.nudge,
            self.nudge,
            self.size,
            self.letter,
            self.insert,
            self.remove,
            self.repeat,
        ]

    def mutate(self, original: bytes) -> bytes:
        """Return an altered frame."""
        data = bytearray(original)
        for _ in range(self.rng.choice([1, 1, 1, 2, 3])):
            self.rng.choice(self.ways)(data)
        if len(data) >= 8 and self.rng.random() < 0.85:
            data[3:7] = (len(data) - 8).to_bytes(4, "big")
            data[-1] = 0xCE
        return bytes(data)

    def place(self, data: bytearray) -> int:
        """Return a position, seldom in the head of the frame or in its method's numbers."""
        fixed = 11 if data[:1] == b"\x01" else 7
        low = fixed if len(data) > fixed + 1 and self.rng.random() < 0.9 else 0
        return self.rng.randrange(low, max(len(data), low + 1))

    def octet(self, data: bytearray) -> None:
        """Overwrite an octet."""
        known = self.rng.choice(SPECIAL_OCTETS)
        at = self.place(data)
        data[at : at + 1] = bytes([self.rng.choice([known, self.rng.randrange(256)])])

    def nudge(self, data: bytearray) -> None:
        """Change an octet by one: a length, often."""
        at = self.place(data)
        if at < len(data):
            data[at] = (data[at] + self.rng.choice([1, -1])) & 0xFF

    def size(self, data: bytearray) -> None:
        """Overwrite four octets with a size that matters."""
        at = self.place(data)
        rest = max(len(data) - at - 5 + self.rng.randrange(-1, 2), 0)
        chosen = self.rng.choice([rest, self.rng.choice(SPECIAL_SIZES)])
        data[at : at + 4] = chosen.to_bytes(4, "big")

    def letter(self, data: bytearray) -> None:
        """Exchange a field type for another."""
        start = self.place(data)
        at = next((n for n in range(start, len(data)) if data[n] in LETTERS), start)
        data[at : at + 1] = bytes([self.rng.choice(LETTERS)])

    def insert(self, data: bytearray) -> None:
        """Insert a few octets."""
        at = self.place(data)
        data[at:at] = self.rng.randbytes(self.rng.randrange(1, 6))

    def remove(self, data: bytearray) -> None:
        """Remove a few octets."""
        at = self.place(data)
        del data[at : at + self.rng.randrange(1, 9)]

    def repeat(self, data: bytearray) -> None:
        """Repeat a piece."""
        at = self.place(data)
        piece = bytes(data[at : at + self.rng.randrange(1, 12)])
        data[at:at] = piece * self.rng.choice([1, 2, 20])
