"""Bits of methods share octets: AMQP has no method with more than eight, and nine are right too.

Each test runs in a fresh interpreter, where pamqp gets a method of its own before HopMQ is loaded.
"""

import subprocess
import sys
from pathlib import Path

import pytest

import hopmq
from hopmq.wire import Codec

PROGRAM = """
import sys
from pamqp import base, commands

class Made(base.Frame):
    __slots__ = KINDS = {slots!r}
    frame_id = 250
    index = 0x0014_00FA
    name = "Channel.Made"

for name in Made.__slots__:
    setattr(Made, "_" + name, "bit" if name.startswith("bit") else "short")
commands.INDEX_MAPPING[Made.index] = Made

from hopmq import wire
codec = wire.PURE if sys.argv[1] == "pure" else wire.load_compiled()
method = wire.new_method(Made)
for name in {true!r}:
    setattr(method, name, 513 if name.startswith("number") else True)
raw = codec.encode_method(1, method, 4096)
print(raw[11:-1].hex())
(event,) = codec.Decoder().feed(raw)
print(*(name for name in Made.__slots__ if getattr(event.method, name)))
for size in range(len(raw) - 8):
    short = raw[:3] + size.to_bytes(4, "big") + raw[7:7 + size] + raw[-1:]
    (error,) = codec.Decoder().feed(short)
    assert error.reply_code == 502, error
"""

BITS = [f"bit_{number}" for number in range(17)]


@pytest.mark.parametrize(
    "slots, true, raw",
    [
        (BITS[:8], [BITS[7]], "80"),
        (BITS[:9], [BITS[8]], "0001"),
        (BITS[:9], [BITS[0], BITS[7], BITS[8]], "8101"),
        (BITS[:10], [BITS[9]], "0002"),
        (BITS[:16], [BITS[15]], "0080"),
        (BITS, [BITS[16]], "000001"),
        (BITS, BITS, "ffff01"),
        (["bit_0", "number", "bit_1"], ["bit_0", "number", "bit_1"], "01020101"),
        ([*BITS[:9], "number"], [BITS[8], "number"], "00010201"),
        (["number", *BITS[:9]], ["number", BITS[8]], "02010001"),
    ],
)
def test_bits_go_on_in_another_octet(
    codec: Codec, slots: list[str], true: list[str], raw: str
) -> None:
    program = PROGRAM.format(slots=slots, true=true)
    home = str(Path(hopmq.__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {home!r})\n{program}", codec.name],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [raw, *[name for name in slots if name in true]]
