"""What the other snippets publish and ask for."""

from dataclasses import dataclass


@dataclass
class Order:
    item: str


@dataclass
class Quote:
    cents: int
