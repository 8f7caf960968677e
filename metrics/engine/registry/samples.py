"""Metrics of single samples and their means. Their reducers: `reducers.WITHOUT_REFERENCE`."""

from metrics.engine.registry.spec import MetricSpec, Need

SAMPLES = (
    MetricSpec(
        name="lpips",
        title="LPIPS (AlexNet)",
        version=1,
        direction="lower",
        unit="perceptual distance",
        minimum_n=30,
        needs=frozenset({Need.PAIRED_REFERENCE}),
        weights=("lpips-alexnet",),
        columns=("lpips_alex",),
        per_sample=True,
        summary="Learned perceptual distance of each sample from its own reference, AlexNet trunk, v0.1 heads",
        weak_because="the mean of so few pairs says little",
    ),
    MetricSpec(
        name="lpips_vgg",
        title="LPIPS (VGG16)",
        version=1,
        direction="lower",
        unit="perceptual distance",
        minimum_n=30,
        needs=frozenset({Need.PAIRED_REFERENCE}),
        weights=("lpips-vgg16",),
        columns=("lpips_vgg",),
        per_sample=True,
        summary="Learned perceptual distance of each sample from its own reference, VGG16 trunk, v0.1 heads",
        weak_because="the mean of so few pairs says little",
    ),
    MetricSpec(
        name="clip_score",
        title="CLIPScore (ViT-B/32)",
        version=1,
        direction="higher",
        unit="2.5 × cosine",
        minimum_n=30,
        needs=frozenset({Need.CAPTION}),
        weights=("clip-vit-b-32",),
        columns=("clip_image", "clip_text"),
        per_sample=True,
        summary="Agreement of each sample with its caption: 2.5 × max(cosine, 0) of CLIP embeddings",
        weak_because="the mean of so few samples says little",
    ),
)
