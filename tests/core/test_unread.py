"""Messages that wait for a reader: their order, their bytes and who is told, in both twins."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from hopmq.core import unread
from hopmq.wire import PURE, Content
from hopmq.wire.limits import UNREAD_OVERHEAD
from trials import trials

from .conftest import COMPILED

KINDS: list[Any] = [pytest.param(unread.PURE, id="pure")]
if COMPILED is not None:
    from hopmq._speedups.codec import Unread, UnreadBytes

    KINDS.append(pytest.param((Unread, UnreadBytes), id="cython"))

Twin = tuple[type[unread.Unread], type[unread.UnreadBytes]]


class Told:
    """Bytes with a limit, and a log of whom was told what."""

    def __init__(self, kind: type[unread.UnreadBytes], limit: int = 10_000) -> None:
        self.log: list[str] = []
        log = self.log

        class Bytes(kind):  # type: ignore[misc, valid-type]
            def overrun(self) -> None:
                log.append("overrun")

            def eased(self) -> None:
                log.append("eased")

        self.bytes: unread.UnreadBytes = Bytes(limit)


def message(size: int, codec: Any = PURE) -> Any:
    made: Content = codec.Delivery(body=bytes(size))
    return made


@pytest.fixture(params=KINDS)
def twin(request: pytest.FixtureRequest) -> Twin:
    """Return the class of a reader's messages, and that of a connection's bytes."""
    chosen: Twin = request.param
    return chosen


def test_messages_leave_in_the_order_in_which_they_came(twin: Twin) -> None:
    messages = twin[0](Told(twin[1]).bytes)
    assert messages.take() is None
    sent = [message(size) for size in range(6)]
    for each in sent[:3]:
        messages.put(each)
    assert messages.take() is sent[0]
    for each in sent[3:]:
        messages.put(each)
    assert [messages.take(), messages.take()] == sent[1:3]
    assert messages.take_all() == sent[3:]
    assert messages.take() is None


def test_who_is_above_the_limit_is_told_with_each_message(twin: Twin) -> None:
    told = Told(twin[1], 2 * (message(0).octets() + UNREAD_OVERHEAD))
    messages = twin[0](told.bytes)
    messages.put(message(0))
    messages.put(message(0))
    assert told.log == []
    messages.put(message(0))
    messages.put(message(0))
    assert told.log == ["overrun"] * 2
    messages.take()
    assert told.log == ["overrun"] * 2
    told.bytes.paused = True
    messages.take()
    assert told.log == ["overrun"] * 2 + ["eased"]


def test_the_first_message_is_told_of_before_it_is_there(twin: Twin) -> None:
    messages, seen = twin[0](Told(twin[1]).bytes), []
    messages.on_first = lambda: seen.append(len(messages))
    messages.put(message(1))
    messages.take()
    messages.put(message(1))
    assert seen == [0]


def test_who_waits_is_told_behind_each_message(twin: Twin) -> None:
    messages, seen = twin[0](Told(twin[1]).bytes), []
    messages.put(message(1))
    messages.on_awaited = lambda: seen.append(len(messages))
    messages.put(message(1))
    messages.put(message(1))
    messages.on_awaited = None
    messages.put(message(1))
    assert seen == [2, 3]


def test_what_is_no_message_changes_nothing(twin: Twin) -> None:
    told = Told(twin[1])
    messages = twin[0](told.bytes)
    bodiless = message(1)
    bodiless.body = None
    with pytest.raises(TypeError):
        messages.put(bodiless)
    assert (len(messages), told.bytes.unread) == (0, 0)


def test_several_readers_share_the_bytes_of_a_connection(twin: Twin) -> None:
    told = Told(twin[1])
    one, other = twin[0](told.bytes), twin[0](told.bytes)
    one.put(message(10))
    size = told.bytes.unread
    assert size == message(10).octets() + UNREAD_OVERHEAD
    other.put(message(20))
    assert told.bytes.unread == 2 * size + 10
    one.take_all()
    assert told.bytes.unread == size + 10


@pytest.mark.skipif(COMPILED is None, reason="the compiled codec is not built")
@trials(200)
@given(
    st.lists(
        st.integers(0, 3000)
        | st.sampled_from(["take", "take", "take all", "pause", "go on", "await", "await not"]),
        max_size=40,
    ),
    st.sampled_from([PURE, COMPILED]),
)
def test_both_twins_go_the_same_way(steps: list[int | str], codec: Any) -> None:
    seen = []
    for kind, connection in (unread.PURE, (Unread, UnreadBytes)):
        told = Told(connection, 4000)
        log = told.log
        messages = kind(told.bytes)
        messages.on_first = lambda log=log: log.append("first")
        model: list[Any] = []
        states = []
        for step in steps:
            taken: Any = None
            if isinstance(step, int):
                model.append(message(step, codec))
                messages.put(model[-1])
            elif step == "take":
                taken = messages.take()
                assert taken is (model.pop(0) if model else None)
            elif step == "take all":
                taken = messages.take_all()
                assert [id(each) for each in taken] == [id(each) for each in model]
                model.clear()
            elif step in {"pause", "go on"}:
                told.bytes.paused = step == "pause"
            else:
                messages.on_awaited = (
                    (lambda log=log: log.append("awaited")) if step == "await" else None
                )
            assert len(messages) == len(model)
            assert told.bytes.unread == sum(each.octets() + UNREAD_OVERHEAD for each in model)
            states.append((len(messages), told.bytes.unread, told.bytes.paused, list(log)))
        seen.append(states)
    assert seen[0] == seen[1]
