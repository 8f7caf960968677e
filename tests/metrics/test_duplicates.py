"""Near-duplicates of real photographs from real features: found where there are any, and nowhere else."""

import io
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image, ImageOps

from evalhub.problems import Conflict
from evalhub.studies.demo import photographs
from evalhub.studies.models import Membership, Role, Submission, User
from metrics import services
from metrics.engine.near_pairs import THRESHOLDS
from metrics.models import DuplicateSearch, FeatureRow, NearDuplicate, Run, SearchState
from metrics.tasks import find_duplicates
from metrics.tasks.material import Cache
from tests.metrics.material import Picture, make_study, submit

Compute = Callable[..., Run]
NAMES = ("cat", "coffee", "rocket", "astronaut", "pagoda", "dahlia", "coins", "alps")


def photograph(name: str) -> Image.Image:
    return photographs.reference(next(one for one in photographs.prompts() if one.source == name))


def resaved(image: Image.Image, quality: int = 80) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def cropped(image: Image.Image) -> Image.Image:
    edge = image.width // 20
    return image.crop((edge, edge, image.width - edge, image.height - edge)).resize(image.size)


@pytest.fixture
def scored(compute: Compute, researcher: User) -> Submission:
    """Outputs p000 … p009: five photographs, three of them once more, one byte for byte, and one reference mirrored.

    The references are those five photographs for their own prompts, which is no find, and three others.
    """
    pictures = {name: photograph(name) for name in NAMES}
    own = [pictures[name] for name in NAMES[:5]]
    study = make_study(
        [Picture.of(image) for image in [*own, pictures["dahlia"], pictures["coins"], pictures["alps"]]] + [None, None]
    )
    outputs = [*own, resaved(own[0]), ImageOps.mirror(own[1]), cropped(own[2]), own[3]]
    outputs.append(ImageOps.mirror(pictures["dahlia"]))
    made = submit(study, [Picture.of(image) for image in outputs], name="copyist")
    Membership.objects.create(study=study, user=researcher, role=Role.RESEARCHER)
    compute(services.start_run(submission=made, metrics=["kid"], actor=researcher))
    return made


def search(submission: Submission, actor: User) -> DuplicateSearch:
    found = services.ask_for_duplicates(submission=submission, actor=actor)
    find_duplicates.apply(args=[found.pk], throw=True)
    found.refresh_from_db()
    return found


def test_copies_are_found_and_other_photographs_are_not(scored: Submission, researcher: User) -> None:
    found = search(scored, researcher)
    assert (found.state, found.error) == (SearchState.DONE, "")
    assert (found.column, found.threshold) == ("inception", THRESHOLDS["inception"])
    assert (found.outputs, found.without, found.references) == (9, 0, 8)  # p008 is p003's very file
    within = {(pair.sample.prompt.key, pair.other.prompt.key) for pair in found.pairs.of("outputs") if pair.other}
    assert within == {("p000", "p005"), ("p001", "p006"), ("p002", "p007")}
    assert (found.pairs_within, found.near_within) == (3, 6)
    beside = {(pair.sample.prompt.key, pair.reference_id) for pair in found.pairs.of("references")}
    given = {prompt.key: prompt.reference_id for prompt in scored.checkpoint.study.prompts.all()}
    copied = {("p005", given["p000"]), ("p006", given["p001"]), ("p007", given["p002"]), ("p009", given["p005"])}
    assert beside == copied  # and no output beside the reference that its own prompt gives

    rows = Cache(scored.checkpoint.study_id).lookup(found.fingerprint, list(_keys(scored)))
    for pair in found.pairs.all():
        media = pair.other.media if pair.other else pair.reference
        assert media is not None
        one, other = (rows[sha256].astype(np.float64) for sha256 in (pair.sample.media.sha256, media.sha256))
        assert pair.similarity == pytest.approx(one @ other / np.linalg.norm(one) / np.linalg.norm(other), abs=1e-5)

    same = services.same_bytes(scored)
    assert [[one.prompt.key for one in group] for group in same.groups] == [["p003", "p008"]]
    assert [one.prompt.key for one in same.references] == ["p008"]  # p003's own reference is no find

    # What was found goes when the next search ends, and not before.
    before = set(found.pairs.values_list("pk", flat=True))
    services.ask_for_duplicates(submission=scored, actor=researcher)
    assert set(found.pairs.values_list("pk", flat=True)) == before
    find_duplicates.apply(args=[found.pk], throw=True)
    assert NearDuplicate.objects.count() == len(before)
    assert not before & set(found.pairs.values_list("pk", flat=True))

    page = Client()
    page.force_login(researcher)
    address = reverse("submission_duplicates", args=[scored.pk])
    text = page.get(address).text
    assert "6 of 9 nearly repeat another" in " ".join(text.split())
    assert text.count('class="two"') == 3
    beside_text = page.get(address, {"of": "references"}).text
    assert beside_text.count('class="two"') == 4
    assert "may be memorised" in beside_text
    assert "<html" not in page.get(address, headers={"HX-Request": "true"}).text

    api = f"/api/v1/submissions/{scored.pk}/duplicates/"
    assert page.get(api).json()["near_within"] == 6
    pairs = page.get(f"{api}pairs/").json()["results"]
    assert {(pair["prompt"], pair["other_prompt"]) for pair in pairs} == within
    similarities = [pair["similarity"] for pair in pairs]
    assert similarities == sorted(similarities, reverse=True)
    nearest = page.get(f"{api}pairs/", {"of": "references", "page_size": "1"}).json()
    assert nearest["results"][0]["other_prompt"] is None
    assert nearest["next"]
    assert page.get(f"{api}pairs/", {"of": "everything"}).status_code == 400

    FeatureRow.objects.all().delete()
    evicted = search(scored, researcher)
    assert evicted.state == SearchState.FAILED
    assert evicted.error == services.NOTHING_TO_SEARCH


def _keys(submission: Submission) -> set[str]:
    study = submission.checkpoint.study
    return set(study.media.values_list("sha256", flat=True))


class TestAsking:
    @pytest.mark.django_db
    def test_one_search_at_a_time_and_none_is_lost(
        self, grey_submission: Callable[..., Submission], researcher: User, doorbell: object
    ) -> None:
        submission = grey_submission()
        found = services.ask_for_duplicates(submission=submission, actor=researcher)
        services.ask_for_duplicates(submission=submission, actor=researcher)  # waiting still: asked twice is once
        assert DuplicateSearch.objects.count() == 1
        mine = services.claim_search(search_id=found.pk)
        assert mine is not None
        assert services.claim_search(search_id=found.pk) is None
        with pytest.raises(Conflict, match="under way"):
            services.ask_for_duplicates(submission=submission, actor=researcher)
        assert services.ring_for_searches() == 0
        DuplicateSearch.objects.update(beat_at=timezone.now() - timedelta(minutes=6))
        assert services.ring_for_searches() == 1
        other = services.claim_search(search_id=found.pk)
        assert other is not None
        assert not services.renew_search(search=mine, share=0.5)
        assert not services.keep_duplicates(search=mine, facts={"threshold": 0.5}, pairs=[])
        assert services.renew_search(search=other, share=0.5)

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        ("role", "see", "do"),
        [("owner", 200, 302), ("researcher", 200, 302), ("viewer", 200, 403), ("rater", 403, 403), ("", 404, 404)],
    )
    def test_who_sees_and_who_searches(
        self,
        grey_submission: Callable[..., Submission],
        researcher: User,
        doorbell: object,
        role: str,
        see: int,
        do: int,
    ) -> None:
        submission = grey_submission()
        if role:
            Membership.objects.create(study=submission.checkpoint.study, user=researcher, role=Role(role))
        client = Client()
        client.force_login(researcher)
        seen = client.get(reverse("submission_duplicates", args=[submission.pk]))
        done = client.post(reverse("duplicates_search", args=[submission.pk]))
        assert (seen.status_code, done.status_code) == (see, do)
        api = f"/api/v1/submissions/{submission.pk}/duplicates/"
        assert client.post(api).status_code == (202 if do == 302 else do)
        assert client.get(api).status_code == (200 if do == 302 else 404 if see == 200 else see)
        assert client.get(f"{api}pairs/").status_code == see
        assert DuplicateSearch.objects.exists() == (do == 302)
