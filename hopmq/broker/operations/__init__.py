"""What each method of a channel does, by the method's class."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from pamqp.base import Frame

from hopmq.broker.operations import consuming, exchanges, queues, transactions

OPERATIONS: Final[Mapping[type[Frame], Callable[..., Any]]] = {
    **exchanges.OPERATIONS,
    **queues.OPERATIONS,
    **consuming.OPERATIONS,
    **transactions.OPERATIONS,
}
"""A function of the channel and the method; a refusal that it raises closes the channel."""
