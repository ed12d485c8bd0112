"""Nothing that a peer sends makes a core raise, and what it leaves behind is consistent."""

import gc
import re
import tracemalloc
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st
from pamqp.commands import Basic, Channel

from hopmq.core.states import ConnectionState, Role
from hopmq.wire import PURE, Codec
from trials import trials

from . import attacks
from .actors import deliver, frame, get_ok, method, published
from .attacks import Step, carry_out
from .subject import Subject

roles = st.sampled_from(["client", "server"])
strangers = st.lists(
    attacks.peers_steps | attacks.owners_steps | attacks.rude_steps | attacks.ends, max_size=20
)


@pytest.mark.parametrize("role", ["client", "server"])
@trials(350)
@given(data=st.data())
def test_no_conversation_makes_a_core_raise(codec: Codec, role: str, data: st.DataObject) -> None:
    subject = Subject(codec, role, opened=True)
    for step in data.draw(attacks.conversations(role)):
        carry_out(subject, step)


@trials(350)
@given(role=roles, opened=st.booleans(), steps=strangers)
def test_nothing_in_any_order_makes_a_core_raise(
    codec: Codec, role: str, opened: bool, steps: list[Step]
) -> None:
    subject = Subject(codec, role, opened=opened)
    for step in steps:
        carry_out(subject, step)


@trials(200)
@given(role=roles, broken=attacks.mutated(attacks.valid_frames), steps=strangers)
def test_a_core_that_has_ended_stays_ended(
    codec: Codec, role: str, broken: bytes, steps: list[Step]
) -> None:
    subject = Subject(codec, role, opened=True)
    carry_out(subject, ("receive", broken))
    carry_out(subject, ("hang_up", None))
    events, sent = len(subject.events), len(subject.sent)
    for step in steps:
        carry_out(subject, step)
    assert subject.core.state is ConnectionState.CLOSED
    assert (len(subject.events), len(subject.sent)) == (events, sent)


@pytest.mark.parametrize("role", ["client", "server"])
@trials(200)
@given(chosen=st.data(), places=st.lists(st.integers(0, 30_000), max_size=8))
def test_the_outcome_is_the_same_for_every_split(
    codec: Codec, role: str, chosen: st.DataObject, places: list[int]
) -> None:
    friendly = attacks.friendly_frames[role]
    frames = chosen.draw(st.lists(friendly | friendly | attacks.valid_frames, max_size=10))
    broken = chosen.draw(st.just(b"") | attacks.mutated(attacks.valid_frames))
    data = b"".join(frames) + broken
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    outcomes = []
    for pieces in ([data], [data[start:stop] for start, stop in pairwise(edges)]):
        subject = Subject(codec, role, opened=True)
        for piece in pieces:
            subject.receive(piece)
        subject.check()
        outcome = repr((subject.core.state, subject.events, subject.sent))
        if subject.core.role is Role.SERVER:
            # It quotes what has come of a frame when its head is wrong, as RabbitMQ does.
            outcome = re.sub(r"all octets = .*?>>", "", outcome)
        outcomes.append(re.sub(r" at 0x\w+", "", outcome))
    assert outcomes[0] == outcomes[1]


# --- memory ----------------------------------------------------------------------------------------

KIB = 1024


def unfinished(number: int) -> bytes:
    """Return a message that lacks its last byte, on one of eight channels."""
    data = deliver(1 + number % 8, "tag", number, bytes(1000))
    return data[:-2] if number == 0 else frame(8, 0, b"")


FLOODS: dict[str, Callable[[int], bytes]] = {
    "confirms of unknown tags": lambda number: PURE.encode_ack(1, number + 2**40, True),
    "flow": lambda number: method(1, Channel.Flow, active=bool(number % 2)),
    "cancels": lambda number: method(1, Basic.Cancel, consumer_tag=f"tag {number}"),
    "deliveries": lambda number: deliver(1, "tag", number, bytes(1000)),
    "messages above the limit": lambda number: (
        deliver(1, "tag", 1, bytes(2001)) + method(1, Channel.CloseOk)
        if number == 0
        else frame(8, 0, b"")
    ),
    "unfinished messages": unfinished,
    "heartbeats": lambda _: frame(8, 0, b""),
    "frames after a fault": lambda number: get_ok(1, number, bytes(1000)),
    "garbage after a fault": lambda number: b"\xff" * 1000,
}


@pytest.mark.parametrize("flood", FLOODS)
def test_no_flood_makes_a_client_grow(codec: Codec, flood: str) -> None:
    subject = Subject(codec, "client", opened=True)
    make = FLOODS[flood]
    pieces = [make(number) for number in range(2000)]
    subject.publish(0)
    core = subject.core
    for piece in pieces[:100]:
        core.receive_data(piece, subject.now)
        core.events()
        core.data_to_send(subject.now)
    gc.collect()
    tracemalloc.start()
    for piece in pieces[100:]:
        core.receive_data(piece, subject.now)
        core.events()
        core.data_to_send(subject.now)
    current, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert current < 64 * KIB
    assert peak < 256 * KIB


def test_no_flood_makes_a_server_grow(codec: Codec) -> None:
    subject = Subject(codec, "server", opened=True)
    core = subject.core
    cycle = method(3, Channel.Open) + published(3) + method(3, Channel.Close)
    gc.collect()
    tracemalloc.start()
    for _ in range(2000):
        core.receive_data(cycle, subject.now)
        core.events()
        core.data_to_send(subject.now)
    current, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert current < 64 * KIB
    assert peak < 256 * KIB
    assert sorted(core.channels) == [1, 2]
