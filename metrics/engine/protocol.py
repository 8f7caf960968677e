"""A protocol: everything that changes a metric's number, hashed to a fingerprint per metric. Imports no torch.

Two scores may stand in one column only if their fingerprints are equal. Devices, batch sizes and thread counts are
recorded with
a score but are not in its fingerprint: they move a value by less than the tolerances in docs/metrics.md.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

from metrics.engine.catalogue import WEIGHTS
from metrics.engine.columns import COLUMNS
from metrics.engine.errors import BadInput, Mismatch
from metrics.engine.images import decode_policy
from metrics.engine.registry import get_metric
from metrics.engine.videos import FRAMES, RULE, video_policy

CLIP = "clip-vit-b-32"
"""The weights that `Protocol.clip_model` is about."""

FID_RESIZES: Mapping[str, str] = MappingProxyType({"clean": "bicubic-antialias-clamp", "tf1": "tf1-bilinear"})
"""The named protocols and how each brings an image to Inception's 299 × 299; all else is the same in both."""

DTYPES = ("float32", "bfloat16", "float16")
"""What networks may compute in. Sums, normalisations and all that follows a network are in float32 or float64."""


@dataclass(frozen=True)
class Protocol:
    """The settings of one run.

    Attributes:
        name: the named protocol it was made from.
        fid_resize: how an image reaches Inception's input size.
        dtype: the networks' arithmetic.
        decoder, decode_version: the library that decodes pictures (or videos) with its major version, and the decode
            policy's version.
        frames: how many frames of each video are scored; 0 where the samples are pictures.
        weights: catalogue name → SHA-256 of the tensors. A name that is absent has not been chosen yet (CLIP before its
            import).
        clip_model: open_clip's name of the CLIP architecture; empty while no checkpoint is chosen.
        clip_prefix: put before every caption.
    """

    name: str
    fid_resize: str
    dtype: str
    decoder: str
    decode_version: int
    weights: Mapping[str, str]
    clip_model: str = ""
    clip_prefix: str = ""
    frames: int = 0

    @property
    def moving(self) -> bool:
        """Whether the samples are videos."""
        return self.frames > 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data that `from_dict` turns back into an equal protocol."""
        return asdict(replace(self, weights=dict(self.weights)))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Protocol":
        """Raises: BadInput if `data` is not what `to_dict` gives."""
        try:
            return cls(**{**data, "weights": MappingProxyType(dict(data["weights"]))})
        except (TypeError, KeyError, ValueError) as fault:
            raise BadInput(f"This is not a stored protocol ({fault}); make one with protocol.named().") from None

    def with_dtype(self, dtype: str) -> "Protocol":
        """This protocol with the networks computing in another precision: other numbers, so other fingerprints.

        Raises: BadInput for another name than `DTYPES` has.
        """
        if dtype not in DTYPES:
            raise BadInput(f"There is no arithmetic called “{dtype}”; choose from {', '.join(DTYPES)}.")
        return replace(self, dtype=dtype)

    def with_checkpoint(self, name: str, *, tensors_sha256: str, clip_model: str = "") -> "Protocol":
        """The same protocol with the operator's checkpoint chosen for the weights called `name`."""
        weights = MappingProxyType({**self.weights, name: tensors_sha256})
        return replace(self, weights=weights, clip_model=clip_model if name == CLIP else self.clip_model)

    def column_facts(self, column: str) -> dict[str, Any]:
        """What changes one row of `column`. Columns of one maker have the same facts: their rows are the same rows."""
        made = COLUMNS[column]
        facts: dict[str, Any] = {"column": made.maker, "version": made.version}
        if made.weights:
            facts["dtype"] = self.dtype
            hashes = [self.weights.get(name, "not chosen") for name in made.weights]
            facts["weights"] = hashes[0] if len(hashes) == 1 else hashes
        if made.reads_pictures:
            facts["decode"] = {"library": self.decoder, "policy": self.decode_version}
            if self.moving:
                facts["frames"] = {"count": self.frames, "rule": RULE}
        if made.maker == "inception":
            facts |= {"resize": self.fid_resize, "size": 299}
        if made.maker == "clip_image":
            facts |= {"model": self.clip_model, "resize": "pillow-bicubic-8-bit", "size": 224}
        if made.maker == "clip_large":
            facts |= {"model": "ViT-L-14-336-quickgelu", "resize": "central square, pillow-bicubic-8-bit", "size": 336}
        if made.maker == "dinov2":
            facts |= {"resize": "both sides, pillow-bicubic-8-bit", "size": 224}
        if made.maker == "clip_text":
            facts |= {"model": self.clip_model, "prefix": self.clip_prefix}
        return facts

    def column_fingerprint(self, column: str) -> str:
        """SHA-256 of `column_facts`: two rows under one fingerprint and one key are the same row."""
        return _sha256(self.column_facts(column))

    def facts(self, metric: str) -> dict[str, Any]:
        """What changes the value of `metric`, beside the samples and the reference."""
        spec = get_metric(metric)
        return {
            "metric": spec.name,
            "version": spec.version,
            "columns": [self.column_facts(column) for column in spec.columns],
        }

    def fingerprint(self, metric: str) -> str:
        """SHA-256 of `facts`, as canonical JSON."""
        return _sha256(self.facts(metric))

    def check_decoder(self) -> None:
        """Raises: Mismatch if this machine decodes otherwise than the protocol says."""
        here = video_policy() if self.moving else decode_policy()
        if here != {"library": self.decoder, "policy": self.decode_version}:
            raise Mismatch(
                f"This protocol decodes with {self.decoder} (policy {self.decode_version}) and this machine has "
                f"{here['library']} (policy {here['policy']}); install the former, or start a new run."
            )


def named(name: str = "clean", modality: str = "image") -> Protocol:
    """The protocol `clean` or `tf1` with this machine's decoder and the catalogue's weights; CLIP not chosen yet.

    Args: modality: what the samples are, “image” or “video”.
    Raises: BadInput for another name, and for videos where no decoder for them is installed.
    """
    if name not in FID_RESIZES:
        raise BadInput(f"There is no protocol called “{name}”; choose from {', '.join(FID_RESIZES)}.")
    moving = modality == "video"
    policy = video_policy() if moving else decode_policy()
    pinned = {spec.name: spec.tensors_sha256 for spec in WEIGHTS.values() if spec.tensors_sha256}
    return Protocol(
        name=name,
        fid_resize=FID_RESIZES[name],
        dtype="float32",
        decoder=policy["library"],
        decode_version=policy["policy"],
        weights=MappingProxyType(pinned),
        frames=FRAMES if moving else 0,
    )


def _sha256(facts: Mapping[str, Any]) -> str:
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
