"""Protocols and the registry: stable fingerprints, whole round trips, and no torch."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from metrics.engine.errors import BadInput, Mismatch
from metrics.engine.protocol import Protocol, named
from metrics.engine.registry import METRICS, columns_of, get_metric
from tests.engine.conftest import REPOSITORY


def test_what_the_web_imports_brings_no_torch() -> None:
    names = (
        "registry protocol catalogue errors images videos blocks weights references columns sizes subjects folders "
        "scores __main__"
    )
    program = "; ".join(
        [f"import metrics.engine.{name}" for name in names.split()] + ["import sys", "print(*sys.modules)"]
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert not {"torch", "django", "celery", "open_clip"} & set(done.stdout.split())


def test_a_protocol_survives_json() -> None:
    for name in ("clean", "tf1"):
        protocol = named(name)
        again = Protocol.from_dict(json.loads(json.dumps(protocol.to_dict())))
        assert again == protocol
        assert all(again.fingerprint(metric) == protocol.fingerprint(metric) for metric in METRICS)


def test_a_fingerprint_changes_with_what_changes_its_number_and_nothing_else() -> None:
    clean = named("clean")
    prints = {metric: clean.fingerprint(metric) for metric in METRICS}
    assert len(set(prints.values())) == len(METRICS)

    tf1 = named("tf1")
    of_inception = {name for name, spec in METRICS.items() if "inception" in spec.columns}
    assert {metric for metric in METRICS if tf1.fingerprint(metric) != prints[metric]} == of_inception
    decoder = replace(clean, decoder="pillow-99")
    assert {metric for metric in METRICS if decoder.fingerprint(metric) != prints[metric]} == set(METRICS)
    vgg = replace(clean, weights={**clean.weights, "lpips-vgg16": "0" * 64})
    assert {metric for metric in METRICS if vgg.fingerprint(metric) != prints[metric]} == {"lpips_vgg", "dists"}
    renamed = replace(clean, name="house style")
    assert all(renamed.fingerprint(metric) == prints[metric] for metric in METRICS)


def test_the_fingerprint_of_clean_fid_is_this_one() -> None:
    # Pinned: a change here makes every stored FID incomparable, so it must be meant.
    pinned = replace(named("clean"), decoder="pillow-13")
    assert pinned.fingerprint("fid") == "8d8b40a5e2586b7a7e73daed080762718c789407d82d2384609730ffb564baea"


def test_another_decoder_than_the_protocols_is_refused() -> None:
    named().check_decoder()
    with pytest.raises(Mismatch, match="This protocol decodes with pillow-3"):
        replace(named(), decoder="pillow-3").check_decoder()


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(BadInput, match="no metric called “fidd”; choose from fid, kid, fid_infinity"):
        get_metric("fidd")
    with pytest.raises(BadInput, match="no protocol called “dirty”; choose from clean, tf1"):
        named("dirty")
    with pytest.raises(BadInput, match="not a stored protocol"):
        Protocol.from_dict({"name": "clean"})


def test_metrics_share_columns() -> None:
    assert columns_of(["fid", "kid"]) == ("inception",)
    assert columns_of(["clip_score", "lpips", "fid"]) == ("inception", "lpips_alex", "clip_image", "clip_text")


def test_every_metric_says_when_it_is_weak() -> None:
    for spec in METRICS.values():
        assert spec.weakness(spec.minimum_n) is None
        sentence = spec.weakness(spec.minimum_n - 1)
        assert sentence is not None
        assert spec.title in sentence
        assert f"{spec.minimum_n:,}" in sentence
    assert get_metric("fid").minimum_n == 2048
    assert not get_metric("fid").higher_is_better
    assert get_metric("clip_score").higher_is_better
