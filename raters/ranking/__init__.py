"""Ranking from paired comparisons: Davidson and Bradley–Terry fits, their intervals, the choice of the next pair, when
to stop, whether to ship, and how far raters can be trusted.

Pure numpy and scipy: it works on plain columns and files, inside the site and without it. See docs/ranking.md.
"""

from raters.ranking.agreement import Agreement, krippendorff_alpha, preferences
from raters.ranking.bootstrap import Bootstrap, bootstrap
from raters.ranking.concordance import Coefficient, Concordance, VoteAccuracy, find_concordance, vote_accuracy
from raters.ranking.controls import Controls, Share, swapped
from raters.ranking.errors import MalformedVotes, RankingError, UnknownContestant, UnknownOption, UnknownOutcome
from raters.ranking.influence import GroupInfluence, Influence, find_influence
from raters.ranking.pairing import Draw, draw_pair, pair_probabilities
from raters.ranking.propensity import PropensityWeights, propensity_weights
from raters.ranking.ranking import METHOD, VERSION, rank
from raters.ranking.result import Difference, Effect, Ranking, Row
from raters.ranking.stopping import ConfidenceSequence, Separation, find_separations
from raters.ranking.trust import RaterTrust, Trust, find_trust
from raters.ranking.verdict import Verdict, ship_verdict
from raters.ranking.votes import OUTCOMES, Votes

__all__ = [
    "METHOD",
    "OUTCOMES",
    "VERSION",
    "Agreement",
    "Bootstrap",
    "Coefficient",
    "Concordance",
    "ConfidenceSequence",
    "Controls",
    "Difference",
    "Draw",
    "Effect",
    "GroupInfluence",
    "Influence",
    "MalformedVotes",
    "PropensityWeights",
    "Ranking",
    "RankingError",
    "RaterTrust",
    "Row",
    "Separation",
    "Share",
    "Trust",
    "UnknownContestant",
    "UnknownOption",
    "UnknownOutcome",
    "Verdict",
    "VoteAccuracy",
    "Votes",
    "bootstrap",
    "draw_pair",
    "find_concordance",
    "find_influence",
    "find_separations",
    "find_trust",
    "krippendorff_alpha",
    "pair_probabilities",
    "preferences",
    "propensity_weights",
    "rank",
    "ship_verdict",
    "swapped",
    "vote_accuracy",
]
