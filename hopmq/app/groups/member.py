"""A member of a partitioned group: in line for every partition, at work on its share of them."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final, Literal
from uuid import uuid4

from hopmq.app.clock import Clock
from hopmq.app.groups.group import Group
from hopmq.app.groups.partition import Partition
from hopmq.app.groups.roster import Roster
from hopmq.app.messaging import Messaging
from hopmq.client.message import Message
from hopmq.entities import Exchange, Queue, name_of
from hopmq.errors import HopMQError

logger: logging.Logger = logging.getLogger("hopmq.app")

Saying = Literal["hello", "here", "bye"]

_SETTLING: Final = 0.2
"""Seconds that more news are waited for before something is done, and more hellos for one answer."""


class PartitionMember:
    """Handles the messages of a partitioned group, in order by key, together with other members.

    Each partition is a queue with a single active consumer, and every member is in line for all
    of them: when one dies, the broker gives its partitions to the next at once, beginning with
    what was not settled. Who is to have which partition, members work out alike from each other's
    announcements; one that is active where another should be steps back to the end of the line.
    """

    def __init__(
        self,
        messaging: Messaging,
        group: Group,
        exchange: Exchange | str,
        handle: Callable[[Message], Awaitable[None]],
        *,
        prefetch: int = 10,
        clock: Clock,
        member_id: str | None = None,
        heartbeat: float = 5.0,
    ) -> None:
        """Be no member yet; what `group.topology` says is declared by then.

        Args:
            messaging: By what it consumes, and tells others that it is there.
            group: What it is to be a member of.
            exchange: Where the group has its messages from.
            handle: Called with each message, and settles it; it does not raise.
            prefetch: Unsettled messages that it may have of each partition.
            clock: By which it announces itself.
            member_id: What it is called; something unique by default.
            heartbeat: Seconds between announcements. One that is silent for three of them and a
                half is not counted on any more.
        """
        self.member_id: str = member_id or uuid4().hex
        name = name_of(exchange)
        queues = group.partition_names(name)
        self._messaging = messaging
        self._exchange = group.members_name(name)
        self._clock = clock
        self._heartbeat = heartbeat
        self._roster = Roster(self.member_id, len(queues), heartbeat)
        self._partitions = [
            Partition(
                messaging,
                queue,
                handle,
                prefetch=prefetch,
                consumer_tag=self.member_id,
                owner=partial(self._owner, number),
            )
            for number, queue in enumerate(queues)
        ]
        self._ended: asyncio.Future[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._answers_at: float | None = None
        self._settled_at: float | None = None

    def __repr__(self) -> str:
        """Show what it is called, and what it has."""
        return f"<PartitionMember {self.member_id} at {self._exchange!r}: {sorted(self.assigned)}>"

    @property
    def members(self) -> frozenset[str]:
        """Those who are in the group, as far as this one has heard."""
        return self._roster.members

    @property
    def assigned(self) -> frozenset[int]:
        """The partitions that it is to have."""
        return self._roster.assigned

    @property
    def active(self) -> frozenset[int]:
        """The partitions whose messages have come to it since it got in line for them."""
        return frozenset(n for n, each in enumerate(self._partitions) if each.is_active)

    @property
    def collected(self) -> int:
        """None: messages of a partition do not wait for others."""
        return 0

    @property
    def is_interrupted(self) -> bool:
        """Whether it waits to be restored, with a connection or a queue."""
        return any(each.is_interrupted for each in self._partitions)

    # --- beginning and ending ------------------------------------------------------------------

    async def start(self) -> None:
        """Get in line for every partition, and tell the others.

        Raises:
            HopMQError: The broker refused.
        """
        self._ended = asyncio.get_running_loop().create_future()
        try:
            await self._begin("listening", self._listen)
            await asyncio.gather(
                *(
                    self._begin(f"partition {number}", each.keep)
                    for number, each in enumerate(self._partitions)
                )
            )
        except BaseException:
            self._end()
            await self._cancel_tasks()
            raise
        self._run("members", self._look_after())

    async def stop(self) -> None:
        """Finish what is being worked on and leave; the others take over at once. Idempotent."""
        if self._ended is None:
            return
        self._end()
        try:
            outcomes = await asyncio.gather(
                self._say("bye"),
                *(each.stop() for each in self._partitions),
                return_exceptions=True,
            )
        finally:
            await self._cancel_tasks()
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    def cut_off(self) -> None:
        """Cancel what is being worked on, which `stop` waits for."""
        for each in self._partitions:
            each.cut_off()

    async def wait_stopped(self) -> None:
        """Wait until it handles no more messages; raise why, unless `stop` was called."""
        if self._ended is not None:
            await asyncio.shield(self._ended)

    # --- tasks -------------------------------------------------------------------------------

    async def _begin(
        self, what: str, run: Callable[[Callable[[], object]], Coroutine[Any, Any, None]]
    ) -> None:
        """Have something run in the background, and return when it says that it does."""
        running: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def is_running() -> None:
            if not running.done():
                running.set_result(None)

        task = self._run(what, run(is_running))
        await asyncio.wait({task, running}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            task.result()

    def _run(self, what: str, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        name = f"hopmq group {self._exchange} member {self.member_id} {what}"
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """End with whatever has ended by itself."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._end(error)

    def _end(self, error: BaseException | None = None) -> None:
        assert self._ended is not None
        if self._ended.done():
            return
        if error is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error)
            self._ended.exception()  # seen: whoever waits for the end gets it, if anybody does

    async def _cancel_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # --- who is there --------------------------------------------------------------------------

    async def _listen(self, is_listening: Callable[[], object]) -> None:
        """Hear what members say, on a queue that goes with its consumer."""
        queue = Queue("", durable=False, exclusive=True, auto_delete=True)
        info = await self._messaging.declare_queue(queue)
        await self._messaging.bind(info.name, self._exchange)
        consumer = await self._messaging.consume(
            info.name, self._hear, no_ack=True, consumer_tag=self.member_id
        )
        try:
            is_listening()
            await consumer.wait_closed()
        finally:
            await consumer.cancel()

    async def _say(self, saying: Saying) -> None:
        """Tell all members; one that cannot is silent, which they will notice."""
        body = json.dumps({"member": self.member_id, "says": saying}).encode()
        try:
            await self._messaging.publish(
                body,
                exchange=self._exchange,
                persistent=False,
                content_type="application/json",
                timeout=self._heartbeat,
            )
        except HopMQError as error:
            logger.info("%r could not say %r: %s", self, saying, error)

    def _hear(self, message: Message) -> None:
        try:
            said = json.loads(message.body)
            member, saying = str(said["member"]), said["says"]
        except (ValueError, TypeError, KeyError):
            logger.warning("%r was told what it does not understand: %r", self, message.body)
            return
        if member == self.member_id:
            return
        if saying == "bye":
            is_news = self._roster.left(member)
        else:
            is_news = self._roster.heard(member, self._clock.time())
        if is_news:
            self._settled_at = self._clock.time() + _SETTLING
        if saying == "hello" and self._answers_at is None:
            self._answers_at = self._clock.time() + _SETTLING
        if is_news or saying == "hello":
            self._woken.set()

    async def _look_after(self) -> None:
        """Say that it is there, notice who is not, and step back for others."""
        await self._say("hello")
        beat_at = self._clock.time() + self._heartbeat
        while True:
            await self._wait_until(
                min(beat_at, self._settled_at or beat_at, self._answers_at or beat_at)
            )
            now = self._clock.time()
            is_beat = now >= beat_at
            if is_beat or (self._answers_at is not None and now >= self._answers_at):
                self._answers_at = None
                await self._say("here")
                beat_at = now + self._heartbeat
            has_settled = self._settled_at is not None and now >= self._settled_at
            if self._roster.expire(now) or has_settled or is_beat:
                self._settled_at = None if has_settled else self._settled_at
                self._make_way(now)

    async def _wait_until(self, when: float) -> None:
        """Wait by the clock, or until there is news."""
        timer = self._clock.call_at(when, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            timer.cancel()
        self._woken.clear()

    def _make_way(self, now: float) -> None:
        """Step back where another one should be in front.

        That is wherever it got in line before whoever owns the partition now did, for all it knows;
        and where it is active although the owner is there.
        """
        for number, partition in enumerate(self._partitions):
            owner = self._owner(number)
            if owner == self.member_id:
                continue
            is_in_the_way = partition.is_active and self._roster.is_there(owner, now)
            if partition.behind != owner or is_in_the_way:
                self._run(f"steps back from {partition.queue}", partition.step_back())

    def _owner(self, number: int) -> str:
        return self._roster.owners[number]
