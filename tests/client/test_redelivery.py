"""What comes again: kept, recognised, passed over, or passed on."""

from typing import Any, cast

import pytest

from hopmq import Message, Settlement
from hopmq.client.inbox import ReadingBudget
from hopmq.client.redelivery import HeldRedeliveries, RecognisedRedeliveries, Unsettled
from hopmq.client.stream_reading import StreamRedeliveries
from hopmq.errors import AlreadySettledError


class Link:
    """What a channel knows of settlements."""

    def __init__(self) -> None:
        self.has_ended = False
        self.unsettled: set[int] = set()
        self.settled: list[tuple[str, int]] = []

    def is_unsettled(self, tag: int) -> bool:
        return tag in self.unsettled

    def ack(self, tag: int, multiple: bool = False) -> Settlement:
        return self._settle("ack", tag)

    def nack(self, tag: int, multiple: bool = False, requeue: bool = True) -> Settlement:
        return self._settle("nack", tag)

    def reject(self, tag: int, requeue: bool = True) -> Settlement:
        return self._settle("requeue" if requeue else "drop", tag)

    def _settle(self, how: str, tag: int) -> Settlement:
        if self.has_ended:
            return Settlement.STALE
        self.unsettled.remove(tag)
        self.settled.append((how, tag))
        return Settlement.SENT


class Delivered(Message):
    """A message by itself."""

    def __init__(
        self, tag: int, redelivered: bool, message_id: str | None = None, offset: int | None = None
    ) -> None:
        self.body = b"four"
        self.raw_properties = b""
        self.octets = lambda: len(self.body)
        self.delivery_tag = tag
        self.redelivered = redelivered
        self._message_id = message_id
        self._headers = {} if offset is None else {"x-stream-offset": offset}

    @property
    def message_id(self) -> str | None:
        return self._message_id

    @property
    def headers(self) -> Any:
        return self._headers


class Reader:
    """A consumer's side: the link of the moment, and what was passed on."""

    def __init__(self) -> None:
        self.link = Link()
        self.passed_on: list[Message] = []
        self.budget = ReadingBudget(1_000, self)
        self._tag = 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def is_awaiting(self) -> bool:
        return False

    def admit(self, message: Message) -> None:
        message.context = self.link
        self.link.unsettled.add(message.delivery_tag)

    def pass_on(self, message: Message) -> None:
        self.admit(message)
        self.passed_on.append(message)

    def delivery(self, redelivered: bool = False, **named: Any) -> Delivered:
        """Return another delivery."""
        self._tag += 1
        return Delivered(self._tag, redelivered, **named)

    def new_link(self) -> set[int]:
        """Have another link; return the tags that were unsettled on the last one."""
        before, self.link = self.link, Link()
        before.has_ended = True
        left, before.unsettled = before.unsettled, set()
        return left


@pytest.fixture
def reader() -> Reader:
    """Return a consumer's side."""
    return Reader()


# --- without recognition ----------------------------------------------------------------------


def test_what_was_kept_counts_as_unread(reader: Reader) -> None:
    held = HeldRedeliveries(reader.pass_on, reader.admit, reader.budget)
    at_work = reader.delivery()
    held.link_lost([at_work], (), ())
    held.receive(reader.delivery(redelivered=True))
    held.receive(reader.delivery())
    assert (len(reader.passed_on), reader.budget.unread > 4) == (1, True)
    held.work_ended(at_work)
    assert (len(reader.passed_on), reader.budget.unread) == (2, 0)
    assert not held.is_needed


def test_what_was_kept_and_settled_with_later_ones_is_not_passed_on(reader: Reader) -> None:
    held = HeldRedeliveries(reader.pass_on, reader.admit, reader.budget)
    at_work, again = reader.delivery(), reader.delivery(redelivered=True)
    held.link_lost([at_work], (), ())
    held.receive(again)
    again.ack()
    held.work_ended(at_work)
    assert not reader.passed_on


def test_what_was_kept_is_dropped_with_its_link(reader: Reader) -> None:
    held = HeldRedeliveries(reader.pass_on, reader.admit, reader.budget)
    at_work = reader.delivery()
    held.link_lost([at_work], (), ())
    held.receive(reader.delivery(redelivered=True))
    reader.new_link()
    held.link_lost([], (), ())
    assert reader.budget.unread == 0
    held.work_ended(at_work)
    assert not reader.passed_on


def test_settled_messages_are_not_remembered_for_long(reader: Reader) -> None:
    unsettled = Unsettled()
    first = reader.delivery()
    reader.admit(first)
    unsettled.add(first)
    for _ in range(10_000):
        message = reader.delivery()
        reader.admit(message)
        unsettled.add(message)
        message.ack()
        assert len(unsettled._messages) < 40
    assert unsettled.take(reader.new_link()) == [first]


# --- by message id ----------------------------------------------------------------------------


@pytest.fixture
def recognised(reader: Reader) -> RecognisedRedeliveries:
    """Return what recognises message ids."""
    return RecognisedRedeliveries(reader.pass_on, reader.admit, reader.budget)


def lose(reader: Reader, recognised: RecognisedRedeliveries | StreamRedeliveries) -> None:
    """Lose the link, with nothing unread."""
    recognised.link_lost([], (), reader.new_link())


@pytest.mark.parametrize(
    "settle, settled_as",
    [
        (lambda message: message.ack(), "ack"),
        (lambda message: message.ack(multiple=True), "ack"),
        (lambda message: message.nack(requeue=False), "nack"),
        (lambda message: message.reject(), "drop"),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_copy_is_settled_as_its_message(
    reader: Reader,
    recognised: RecognisedRedeliveries,
    settle: Any,
    settled_as: str,
    is_first: bool,
) -> None:
    message = reader.delivery(message_id="m")
    recognised.receive(message)
    lose(reader, recognised)
    copy = reader.delivery(redelivered=True, message_id="m")
    if is_first:
        recognised.receive(copy)
        assert settle(message) is Settlement.SENT
    else:
        assert settle(message) is Settlement.DEFERRED
        recognised.receive(copy)
    assert reader.link.settled == [(settled_as, copy.delivery_tag)]
    assert reader.passed_on == [message]
    with pytest.raises(AlreadySettledError):
        message.ack()
    after = reader.delivery(redelivered=True, message_id="m")
    recognised.receive(after)
    assert reader.passed_on == [message, after]


def test_a_message_that_shall_come_again_is_passed_on_when_it_does(
    reader: Reader, recognised: RecognisedRedeliveries
) -> None:
    message = reader.delivery(message_id="m")
    recognised.receive(message)
    lose(reader, recognised)
    assert message.reject(requeue=True) is Settlement.STALE
    assert message.settled
    copy = reader.delivery(redelivered=True, message_id="m")
    recognised.receive(copy)
    assert reader.passed_on == [message, copy]


def test_a_copy_that_is_lost_gives_way_to_the_next(
    reader: Reader, recognised: RecognisedRedeliveries
) -> None:
    message = reader.delivery(message_id="m")
    recognised.receive(message)
    for _ in range(3):
        lose(reader, recognised)
        recognised.receive(reader.delivery(redelivered=True, message_id="m"))
    lose(reader, recognised)
    assert message.ack() is Settlement.DEFERRED
    copy = reader.delivery(redelivered=True, message_id="m")
    recognised.receive(copy)
    assert reader.link.settled == [("ack", copy.delivery_tag)]


def test_an_id_that_two_messages_share_names_one(
    reader: Reader, recognised: RecognisedRedeliveries
) -> None:
    first, second = (reader.delivery(message_id="m") for _ in range(2))
    recognised.receive(first)
    recognised.receive(second)
    recognised.link_lost([first, second], (), reader.new_link())
    copies = [reader.delivery(redelivered=True, message_id="m") for _ in range(2)]
    recognised.receive(copies[0])
    assert second.ack() is Settlement.STALE
    assert first.ack() is Settlement.SENT
    recognised.receive(copies[1])
    assert reader.passed_on == [first, second]
    recognised.work_ended(second)
    assert reader.passed_on == [first, second, copies[1]]


def test_what_was_unread_is_passed_on_when_it_comes_again(
    reader: Reader, recognised: RecognisedRedeliveries
) -> None:
    unread = reader.delivery(message_id="m")
    recognised.receive(unread)
    recognised.link_lost([], {unread}, reader.new_link())
    recognised.receive(reader.delivery(redelivered=True, message_id="m"))
    assert len(reader.passed_on) == 2


def test_a_message_with_the_same_id_that_is_new_is_passed_on(
    reader: Reader, recognised: RecognisedRedeliveries
) -> None:
    recognised.receive(reader.delivery(message_id="m"))
    lose(reader, recognised)
    recognised.receive(reader.delivery(message_id="m"))
    assert len(reader.passed_on) == 2


def test_a_handler_that_had_settled_before_has_its_copy_wait(
    reader: Reader, recognised: RecognisedRedeliveries
) -> None:
    message = reader.delivery(message_id="m")
    recognised.receive(message)
    message.ack()
    recognised.link_lost([message], (), reader.new_link())
    copy = reader.delivery(redelivered=True, message_id="m")
    recognised.receive(copy)
    assert reader.passed_on == [message]
    recognised.work_ended(message)
    assert reader.passed_on == [message, copy]


def test_what_never_comes_again_is_forgotten_in_the_end(
    reader: Reader, recognised: RecognisedRedeliveries
) -> None:
    messages = [reader.delivery(message_id=str(number)) for number in range(1_500)]
    for message in messages:
        recognised.receive(message)
    lose(reader, recognised)
    for message in messages[1:]:
        assert message.ack() is Settlement.DEFERRED
    assert len(recognised._orphans) == 1_000
    copies = [reader.delivery(redelivered=True, message_id=name) for name in ("0", "1", "1499")]
    for copy in copies:
        recognised.receive(copy)
    assert reader.link.settled == [("ack", copies[2].delivery_tag)]
    assert reader.passed_on[1_500:] == [copies[1]]


def test_nobody_waits_for_copies_once_it_is_given_up(
    reader: Reader, recognised: RecognisedRedeliveries
) -> None:
    with_copy, without = (reader.delivery(message_id=name) for name in "ab")
    recognised.receive(with_copy)
    recognised.receive(without)
    lose(reader, recognised)
    recognised.receive(reader.delivery(redelivered=True, message_id="a"))
    assert recognised.give_up() == []
    assert without.settled
    assert without.ack() is Settlement.STALE
    assert with_copy.ack() is Settlement.SENT


# --- streams ----------------------------------------------------------------------------------


@pytest.fixture
def stream(reader: Reader) -> StreamRedeliveries:
    """Return what reads a stream."""
    return StreamRedeliveries(reader.pass_on, reader.admit)


def read(reader: Reader, stream: StreamRedeliveries, *offsets: int) -> list[Delivered]:
    """Receive messages at these offsets."""
    messages = [reader.delivery(offset=offset) for offset in offsets]
    for message in messages:
        stream.receive(message)
    return messages


def offset_asked(stream: StreamRedeliveries) -> object:
    """Return where it wants to read on."""
    return stream.resumed({"x-stream-offset": "first", "mine": 1})["x-stream-offset"]


def passed_on(reader: Reader) -> list[int]:
    """Return the offsets of what was passed on."""
    return [cast("int", message.headers["x-stream-offset"]) for message in reader.passed_on]


def test_a_stream_of_which_nothing_was_read_is_read_as_asked(
    reader: Reader, stream: StreamRedeliveries
) -> None:
    lose(reader, stream)
    assert stream.resumed({"x-stream-offset": "first"}) == {"x-stream-offset": "first"}
    read(reader, stream, 0, 1)
    assert passed_on(reader) == [0, 1]


def test_a_stream_is_read_on_behind_the_last_message(
    reader: Reader, stream: StreamRedeliveries
) -> None:
    for message in read(reader, stream, 5, 6, 7):
        message.ack()
    lose(reader, stream)
    assert stream.resumed({"x-stream-offset": "first", "mine": 1}) == {
        "x-stream-offset": 8,
        "mine": 1,
    }


def test_a_stream_is_read_on_from_the_first_that_is_due(
    reader: Reader, stream: StreamRedeliveries
) -> None:
    messages = read(reader, stream, 0, 1, 2, 3, 4, 5)
    for number in (0, 2, 4):
        messages[number].ack()
    stream.link_lost([], {messages[3], messages[5]}, reader.new_link())
    assert offset_asked(stream) == 1
    reader.passed_on.clear()
    copies = read(reader, stream, 1, 2, 3, 4, 5, 6)
    assert passed_on(reader) == [3, 5, 6]
    assert reader.link.settled == [("ack", copies[1].delivery_tag), ("ack", copies[3].delivery_tag)]
    messages[1].ack()
    assert reader.link.settled[2:] == [("ack", copies[0].delivery_tag)]
    lose(reader, stream)
    assert offset_asked(stream) == 3


def test_what_is_acked_between_links_is_not_read_again(
    reader: Reader, stream: StreamRedeliveries
) -> None:
    (message,) = read(reader, stream, 3)
    lose(reader, stream)
    assert message.ack() is Settlement.DEFERRED
    assert offset_asked(stream) == 4


def test_a_copy_of_a_lost_link_settles_nothing(reader: Reader, stream: StreamRedeliveries) -> None:
    (message,) = read(reader, stream, 3)
    lose(reader, stream)
    assert offset_asked(stream) == 3
    read(reader, stream, 3)
    lose(reader, stream)
    assert message.ack() is Settlement.DEFERRED
    assert offset_asked(stream) == 4


def test_what_failed_between_links_is_read_again(
    reader: Reader, stream: StreamRedeliveries
) -> None:
    (message,) = read(reader, stream, 3)
    lose(reader, stream)
    assert message.reject(requeue=True) is Settlement.STALE
    assert offset_asked(stream) == 3
    read(reader, stream, 3)
    assert passed_on(reader) == [3, 3]


def test_an_orphan_keeps_its_place_over_any_number_of_links(
    reader: Reader, stream: StreamRedeliveries
) -> None:
    (message,) = read(reader, stream, 0)
    for offset in range(1, 20):
        lose(reader, stream)
        assert offset_asked(stream) == 0
        for again in read(reader, stream, *range(offset + 1))[1:]:
            if not again.settled:
                again.ack()
    assert passed_on(reader) == list(range(20))
    assert message.ack() is Settlement.SENT
    lose(reader, stream)
    assert offset_asked(stream) == 20


def test_what_the_stream_keeps_no_more_is_not_waited_for(
    reader: Reader, stream: StreamRedeliveries
) -> None:
    messages = read(reader, stream, 0, 1)
    stream.link_lost([], {messages[0]}, reader.new_link())
    assert offset_asked(stream) == 0
    (later,) = read(reader, stream, 100)
    later.ack()
    assert messages[1].ack() is Settlement.DEFERRED
    lose(reader, stream)
    assert offset_asked(stream) == 101


def test_another_stream_of_the_same_name_is_read_from_its_beginning(
    reader: Reader, stream: StreamRedeliveries
) -> None:
    for message in read(reader, stream, *range(10)):
        message.ack()
    lose(reader, stream)
    assert offset_asked(stream) == 10
    read(reader, stream, 0, 1)
    assert passed_on(reader)[10:] == [0, 1]
    lose(reader, stream)
    assert offset_asked(stream) == 0
