"""Work that outlives its link, and the copies of it that the broker delivers again."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterable
from functools import partial
from typing import Final, TypeAlias

from hopmq.client.inbox import ReadingBudget
from hopmq.client.message import Message
from hopmq.client.orphan import Orphan
from hopmq.core.channel import Settlement

Receive: TypeAlias = Callable[[Message], None]

_MOST_KEPT: Final = 1000
_SLACK: Final = 16


class Redeliveries(ABC):
    """What becomes of messages that come again while the first delivery is worked on.

    One per consumer. Deliveries pass through `receive` as long as it `is_needed`.
    """

    @property
    @abstractmethod
    def is_needed(self) -> bool:
        """Whether deliveries have to pass through here."""

    @abstractmethod
    def receive(self, message: Message) -> None:
        """Pass a delivery on, or keep it."""

    @abstractmethod
    def link_lost(
        self,
        at_work: Iterable[Message],
        unread: Container[Message],
        unsettled: Container[int],
    ) -> None:
        """Take note that the broker will deliver again what was not settled.

        Args:
            at_work: What handlers work on.
            unread: What nobody has been given yet; it was dropped.
            unsettled: Delivery tags that were not settled when the link ended.
        """

    @abstractmethod
    def interrupted(self, at_work: Iterable[Message]) -> None:
        """Take note that the broker may deliver again what handlers work on, or may not."""

    @abstractmethod
    def work_ended(self, message: Message) -> None:
        """Take note that a handler has ended."""

    @abstractmethod
    def give_up(self) -> list[Message]:
        """Wait for nothing any more; return what was kept and has to be given back."""


class HeldRedeliveries(Redeliveries):
    """Keep what is delivered again until everything that was worked on has ended.

    The broker does not say which message is delivered again, so that any of them may be one that
    a handler still works on.
    """

    def __init__(self, pass_on: Receive, admit: Receive, budget: ReadingBudget) -> None:
        """Pass messages on to `pass_on`; `admit` those that are kept."""
        self._pass_on = pass_on
        self._admit = admit
        self._budget = budget
        self._at_work: set[Message] = set()
        self._held: list[Message] = []

    @property
    def is_needed(self) -> bool:
        """Whether something of an earlier link is still worked on."""
        return bool(self._at_work)

    def receive(self, message: Message) -> None:
        """Keep what is delivered again."""
        if message.redelivered and self._at_work:
            self.hold(message)
        else:
            self._pass_on(message)

    def hold(self, message: Message) -> None:
        """Keep a message until the work has ended."""
        self._admit(message)
        self._held.append(message)
        self._budget.add(message)

    def link_lost(
        self,
        at_work: Iterable[Message],
        unread: Container[Message],
        unsettled: Container[int],
    ) -> None:
        """Wait for what is worked on; what was kept comes again."""
        self._take_held()
        self._at_work.update(at_work)

    def interrupted(self, at_work: Iterable[Message]) -> None:
        """Wait for what is worked on."""
        self._at_work.update(at_work)

    def work_ended(self, message: Message) -> None:
        """Pass on what was kept once it was the last."""
        self._at_work.discard(message)
        if self._at_work:
            return
        for held in self._take_held():
            if not held.settled:  # by an ack of later ones, too
                self._pass_on(held)

    def give_up(self) -> list[Message]:
        """Return what was kept."""
        self._at_work.clear()
        return self._take_held()

    def _take_held(self) -> list[Message]:
        held, self._held = self._held, []
        for message in held:
            self._budget.remove(message)
        return held


class Unsettled:
    """The messages of a consumer that the application has not settled, oldest first."""

    __slots__ = ("_messages", "_most")

    def __init__(self) -> None:
        """Start without any."""
        self._messages: list[Message] = []
        self._most = _SLACK

    def add(self, message: Message) -> None:
        """Note a delivery; now and then, forget what was settled meanwhile."""
        self._messages.append(message)
        if len(self._messages) > self._most:
            self._messages = [each for each in self._messages if not each.settled]
            self._most = 2 * len(self._messages) + _SLACK

    def take(self, unsettled: Container[int]) -> list[Message]:
        """Return those with these tags, and forget all."""
        messages, self._messages = self._messages, []
        return [each for each in messages if each.delivery_tag in unsettled]


class RecognisedRedeliveries(Redeliveries):
    """Let a message that is delivered again be settled as its first delivery is.

    It is recognised by its message id. What has none, or was settled before the link ended, is
    dealt with as if nothing were recognised.
    """

    is_needed = True

    def __init__(self, pass_on: Receive, admit: Receive, budget: ReadingBudget) -> None:
        """Pass messages on to `pass_on`; `admit` those that are kept."""
        self._pass_on = pass_on
        self._admit = admit
        self._unsettled = Unsettled()
        self._orphans: dict[str, Orphan] = {}
        self._others = HeldRedeliveries(pass_on, admit, budget)

    def receive(self, message: Message) -> None:
        """Keep what is delivered again and known; pass on the rest."""
        if message.redelivered and (self._orphans or self._others.is_needed):
            self._receive_again(message)
            return
        self._pass_on(message)
        self._unsettled.add(message)

    def link_lost(
        self,
        at_work: Iterable[Message],
        unread: Container[Message],
        unsettled: Container[int],
    ) -> None:
        """Wait for copies of what was not settled."""
        for orphan in self._orphans.values():
            orphan.lose_copy()
        for message in self._unsettled.take(unsettled):
            name = message.message_id
            if name is None or message in unread or name in self._orphans:
                continue
            message.context = self._orphans[name] = Orphan(partial(self._settled, name))
        others = [each for each in at_work if not isinstance(each.context, Orphan)]
        self._others.link_lost(others, unread, unsettled)

    def interrupted(self, at_work: Iterable[Message]) -> None:
        """Wait for what is worked on: it can be settled still, and need not come again."""
        self._others.interrupted(at_work)

    def work_ended(self, message: Message) -> None:
        """Pass on what was not recognised."""
        self._others.work_ended(message)

    def give_up(self) -> list[Message]:
        """Return what was not recognised."""
        for orphan in self._orphans.values():
            orphan.give_up()
        self._orphans.clear()
        return self._others.give_up()

    def _receive_again(self, message: Message) -> None:
        name = message.message_id
        orphan = None if name is None else self._orphans.get(name)
        if orphan is None or name is None:
            self._others.receive(message)
            self._unsettled.add(message)
            return
        self._admit(message)
        if not orphan.is_unsettled(message.delivery_tag):
            del self._orphans[name]
        orphan.take(message)

    def _settled(self, name: str, settlement: Settlement) -> None:
        if settlement is not Settlement.DEFERRED:
            self._orphans.pop(name, None)
        elif len(self._orphans) > _MOST_KEPT:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        """Forget what was settled and has not come again: another consumer may have it."""
        for name, orphan in list(self._orphans.items()):
            if not orphan.is_unsettled(0):
                del self._orphans[name]
                return
