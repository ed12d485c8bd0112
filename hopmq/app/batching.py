"""Messages handed over several at a time."""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from hopmq.app.clock import Clock, Timer
from hopmq.app.crew import Crew, give_back, log_and_give_back
from hopmq.app.errors import DeclarationError
from hopmq.client.message import Message
from hopmq.errors import HopMQError
from hopmq.values import Value


@dataclass(slots=True, frozen=True, eq=False, repr=False)
class Batch(Value):
    """How many messages a handler gets at once: `Batch(100, 0.5)`.

    Attributes:
        size: Messages of a batch, at most.
        seconds: How long the first of them waits for others, at most, while a handler is free.

    Raises:
        DeclarationError: A value that cannot be meant.
    """

    size: int
    seconds: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        size: object = self.size
        if not isinstance(size, int) or size < 1:
            raise DeclarationError(f"a batch has at least one message, not {self.size!r}")
        if not self.seconds >= 0:
            raise DeclarationError(f"a batch waits for 0 seconds or more, not {self.seconds!r}")

    def check_prefetch(self, prefetch: int, concurrency: int = 1) -> None:
        """Refuse a prefetch with which `concurrency` batches would never be full at once.

        Raises:
            DeclarationError: It is too small; 0, which is no bound, never is.
        """
        needed = self.size * concurrency
        if 0 < prefetch < needed:
            raise DeclarationError(
                f"a prefetch of {prefetch} never fills {concurrency} batches of {self.size}: "
                f"it has to be {needed} at least"
            )


class BatchFailures(HopMQError):  # noqa: N818  # one error in the name of several
    """Raised by a handler of batches: some messages failed, and the others are done.

    Attributes:
        failures: What went wrong, by the message's index in the batch.
    """

    def __init__(self, failures: Mapping[int, BaseException]) -> None:
        """Single out what failed: `raise BatchFailures({3: error})`."""
        super().__init__(
            "failed in a batch: "
            + ", ".join(f"{index} ({error!r})" for index, error in failures.items())
        )
        self.failures: Mapping[int, BaseException] = dict(failures)


def failures_of(error: BaseException, count: int) -> Mapping[int, BaseException]:
    """Return what failed of a batch of `count`, by index: all, unless `error` singles some out."""
    if isinstance(error, BatchFailures) and error.failures.keys() <= set(range(count)):
        return error.failures
    return dict.fromkeys(range(count), error)  # of an index that there is not: whichever it was


class Batches:
    """A plain handler for `consume`: gives messages to work in batches, in order of arrival.

    A batch is handed over when it is full, or when its first message has waited for long enough,
    as soon as one of `concurrency` workers is free. Messages whose link is lost meanwhile are left
    out: the broker delivers them again.
    """

    def __init__(
        self,
        work: Callable[[list[Message]], Awaitable[None]],
        batch: Batch,
        clock: Clock,
        concurrency: int = 1,
        *,
        name: str = "hopmq batch",
    ) -> None:
        """Have `work` done on each batch.

        Args:
            work: Called with one message or more, and settles them. It should not raise: what it
                has not settled then goes back to the queue.
            batch: How many, and how long they wait.
            clock: By which they wait.
            concurrency: How many batches are worked on at once.
            name: What the tasks are called.
        """
        if concurrency < 1:
            raise DeclarationError("concurrency is at least 1")
        self._work = work
        self._batch = batch
        self._clock = clock
        self._collected: deque[tuple[float, Message]] = deque()
        self._timer: Timer | None = None
        self._is_ending = False
        self._crew: Crew[list[Message]] = Crew(
            self._take, self._work, log_and_give_back, concurrency, name
        )

    def __len__(self) -> int:
        """Return how many messages wait to be handed over."""
        return len(self._collected)

    def __call__(self, message: Message) -> None:
        """Take a message that has arrived."""
        if self._is_ending:
            give_back((message,))
            return
        self._collected.append((self._clock.time() + self._batch.seconds, message))
        if len(self._collected) >= self._batch.size:
            self._crew.wake()
        elif self._timer is None:
            self._set_timer()

    async def join(self) -> None:
        """Finish what is being worked on, and return the rest to the queue. Idempotent."""
        self._end()
        await self._crew.join()

    def cancel(self) -> None:
        """Cut off what is being worked on, and return the rest to the queue."""
        self._end()
        self._crew.cancel()

    # --- inside ------------------------------------------------------------------------------

    def _end(self) -> None:
        self._is_ending = True
        self._stop_timer()
        give_back(message for _, message in self._collected)
        self._collected.clear()

    def _take(self) -> list[Message] | None:
        """Take a batch that is full or due; see to it that one which is not will be."""
        collected = self._collected
        while collected and collected[0][1].settled:  # what a lost link leaves is the oldest
            collected.popleft()
        batch: list[Message] | None = None
        if collected and (len(collected) >= self._batch.size or self._is_due()):
            count = min(len(collected), self._batch.size)
            batch = [collected.popleft()[1] for _ in range(count)]
        self._set_timer()
        return batch

    def _is_due(self) -> bool:
        return self._collected[0][0] <= self._clock.time()

    def _set_timer(self) -> None:
        """Have a worker look when the first message will have waited for long enough."""
        self._stop_timer()
        if self._collected:
            self._timer = self._clock.call_at(self._collected[0][0], self._look)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        self._crew.wake()
