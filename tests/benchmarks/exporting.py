"""Taking a million votes home, and twenty thousand pairs with their pictures, in the memory that a few take."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tests.benchmarks import Claim, Measure, _database

if TYPE_CHECKING:  # at run time nothing that knows models comes before the database
    from evalhub.studies.models import Study

VOTES, FEW_VOTES = 1_000_000, 10_000
PAIRS, FEW_PAIRS = 20_000, 2_000
SIDE = 512
CONTESTANTS = 20


def measure(
    votes: int = VOTES, few_votes: int = FEW_VOTES, pairs: int = PAIRS, few_pairs: int = FEW_PAIRS, side: int = SIDE
) -> Iterator[Measure | Claim]:
    """Args: side: of the pictures, in pixels."""
    _database.start()
    from tests.benchmarks import _filled

    small, large = (_filled.filled_study(f"votes-{number}", number) for number in (few_votes, votes))
    _filled.settle()
    for kind in ("csv", "parquet"):
        yield _beside(large, small, "votes", kind, f"{votes:,} votes", f"{few_votes:,}")
    few, many = (_with_pictures(number, side) for number in (few_pairs, pairs))
    yield _beside(many, few, "preferences", "parquet", f"{pairs:,} pairs with pictures", f"{few_pairs:,}")


def _beside(large: "Study", small: "Study", table: str, kind: str, what: str, few: str) -> Measure:
    ours, theirs = (_export(study, table, kind) for study in (large, small))
    rate = ours["bytes"] / ours["seconds"] / 2**20
    return Measure(
        f"peak memory of exporting {what} as {kind}",
        [ours["peak"] / 2**20],
        f"of {few}",
        [theirs["peak"] / 2**20],
        goal=1 / 1.2,
        unit="MiB",
        note=f"{ours['bytes'] / 2**20:,.0f} MiB in {ours['seconds']:.1f} s, {rate:,.0f} MiB/s",
    )


def _export(study: "Study", table: str, kind: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks._exporter", study.slug, table, kind]
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ.copy()).stdout
    return dict(json.loads(said.splitlines()[-1]))


def _with_pictures(pairs: int, side: int) -> "Study":
    """A study with about so many pairs, and a crop of a real photograph behind each of its samples."""
    from django.core.files.base import ContentFile
    from django.core.files.storage import default_storage
    from skimage import data

    from tests.benchmarks import _filled

    prompts = -(-pairs // (CONTESTANTS * (CONTESTANTS - 1) // 2))
    study = _filled.filled_study(
        f"pairs-{pairs}", pairs, contestants=CONTESTANTS, prompts=prompts, raters=max(1, pairs // 1_000)
    )
    photographs = [np.asarray(photograph) for photograph in (data.astronaut(), data.coffee(), data.chelsea())]
    random = np.random.default_rng(1)
    for media in study.media.iterator():
        photograph = Image.fromarray(photographs[random.integers(len(photographs))])
        left, top = (int(random.integers(0, length // 4)) for length in photograph.size)
        crop = photograph.crop((left, top, left + 256, top + 256)).resize((side, side), Image.Resampling.BICUBIC)
        out = io.BytesIO()
        crop.save(out, "JPEG", quality=90)
        default_storage.save(media.path, ContentFile(out.getvalue()))
    return study
