"""Groups: consumers that share messages, in order by key where that is wanted."""

from hopmq.app.groups.group import Group
from hopmq.app.groups.member import PartitionMember

__all__ = ["Group", "PartitionMember"]
