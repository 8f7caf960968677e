"""What can be wrong with votes or with a request to rank them. Degenerate votes are no error: they are ranked as far as
they carry, with warnings."""


class RankingError(ValueError):
    """Anything wrong that the caller can put right; the message is one full sentence for a reader."""


class UnknownOutcome(RankingError):
    """A vote's outcome is none of left, right, tie, both_bad. It is never taken for a tie."""


class MalformedVotes(RankingError):
    """Columns of different lengths, a blank field, or a contestant compared with itself."""


class UnknownContestant(RankingError):
    """A vote or an anchor names a contestant that is not in the list of names."""


class UnknownOption(RankingError):
    """A model, cluster, correction, scale or number that this package does not offer."""
