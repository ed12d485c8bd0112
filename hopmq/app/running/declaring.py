"""What is declared when an application starts, whether it is to consume or not."""

from collections.abc import Sequence

from hopmq.app.declarations import ConsumerDeclaration
from hopmq.app.messaging import Messaging
from hopmq.app.retry import Failures
from hopmq.app.running.settings import RunSettings
from hopmq.app.topology import Topology, is_private
from hopmq.app.wanted import wanted_topology


class Declaring:
    """Declares what consumers, endpoints and publishers of one run need."""

    def __init__(self, settings: RunSettings) -> None:
        """Look at all of it.

        Raises:
            DeclarationError: Two declarations do not go together.
        """
        self._settings = settings
        self._topology = wanted_topology(
            settings.consumers, settings.endpoints, settings.destinations
        )

    async def for_consumers(self, messaging: Messaging) -> list[Failures]:
        """Declare everything; return what looks after the failures of each consumer, in order.

        Raises:
            HopMQError: The broker refused.
        """
        return await self._declare(messaging, self._settings.consumers, self._topology)

    async def for_others(self, messaging: Messaging) -> None:
        """Declare what is there without consumers, exactly as those declare it.

        Raises:
            HopMQError: The broker refused.
        """
        if self._settings.declares:
            consumers = [
                each for each in self._settings.consumers if not is_private(each.place.queue)
            ]
            await self._declare(messaging, consumers, self._topology.of_all())

    async def _declare(
        self, messaging: Messaging, consumers: Sequence[ConsumerDeclaration], topology: Topology
    ) -> list[Failures]:
        prepared = []
        for each in consumers:
            failures = self._failures(messaging, each)
            await failures.prepare()
            if not each.stays_in_place:  # its queue is there now, such that it delays if it can
                topology = topology.without_queue(each.place.queue.name)
            prepared.append(failures)
        if self._settings.declares:
            await topology.declare(messaging)
        return prepared

    def _failures(self, messaging: Messaging, declared: ConsumerDeclaration) -> Failures:
        return Failures(
            messaging,
            declared.place.queue,
            declared.retry,
            self._settings.clock,
            declares=self._settings.declares,
            in_place=declared.stays_in_place,
        )
