"""The pass: one decode feeds every extractor, shards change no bit, what is known is not computed again."""

import json
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from metrics.engine.blocks import Block, rows_of
from metrics.engine.errors import BadInput, Mismatch, MissingWeights, Stopped, UnreadableImage, WrongWeights
from metrics.engine.onepass import compute_block, compute_reference
from metrics.engine.protocol import Protocol, named
from metrics.engine.references import Reference, reference_from_blocks
from metrics.engine.scores import ScoreResult, merge_scores
from metrics.engine.subjects import Picture, Subject
from metrics.engine.weights import Weights
from tests.engine.conftest import Pixels, encoded, subject

METRICS = ["fid", "kid", "lpips"]


@pytest.fixture(scope="module")
def whole(subjects: Sequence[Subject], weights: Weights) -> Block:
    """Every row of the 64 subjects, from one pass."""
    return compute_block(subjects, metrics=METRICS, protocol=named(), weights=weights)


@pytest.fixture(scope="module")
def reference(subjects: Sequence[Subject], weights: Weights) -> Reference:
    real = [Subject(each.reference.key, each.reference.open) for each in subjects[:16] if each.reference]
    return compute_reference(real, protocol=named(), weights=weights)


def figures(results: Sequence[ScoreResult]) -> list[tuple[object, ...]]:
    """All that a score is made of but how long it took."""
    return [
        (each.metric, each.value, each.low, each.high, each.n, each.fingerprint, each.warnings)
        + (() if each.per_sample is None else tuple(each.per_sample))
        for each in results
    ]


def counting(subjects: Sequence[Subject], opened: Counter[str]) -> list[Subject]:
    """The same subjects, counting how often each file is opened."""

    def watched(picture: Picture) -> Picture:
        def open_it() -> BinaryIO:
            opened[picture.key] += 1
            return picture.open()

        return Picture(picture.key, open_it)

    return [
        replace(
            each,
            open=watched(Picture(each.key, each.open)).open,
            reference=watched(each.reference) if each.reference else None,
        )
        for each in subjects
    ]


def test_shards_finished_in_any_order_give_the_same_score_bit_for_bit(
    subjects: Sequence[Subject], whole: Block, reference: Reference, weights: Weights, tmp_path: Path
) -> None:
    expected = figures(merge_scores([whole], metrics=METRICS, protocol=named(), reference=reference))
    edges = [0, 1, 8, 9, 14, 27, 50, 64]
    order = np.random.default_rng(3).permutation(7)
    for shard in order:
        block = compute_block(
            subjects[edges[shard] : edges[shard + 1]], metrics=METRICS, protocol=named(), weights=weights
        )
        block.save(tmp_path / f"{shard}")

    blocks = (Block.load(tmp_path / f"{shard}") for shard in range(7))
    assert figures(merge_scores(blocks, metrics=METRICS, protocol=named(), reference=reference)) == expected

    rows = {column: np.split(whole.columns[column], 64) for column in whole.columns}
    singles = [
        replace(whole, keys=(whole.keys[index],), columns={column: each[index] for column, each in rows.items()})
        for index in range(64)
    ]
    assert figures(merge_scores(singles, metrics=METRICS, protocol=named(), reference=reference)) == expected


def test_a_batch_size_moves_a_feature_by_no_more_than_its_tolerance(
    subjects: Sequence[Subject], whole: Block, weights: Weights
) -> None:
    other = compute_block(subjects[:6], metrics=METRICS, protocol=named(), weights=weights, batch_size=3)
    assert other.efficiency.batch_size == {"inception": 3, "lpips_alex": 1}
    for column, rows in other.columns.items():
        np.testing.assert_allclose(rows, whole.columns[column][:6], rtol=1e-4, atol=1e-5)


def test_each_file_is_decoded_once_for_all_metrics(subjects: Sequence[Subject], weights: Weights) -> None:
    opened: Counter[str] = Counter()
    block = compute_block(counting(subjects[:5], opened), metrics=METRICS, protocol=named(), weights=weights)
    assert set(opened.values()) == {1}
    assert block.efficiency.decoded == len(opened) == 10


def test_rows_that_are_known_open_no_file_and_change_nothing(
    subjects: Sequence[Subject], whole: Block, weights: Weights
) -> None:
    opened: Counter[str] = Counter()
    again = compute_block(
        counting(subjects, opened), metrics=METRICS, protocol=named(), weights=weights, cached=rows_of([whole])
    )
    assert not opened
    assert all(np.array_equal(again.columns[column], whole.columns[column]) for column in whole.columns)


def test_only_unknown_rows_are_computed(subjects: Sequence[Subject], whole: Block, weights: Weights) -> None:
    known = replace(whole, columns={"inception": whole.columns["inception"]})
    opened: Counter[str] = Counter()
    compute_block(
        counting(subjects[:3], opened),
        metrics=["fid", "lpips"],
        protocol=named(),
        weights=weights,
        cached=rows_of([known]),
    )
    assert len(opened) == 6, "LPIPS still needs both pictures of each pair"

    opened.clear()
    compute_block(
        counting(subjects[:3], opened), metrics=["fid"], protocol=named("tf1"), weights=weights, cached=rows_of([known])
    )
    assert len(opened) == 3, "rows made under another resize are not the same rows"


def test_equal_files_are_computed_once(subjects: Sequence[Subject], weights: Weights) -> None:
    opened: Counter[str] = Counter()
    block = compute_block(
        counting([subjects[0], subjects[1], subjects[0]], opened), metrics=["fid"], protocol=named(), weights=weights
    )
    assert set(opened.values()) == {1}
    assert np.array_equal(block.columns["inception"][0], block.columns["inception"][2])


def test_a_reference_in_pieces_is_the_reference_in_one(
    subjects: Sequence[Subject], reference: Reference, weights: Weights, tmp_path: Path
) -> None:
    real = [Subject(each.reference.key, each.reference.open) for each in subjects[:16] if each.reference]
    pieces = [
        compute_block(real[start:end], metrics=["fid"], protocol=named(), weights=weights)
        for start, end in ((0, 3), (3, 4), (4, 16))
    ]

    made = reference_from_blocks(pieces)
    made.save(tmp_path / "reference")
    loaded = Reference.load(tmp_path / "reference")

    assert loaded.content == reference.content
    ours, theirs = loaded.column("inception"), reference.column("inception")
    assert np.array_equal(ours.moments.outer, theirs.moments.outer)
    assert np.array_equal(ours.kept_features("KID"), theirs.kept_features("KID"))


def test_statistics_stored_before_references_had_columns_are_still_read(reference: Reference, tmp_path: Path) -> None:
    column = reference.column("inception")
    arrays = {**column.moments.to_arrays(), "features": column.kept_features("KID")}
    facts = {"fingerprint": json.dumps(column.fingerprint), "content": json.dumps(reference.content)}
    save_file(arrays, tmp_path / "old", metadata=facts)

    loaded = Reference.load(tmp_path / "old")

    assert loaded.content == reference.content
    assert loaded.n == 16
    assert loaded.column("inception").fingerprint == column.fingerprint
    assert np.array_equal(loaded.column("inception").moments.outer, column.moments.outer)


def test_a_references_columns_come_apart_and_together(reference: Reference) -> None:
    assert Reference.joined([reference.only("inception")]).columns == reference.columns
    with pytest.raises(Mismatch, match="no “dinov2” features; compute it for the metrics"):
        reference.only("dinov2")
    with pytest.raises(Mismatch, match="different reference sets cannot be put together"):
        Reference.joined([reference, replace(reference, content="of others")])


def test_progress_counts_to_the_end_and_a_stop_is_heeded(subjects: Sequence[Subject], weights: Weights) -> None:
    seen: list[int] = []
    compute_block(subjects[:4], metrics=["lpips"], protocol=named(), weights=weights, on_progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 4

    heard: list[int] = []
    with pytest.raises(Stopped):
        compute_block(
            subjects,
            metrics=["lpips"],
            protocol=named(),
            weights=weights,
            on_progress=heard.append,
            should_stop=lambda: len(heard) >= 2,
        )
    assert len(heard) == 2
    assert not [each for each in threading.enumerate() if each.name.startswith("pass")]


def test_an_unreadable_file_ends_the_pass_with_its_name(subjects: Sequence[Subject], weights: Weights) -> None:
    torn = subject(encoded(np.zeros((64, 64, 3), np.uint8))[:-40], name="torn.png")
    with pytest.raises(UnreadableImage, match=r"^torn\.png is damaged or incomplete"):
        compute_block([*subjects[:3], torn], metrics=["fid"], protocol=named(), weights=weights)


def test_missing_and_foreign_weights_are_told(subjects: Sequence[Subject], weights: Weights, tmp_path: Path) -> None:
    with pytest.raises(MissingWeights, match=r"`python manage\.py weights pull inception-2015-12-05`"):
        compute_block(subjects[:1], metrics=["fid"], protocol=named(), weights=Weights(tmp_path))
    pinned_elsewhere = Protocol.from_dict({**named().to_dict(), "weights": {"inception-2015-12-05": "0" * 64}})
    with pytest.raises(WrongWeights, match="this run's protocol pins 0000000000000000"):
        compute_block(subjects[:1], metrics=["fid"], protocol=pinned_elsewhere, weights=weights)


def test_what_was_made_under_other_settings_never_meets(whole: Block, reference: Reference) -> None:
    with pytest.raises(Mismatch, match="made under other settings"):
        merge_scores([whole], metrics=["fid"], protocol=named("tf1"), reference=reference)
    with pytest.raises(BadInput, match="FID compares with a reference set, and none was given"):
        merge_scores([whole], metrics=["fid"], protocol=named())
    with pytest.raises(Mismatch, match="needs the column “lpips_vgg”"):
        merge_scores([whole], metrics=["lpips_vgg"], protocol=named())


def test_a_block_says_what_it_took(whole: Block) -> None:
    took = whole.efficiency
    assert took.images == 64
    assert took.decoded == 128
    assert took.images_per_second == pytest.approx(64 / took.seconds["wall"])
    assert took.device == "cpu"
    assert took.threads == torch.get_num_threads()
    assert took.dtype == "float32"
    assert took.notes == ()
    assert 100e6 < took.peak_memory < 20e9
    assert set(took.seconds) == {"decode", "transfer", "resize", "forward", "wall"}
    assert 0.5 < took.busy_share < 1
    assert took.speeds["forward"] == pytest.approx(64 / took.seconds["forward"])
    assert took.speeds["decode"] == pytest.approx(128 / took.seconds["decode"])
    assert took.cost_per_million(2.0) == pytest.approx(2.0 / 3600 * 1e6 / took.images_per_second)
    assert replace(took, decoded=0).cost_per_million(2.0) is None
    assert Block.load(whole.to_bytes()).efficiency == took


def test_a_damaged_block_is_told(whole: Block) -> None:
    with pytest.raises(Mismatch, match="This file of features is damaged"):
        Block.load(whole.to_bytes()[:-100])


def test_large_and_small_pictures_share_a_pass(weights: Weights, photographs: list[Pixels]) -> None:
    speck = subject(encoded(photographs[0][:1, :1]))
    block = compute_block([speck, subject(encoded(photographs[1]))], metrics=["fid"], protocol=named(), weights=weights)
    assert np.isfinite(block.columns["inception"]).all()
