"""Confirms and transactions: how sure a client wants to be (AMQP 0-9-1, 1.9; RabbitMQ, confirms)."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pamqp.base import Frame
from pamqp.commands import Confirm, Tx

from hopmq.broker.refusal import Refusal
from hopmq.wire import Published, new_method

if TYPE_CHECKING:
    from hopmq.broker.channel import BrokerChannel, Verdict


class Transaction:
    """Publishes and settlements that wait for their commit."""

    __slots__ = ("_publishes", "_settlements")

    def __init__(self) -> None:
        """Hold nothing."""
        self._publishes: list[tuple[Published, list[str]]] = []
        self._settlements: list[tuple[list[int], Verdict]] = []

    def add_publish(self, message: Published, queues: list[str]) -> None:
        """Hold a message that was routed to the queues of these names."""
        self._publishes.append((message, queues))

    def add_settlement(
        self, channel: "BrokerChannel", tag: int, multiple: bool, verdict: "Verdict"
    ) -> None:
        """Hold a settlement, which is checked now and counts from the commit."""
        taken = {each for tags, _ in self._settlements for each in tags}
        tags = [each for each in channel.covered(tag, multiple) if each not in taken]
        if not tags:
            raise Refusal(406, f"PRECONDITION_FAILED - unknown delivery tag {tag}")
        self._settlements.append((tags, verdict))

    def commit(self, channel: "BrokerChannel") -> None:
        """Do everything that was held."""
        publishes, self._publishes = self._publishes, []
        settlements, self._settlements = self._settlements, []
        for message, names in publishes:
            channel.publishing.hand_out(message, channel.vhost.named(names, message))
        for tags, verdict in settlements:
            channel.settle(tags, verdict)

    def roll_back(self) -> None:
        """Forget everything that was held; what was delivered stays unsettled."""
        self._publishes.clear()
        self._settlements.clear()


def _select_confirms(channel: "BrokerChannel", method: Confirm.Select) -> None:
    if channel.transaction is not None:
        raise Refusal(406, "PRECONDITION_FAILED - cannot switch from tx to confirm mode")
    channel.publishing.is_confirming = True
    if not method.nowait:
        channel.reply(new_method(Confirm.SelectOk))


def _select(channel: "BrokerChannel", _method: Tx.Select) -> None:
    if channel.publishing.is_confirming:
        raise Refusal(406, "PRECONDITION_FAILED - cannot switch from confirm to tx mode")
    if channel.transaction is None:
        channel.transaction = Transaction()
    channel.reply(new_method(Tx.SelectOk))


def _commit(channel: "BrokerChannel", _method: Tx.Commit) -> None:
    _transaction(channel).commit(channel)
    channel.reply(new_method(Tx.CommitOk))


def _roll_back(channel: "BrokerChannel", _method: Tx.Rollback) -> None:
    _transaction(channel).roll_back()
    channel.reply(new_method(Tx.RollbackOk))


def _transaction(channel: "BrokerChannel") -> Transaction:
    if channel.transaction is None:
        raise Refusal(406, "PRECONDITION_FAILED - channel is not transactional")
    return channel.transaction


OPERATIONS: Final[Mapping[type[Frame], Callable[..., Any]]] = {
    Confirm.Select: _select_confirms,
    Tx.Select: _select,
    Tx.Commit: _commit,
    Tx.Rollback: _roll_back,
}
