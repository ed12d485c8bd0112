"""Settlements in any mix against a model broker that takes them as RabbitMQ does."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pamqp.commands import Basic, Channel

from hopmq.core.channel import ChannelCore, Settlement
from hopmq.core.replies import NOBODY
from hopmq.errors import AlreadySettledError
from hopmq.wire import PURE, new_method
from trials import trials

from .actors import method, written
from .pair import START, ConnectionPair

picks = st.integers(0, 2**16)


class ModelBroker:
    """What a broker has delivered and not seen settled, and how the rest was settled."""

    def __init__(self) -> None:
        self.outstanding: list[int] = []
        self.settled: dict[int, str] = {}

    def receive(self, event: Any) -> None:
        """Apply a settlement; as RabbitMQ, accept no tag that is not outstanding."""
        kind = type(event).__name__
        if kind in {"Ack", "Nack", "Reject"}:
            tag = event.delivery_tag
            assert tag in self.outstanding, f"406 unknown delivery tag {tag}"
            multiple = kind != "Reject" and event.multiple
            self._settle(lambda each: each == tag or (multiple and each < tag), kind)
        elif event.method.name == "Basic.Recover":
            self._settle(lambda _: True, "Requeued")

    def _settle(self, covers: Any, how: str) -> None:
        for tag in filter(covers, self.outstanding):
            self.settled[tag] = how
        self.outstanding = [tag for tag in self.outstanding if not covers(tag)]


class Settling(RuleBasedStateMachine):
    """An application that settles as it likes; the broker must end with what it meant."""

    channel: ChannelCore

    def __init__(self) -> None:
        super().__init__()
        self.pair = ConnectionPair(PURE).open()
        self.channel, _ = self.pair.open_channel()
        self.broker = ModelBroker()
        self.meant: dict[int, str] = {}
        self.unsettled: list[int] = []
        self.next_tag = 1
        self.recovering = False

    # --- what the broker does --------------------------------------------------------------

    @rule(count=st.integers(1, 6))
    def deliver(self, count: int) -> None:
        for _ in range(count):
            self.channel.deliveries.unsettled.add(self.next_tag)
            self.unsettled.append(self.next_tag)
            self.broker.outstanding.append(self.next_tag)
            self.next_tag += 1

    @rule(count=st.sampled_from([1, 2, 5, 1000, 3000, 2**40]))
    def deliver_without_ack(self, count: int) -> None:
        self.next_tag += count

    # --- what the application does -----------------------------------------------------------

    def _pick(self, pick: int) -> int:
        return self.unsettled[pick % len(self.unsettled)]

    def _meant(self, tag: int, how: str, *, multiple: bool) -> None:
        covered = [each for each in self.unsettled if each == tag or (multiple and each < tag)]
        self.meant.update(dict.fromkeys(covered, how))
        self.unsettled = [each for each in self.unsettled if each not in covered]

    @precondition(lambda self: self.unsettled)
    @rule(pick=picks)
    def ack(self, pick: int) -> None:
        tag = self._pick(pick)
        assert self.channel.ack(tag) is Settlement.SENT
        self._meant(tag, "Ack", multiple=False)

    @precondition(lambda self: len(self.unsettled) > 1)
    @rule(chosen=st.lists(picks, min_size=2, max_size=5))
    def ack_several(self, chosen: list[int]) -> None:
        for pick in chosen:
            if self.unsettled:
                self.ack(pick)

    @precondition(lambda self: self.unsettled)
    @rule(pick=picks)
    def ack_multiple(self, pick: int) -> None:
        tag = self._pick(pick)
        assert self.channel.ack(tag, multiple=True) is Settlement.SENT
        self._meant(tag, "Ack", multiple=True)

    @precondition(lambda self: self.unsettled)
    @rule(pick=picks, multiple=st.booleans(), requeue=st.booleans())
    def nack(self, pick: int, multiple: bool, requeue: bool) -> None:
        tag = self._pick(pick)
        assert self.channel.nack(tag, multiple, requeue) is Settlement.SENT
        self._meant(tag, "Nack", multiple=multiple)

    @precondition(lambda self: self.unsettled)
    @rule(pick=picks, requeue=st.booleans())
    def reject(self, pick: int, requeue: bool) -> None:
        tag = self._pick(pick)
        assert self.channel.reject(tag, requeue) is Settlement.SENT
        self._meant(tag, "Reject", multiple=False)

    @precondition(lambda self: self.meant)
    @rule(pick=picks, multiple=st.booleans(), nack=st.booleans())
    def settle_again(self, pick: int, multiple: bool, nack: bool) -> None:
        tag = sorted(self.meant)[pick % len(self.meant)]
        settle = self.channel.nack if nack else self.channel.ack
        try:
            assert settle(tag, multiple) is Settlement.STALE
        except AlreadySettledError:
            assert self.meant[tag] != "Requeued"
        else:
            assert "Requeued" in self.meant.values()

    @rule()
    def send_something_else(self) -> None:
        self.channel.send(new_method(Channel.FlowOk))

    @rule()
    def recover(self) -> None:
        self.channel.recover(NOBODY, [])
        self.meant.update(dict.fromkeys(self.unsettled, "Requeued"))
        self.unsettled.clear()
        self.turn()
        self.pair.client.receive_data(method(1, Basic.RecoverOk), START)

    @rule()
    def turn(self) -> None:
        """End a turn of the loop: what the broker knows is what was meant."""
        for event in written(self.pair.client):
            self.broker.receive(event)
        assert self.broker.settled == self.meant
        assert self.broker.outstanding == self.unsettled

    # --- always ----------------------------------------------------------------------------------

    @invariant()
    def the_ledger_knows_what_is_unsettled(self) -> None:
        assert self.channel.deliveries.unsettled == set(self.unsettled)

    @invariant()
    def nothing_the_peer_did_was_wrong(self) -> None:
        assert self.pair.client.events() == []

    def teardown(self) -> None:
        self.turn()


TestSettling = Settling.TestCase
TestSettling.settings = trials(200, steps=40)
