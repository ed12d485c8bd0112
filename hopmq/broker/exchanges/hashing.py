"""What the hashing exchanges share: a number for a message that is the same in every run."""

from hashlib import blake2b
from typing import Final

BITS: Final = 64
_MASK: Final = (1 << BITS) - 1


def hash_of(data: bytes) -> int:
    """Return 64 bits that depend on every byte."""
    return int.from_bytes(blake2b(data, digest_size=BITS // 8).digest(), "big")


def mixed(one: int, other: int) -> int:
    """Return 64 bits that depend on every bit of both numbers (the finalizer of splitmix64)."""
    mix = (one ^ other) & _MASK
    mix = ((mix ^ mix >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    mix = ((mix ^ mix >> 27) * 0x94D049BB133111EB) & _MASK
    return mix ^ mix >> 31
