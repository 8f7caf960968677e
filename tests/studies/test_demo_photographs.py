"""The demo's material is real: pinned photographs, good crops, and five methods that truly differ."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evalhub.studies.demo import methods, packages
from evalhub.studies.demo.methods import FACTOR, METHODS, Method, enlarge, generate, output, shrink, write_outputs
from evalhub.studies.demo.packages import MaterialUnavailable
from evalhub.studies.demo.photographs import (
    PHOTOGRAPHS,
    SIDE,
    DemoPrompt,
    picture,
    prompts,
    reference,
)

ReplaceCoffee = Callable[[str, str], DemoPrompt]

PAGE = Path(__file__).parents[2] / "docs" / "demo.md"


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=np.float64)


def mean_error(method: Method) -> float:
    """Mean over the prompts of the root mean squared difference from the reference, in grey levels."""
    return float(
        np.mean([np.sqrt(np.mean((pixels(output(method, p)) - pixels(reference(p))) ** 2)) for p in prompts()])
    )


@pytest.fixture
def replaced_coffee(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReplaceCoffee]:
    """Puts another photograph in the place of the coffee cup, and forgets the pictures read before and after."""

    def replace_with(package: str, file: str) -> DemoPrompt:
        monkeypatch.setitem(PHOTOGRAPHS, "coffee", replace(PHOTOGRAPHS["coffee"], package=package, file=file))
        return next(prompt for prompt in prompts() if prompt.source == "coffee")

    picture.cache_clear()
    yield replace_with
    picture.cache_clear()


@pytest.mark.parametrize("source", PHOTOGRAPHS)
def test_every_photograph_is_installed_as_pinned(source: str) -> None:
    photograph = PHOTOGRAPHS[source]
    assert sha256(photograph.path().read_bytes()).hexdigest() == photograph.sha256
    assert picture(source).mode == "RGB"
    assert not picture(source).info


def test_a_missing_package_is_named_in_a_sentence(replaced_coffee: ReplaceCoffee) -> None:
    prompt = replaced_coffee("no_such_package", "data/coffee.png")
    with pytest.raises(MaterialUnavailable, match="package no_such_package, which is not installed; install EvalHub"):
        reference(prompt)


@pytest.mark.parametrize("package", ["skimage", "@stdlib/no-such-photograph"])
def test_a_missing_file_is_named_in_a_sentence(replaced_coffee: ReplaceCoffee, package: str) -> None:
    prompt = replaced_coffee(package, "data/absent.png")
    with pytest.raises(MaterialUnavailable, match=r"data/absent\.png.*No such file.*install that package again"):
        reference(prompt)


def test_an_altered_file_is_refused_in_a_sentence(
    replaced_coffee: ReplaceCoffee, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    original = PHOTOGRAPHS["coffee"].path().read_bytes()
    (tmp_path / "@altered").mkdir()
    (tmp_path / "@altered" / "coffee.png").write_bytes(original + b"\0")
    monkeypatch.setattr(packages, "_NODE_MODULES", tmp_path)
    prompt = replaced_coffee("@altered", "coffee.png")
    with pytest.raises(MaterialUnavailable, match=r"to have the SHA-256 cc02f8ca.*but it has [0-9a-f]{64}; install"):
        reference(prompt)


def test_there_are_enough_prompts_and_every_photograph_is_used() -> None:
    keys = [prompt.key for prompt in prompts()]
    assert len(keys) == len(set(keys)) >= 96
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", key) for key in keys)
    assert {prompt.source for prompt in prompts()} == set(PHOTOGRAPHS)


def test_captions_are_distinct_sentences_and_tags_are_shared() -> None:
    captions = [prompt.caption for prompt in prompts()]
    assert len(set(captions)) == len(captions)
    assert all(re.fullmatch(r"[A-Z][^.]{25,110}\.", caption) for caption in captions)
    tags = [tag for prompt in prompts() for tag in prompt.tags]
    assert all(prompt.tags for prompt in prompts())
    assert {tag for tag in tags if tags.count(tag) < 2} == set(), "a tag of one prompt groups nothing"


def test_boxes_lie_inside_their_photographs_and_hardly_overlap() -> None:
    assert SIDE % FACTOR == 0
    for prompt in prompts():
        whole = picture(prompt.source)
        assert 0 <= prompt.left <= whole.width - SIDE, prompt.key
        assert 0 <= prompt.top <= whole.height - SIDE, prompt.key
    for one, other in combinations(prompts(), 2):
        if one.source == other.source:
            shared = max(0, SIDE - abs(one.left - other.left)) * max(0, SIDE - abs(one.top - other.top))
            assert shared <= 0.3 * SIDE**2, (one.key, other.key)


def test_references_are_distinct_untouched_crops() -> None:
    seen = set()
    for prompt in prompts():
        image = reference(prompt)
        assert (image.mode, image.size) == ("RGB", (SIDE, SIDE))
        seen.add(image.tobytes())
    assert len(seen) == len(prompts())
    helmet = next(prompt for prompt in prompts() if prompt.key == "astronaut-helmet")
    original = np.asarray(Image.open(PHOTOGRAPHS["astronaut"].path()))
    assert np.array_equal(np.asarray(reference(helmet)), original[224:512, 224:512])


def test_every_crop_has_detail_to_lose() -> None:
    for prompt in prompts():
        lost = pixels(output(METHODS["bicubic"], prompt)) - pixels(reference(prompt))
        assert np.sqrt(np.mean(lost**2)) > 3, f"{prompt.key} is so smooth that methods cannot differ on it"


def test_outputs_are_of_the_references_size_deterministic_and_differ_between_methods() -> None:
    assert list(METHODS) == ["nearest", "bilinear", "bicubic", "lanczos", "lanczos-unsharp"]
    for prompt in prompts():
        outputs = {name: output(method, prompt) for name, method in METHODS.items()}
        assert {(image.mode, image.size) for image in outputs.values()} == {("RGB", (SIDE, SIDE))}
        assert len({image.tobytes() for image in outputs.values()}) == len(METHODS), prompt.key
        for name, method in METHODS.items():
            assert output(method, prompt).tobytes() == outputs[name].tobytes(), (name, prompt.key)


def test_nearest_repeats_each_pixel_of_the_small_picture() -> None:
    prompt = prompts()[0]
    small = np.asarray(shrink(reference(prompt)))
    assert small.shape == (SIDE // FACTOR, SIDE // FACTOR, 3)
    expected = small.repeat(FACTOR, axis=0).repeat(FACTOR, axis=1)
    assert np.array_equal(np.asarray(output(METHODS["nearest"], prompt)), expected)


def test_better_kernels_come_closer_to_the_references() -> None:
    errors = [mean_error(METHODS[name]) for name in ("lanczos", "bicubic", "bilinear", "nearest")]
    assert errors == sorted(errors)
    assert errors[-1] > 1.1 * errors[0]


def test_the_seconds_are_the_methods_own(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 10.25])
    monkeypatch.setattr(methods, "perf_counter", lambda: next(clock))
    image, seconds = generate(METHODS["bicubic"], prompts()[0])
    assert seconds == 0.25
    assert image.size == (SIDE, SIDE)
    assert methods.processor()


def test_a_sixth_contestant_is_written_to_a_folder(tmp_path: Path) -> None:
    hamming = Method("Hamming", "A window of one lobe.", lambda small: enlarge(small, Image.Resampling.HAMMING))
    seconds = write_outputs(hamming, tmp_path / "made" / "here")
    written = sorted(path.name for path in (tmp_path / "made" / "here").iterdir())
    assert written == sorted(f"{prompt.key}.png" for prompt in prompts())
    assert len(seconds) == len(prompts())
    assert min(seconds) > 0
    first = Image.open(tmp_path / "made" / "here" / f"{prompts()[0].key}.png")
    assert first.tobytes() == output(hamming, prompts()[0]).tobytes()
    assert first.tobytes() not in {output(method, prompts()[0]).tobytes() for method in METHODS.values()}


def test_the_page_lists_every_photograph_and_method_and_its_example_works(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = {row[0]: row for row in re.findall(r"^\| `([a-z-]+)` \| (.+?) \| (.+?) \| (.+) \|$", page, re.MULTILINE)}
    assert set(rows) == set(PHOTOGRAPHS)
    for source, photograph in PHOTOGRAPHS.items():
        assert photograph.package in rows[source][1], source
        assert photograph.file in rows[source][1], source
    assert set(METHODS) <= set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE))
    assert f"{len(prompts())} squares from {len(PHOTOGRAPHS)} photographs" in page

    example = re.search(r"```python\n(.+?)```", page, re.DOTALL)
    assert example is not None
    subprocess.run([sys.executable, "-c", example.group(1)], cwd=tmp_path, check=True)
    assert len(list((tmp_path / "hamming").glob("*.png"))) == len(prompts())
