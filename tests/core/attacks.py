"""What Hypothesis throws at a core: frames that are right, frames that are not, and calls."""

from typing import Any

from hypothesis import strategies as st
from pamqp.base import Frame
from pamqp.commands import INDEX_MAPPING, Basic, Channel, Connection, Queue

from hopmq.core.channel import RETURN_TOKEN
from hopmq.errors import EncodeError
from hopmq.wire import PURE, new_method
from wire.strategies import ARGUMENTS

from .actors import NO_LIMIT, deliver, frame, get_ok, method, published, returned
from .subject import CLIENT_OPENING, SERVER_OPENING, Subject

channels = st.sampled_from([1, 1, 1, 2, 3, 8, 9, 65_535])
tags = st.integers(0, 6) | st.sampled_from([2**31, 2**63, 2**64 - 1])
bodies = st.sampled_from([b"", b"x", bytes(100), bytes(2000), bytes(2001), bytes(9000)])
_CONTENTS = {"Basic.Publish", "Basic.Return", "Basic.Deliver", "Basic.GetOk"}
_KINDS = sorted(INDEX_MAPPING.values(), key=lambda kind: kind.index)


def _encoded(channel: int, kind: type[Frame], values: dict[str, Any]) -> bytes:
    on = 0 if kind.name.startswith("Connection.") else channel
    try:
        return PURE.encode_method(on, new_method(kind, **values), NO_LIMIT)
    except EncodeError:  # pragma: no cover  # the strategies make what can be sent
        raise AssertionError(kind.name, values) from None


def _any_method(kind: type[Frame]) -> st.SearchStrategy[bytes]:
    values = {name: ARGUMENTS[kind.amqp_type(name)] for name in kind.__slots__}
    return st.builds(_encoded, channels, st.just(kind), st.fixed_dictionaries(values))


plain_methods = st.sampled_from(_KINDS).flatmap(
    lambda kind: st.builds(_encoded, channels, st.just(kind), st.just({}))
)
full_methods = st.sampled_from(_KINDS).flatmap(_any_method)
settlements = st.one_of(
    st.builds(PURE.encode_ack, channels, tags, st.booleans()),
    st.builds(PURE.encode_nack, channels, tags, st.booleans(), st.booleans()),
    st.builds(PURE.encode_reject, channels, tags, st.booleans()),
)
tokens = st.none() | st.builds(lambda token: {RETURN_TOKEN: token}, st.integers(-1, 5) | st.text())
contents = st.one_of(
    st.builds(deliver, channels, st.sampled_from(["tag", "tag", "other"]), tags, bodies),
    st.builds(get_ok, channels, tags, bodies),
    st.builds(returned, channels, tokens, bodies),
    st.builds(published, channels, bodies),
)
likely = st.sampled_from(
    [
        method(1, Channel.CloseOk),
        method(2, Channel.CloseOk),
        method(3, Channel.OpenOk),
        method(3, Channel.Open),
        method(1, Channel.Close, reply_code=404),
        method(0, Connection.CloseOk),
        method(0, Connection.Close, reply_code=320),
        frame(8, 0, b""),
        *CLIENT_OPENING,
        *SERVER_OPENING,
    ]
)
valid_frames = st.one_of(plain_methods, full_methods, settlements, contents, likely, likely)
odd_frames = st.one_of(
    st.builds(frame, st.sampled_from([0, 1, 2, 3, 4, 8, 255]), channels, st.binary(max_size=20)),
    st.binary(min_size=1, max_size=20),
)


@st.composite
def mutated(draw: st.DrawFn, frames: st.SearchStrategy[bytes]) -> bytes:
    """Change a byte, cut some out or put some in."""
    data = bytearray(draw(frames))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        end = at + draw(st.integers(0, 4))
        data[at:end] = draw(st.binary(max_size=4))
    return bytes(data)


Step = tuple[str, Any]


def _steps(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(name), values)


near = st.integers(1, 2)
friendly_frames = {
    "client": st.one_of(
        st.builds(deliver, near, st.just("tag"), tags, bodies),
        st.builds(returned, near, tokens, bodies),
        st.builds(PURE.encode_ack, st.just(1), tags, st.booleans()),
        st.builds(PURE.encode_nack, st.just(1), tags, st.booleans(), st.booleans()),
        st.builds(lambda on: method(1, Channel.Flow, active=on), st.booleans()),
        st.builds(lambda channel: method(channel, Basic.Cancel, consumer_tag="x"), near),
        st.just(method(0, Connection.Blocked)),
        st.just(frame(8, 0, b"")),
    ),
    "server": st.one_of(
        st.builds(published, near, bodies),
        st.builds(PURE.encode_ack, near, tags, st.booleans()),
        st.builds(PURE.encode_reject, near, tags, st.booleans()),
        st.builds(
            _encoded, near, st.sampled_from([Basic.Qos, Queue.Declare, Basic.Cancel]), st.just({})
        ),
        st.builds(lambda channel: method(channel, Channel.Close), near),
        st.builds(lambda channel: method(channel, Channel.Open), st.integers(3, 8)),
        st.just(frame(8, 0, b"")),
    ),
}
"""Frames of a peer that mostly keeps to the rules."""

peers_steps = _steps("receive", valid_frames)
rude_steps = _steps("receive", odd_frames | mutated(valid_frames))
owners_steps = st.one_of(
    *(
        _steps(name, st.integers(0, 3))
        for name in (
            *("ask", "fetch", "publish", "publish", "confirm", "confirm"),
            *("answer", "answer", "answer", "close_channel"),
        )
    ),
    *(st.just((name, None)) for name in ("open_channel", "cancel")),
)
ends = st.one_of(
    st.just(("close", None)),
    st.just(("hang_up", None)),
    _steps("wait", st.sampled_from([0.1, 5.0, 21.0])),
)


def conversations(role: str) -> st.SearchStrategy[list[Step]]:
    """Make a conversation that keeps to the rules mostly, and then perhaps does not."""
    friendly = _steps("receive", friendly_frames[role]) | owners_steps
    anything = st.one_of(friendly, friendly, peers_steps, rude_steps, ends)
    return st.builds(
        lambda first, then: first + then,
        st.lists(friendly, max_size=20),
        st.lists(anything, max_size=8),
    )


def carry_out(subject: Subject, step: Step) -> None:
    """Do a step to a subject and check what must hold after it."""
    name, value = step
    call = getattr(subject, name)
    if value is None:
        call()
    else:
        call(value)
    subject.check()
