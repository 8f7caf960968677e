"""FID, CLIPScore and LPIPS over real photographs: EvalHub's one command beside three tools used one after the other."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean
from typing import Any

from metrics.engine.weights import Weights
from tests.benchmarks import Measure, alternately
from tests.benchmarks._engine import DEVICE, PICTURES, ROUNDS, Material, command, material, script
from tests.engine.test_fid import torch_fidelity_weights

GOALS = {"cpu": (1.4, 2.5), "cuda": (5.0, 5.0)}
METRICS = "fid,clip_score,lpips"
PEER = "torch-fidelity, then an open_clip loop, then lpips"
RANDOM = "CLIP has random numbers for weights, so its scores mean nothing"


def measure() -> Iterator[Measure]:
    full_goal, reduced_goal = GOALS[DEVICE.partition(":")[0]]
    with material() as files:
        torch_fidelity_weights(Weights(files.weights), files.home / "inception.pth")
        results: dict[str, dict[str, Any]] = {}
        ours, reduced, theirs = alternately(
            _kept(results, "float32", lambda: _score(files, "float32")),
            _kept(results, "bfloat16", lambda: _score(files, "bfloat16")),
            _kept(results, "peers", lambda: script("_engine_peers", files.home, DEVICE)),
            times=ROUNDS,
            warm=False,
        )
        work = f"FID + CLIPScore + LPIPS of {PICTURES} photographs of 256 × 256 against {PICTURES}, on {DEVICE}"
        yield Measure(work, ours, PEER, theirs, full_goal, note=f"{_agreement(results)}; {RANDOM}")
        drift = _drift(files, results["float32"], results["bfloat16"])
        yield Measure(f"{work}, in bfloat16", reduced, f"{PEER}, in float32", theirs, reduced_goal, note=drift)
        yield _cached(files)


def _cached(files: Material) -> Measure:
    """The feature stage alone: from opened columns to rows, without start and reduction."""
    cache = ("--cache", files.home / "cache")
    first = _score(files, "float32", *cache)
    again = [_score(files, "float32", *cache) for _ in range(ROUNDS)]
    return Measure(
        "the same a second time, from the cache: the feature stage",
        [each["efficiency"]["seconds"]["wall"] for each in again],
        "the first run's",
        [first["efficiency"]["seconds"]["wall"]],
        goal=50.0,
        note=f"{again[0]['efficiency']['decoded']} files decoded; equal values: "
        f"{all(_values(each) == _values(first) for each in again)}",
    )


def _score(files: Material, dtype: str, *more: object) -> dict[str, Any]:
    return command(
        *("--metrics", METRICS, "--protocol", "tf1", "--dtype", dtype, "--samples", files.samples),
        *("--reference", files.reference, "--captions", files.captions, "--weights", files.weights),
        *("--per-sample", _per_sample(files, dtype), *more),
    )


def _kept(results: dict[str, dict[str, Any]], name: str, work: Callable[[], dict[str, Any]]) -> Callable[[], None]:
    def run() -> None:
        results[name] = work()

    return run


def _values(result: dict[str, Any]) -> dict[str, float]:
    return {score["metric"]: score["value"] for score in result["scores"]}


def _agreement(results: dict[str, dict[str, Any]]) -> str:
    values, theirs = _values(results["float32"]), results["peers"]
    cosine = next(score for score in results["float32"]["scores"] if score["metric"] == "clip_score")
    return (
        f"FID {values['fid']:.4f} and {theirs['fid']:.4f}, LPIPS {values['lpips']:.5f} and {theirs['lpips']:.5f}, "
        f"mean cosine {cosine['details']['mean_cosine']:.6f} and {theirs['cosine']:.6f}"
    )


def _drift(files: Material, full: dict[str, Any], reduced: dict[str, Any]) -> str:
    with _per_sample(files, "float32").open() as one, _per_sample(files, "bfloat16").open() as other:
        pairs = list(zip(csv.DictReader(one), csv.DictReader(other), strict=True))
    moved = {name: [abs(float(a[name]) - float(b[name])) for a, b in pairs] for name in ("lpips", "clip_score_cosine")}
    lpips, cosine = moved.values()
    return (
        f"drift: FID {_values(full)['fid']:.4f} to {_values(reduced)['fid']:.4f}, "
        f"LPIPS by {mean(lpips):.1e} on average and {max(lpips):.1e} at most, "
        f"cosine by {mean(cosine):.1e} and {max(cosine):.1e}"
    )


def _per_sample(files: Material, dtype: str) -> Path:
    return files.home / f"{dtype}.csv"
