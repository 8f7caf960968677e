"""The search for near-duplicates: stored features into one file on disk, and that through the engine tile by tile."""

import logging
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import numpy as np
from django.core.files.storage import default_storage
from django.db import InterfaceError, OperationalError
from numpy.typing import NDArray

from evalhub.studies.models import Sample
from metrics import services
from metrics.engine.blocks import Block
from metrics.engine.columns import COLUMNS
from metrics.engine.errors import EngineError, Stopped
from metrics.engine.near_pairs import THRESHOLDS, NearPairs, Rows, near_pairs, unit
from metrics.engine.protocol import Protocol
from metrics.models import DuplicateSearch, FeatureRow, NearDuplicate, Run, RunState

log = logging.getLogger(__name__)

MOST_PAIRS = 1000  # of each kind are kept
PULSE = 1.0  # seconds between two words on how far it is


@dataclass(frozen=True)
class Features:
    """What one column's features are made of: where each file's row lies."""

    column: str
    fingerprint: str
    places: dict[str, tuple[str, int]]


def search(found: DuplicateSearch) -> None:
    """Do a claimed search; whatever is in the way is kept as its error."""
    begun = time.monotonic()
    try:
        facts, pairs = _searched(found)
    except Stopped as reason:
        log.info("%s: %s", found, reason)
    except EngineError as error:
        services.fail_search(search=found, error=str(error))
    except (InterfaceError, OperationalError):
        raise  # the database is away; the sweep has it done again
    except Exception as error:
        log.exception("%s failed.", found)
        told = f"The search met an unexpected {type(error).__name__}; the worker's log has more."
        services.fail_search(search=found, error=told)
    else:
        services.keep_duplicates(search=found, facts=facts | {"seconds": time.monotonic() - begun}, pairs=pairs)


def _searched(found: DuplicateSearch) -> tuple[dict[str, Any], list[NearDuplicate]]:
    study = found.submission.checkpoint.study_id
    outputs = _outputs(found)
    real = dict(services.reference_media(found.submission).order_by("pk").values_list("sha256", "pk"))
    features = _best_features(found, study, list(outputs))
    if features is None:
        raise EngineError(services.NOTHING_TO_SEARCH)
    here = [sha256 for sha256 in outputs if sha256 in features.places]
    known = _places(study, features.fingerprint, list(real))
    there = [sha256 for sha256 in real if sha256 in known]
    threshold = THRESHOLDS[features.column]
    tell = _Teller(found)
    with tempfile.TemporaryFile() as first, tempfile.TemporaryFile() as second:
        rows = _gathered(first, here, features.places, features.column)
        within = near_pairs(rows, threshold=threshold, most=MOST_PAIRS, on_progress=tell.half(0))
        nothing = np.zeros(0, dtype=np.int64)
        beside = NearPairs(nothing, nothing, np.zeros(0, dtype=np.float32), 0, np.zeros(len(here), dtype=np.bool_))
        if there:
            others = _gathered(second, there, known, features.column)
            own = _own(found, here, {real[sha256]: place for place, sha256 in enumerate(there)})
            beside = near_pairs(rows, others, threshold=threshold, most=MOST_PAIRS, own=own, on_progress=tell.half(1))
    facts = {
        "column": features.column,
        "fingerprint": features.fingerprint,
        "threshold": threshold,
        "outputs": len(here),
        "without": len(outputs) - len(here),
        "references": len(there),
        "pairs_within": within.total,
        "near_within": int(within.near.sum()),
        "pairs_references": beside.total,
        "near_references": int(beside.near.sum()),
    }
    pair = partial(NearDuplicate, search=found)
    return facts, [
        *(pair(sample_id=outputs[here[a]], other_id=outputs[here[b]], similarity=s) for a, b, s in _each(within)),
        *(pair(sample_id=outputs[here[a]], reference_id=real[there[b]], similarity=s) for a, b, s in _each(beside)),
    ]


def _each(pairs: NearPairs) -> Iterable[tuple[int, int, float]]:
    return zip(pairs.first.tolist(), pairs.second.tolist(), pairs.similarity.tolist(), strict=True)


def _outputs(found: DuplicateSearch) -> dict[str, int]:
    """Each different file of the submission with its first sample, in the prompts' order."""
    samples = Sample.objects.filter(checkpoint=found.submission.checkpoint_id)
    outputs: dict[str, int] = {}
    ordered = samples.order_by("prompt__position", "prompt_id", "seed").values_list("media__sha256", "pk")
    for sha256, pk in ordered.iterator(5000):
        outputs.setdefault(sha256, pk)
    return outputs


def _best_features(found: DuplicateSearch, study: UUID, keys: Sequence[str]) -> Features | None:
    """Of the submission's newest runs: the first column of `THRESHOLDS` that any output has features of."""
    runs = Run.objects.filter(submission=found.submission, state=RunState.DONE).order_by("-created_at")
    protocols = [Protocol.from_dict(protocol) for protocol in runs.values_list("protocol", flat=True)[:20]]
    for column in THRESHOLDS:
        for fingerprint in dict.fromkeys(protocol.column_fingerprint(column) for protocol in protocols):
            if places := _places(study, fingerprint, keys):
                return Features(column, fingerprint, places)
    return None


def _places(study: UUID, fingerprint: str, keys: Sequence[str]) -> dict[str, tuple[str, int]]:
    places: dict[str, tuple[str, int]] = {}
    known = FeatureRow.objects.filter(study=study, fingerprint=fingerprint)
    for start in range(0, len(keys), 5000):
        some = known.filter(key__in=keys[start : start + 5000])
        places |= {key: (path, row) for key, path, row in some.values_list("key", "file__path", "row")}
    return places


def _gathered(file: Any, keys: Sequence[str], places: dict[str, tuple[str, int]], column: str) -> Rows:
    """The features of these files, of length 1, in a file that is mapped into memory; one block at a time is read."""
    wanted: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for place, key in enumerate(keys):
        path, row = places[key]
        wanted[path].append((place, row))
    rows: Any = None
    for path, some in wanted.items():
        with default_storage.open(path, "rb") as stored:
            block = Block.load(stored.read())
        made = _column_of(block, column, keys, some)
        at, taken = (np.array(numbers) for numbers in zip(*some, strict=True))
        features = unit(made[taken])
        if rows is None:
            rows = np.memmap(file, dtype=np.float32, mode="w+", shape=(len(keys), features.shape[1]))
        rows[at] = features
    return rows


def _column_of(block: Block, column: str, keys: Sequence[str], some: Sequence[tuple[int, int]]) -> NDArray[Any]:
    """The block's array that has these rows; columns of one maker (an output's, a reference's) share their rows."""
    place, row = some[0]
    for name, made in block.columns.items():
        if _is_made_alike(name, column) and row < len(made) and block.row_keys[name][row] == keys[place]:
            return made
    raise EngineError("The stored features are not where they were noted; score the submission again, then search.")


def _is_made_alike(name: str, column: str) -> bool:
    return name in COLUMNS and COLUMNS[name].maker == COLUMNS[column].maker


def _own(found: DuplicateSearch, here: Sequence[str], places: dict[int, int]) -> NDArray[np.int64]:
    """(n, k) which references each output's own prompts give, which it is asked to resemble; -1 for none."""
    samples = Sample.objects.filter(checkpoint=found.submission.checkpoint_id)
    given: dict[str, set[int]] = defaultdict(set)
    asked = samples.values_list("media__sha256", "prompt__reference", "prompt__source")
    for sha256, *media in asked.iterator(5000):
        given[sha256] |= {places[one] for one in media if one in places}
    widest = max((len(given[sha256]) for sha256 in here), default=0)
    own = np.full((len(here), max(1, widest)), -1, dtype=np.int64)
    for row, sha256 in enumerate(here):
        own[row, : len(given[sha256])] = sorted(given[sha256])
    return own


class _Teller:
    """Says now and then how far the search is, and stops it when it was taken away."""

    def __init__(self, found: DuplicateSearch) -> None:
        self.found, self.told = found, 0.0

    def half(self, number: int) -> Any:
        return lambda share: self(number / 2 + share / 2)

    def __call__(self, share: float) -> None:
        if time.monotonic() - self.told < PULSE:
            return
        self.told = time.monotonic()
        if not services.renew_search(search=self.found, share=share):
            raise Stopped("Another worker has this search.")
