"""A whole study in one file, and a study taken away with all it owned."""

from evalhub.leaderboard.archive.deleting import delete_study
from evalhub.leaderboard.archive.packing import pack
from evalhub.leaderboard.archive.unpacking import unpack

__all__ = ["delete_study", "pack", "unpack"]
