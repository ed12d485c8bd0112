"""What the management API has, by path."""

from typing import Final

from hopmq.broker.management.call import Resource
from hopmq.broker.management.resources import (
    bindings,
    clients,
    definitions,
    exchanges,
    overview,
    policies,
    queues,
    users,
    vhosts,
)

RESOURCES: Final[tuple[Resource, ...]] = (
    *overview.RESOURCES,
    *clients.RESOURCES,
    *exchanges.RESOURCES,
    *queues.RESOURCES,
    *bindings.RESOURCES,
    *vhosts.RESOURCES,
    *users.RESOURCES,
    *policies.RESOURCES,
    *definitions.RESOURCES,
)
