"""Messages of a partition are settled as any other, but never given back alone."""

from app.settling import Settlements
from hopmq.app.groups.settling import InOrder
from hopmq.client.message import Message
from hopmq.core.channel import Settlement


class Partition:
    """Notes down whether it was told to give everything back."""

    def __init__(self) -> None:
        self.broker = Settlements()
        self.gives_back = False

    def give_back(self) -> None:
        self.gives_back = True

    def deliver(self) -> Message:
        message = self.broker.deliver()
        message.context = InOrder(message.context, self.give_back)
        return message


def test_an_ack_and_a_drop_are_passed_on() -> None:
    partition = Partition()
    first, second, third = (partition.deliver() for _ in range(3))
    assert first.ack() is Settlement.SENT
    assert second.reject() is Settlement.SENT
    assert third.nack(requeue=False) is Settlement.SENT
    assert first.settled
    assert partition.broker.settled == {1: "ack", 2: "drop", 3: "drop"}
    assert not partition.gives_back


def test_what_is_requeued_is_left_to_the_channels_end() -> None:
    partition = Partition()
    for requeue in (Message.nack, lambda message: message.reject(requeue=True)):
        message = partition.deliver()
        assert requeue(message) is Settlement.STALE
        assert message.settled
        assert message.ack() is Settlement.STALE
        assert message.reject() is Settlement.STALE
        assert message.nack(requeue=False) is Settlement.STALE
    assert partition.gives_back
    assert partition.broker.settled == {}
    assert partition.broker.unsettled == {1, 2}


def test_what_a_lost_link_has_taken_is_settled() -> None:
    partition = Partition()
    message = partition.deliver()
    assert not message.settled
    partition.broker.lose_link()
    assert message.settled
    assert message.ack() is Settlement.STALE
