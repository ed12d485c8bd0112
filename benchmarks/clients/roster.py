"""The clients that can be measured: HopMQ in its ways, and the peers."""

import sys

from description import ADAPTERS, BOTH_LOOPS, Client
from peers import peers

SCENARIOS = (
    "publish",
    "confirm-each",
    "confirm-window",
    "consume",
    "consume-ack",
    "rpc-each",
    "rpc-many",
)

HOPMQ_VARIANTS = {
    "publish": ("many",),
    "confirm-window": ("handles", "many"),
    "consume": ("callback", "iterate"),
    "consume-ack": ("callback", "iterate"),
}


def hopmq(name: str, variable: str) -> Client:
    """Describe HopMQ with the environment variable that chooses its codec."""
    return Client(
        name,
        (sys.executable, str(ADAPTERS / "hopmq_client.py")),
        BOTH_LOOPS,
        variants=HOPMQ_VARIANTS,
        environment={variable: "1"},
        pythons=True,
    )


def roster() -> list[Client]:
    """List all clients, present or not."""
    return [
        hopmq("hopmq", "HOPMQ_REQUIRE_EXTENSIONS"),
        hopmq("hopmq-pure", "HOPMQ_NO_EXTENSIONS"),
        *(peer.client for peer in peers()),
    ]
