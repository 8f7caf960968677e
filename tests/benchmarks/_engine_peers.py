"""What one does without EvalHub: torch-fidelity, a plain open_clip loop and lpips over the same folders, in turn."""

import csv
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import lpips
import numpy as np
import open_clip
import torch
import torch_fidelity
from PIL import Image
from torch import nn

from metrics.engine.checkpoints import read_safetensors
from metrics.engine.weights import Weights

BATCH = 32


def fid(samples: Path, reference: Path, inception: Path, device: str) -> float:
    values = torch_fidelity.calculate_metrics(
        input1=str(samples),
        input2=str(reference),
        fid=True,
        cuda=device != "cpu",
        cache=False,
        verbose=False,
        feature_extractor_weights_path=str(inception),
    )
    return float(values["frechet_inception_distance"])


def cosine(samples: Path, captions: Path, checkpoint: Path, device: str) -> float:
    model, _, transform = open_clip.create_model_and_transforms("ViT-B-32", pretrained=str(checkpoint), device=device)
    model.eval()
    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    with captions.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    cosines = []
    with torch.inference_mode():
        for start in range(0, len(rows), BATCH):
            some = rows[start : start + BATCH]
            images = torch.stack([transform(Image.open(samples / row["file"])) for row in some]).to(device)
            texts = tokenizer([row["caption"] for row in some]).to(device)
            products = model.encode_image(images, normalize=True) * model.encode_text(texts, normalize=True)
            cosines.append(products.sum(dim=1).cpu())
    return float(torch.cat(cosines).mean())


def distance(samples: Path, reference: Path, weights: Path, device: str) -> float:
    model = _lpips(weights).to(device)
    values = []
    with torch.inference_mode():
        for path in sorted(samples.iterdir()):
            pair = [
                lpips.im2tensor(np.asarray(Image.open(each).convert("RGB"))).to(device)
                for each in (path, reference / path.name)
            ]
            values.append(float(model(*pair)))
    return float(np.mean(values))


def _lpips(weights: Path) -> Any:
    """The package's module with the trunk that it would download."""
    tensors = read_safetensors(Weights(weights).require("lpips-alexnet"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision tells it that `pretrained` has a new name
        model = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    convolutions = [module for module in model.net.modules() if isinstance(module, nn.Conv2d)]
    for index, convolution in enumerate(convolutions):
        convolution.weight.data = torch.from_numpy(np.array(tensors[f"conv_{index}.weight"]))
        assert convolution.bias is not None
        convolution.bias.data = torch.from_numpy(np.array(tensors[f"conv_{index}.bias"]))
    return model


def main(home: Path, device: str) -> None:
    samples, reference = home / "samples", home / "reference"
    values = {
        "fid": fid(samples, reference, home / "inception.pth", device),
        "cosine": cosine(samples, home / "captions.csv", home / "clip.pt", device),
        "lpips": distance(samples, reference, home / "weights", device),
    }
    print(json.dumps(values))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
