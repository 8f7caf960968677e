"""The three resizes against those they stand for: clean-fid's, torch-fidelity's and open_clip's own."""

import numpy as np
import open_clip
import pytest
import torch
from cleanfid.resize import build_resizer
from PIL import Image
from torch import Tensor
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from metrics.engine.extractors import resize_and_crop, resize_bicubic, resize_tf1
from tests.engine.conftest import PHOTOGRAPHS, Pixels


def tensor(picture: Pixels) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None]


def test_clean_is_pillows_bicubic_of_float_channels(photographs: list[Pixels]) -> None:
    whole = np.array(Image.open(PHOTOGRAPHS[5]).convert("RGB"))
    for picture in (whole, *photographs[:8]):
        channels = [
            Image.fromarray(picture[:, :, index].astype(np.float32)).resize((299, 299), Image.Resampling.BICUBIC)
            for index in range(3)
        ]
        expected = np.stack([np.asarray(channel) for channel in channels]).clip(0, 255)
        ours = resize_bicubic(tensor(picture), (299, 299))[0].numpy()
        assert np.abs(ours - expected).max() < 0.005
        assert np.abs(ours - build_resizer("clean")(picture).transpose(2, 0, 1)).max() < 0.005


def test_tf1_is_torch_fidelitys_bit_for_bit(photographs: list[Pixels]) -> None:
    whole = np.array(Image.open(PHOTOGRAPHS[5]).convert("RGB"))
    for picture in (whole, *photographs[:8]):
        expected = interpolate_bilinear_2d_like_tensorflow1x(
            tensor(picture).float(), size=(299, 299), align_corners=False
        )
        assert torch.equal(resize_tf1(tensor(picture), (299, 299)), expected)


def test_clip_input_is_open_clips_own_transform_to_a_level(photographs: list[Pixels]) -> None:
    transform = open_clip.image_transform(224, is_train=False, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    whole = np.array(Image.open(PHOTOGRAPHS[5]).convert("RGB"))
    for picture in (whole, *photographs[:8]):
        expected = transform(Image.fromarray(picture))[None] * 255
        difference = (resize_and_crop(tensor(picture), 224) - expected).abs()
        assert difference.max() < 1.01, "one level, where Pillow's whole-number arithmetic rounds the other way"
        assert difference.mean() < 0.001


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 3), (3, 900)])
def test_odd_shapes_come_out_square(shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), 200, np.uint8)
    for made in (
        resize_bicubic(tensor(picture), (299, 299)),
        resize_tf1(tensor(picture), (299, 299)),
        resize_and_crop(tensor(picture), 299),
    ):
        assert made.shape == (1, 3, 299, 299)
        assert made.sub(200).abs().max() < 1e-3
