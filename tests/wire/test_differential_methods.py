"""Both codecs make the same of every method, whole and altered, one method at a time."""

import pytest
from hypothesis import given, settings, strategies as st
from pamqp import base, commands

from hopmq.wire import PURE, Codec

from . import reference, strategies
from .feeding import outcome
from .streams import CONTENT_STARTS, method_frame

FEWER = settings(max_examples=max(settings().max_examples // 10, 10))
EVERY_KIND = pytest.mark.parametrize(
    "kind", commands.INDEX_MAPPING.values(), ids=lambda kind: kind.name
)
HAVE_CONTENT = {60 << 16 | method_id for method_id in CONTENT_STARTS}


def altered(data: st.DataObject, payload: bytes) -> bytes:
    """Return a payload that is a little longer, shorter or different, or as it was."""
    place = data.draw(st.integers(4, len(payload)))
    how = data.draw(st.sampled_from(["as it is", "behind", "cut", "nudge", "change", "insert"]))
    if how == "behind":
        return payload + data.draw(st.binary(min_size=1, max_size=3))
    if how == "cut":
        return payload[:place]
    if how == "insert":
        return payload[:place] + data.draw(st.binary(min_size=1, max_size=4)) + payload[place:]
    if how == "as it is" or place == len(payload):
        return payload
    octet = payload[place] + data.draw(st.sampled_from([-1, 1]))
    if how == "change":
        octet = data.draw(strategies.U8)
    return payload[:place] + bytes([octet & 0xFF]) + payload[place + 1 :]


@EVERY_KIND
@FEWER
@given(data=st.data())
def test_both_codecs_make_the_same_of(
    compiled: Codec, kind: type[base.Frame], data: st.DataObject
) -> None:
    method = data.draw(strategies.method_of(kind))
    channel = 0 if kind.index >> 16 == 10 else 1
    payload = altered(data, method_frame(channel, method)[7:-1])
    stream = reference.frame(reference.METHOD, channel, payload)
    if kind.index in HAVE_CONTENT:
        raw = reference.properties(data.draw(strategies.property_sets))
        stream += reference.content(1, b"body", raw)
    assert outcome(compiled, stream, frame_max=131_072) == outcome(PURE, stream, frame_max=131_072)
