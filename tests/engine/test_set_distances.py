"""Distances between sets on the same features: against the original implementations, plain formulas, and in shards."""

import numpy as np
import pytest
import torch
from cleanfid import fid as clean_fid
from numpy.typing import NDArray
from prdc import compute_prdc
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

from metrics.engine.cmmd import CmmdReducer
from metrics.engine.errors import BadInput, Mismatch
from metrics.engine.fid import FidReducer
from metrics.engine.frechet import frechet_distance
from metrics.engine.intervals import Estimate, group_of
from metrics.engine.kid import KidReducer, subset_kid
from metrics.engine.manifolds import ManifoldReducer
from metrics.engine.moments import Moments
from tests.engine.test_fid import features

Rows = NDArray[np.float32]
SHARES = ("precision", "recall", "density", "coverage")


@pytest.fixture(scope="module")
def samples() -> Rows:
    return features(240, 48, 1)


@pytest.fixture(scope="module")
def references() -> Rows:
    return features(310, 48, 2) * np.float32(1.05)


def unit(rows: Rows) -> Rows:
    """As embeddings are."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@pytest.mark.filterwarnings("ignore:The `disp` argument is deprecated")  # clean-fid's call, not ours
def test_fid_of_equal_features_is_clean_fids_and_torchmetrics(samples: Rows, references: Rows) -> None:
    ours = frechet_distance(Moments.of([samples], 48), Moments.of([references], 48))

    x, y = samples.astype(np.float64), references.astype(np.float64)
    moments = [(rows.mean(axis=0), np.cov(rows, rowvar=False)) for rows in (x, y)]
    theirs = clean_fid.frechet_distance(*moments[0], *moments[1])
    assert ours == pytest.approx(theirs, rel=1e-6)
    tensors = [torch.from_numpy(part) for each in moments for part in each]
    assert ours == pytest.approx(float(_compute_fid(*tensors)), rel=1e-6)


def test_kid_over_seeded_subsets_is_torch_fidelitys(samples: Rows, references: Rows) -> None:
    theirs = kid_features_to_metric(
        torch.from_numpy(samples),
        torch.from_numpy(references),
        kid_subsets=8,
        kid_subset_size=100,
        kid_kernel="poly",
        kid_kernel_poly_degree=3,
        kid_kernel_poly_gamma=None,
        kid_kernel_poly_coef0=1,
        rng_seed=2020,
        verbose=False,
    )
    mean, deviation = subset_kid(samples, references, subsets=8, size=100, seed=2020)
    assert mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-4)
    assert deviation == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-3)


def test_kid_of_all_is_torchmetrics_on_equal_sizes_and_clean_fids_mean(samples: Rows, references: Rows) -> None:
    x, y = samples, references[: len(samples)]
    reducer = KidReducer(y)
    reducer.add(x)
    ours = reducer.estimate().value

    theirs = poly_mmd(torch.from_numpy(x).double(), torch.from_numpy(y).double())
    assert ours == pytest.approx(float(theirs), rel=1e-9)
    # clean-fid's one subset of everything is everything, in another order.
    assert ours == pytest.approx(clean_fid.kernel_distance(y, x, num_subsets=1, max_subset_size=len(x)), rel=1e-3)


def test_kid_names_the_mean_of_its_subsets_where_there_are_enough_pictures() -> None:
    draws = np.random.default_rng(0)
    x, y = (draws.normal(size=(1010, 4)).astype(np.float32) for _ in range(2))
    reducer = KidReducer(y)
    reducer.add(x)
    details = reducer.of_subsets()
    assert details["subsets_mean"] == pytest.approx(reducer.estimate().value, abs=2 * details["subsets_deviation"])

    few = KidReducer(y)
    few.add(x[:999])
    assert few.of_subsets() == {}


@pytest.mark.parametrize("nearest", [3, 5])
def test_precision_recall_density_and_coverage_are_prdcs(
    samples: Rows, references: Rows, nearest: int, capsys: pytest.CaptureFixture[str]
) -> None:
    reducer = ManifoldReducer(references)
    reducer.add(samples)
    theirs = compute_prdc(references, samples, nearest)
    for name in SHARES[:2] if nearest == 3 else SHARES[2:]:
        assert reducer.estimate(name).value == theirs[name], name
        assert theirs[name] > 0


def test_precision_and_recall_are_torch_fidelitys(samples: Rows, references: Rows) -> None:
    reducer = ManifoldReducer(references)
    reducer.add(samples)
    theirs = prc_features_to_metric(
        torch.from_numpy(samples),
        torch.from_numpy(references),
        prc_neighborhood=3,
        prc_batch_size=100,
        save_cpu_ram=True,
        verbose=False,
    )
    assert reducer.estimate("precision").value == pytest.approx(theirs["precision"], rel=1e-6)
    assert reducer.estimate("recall").value == pytest.approx(theirs["recall"], rel=1e-6)


def test_their_replicates_find_neighbours_anew(samples: Rows, references: Rows) -> None:
    reducer = ManifoldReducer(references)
    reducer.add(samples)
    groups = group_of(len(samples), 10)
    left = [samples[groups != group] for group in range(10)]
    for name in SHARES:
        replicates = np.array([compute_prdc(references, each, 3 if name in SHARES[:2] else 5)[name] for each in left])
        error = np.sqrt(9 / 10 * np.square(replicates - replicates.mean()).sum())
        estimate = reducer.estimate(name)
        assert estimate.low == pytest.approx(max(estimate.value - 2.2622 * error, 0), rel=1e-4), name
        most = np.inf if name == "density" else 1.0
        assert estimate.high == pytest.approx(min(estimate.value + 2.2622 * error, most), rel=1e-4), name


def test_copies_of_the_references_are_precise_and_cover_everything(references: Rows) -> None:
    reducer = ManifoldReducer(references)
    reducer.add(references[::-1])
    assert [reducer.estimate(name).value for name in SHARES] == [1.0, 1.0, pytest.approx(1.0), 1.0]


def test_one_picture_over_and_over_is_not_a_set(references: Rows) -> None:
    reducer = ManifoldReducer(references)
    reducer.add(np.repeat(references[:1], 40, axis=0))
    assert reducer.estimate("precision").value == 1.0
    assert reducer.estimate("recall").value == 0.0
    assert reducer.estimate("coverage").value < 0.2


def test_cmmd_is_the_published_formula(samples: Rows, references: Rows) -> None:
    x, y = unit(samples), unit(references)
    reducer = CmmdReducer(y)
    reducer.add(x)
    estimate = reducer.estimate()

    def value(a: Rows, b: Rows, *, biased: bool) -> float:
        one, two = torch.from_numpy(a).double(), torch.from_numpy(b).double()
        kernels = [torch.exp(-torch.cdist(p, q).square() / 200) for p, q in ((one, one), (two, two), (one, two))]
        inside = [k.mean() if biased else (k.sum() - k.trace()) / (len(k) * (len(k) - 1)) for k in kernels[:2]]
        return 1000 * float(inside[0] + inside[1] - 2 * kernels[2].mean())

    assert estimate.value == pytest.approx(value(x, y, biased=True), rel=1e-6)
    assert reducer.without_bias() == pytest.approx(value(x, y, biased=False), rel=1e-6)
    groups = group_of(len(x), 10)
    replicates = np.array([value(x[groups != group], y, biased=True) for group in range(10)])
    error = np.sqrt(9 / 10 * np.square(replicates - replicates.mean()).sum())
    assert estimate.low == pytest.approx(estimate.value - 2.2622 * error, rel=1e-4)


def measured(reference: Rows, shards: list[Rows]) -> list[Estimate]:
    """Every distance there is, of shards in sample order."""
    fid, kid = FidReducer(Moments.of([reference], reference.shape[1])), KidReducer(reference)
    shares, cmmd = ManifoldReducer(reference), CmmdReducer(reference)
    for shard in shards:
        for reducer in (fid, kid, shares, cmmd):
            reducer.add(shard)
    return [
        fid.estimate(),
        fid.infinity(),
        kid.estimate(),
        cmmd.estimate(),
        *(shares.estimate(name) for name in SHARES),
    ]


@pytest.mark.parametrize("n", [30, 2210])
def test_shards_do_not_change_a_bit(n: int) -> None:
    rows, other = features(n, 32, 1), features(500, 32, 2)
    whole = measured(other, [rows])
    for cuts in (7, 64):
        edges = np.sort(np.random.default_rng(cuts).integers(0, n, cuts - 1))
        assert measured(other, np.split(rows, edges)) == whole, f"{cuts} shards"


def test_the_same_pictures_in_chunks_of_any_size_are_the_same_set() -> None:
    """More than two chunks a side: no pair is counted twice, none is left out."""
    rows, other = features(2100, 8, 1), features(2300, 8, 2)
    kid = KidReducer(other)
    kid.add(rows)
    x, y = rows.astype(np.float64), other.astype(np.float64)
    kernels = [(a @ b.T / 8 + 1) ** 3 for a, b in ((x, x), (y, y), (x, y))]
    inside = sum((k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in kernels[:2])
    assert kid.estimate().value == pytest.approx(inside - 2 * kernels[2].mean(), rel=1e-9)

    shares = ManifoldReducer(other)
    shares.add(rows)
    theirs = compute_prdc(other, rows, 5)
    assert shares.estimate("density").value == theirs["density"]
    assert shares.estimate("coverage").value == theirs["coverage"]


def test_too_few_pictures_and_foreign_features_are_told_in_a_sentence(references: Rows) -> None:
    few = ManifoldReducer(references)
    few.add(references[:3])
    with pytest.raises(BadInput, match="need at least 4 samples and 6 references; 3 and 310 came; add more"):
        few.estimate("precision")
    alone = CmmdReducer(references)
    alone.add(references[:1])
    with pytest.raises(BadInput, match="CMMD needs 2 pictures on each side; 1 samples and 310 references came"):
        alone.estimate()
    for reducer in (KidReducer(references), ManifoldReducer(references)):
        with pytest.raises(Mismatch, match="The reference has 48 features and 8 came"):
            reducer.add(features(5, 8, 2))
