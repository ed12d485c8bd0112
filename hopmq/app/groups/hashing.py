"""Which partition a key belongs to, where publishers decide: for programs in any language."""

from zlib import crc32


def partition_of(key: str | bytes, partitions: int) -> int:
    """Return the partition of a key: the CRC-32 of its UTF-8, modulo the number of partitions.

    It is the CRC-32 of zlib, gzip and PNG, taken as an unsigned number: of `"123456789"` it is
    0xCBF43926.
    """
    octets = key.encode() if isinstance(key, str) else key
    return crc32(octets) % partitions
