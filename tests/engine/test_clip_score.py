"""CLIPScore's path on a checkpoint of random numbers: compared with a plain open_clip loop, it measures nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from metrics.engine.errors import BadInput, MissingWeights, WrongWeights
from metrics.engine.extractors import pinned
from metrics.engine.onepass import compute_block
from metrics.engine.protocol import Protocol, named
from metrics.engine.scores import merge_scores
from metrics.engine.weights import Weights
from tests.engine.conftest import Pixels, RandomClip, encoded, subject

CAPTIONS = ["A canyon at dusk", "A cat on a chair", "Boats " * 100]


def test_each_sample_equals_a_plain_open_clip_loop(
    photographs: list[Pixels], random_clip: RandomClip, clip_weights: Weights
) -> None:
    transform = open_clip.image_transform(224, is_train=False)
    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    with torch.inference_mode():
        images = torch.stack([transform(Image.fromarray(each)) for each in photographs[:3]])
        a = random_clip.model.encode_image(images, normalize=True)
        b = random_clip.model.encode_text(tokenizer(CAPTIONS), normalize=True)
        expected = (a * b).sum(dim=1).numpy()

    protocol = pinned(named(), clip_weights)
    subjects = [subject(encoded(each), caption=text) for each, text in zip(photographs, CAPTIONS, strict=False)]
    block = compute_block(subjects, metrics=["clip_score"], protocol=protocol, weights=clip_weights)
    (score,) = merge_scores([block], metrics=["clip_score"], protocol=protocol)

    cosine = score.per_sample_details["cosine"]
    assert cosine == pytest.approx(expected, abs=1e-3)
    assert score.per_sample is not None
    assert score.per_sample.tolist() == [2.5 * max(each, 0) for each in cosine]
    assert score.value == pytest.approx(np.maximum(cosine, 0).mean() * 2.5)
    assert score.details["cosine_x100"] == pytest.approx(100 * cosine.mean())
    assert score.details["mean_cosine"] == pytest.approx(cosine.mean())


def test_shards_do_not_change_a_bit(photographs: list[Pixels], clip_weights: Weights) -> None:
    protocol = pinned(named(), clip_weights)
    subjects = [subject(encoded(each), caption=f"Number {index}") for index, each in enumerate(photographs[:6])]
    pieces = [subjects, subjects[:1], subjects[1:3], subjects[3:]]
    whole, *shards = [
        compute_block(piece, metrics=["clip_score"], protocol=protocol, weights=clip_weights) for piece in pieces
    ]
    (one,) = merge_scores([whole], metrics=["clip_score"], protocol=protocol)
    (many,) = merge_scores(shards, metrics=["clip_score"], protocol=protocol)
    assert (many.value, many.low, many.high) == (one.value, one.low, one.high)


def test_captions_longer_than_clip_reads_are_counted_and_told(photographs: list[Pixels], clip_weights: Weights) -> None:
    protocol = pinned(named(), clip_weights)
    # The tokenizer adds a start and an end: 75 words fill the 77 places, 76 do not fit.
    captions = ["word " * 75, "word " * 76]
    subjects = [subject(encoded(photographs[0]), caption=text) for text in captions]
    block = compute_block(subjects, metrics=["clip_score"], protocol=protocol, weights=clip_weights)
    (score,) = merge_scores([block], metrics=["clip_score"], protocol=protocol)
    assert score.per_sample_details["caption_cut"].tolist() == [False, True]
    assert score.details["captions_cut"] == 1
    assert score.warnings[-1] == "1 caption is longer than the 77 tokens CLIP reads and was cut; shorten it."


def test_a_checkpoint_is_part_of_the_fingerprint(clip_weights: Weights) -> None:
    without, chosen = named(), pinned(named(), clip_weights)
    assert chosen.fingerprint("clip_score") != without.fingerprint("clip_score")
    assert chosen.fingerprint("fid") == without.fingerprint("fid")
    assert chosen.clip_model == "ViT-B-32"
    clip = "clip-vit-b-32"
    other = chosen.with_checkpoint(clip, tensors_sha256=chosen.weights[clip], clip_model="ViT-B-32-quickgelu")
    assert other.fingerprint("clip_score") != chosen.fingerprint("clip_score")
    assert pinned(chosen, Weights("nowhere")) == chosen
    assert Protocol.from_dict(chosen.to_dict()) == chosen


def test_quickgelu_is_another_network(photographs: list[Pixels], clip_weights: Weights) -> None:
    gelu = pinned(named(), clip_weights)
    clip = "clip-vit-b-32"
    quick = gelu.with_checkpoint(clip, tensors_sha256=gelu.weights[clip], clip_model="ViT-B-32-quickgelu")
    one = [subject(encoded(photographs[0]), caption="A cat")]
    cosines = []
    for protocol in (gelu, quick):
        block = compute_block(one, metrics=["clip_score"], protocol=protocol, weights=clip_weights)
        cosines.append(merge_scores([block], metrics=["clip_score"], protocol=protocol)[0].details["mean_cosine"])
    assert cosines[0] != pytest.approx(cosines[1], abs=1e-6)


def test_the_same_tensors_hash_alike_from_any_file(
    random_clip: RandomClip, clip_weights: Weights, tmp_path: Path
) -> None:
    state = {name: tensor.contiguous() for name, tensor in random_clip.model.state_dict().items()}
    save_file(state, tmp_path / "clip.safetensors")
    again = Weights(tmp_path / "weights")
    again.import_file("clip-vit-b-32", tmp_path / "clip.safetensors", clip_model="ViT-B-32-quickgelu")
    assert again.state("clip-vit-b-32").tensors_sha256 == clip_weights.state("clip-vit-b-32").tensors_sha256
    assert again.state("clip-vit-b-32").clip_model == "ViT-B-32-quickgelu"
    assert clip_weights.state("clip-vit-b-32").clip_model == "ViT-B-32"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"visual.proj": None}, "1 tensors differ, the first is “visual.proj”"),
        ({"visual.conv1.weight": torch.zeros(768, 3, 16, 16)}, "1 tensors differ, the first is “visual.conv1.weight”"),
        ({"visual.attnpool": torch.zeros(1)}, "1 tensors differ, the first is “visual.attnpool”"),
    ],
)
def test_a_checkpoint_of_another_shape_is_refused_at_import(
    change: dict[str, torch.Tensor | None], sentence: str, random_clip: RandomClip, tmp_path: Path
) -> None:
    # One stored number seen through each shape: the file stays small.
    state: dict[str, torch.Tensor | None] = {
        name: torch.tensor(0.0).expand(tensor.shape) for name, tensor in random_clip.model.state_dict().items()
    }
    torch.save({name: tensor for name, tensor in (state | change).items() if tensor is not None}, tmp_path / "odd.pt")
    folder = Weights(tmp_path / "weights")
    with pytest.raises(WrongWeights, match=rf"odd\.pt is not a CLIP ViT-B/32 in open_clip's layout: {sentence}"):
        folder.import_file("clip-vit-b-32", tmp_path / "odd.pt")
    assert not folder.state("clip-vit-b-32").present


def test_without_a_checkpoint_the_score_waits_and_names_the_command(weights: Weights, tmp_path: Path) -> None:
    empty = Weights(tmp_path)
    sentence = (
        "The weights “clip-vit-b-32” are not here yet; "
        "get them with `python manage.py weights import clip-vit-b-32 FILE`."
    )
    assert empty.missing_for("clip_score") == sentence
    assert weights.missing_for("fid") is None
    with pytest.raises(MissingWeights) as missing:
        compute_block(
            [subject(encoded(np.zeros((64, 64, 3), np.uint8)), caption="Black")],
            metrics=["clip_score"],
            protocol=named(),
            weights=empty,
        )
    assert str(missing.value) == sentence
    assert missing.value.name == "clip-vit-b-32"


def test_a_sample_without_caption_is_told_by_name(clip_weights: Weights) -> None:
    mute = replace(subject(encoded(np.zeros((64, 64, 3), np.uint8))), name="mute.png")
    with pytest.raises(BadInput, match=r"mute.png has no caption, which CLIPScore \(ViT-B/32\) compares it with"):
        compute_block([mute], metrics=["clip_score"], protocol=pinned(named(), clip_weights), weights=clip_weights)
