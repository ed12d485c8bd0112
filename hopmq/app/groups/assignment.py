"""Who has which partition: the same answer for all that know the same members."""

from collections.abc import Collection
from hashlib import blake2b


def assign(members: Collection[str], partitions: int) -> tuple[str, ...]:
    """Return the owner of each partition.

    Members have equally many, but for one more or less. Each partition prefers members in an order
    of its own (rendezvous hashing), so that few move when a member joins or leaves.
    """
    share, more = divmod(partitions, len(members))
    loads = dict.fromkeys(members, 0)
    owners = []
    for partition in range(partitions):
        for member in sorted(members, key=lambda each: _rank(each, partition)):
            load = loads[member]
            if load < share or (load == share and more > 0):
                more -= load == share
                loads[member] += 1
                owners.append(member)
                break
    return tuple(owners)


def _rank(member: str, partition: int) -> tuple[bytes, str]:
    """Return how far down a partition's list a member stands; alike in every process."""
    return blake2b(f"{partition} {member}".encode(), digest_size=8).digest(), member
