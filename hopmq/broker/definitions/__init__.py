"""What a broker holds beside messages, in the format of RabbitMQ's exports (definitions)."""

from hopmq.broker.definitions.entries import DefinitionsError
from hopmq.broker.definitions.exporting import export_definitions
from hopmq.broker.definitions.loading import load_definitions
from hopmq.broker.definitions.reading import Definitions, read_definitions

__all__ = [
    "Definitions",
    "DefinitionsError",
    "export_definitions",
    "load_definitions",
    "read_definitions",
]
