"""Confirms against a simple model: each publish ends once, whatever tags come back."""

import time
import tracemalloc
from dataclasses import dataclass, field

import pytest
from hypothesis import given, strategies as st
from pamqp.commands import Confirm

from hopmq.core.channel import ChannelCore
from hopmq.core.confirms import ConfirmLedger, confirm_ledger
from hopmq.core.connection import ConnectionCore
from hopmq.core.replies import NOBODY
from hopmq.core.states import ConnectionState
from hopmq.errors import ConnectionLostError, EncodeError, NotFoundError, UsageError
from hopmq.wire import Codec, Returned, new_method
from trials import trials

from .actors import Publish, Waiting, method, names, written
from .conftest import CODECS
from .pair import START, ConnectionPair


def ledger_of(codec: Codec, count: int) -> tuple[ConfirmLedger, list[Publish]]:
    ledger = confirm_ledger(codec)
    publishes = [Publish(size=10) for _ in range(count)]
    for publish in publishes:
        ledger.register(publish)
    return ledger, publishes


def outcomes(publishes: list[Publish]) -> list[str | None]:
    return [publish.outcome for publish in publishes]


# --- single rules --------------------------------------------------------------------------------


@pytest.mark.parametrize("multiple", [False, True])
def test_an_ack_that_somebody_waited_for_is_told_of_once(codec: Codec, multiple: bool) -> None:
    ledger, publishes = ledger_of(codec, 5)
    told: list[None] = []
    ledger.on_woken = lambda: told.append(None)
    ledger.acked(2, multiple)
    assert told == []
    publishes[2].is_awaited = True
    ledger.acked(4 if multiple else 3, multiple)
    assert told == [None]


def test_tags_count_from_one(codec: Codec) -> None:
    ledger = confirm_ledger(codec)
    assert [ledger.register(Publish()) for _ in range(3)] == [1, 2, 3]
    assert ledger.next_tag == 4


def test_a_single_ack_confirms_its_publish_alone(codec: Codec) -> None:
    ledger, publishes = ledger_of(codec, 3)
    ledger.acked(2, False)
    assert outcomes(publishes) == [None, "confirmed", None]
    assert (len(ledger), ledger.outstanding_bytes) == (2, 20)


def test_a_multiple_ack_confirms_all_up_to_its_tag(codec: Codec) -> None:
    ledger, publishes = ledger_of(codec, 3)
    ledger.acked(2, True)
    assert outcomes(publishes) == ["confirmed", "confirmed", None]


def test_a_multiple_ack_of_zero_confirms_all(codec: Codec) -> None:
    ledger, publishes = ledger_of(codec, 3)
    ledger.acked(0, True)
    assert outcomes(publishes) == ["confirmed"] * 3
    assert (len(ledger), ledger.outstanding_bytes) == (0, 0)


def test_a_multiple_nack_refuses_all_up_to_its_tag(codec: Codec) -> None:
    ledger, publishes = ledger_of(codec, 3)
    ledger.acked(1, False)
    ledger.nacked(2, True)
    assert outcomes(publishes) == ["confirmed", "nacked", None]


def test_a_multiple_ack_passes_over_what_came_out_of_order(codec: Codec) -> None:
    ledger, publishes = ledger_of(codec, 4)
    ledger.nacked(3, False)
    ledger.acked(4, True)
    assert outcomes(publishes) == ["confirmed", "confirmed", "nacked", "confirmed"]


UNKNOWN = [(0, False), *((tag, each) for tag in (4, 2**63, 2**64 - 1) for each in (False, True))]


@pytest.mark.parametrize("tag, multiple", UNKNOWN)
def test_an_unknown_tag_settles_nothing_and_is_counted(
    tag: int, multiple: bool, codec: Codec
) -> None:
    ledger, publishes = ledger_of(codec, 3)
    ledger.acked(tag, multiple)
    ledger.nacked(tag, multiple)
    assert outcomes(publishes) == [None] * 3
    assert ledger.unmatched == 2
    assert ledger.outstanding_bytes == 30


def test_a_duplicate_confirm_is_counted_and_ignored(codec: Codec) -> None:
    ledger, publishes = ledger_of(codec, 2)
    ledger.acked(1, False)
    ledger.acked(1, False)
    ledger.nacked(1, True)
    ledger.acked(2, True)
    ledger.acked(2, True)
    assert outcomes(publishes) == ["confirmed", "confirmed"]
    assert ledger.unmatched == 2
    assert ledger.outstanding_bytes == 0


def test_room_is_announced_after_the_publishes_were_told(codec: Codec) -> None:
    ledger, publishes = ledger_of(codec, 2)
    seen: list[list[str | None]] = []
    ledger.on_room = lambda: seen.append(outcomes(publishes))
    ledger.acked(2, True)
    assert seen == [["confirmed", "confirmed"]]


def test_a_publish_made_while_room_is_announced_is_a_new_one(codec: Codec) -> None:
    ledger, _ = ledger_of(codec, 2)
    late = Publish()
    ledger.on_room = lambda: ledger.register(late) if ledger.next_tag == 3 else None
    ledger.acked(0, True)
    assert late.outcome is None
    ledger.acked(3, False)
    assert late.outcome == "confirmed"


def test_what_is_forgotten_is_given_out_in_order_and_settled_no_more(codec: Codec) -> None:
    ledger, publishes = ledger_of(codec, 3)
    ledger.acked(2, False)
    assert ledger.forget_all() == [publishes[0], publishes[2]]
    ledger.acked(0, True)
    ledger.acked(3, False)
    assert outcomes(publishes) == [None, "confirmed", None]
    assert (len(ledger), ledger.outstanding_bytes) == (0, 0)


@pytest.mark.parametrize("tag", [2**31, 2**63, 2**64 - 1])
def test_hostile_tags_cost_neither_time_nor_memory(tag: int, codec: Codec) -> None:
    ledger, _ = ledger_of(codec, 10)
    tracemalloc.start()
    began = time.process_time()
    for _ in range(1000):
        ledger.acked(tag, True)
        ledger.nacked(tag, False)
        ledger.returned(tag, Returned())
    elapsed = time.process_time() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert elapsed < 1
    assert peak < 100_000


def test_multiple_confirms_pass_each_publish_once(codec: Codec) -> None:
    """A broker that acks many by multiple, one tag further each time, costs a step each."""
    ledger, publishes = ledger_of(codec, 50_000)
    for tag in range(2, 50_001):
        ledger.acked(tag, False)
    began = time.process_time()
    for tag in range(1, 50_001):
        ledger.acked(tag, True)
    assert time.process_time() - began < 2
    assert outcomes(publishes) == ["confirmed"] * 50_000


# --- the model -----------------------------------------------------------------------------------


@dataclass
class Model:
    """What a ledger should do, said as simply as possible."""

    outcomes: dict[int, str | None] = field(default_factory=dict)

    def settle(self, tag: int, multiple: bool, outcome: str) -> None:
        last = max(self.outcomes, default=0)
        if multiple and tag <= last:
            covered = [each for each in self.outcomes if tag == 0 or each <= tag]
        else:
            covered = [tag] if not multiple and tag in self.outcomes else []
        for each in covered:
            self.outcomes[each] = self.outcomes[each] or outcome


tags = st.integers(0, 40) | st.sampled_from([2**31, 2**63, 2**64 - 1])
confirms = st.tuples(st.sampled_from(["confirmed", "nacked"]), tags, st.booleans())
steps = st.lists(st.integers(1, 5) | confirms, max_size=40)


@pytest.mark.parametrize("codec", CODECS)
@trials(400)
@given(steps=steps)
def test_the_ledger_does_what_the_model_does(
    steps: list[int | tuple[str, int, bool]], codec: Codec
) -> None:
    ledger, model = confirm_ledger(codec), Model()
    publishes: list[Publish] = []
    for step in steps:
        if isinstance(step, int):
            for _ in range(step):
                publishes.append(Publish(size=len(publishes)))
                model.outcomes[ledger.register(publishes[-1])] = None
        else:
            outcome, tag, multiple = step
            (ledger.acked if outcome == "confirmed" else ledger.nacked)(tag, multiple)
            model.settle(tag, multiple, outcome)
        assert outcomes(publishes) == list(model.outcomes.values())
        waiting = [publish for publish in publishes if publish.outcome is None]
        assert list(ledger) == waiting
        assert len(ledger) == len(waiting)
        assert ledger.outstanding_bytes == sum(publish.size for publish in waiting)


# --- on a channel ----------------------------------------------------------------------------------


@pytest.fixture
def confirming(client: ConnectionCore, channel: ChannelCore) -> ChannelCore:
    """Return the channel with confirms on."""
    waiter = Waiting()
    channel.select_confirms(waiter)
    client.receive_data(method(1, Confirm.SelectOk), START)
    assert waiter.answers == 1
    written(client)
    return channel


def publish_on(channel: ChannelCore, body: bytes = b"") -> tuple[int, Publish]:
    publish = Publish(size=len(body))
    return channel.publish(publish, "", "q", False, None, body), publish


def test_publishes_before_select_ok_count_too(client: ConnectionCore, channel: ChannelCore) -> None:
    channel.select_confirms(NOBODY)
    assert publish_on(channel)[0] == 1
    assert names(written(client)) == ["Confirm.Select", "Published"]


def test_publishes_without_confirms_have_no_tag(channel: ChannelCore) -> None:
    assert channel.publish(None, "", "q", False, None, b"") == 0


def test_with_confirms_every_publish_is_counted(
    client: ConnectionCore, confirming: ChannelCore
) -> None:
    with pytest.raises(UsageError):
        confirming.publish(None, "", "q", False, None, b"")
    assert written(client) == []


def test_a_publish_that_cannot_be_encoded_takes_no_tag(
    client: ConnectionCore, confirming: ChannelCore
) -> None:
    with pytest.raises(EncodeError):
        confirming.publish(Publish(), "x" * 256, "q", False, None, b"")
    assert publish_on(confirming)[0] == 1
    assert names(written(client)) == ["Published"]


def test_turning_confirms_on_again_keeps_what_is_outstanding(
    client: ConnectionCore, confirming: ChannelCore, codec: Codec
) -> None:
    _, first = publish_on(confirming)
    confirming.select_confirms(NOBODY)
    tag, second = publish_on(confirming)
    assert tag == 2
    client.receive_data(codec.encode_ack(1, 1, False), START)
    client.receive_data(method(1, Confirm.SelectOk) + codec.encode_ack(1, 2, False), START)
    assert outcomes([first, second]) == ["confirmed", "confirmed"]


def test_confirms_on_the_wire_reach_their_publishes(
    client: ConnectionCore, confirming: ChannelCore, codec: Codec
) -> None:
    publishes = [publish_on(confirming)[1] for _ in range(4)]
    data = codec.encode_ack(1, 2, True) + codec.encode_nack(1, 4, False, False)
    for octet in data:
        client.receive_data(bytes([octet]), START)
    assert outcomes(publishes) == ["confirmed", "confirmed", None, "nacked"]


@pytest.mark.parametrize("tag", [0, 99, 2**63, 2**64 - 1])
def test_confirms_of_unknown_tags_leave_the_connection_open(
    client: ConnectionCore, confirming: ChannelCore, codec: Codec, tag: int
) -> None:
    _, publish = publish_on(confirming)
    data = codec.encode_ack(1, tag, False) + codec.encode_nack(1, tag, False, False)
    client.receive_data(data, START)
    assert client.events() == []
    assert client.state is ConnectionState.OPEN
    assert publish.outcome is None
    assert confirming.confirms is not None
    assert confirming.confirms.unmatched == 2


def test_channels_count_their_tags_apart(pair: ConnectionPair, codec: Codec) -> None:
    channels = [pair.open_channel()[0] for _ in range(2)]
    for channel in channels:
        channel.select_confirms(NOBODY)
    pair.to_server()
    pair.server.channels[1].send(new_method(Confirm.SelectOk))
    pair.server.channels[2].send(new_method(Confirm.SelectOk))
    pair.to_client()
    publishes = [publish_on(channel)[1] for channel in channels]
    pair.client.receive_data(codec.encode_ack(2, 1, False), START)
    assert outcomes(publishes) == [None, "confirmed"]


def test_an_end_of_the_channel_loses_what_is_outstanding(
    client: ConnectionCore, confirming: ChannelCore, codec: Codec
) -> None:
    publishes = [publish_on(confirming)[1] for _ in range(2)]
    client.receive_data(codec.encode_ack(1, 1, False), START)
    confirming.end(NotFoundError("gone"))
    assert outcomes(publishes) == ["confirmed", "lost"]
    assert isinstance(publishes[1].error, NotFoundError)


def test_an_end_of_the_link_loses_what_is_outstanding(
    client: ConnectionCore, confirming: ChannelCore
) -> None:
    _, publish = publish_on(confirming)
    client.receive_eof(START)
    assert publish.outcome == "lost"
    assert isinstance(publish.error, ConnectionLostError)
