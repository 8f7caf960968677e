"""FID, FID∞ and KID against torch-fidelity and plain formulas, the Fréchet distance against a matrix square root."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch_fidelity
from numpy.typing import NDArray
from prdc import compute_prdc
from scipy import linalg

from metrics.engine.checkpoints import read_safetensors
from metrics.engine.conversions import INCEPTION_CONVS
from metrics.engine.errors import BadInput, Mismatch
from metrics.engine.fid import FidReducer
from metrics.engine.folders import Layout, files_in, samples_for, subjects_of
from metrics.engine.frechet import frechet_distance
from metrics.engine.intervals import group_of
from metrics.engine.kid import KidReducer
from metrics.engine.moments import GroupedMoments, Moments
from metrics.engine.onepass import compute_block, compute_reference
from metrics.engine.protocol import named
from metrics.engine.scores import merge_scores
from metrics.engine.weights import Weights
from tests.engine.conftest import Folders

Rows = NDArray[np.float32]
THEIR_PARTS = {"weight": "conv.weight", "beta": "bn.bias", "mean": "bn.running_mean", "var": "bn.running_var"}


def torch_fidelity_weights(weights: Weights, target: Path) -> Path:
    """The same tensors under torch-fidelity's names. Its last layer, which FID does not reach, is left at zero."""
    tensors = read_safetensors(weights.require("inception-2015-12-05"))
    theirs = {
        f"{name}.{their_part}": torch.from_numpy(np.array(tensors[f"{ours}.{part}"]))
        for ours, name in INCEPTION_CONVS.items()
        for part, their_part in THEIR_PARTS.items()
    }
    theirs |= {f"{name}.bn.weight": torch.ones_like(theirs[f"{name}.bn.bias"]) for name in INCEPTION_CONVS.values()}
    theirs |= {f"{name}.bn.num_batches_tracked": torch.tensor(0) for name in INCEPTION_CONVS.values()}
    theirs |= {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    torch.save(theirs, target)
    return target


def test_distances_of_a_folder_are_torch_fidelitys_and_prdcs(
    weights: Weights, folders: Folders, tmp_path: Path
) -> None:
    theirs = torch_fidelity.calculate_metrics(
        input1=str(folders.samples),
        input2=str(folders.reference),
        fid=True,
        kid=True,
        kid_subsets=1,
        kid_subset_size=24,
        cuda=False,
        batch_size=1,
        save_cpu_ram=True,
        cache=False,
        verbose=False,
        feature_extractor_weights_path=str(torch_fidelity_weights(weights, tmp_path / "inception.pth")),
    )

    protocol, metrics = named("tf1"), ["fid", "kid", "precision", "recall", "density", "coverage"]
    block = compute_block(
        samples_for(["fid"], Layout(folders.samples, folders.reference)),
        metrics=metrics,
        protocol=protocol,
        weights=weights,
    )
    reference = compute_reference(subjects_of(files_in(folders.reference)), protocol=protocol, weights=weights)
    scores = merge_scores([block], metrics=metrics, protocol=protocol, reference=reference)

    fid, kid, *shares = scores
    assert fid.value == pytest.approx(theirs["frechet_inception_distance"], rel=1e-3)
    assert kid.value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-3)
    precision, recall, density, coverage = (each.value for each in shares)
    real = reference.column("inception").kept_features("prdc")
    three, five = (compute_prdc(real, block.columns["inception"], nearest) for nearest in (3, 5))
    assert [precision, recall] == [three["precision"], three["recall"]]
    assert [density, coverage] == [five["density"], five["coverage"]]
    assert fid.low is not None
    assert fid.high is not None
    assert fid.low < fid.value < fid.high
    assert fid.n == 24
    assert any("rank-deficient" in warning for warning in fid.warnings)


def features(n: int, dimensions: int, seed: int) -> Rows:
    """Correlated, skewed, non-negative rows, as pooled activations are."""
    draws = np.random.default_rng(seed)
    mixing = draws.normal(size=(dimensions, dimensions)) / np.sqrt(dimensions)
    rows: Rows = np.abs(draws.normal(size=(n, dimensions)) @ mixing + 0.3 * seed).astype(np.float32)
    return rows


def by_matrix_root(first: Rows, second: Rows) -> float:
    a, b = first.astype(np.float64), second.astype(np.float64)
    one, two = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    gap = a.mean(axis=0) - b.mean(axis=0)
    return float(gap @ gap + np.trace(one + two) - 2 * np.trace(linalg.sqrtm(one @ two)).real)


def test_the_frechet_distance_equals_a_matrix_square_roots_at_full_rank() -> None:
    first, second = features(900, 128, 1), features(1100, 128, 2)

    ours = frechet_distance(Moments.of([first], 128), Moments.of([second], 128))

    assert ours == pytest.approx(by_matrix_root(first, second), rel=1e-6)


@pytest.mark.parametrize(("n", "references"), [(40, 60), (40, 1000), (127, 90)])
def test_with_fewer_samples_than_features_the_small_matrix_gives_the_same_distance(n: int, references: int) -> None:
    first, second = features(n, 128, 1), features(references, 128, 2)
    reducer = FidReducer(Moments.of([second], 128))
    reducer.add(first)

    few = reducer.estimate().value

    # A root of a singular product is itself only good to about 1e-6; singular values of the two centred sets are exact.
    a, b = (rows.astype(np.float64) - rows.astype(np.float64).mean(axis=0) for rows in (first, second))
    root = linalg.svdvals(a @ b.T).sum() / np.sqrt((n - 1) * (references - 1))
    gap = first.astype(np.float64).mean(axis=0) - second.astype(np.float64).mean(axis=0)
    spread = np.square(a).sum() / (n - 1) + np.square(b).sum() / (references - 1)
    assert few == pytest.approx(gap @ gap + spread - 2 * root, rel=1e-6)
    assert few == pytest.approx(frechet_distance(Moments.of([first], 128), Moments.of([second], 128)), rel=1e-5)


def test_features_that_never_vary_or_say_the_same_twice_do_no_harm() -> None:
    rows, other = features(40, 64, 1), features(90, 64, 2)
    for dead in (rows, other):
        dead[:, :5] = 0.0
        dead[:, 7] = dead[:, 6]
    a, b = (each.astype(np.float64) - each.astype(np.float64).mean(axis=0) for each in (rows, other))
    root = linalg.svdvals(a @ b.T).sum() / np.sqrt(39 * 89)
    gap = rows.astype(np.float64).mean(axis=0) - other.astype(np.float64).mean(axis=0)
    expected = gap @ gap + np.square(a).sum() / 39 + np.square(b).sum() / 89 - 2 * root
    few, many = Moments.of([rows], 64), Moments.of([other], 64)
    assert frechet_distance(few, many) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(many, few) == pytest.approx(expected, rel=1e-6)


def test_a_set_is_at_no_distance_from_itself() -> None:
    rows = Moments.of([features(600, 64, 1)], 64)
    assert frechet_distance(rows, rows) == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("n", [37, 2500])
def test_the_interval_is_the_jackknife_that_leaves_groups_out_one_by_one(n: int) -> None:
    rows, reference = features(n, 48, 1), Moments.of([features(300, 48, 2)], 48)
    reducer = FidReducer(reference)
    reducer.add(rows)

    estimate = reducer.estimate()

    groups = group_of(n, 10)
    replicates = np.array([frechet_distance(Moments.of([rows[groups != group]], 48), reference) for group in range(10)])
    error = np.sqrt(9 / 10 * np.square(replicates - replicates.mean()).sum())
    assert estimate.low == pytest.approx(estimate.value - 2.2622 * error, rel=1e-4)
    assert estimate.high == pytest.approx(estimate.value + 2.2622 * error, rel=1e-4)
    assert estimate.interval == "95 % jackknife over 10 random groups of samples, seed 0, reference held fixed"


def test_jackknife_groups_are_drawn_by_seed_and_equally_large() -> None:
    groups = group_of(2345, 10)
    assert sorted(np.bincount(groups[:1000])) == [100] * 10
    assert set(np.bincount(groups)) <= {234, 235}
    assert not np.array_equal(groups[:1000], groups[1000:2000])
    assert np.array_equal(group_of(2000, 10), groups[:2000])


@pytest.mark.parametrize("n", [40, 400])
def test_fid_infinity_is_the_end_of_a_line_through_fifths_halves_and_the_whole(n: int) -> None:
    rows, reference = features(n, 48, 1), Moments.of([features(300, 48, 2)], 48)
    reducer = FidReducer(reference)
    reducer.add(rows)

    estimate = reducer.infinity()

    def intercept(left_out: int) -> float:
        parts, distances = [], []
        for sets in ([(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)], [range(5), range(5, 10)]):
            picked = [rows[np.isin(groups, list(each))] for each in sets if left_out not in each]
            parts.append(len(sets) / n)
            distances.append(float(np.mean([by_moments(part) for part in picked])))
        kept = rows[groups != left_out]
        line = np.polyfit([*parts, 1 / len(kept)], [*distances, by_moments(kept)], 1)
        return float(line[1])

    def by_moments(part: Rows) -> float:
        return frechet_distance(Moments.of([part], 48), reference)

    groups = group_of(n, 10)
    replicates = np.array([intercept(group) for group in range(10)])
    error = np.sqrt(9 / 10 * np.square(replicates - replicates.mean()).sum())
    assert estimate.value == pytest.approx(intercept(-1), rel=1e-6)
    assert estimate.low == pytest.approx(estimate.value - 2.2622 * error, rel=1e-4)


def test_fid_infinity_has_less_bias_than_fid() -> None:
    draws = np.random.default_rng(4)
    dimensions, n = 32, 400
    spread = np.diag(np.linspace(0.2, 2, dimensions))
    truth = Moments(dimensions)
    truth.n, truth.outer = 10**9, np.eye(dimensions) * (10**9 - 1)
    far = 0.5
    expected = far**2 * dimensions + np.trace(spread @ spread + np.eye(dimensions) - 2 * spread)
    errors = []
    for _ in range(12):
        reducer = FidReducer(truth)
        reducer.add((draws.normal(size=(n, dimensions)) @ spread + far).astype(np.float32))
        errors.append([reducer.estimate().value - expected, reducer.infinity().value - expected])
    fid, infinity = np.mean(errors, axis=0)
    assert fid > 0.3, "FID of few samples is too large"
    assert abs(infinity) < 0.25 * fid


def test_fid_infinity_needs_ten_samples() -> None:
    reducer = FidReducer(Moments.of([features(50, 16, 1)], 16))
    reducer.add(features(9, 16, 2))
    with pytest.raises(BadInput, match="FID∞ needs at least 10 samples, and 9 came; add more"):
        reducer.infinity()


def test_kid_and_its_replicates_equal_the_plain_formula() -> None:
    rows, other = features(57, 32, 1), features(80, 32, 2)
    reducer = KidReducer(other)
    reducer.add(rows)

    estimate = reducer.estimate()

    assert estimate.value == pytest.approx(plain_kid(rows, other), rel=1e-9)
    replicates = np.array([plain_kid(rows[group_of(57, 10) != group], other) for group in range(10)])
    error = np.sqrt(9 / 10 * np.square(replicates - replicates.mean()).sum())
    assert estimate.low == pytest.approx(estimate.value - 2.2622 * error, rel=1e-4)


def plain_kid(rows: Rows, other: Rows) -> float:
    x, y = rows.astype(np.float64), other.astype(np.float64)

    def kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((a @ b.T / a.shape[1] + 1) ** 3)

    def inside(a: NDArray[np.float64]) -> float:
        k = kernel(a, a)
        return float((k.sum() - np.trace(k)) / (len(a) * (len(a) - 1)))

    return inside(x) + inside(y) - 2 * float(kernel(x, y).mean())


def test_moments_add_up_and_come_apart() -> None:
    first, second = features(100, 16, 1), features(57, 16, 2)
    one, two = Moments.of([first], 16), Moments.of([second], 16)

    both = one.merge(two)

    assert both.n == 157
    assert both.covariance == pytest.approx(np.cov(np.concatenate([first, second]).astype(np.float64), rowvar=False))
    assert both.without(two).mean == pytest.approx(one.mean)
    assert Moments.from_arrays(both.to_arrays()).covariance == pytest.approx(both.covariance, abs=0)


def test_too_few_samples_and_foreign_features_are_told_in_a_sentence() -> None:
    reference = Moments.of([features(50, 16, 1)], 16)
    alone = FidReducer(reference)
    alone.add(features(1, 16, 2))
    with pytest.raises(BadInput, match="FID needs at least 2 samples, and 1 came; add more"):
        alone.estimate()
    with pytest.raises(Mismatch, match="16 features and 8 came"):
        FidReducer(reference).add(features(5, 8, 2))


def test_moments_of_groups_share_arrays_and_nothing_else() -> None:
    pieces = [features(20 + group, 16, group) for group in range(5)]
    grouped = GroupedMoments(16, 5)
    for half in (slice(0, 11), slice(11, None)):
        for group, rows in enumerate(pieces):
            grouped.update(group, rows[half])
    for union in ([0], [1], [4], [0, 1, 2, 3, 4], [1, 3], [0, 2, 4], [2, 3]):
        plain = Moments.of([pieces[group] for group in union], 16)
        ours = grouped.union(union)
        assert ours.n == plain.n
        assert ours.mean == pytest.approx(plain.mean)
        assert ours.covariance == pytest.approx(plain.covariance, rel=1e-9)
