"""A whole study in one file, and a study taken away with all it owned."""

from evalhub.leaderboard.archive.deleting import Owned, delete_study, owned_by, require_name
from evalhub.leaderboard.archive.packing import pack
from evalhub.leaderboard.archive.unpacking import unpack

__all__ = ["Owned", "delete_study", "owned_by", "pack", "require_name", "unpack"]
