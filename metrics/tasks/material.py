"""What the engine asks of a site: samples as subjects, weights, the device, and the cache of features."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import BinaryIO, cast
from uuid import UUID

import torch
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from evalhub.studies.models import Media, Sample
from metrics import services
from metrics.engine.blocks import Block, Row
from metrics.engine.catalogue import get_weights_spec
from metrics.engine.errors import EngineError, MissingWeights
from metrics.engine.protocol import Protocol
from metrics.engine.registry import get_metric
from metrics.engine.subjects import Picture, Subject
from metrics.engine.weights import Weights
from metrics.models import FeatureRow

log = logging.getLogger(__name__)

# After a registry did not answer, seconds until it is asked again.
PULL_PAUSE = 300.0
_unanswered: dict[str, tuple[float, str]] = {}


def sentence_of(error: Exception) -> str:
    """What a member reads of an error that nobody foresaw; paths of this machine stay in the log."""
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
        return f"Storage did not give or take a file ({reason}); its worker's log names it."
    return f"Its worker met an unexpected {type(error).__name__} ({error}); the worker's log has more."


def device() -> str:
    """The device that TORCH_DEVICE names; by default a GPU where there is one."""
    if settings.TORCH_DEVICE != "auto":
        return str(settings.TORCH_DEVICE)
    return "cuda" if torch.cuda.is_available() else "cpu"


def subjects_of(sample_ids: Sequence[int]) -> list[Subject]:
    """The samples in the order given, each opened from storage: originals, never presentation copies."""
    beside = ("prompt__reference", "prompt__source", "prompt__mask")
    samples = Sample.objects.select_related("media", *beside).in_bulk(sample_ids)
    return [_subject(samples[pk]) for pk in sample_ids]


def _subject(sample: Sample) -> Subject:
    prompt = sample.prompt
    return Subject(
        key=sample.media.sha256,
        open=_opener(sample.media),
        caption=prompt.text or None,
        reference=_picture(prompt.reference),
        source=_picture(prompt.source),
        mask=_picture(prompt.mask),
        source_caption=prompt.source_text or None,
        name=f"The output for prompt “{prompt.key}” (seed {sample.seed})",
    )


def _picture(media: Media | None) -> Picture | None:
    return Picture(media.sha256, _opener(media)) if media else None


def subject_of_media(media: Media) -> Subject:
    """A reference image."""
    return Subject(key=media.sha256, open=_opener(media), name=f"The reference image {media}")


def _opener(media: Media) -> Callable[[], BinaryIO]:
    return cast(Callable[[], BinaryIO], partial(default_storage.open, media.path, "rb"))


def obstacle_of(metric: str, protocol: Protocol, on_stage: Callable[[str], None]) -> str:
    """Gets the weights of a metric here; empty when they are, else a sentence that says how an operator gets them.

    Args: on_stage: told of a download's progress.
    """
    weights = Weights(settings.WEIGHTS_FOLDER)
    for name in get_metric(metric).weights:
        try:
            pulled = _pull_if_missing(weights, name, on_stage)
            state = weights.state(name)
            weights.require(name)
        except EngineError as error:
            return str(error)
        services.note_weights(name=name, sha256=state.tensors_sha256, model=state.clip_model, anew=pulled)
        if state.tensors_sha256 != protocol.weights.get(name):
            return f"The weights “{name}” on this worker are not those that the run pinned; a new run takes these."
    return ""


def _pull_if_missing(weights: Weights, name: str, on_stage: Callable[[str], None]) -> bool:
    spec = get_weights_spec(name)
    if spec.any_checkpoint or weights.state(name).present:
        return False
    since, sentence = _unanswered.get(name, (0.0, ""))
    if sentence and time.monotonic() - since < PULL_PAUSE:
        raise MissingWeights(name, sentence)

    def on_bytes(done: int, total: int | None) -> None:
        share = f" {100 * done // total} %" if total else f" {done / 2**20:.0f} MiB"
        on_stage(f"fetching weights {name}{share}")

    on_stage(f"fetching weights {name}")
    try:
        weights.pull(name, on_bytes=on_bytes)
    except MissingWeights as missing:
        _unanswered[name] = (time.monotonic(), str(missing))
        raise
    finally:
        on_stage("")
    return True


class Cache:
    """The study's rows that are known already, and which rows of a new block are worth remembering."""

    def __init__(self, study_id: UUID) -> None:
        self._study_id = study_id
        self._found: set[tuple[str, str]] = set()

    def lookup(self, fingerprint: str, keys: Sequence[str]) -> Mapping[str, Row]:
        """The engine's `Lookup`: reads each block that holds some of the rows once."""
        wanted: dict[tuple[int, str], list[tuple[str, int]]] = defaultdict(list)
        known = FeatureRow.objects.filter(study=self._study_id, fingerprint=fingerprint, key__in=keys)
        for file, path, key, row in known.values_list("file", "file__path", "key", "row"):
            wanted[file, path].append((key, row))
        services.note_use(files=[file for file, _ in wanted])
        rows: dict[str, Row] = {}
        for (_, path), places in wanted.items():
            rows.update(_rows_from(path, fingerprint, places))
        self._found.update((fingerprint, key) for key in rows)
        return rows

    def new_rows(self, block: Block) -> list[services.CachedRow]:
        """The rows that were computed and not found, each once: columns of one fingerprint may hold the same row."""
        rows = {
            (fingerprint, key): row
            for column, fingerprint in block.fingerprints.items()
            for row, key in enumerate(block.row_keys[column])
            if (fingerprint, key) not in self._found
        }
        return [services.CachedRow(fingerprint=made, key=key, row=row) for (made, key), row in rows.items()]


def _rows_from(path: str, fingerprint: str, places: Iterable[tuple[str, int]]) -> dict[str, Row]:
    try:
        block = load_block(path)
    except (OSError, EngineError) as error:
        # The cache only saves time: what cannot be read is computed again.
        log.warning("The cached features in %s cannot be read: %s", path, error)
        return {}
    columns = [name for name, made in block.fingerprints.items() if made == fingerprint]
    return {
        key: block.columns[name][row] for key, row in places for name in columns if block.row_keys[name][row] == key
    }


def load_block(path: str) -> Block:
    with default_storage.open(path, "rb") as file:
        return Block.load(file.read())


def keep(study_id: UUID, path: str, data: bytes) -> str:
    """Store a file of the cache, which is never changed; where it lies."""
    services.begin_file(study_id=study_id, path=path)
    # Without a kept row, what lies there was left by a database that is no more.
    if default_storage.exists(path):
        default_storage.delete(path)
    return default_storage.save(path, ContentFile(data))
