"""How machines score: runs over submissions, their shards, the features they keep and the scores they end in."""

from metrics.models.duplicates import DuplicateSearch, NearDuplicate, SearchState
from metrics.models.features import CachedFile, FeatureRow, FileState
from metrics.models.references import Reference, ReferenceImage, ReferenceStatistics
from metrics.models.runs import Progress, Run, RunQuerySet, RunState, Shard, ShardState
from metrics.models.scores import SampleScore, Score, ScoreState
from metrics.models.weights import Weights

__all__ = [
    "CachedFile",
    "DuplicateSearch",
    "FeatureRow",
    "FileState",
    "NearDuplicate",
    "Progress",
    "Reference",
    "ReferenceImage",
    "ReferenceStatistics",
    "Run",
    "RunQuerySet",
    "RunState",
    "SampleScore",
    "Score",
    "ScoreState",
    "SearchState",
    "Shard",
    "ShardState",
    "Weights",
]
