"""A ledger of publishes: what each one's outcome promises, held against what has arrived."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hopmq import Channel, PublishError, PublishNackedError, PublishNotSentError, Receipt
from hopmq.client.publishing import OnDisconnect

POLICIES: tuple[OnDisconnect, ...] = ("wait", "raise", "resend")


@dataclass(slots=True, eq=False)
class Promise:
    """One publish.

    Attributes:
        body: Its producer and serial number.
        policy: What its channel does while the connection recovers.
        outcome: How it has ended; None while it has not.
    """

    body: bytes
    policy: OnDisconnect
    outcome: Receipt | PublishError | asyncio.CancelledError | None = None

    def broken_by(self, arrivals: int) -> str | None:
        """Say what is wrong when it has arrived so many times."""
        match self.outcome:
            case None:
                return "has not ended"
            case Receipt(resent=resent):
                if arrivals == 0:
                    return "confirmed and lost"
                if arrivals > 1 and not resent:
                    return f"confirmed once and there {arrivals} times"
                if resent and self.policy != "resend":
                    return f"sent again, against the policy {self.policy!r}"
            case PublishNackedError() if self.policy == "resend":
                pass  # of its second sending, maybe, when the first had arrived
            case PublishNotSentError() | PublishNackedError():
                if arrivals:
                    return f"{type(self.outcome).__name__}, and there {arrivals} times"
            case _:
                if arrivals > 1 and self.policy != "resend":
                    return f"there {arrivals} times, against the policy {self.policy!r}"
        return None


class Promises:
    """What was published, by producer, and how it ended."""

    def __init__(self) -> None:
        self.promises: dict[str, list[Promise]] = {}

    def new(self, policy: OnDisconnect, producer: str = "p") -> Promise:
        """Return the producer's next publish."""
        mine = self.promises.setdefault(producer, [])
        promise = Promise(f"{producer} {len(mine)}".encode(), policy)
        mine.append(promise)
        return promise

    async def publish(
        self,
        channel: Channel,
        queue: str,
        policy: OnDisconnect = "wait",
        producer: str = "p",
        timeout: float | None = None,  # noqa: ASYNC109  # the publish's own
    ) -> Promise:
        """Publish the producer's next message, and take note of its outcome.

        Whatever else it raises than what a publish may end with fails the test.
        """
        promise = self.new(policy, producer)
        try:
            promise.outcome = await channel.publish(
                promise.body, routing_key=queue, mandatory=True, timeout=timeout
            )
        except PublishError as error:
            promise.outcome = error
        except asyncio.CancelledError as error:
            promise.outcome = error
            raise
        return promise

    def all(self) -> list[Promise]:
        """List every publish."""
        return [promise for mine in self.promises.values() for promise in mine]

    def outcomes(self) -> Counter[str]:
        """Count the publishes by the kind of their outcome."""
        return Counter(type(promise.outcome).__name__ for promise in self.all())

    def check(self, arrived: Sequence[bytes]) -> None:
        """Hold what was promised against all that is in the queue."""
        counts = Counter(arrived)
        broken = {
            promise.body.decode(): why
            for promise in self.all()
            if (why := promise.broken_by(counts.pop(promise.body, 0)))
        }
        assert not broken, broken
        assert not counts, "arrived, and nobody sent it"
        for producer in self.promises:
            serials = first_arrivals(arrived, producer)
            assert serials == sorted(serials), f"{producer}: out of order"


def first_arrivals(arrived: Iterable[bytes], producer: str) -> list[int]:
    """Return a producer's serial numbers in the order in which each arrived first."""
    stamps = (body.decode().split() for body in arrived)
    return list(dict.fromkeys(int(serial) for name, serial in stamps if name == producer))
