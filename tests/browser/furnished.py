"""A study that has something of everything, every text of it long or wishing to be a script; and a draft."""

import io
from datetime import timedelta
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from PIL import Image

from evalhub.leaderboard.services import find_agreement
from evalhub.studies import services as studies
from evalhub.studies.models import (
    CallState,
    Checkpoint,
    Criterion,
    Event,
    LogEntry,
    Membership,
    Prompt,
    Role,
    Sample,
    Study,
    Submission,
    User,
    Webhook,
    WebhookCall,
)
from evalhub.studies.services import CheckpointFacts
from metrics.engine.near_pairs import THRESHOLDS
from metrics.models import NearDuplicate
from metrics.services import ask_for_duplicates, claim_search, keep_duplicates
from raters import services
from raters.models import Enrolment, Remark, Skip, VoteFile, VoteImport
from raters.platforms.arrivals import Arrival
from raters.services.import_progress import Progress
from raters.services.importing import take_back
from raters.services.staging import PAIRS
from raters.services.visiting import arrive
from raters.services.vote_uploads import receive_vote_file, work_on_vote_file
from tests.browser.test_runs import ended, under_way
from tests.leaderboard.test_agreement import give_scores
from tests.raters.arrivals import PID, PROLIFIC_STUDY, SESSION, way_in
from tests.raters.ballots import ballot, load, noisy, people, save, simulated_raters, vote_on_all
from tests.raters.conftest import Desk, make_desk, noise, png, store
from tests.raters.gold_scenes import gold
from tests.submitting import picture, promised

SCRIPT = "<script>alert(document.domain)</script><img src=x onerror=alert(1)>"
# So long that nothing but breaking it inside a word keeps it in a telephone's window.
UNBROKEN = "W" * 400
CONTESTANTS = ("plain", "distilled-4-steps", SCRIPT, UNBROKEN)


def hostile(length: int) -> str:
    """A text of that length that is a script first and then one endless word."""
    return (SCRIPT + UNBROKEN)[:length]


def furnished_study(owner: User) -> Study:
    """Open, with contestants, votes, rankings, runs, controls, reports, visits, calls and links; and all of it hostile.

    Its slug is `full`. The owner's tokens are hostile too.
    """
    desk = make_desk("full", prompts=8, description=hostile(2_000), licence=hostile(200), asks_region=True)
    texts = {"name": hostile(200), "instructions": hostile(500)}
    Study.objects.filter(pk=desk.study.pk).update(**texts, published_at=timezone.now())
    desk.study.refresh_from_db()
    Membership.objects.create(study=desk.study, user=owner, role=Role.OWNER)
    _prompts(desk)
    _contestants(desk, owner)
    _questions(desk)
    raters = _votes(desk, owner)
    _controls_and_reports(desk, owner, raters)
    _scores_and_runs(desk, owner)
    _unfinished(desk, owner)
    _ways_in(desk, owner)
    _webhooks(desk.study, owner)
    _files_of_votes(desk, owner)
    LogEntry.write(study=desk.study, actor=owner, verb="v" * 40, subject=hostile(200), said=hostile(1_000))
    return desk.study


def draft_with_a_list(owner: User) -> Study:
    """A draft whose prompts were read from a file and wait to be looked at."""
    study = studies.create_study(slug="draft", name=f"Draft {hostile(190)}", description=hostile(500), actor=owner)
    studies.add_prompt(study=study, key="kept", text="One that is there already", tags=["night"], actor=owner)
    text = SCRIPT.replace("/", "")
    rows = (
        "key,text,source,tags",
        f"{text},{SCRIPT},{SCRIPT},{hostile(60)}",
        f"{UNBROKEN[:190]},{UNBROKEN},,",
        "kept,,,",
    )
    lines = "\n".join(rows)
    studies.read_prompts(study=study, actor=owner, prompt_list=SimpleUploadedFile("list.csv", lines.encode()))
    return study


def _prompts(desk: Desk) -> None:
    """Each has a reference, some a source and a mask."""
    for place, prompt in enumerate(desk.prompts):
        prompt.reference = store(desk.study, png(noise(place, 99)), "png")
        if place < 2:
            prompt.source = store(desk.study, png(noise(place, 98)), "png")
            prompt.mask = store(desk.study, png(Image.new("L", (48, 32), 40 * place)), "png")
            prompt.key, prompt.text, prompt.source_text = hostile(200 - place), hostile(3_000), hostile(300)
        prompt.tags = ["night", "people"] if place % 2 else [hostile(64), "day"]
    Prompt.objects.bulk_update(desk.prompts, ["key", "text", "source_text", "tags", "source", "mask", "reference"])


def _contestants(desk: Desk, owner: User) -> None:
    for place, name in enumerate(CONTESTANTS):
        checkpoint = desk.contestant(name[:120])
        checkpoint.family = (hostile(120), "diffusion")[place % 2]
        checkpoint.step, checkpoint.latency_p50, checkpoint.latency_p95 = 1000 * (1 + place), 0.5 * (1 + place), 3.0
        checkpoint.price, checkpoint.gpu, checkpoint.dtype = 0.01, hostile(120), "bfloat16"
        checkpoint.notes = hostile(2_000)
        checkpoint.save()
    services.prepare_presentation(study=desk.study)
    load(desk)


def _files_of_votes(desk: Desk, owner: User) -> None:
    """One that was looked at, one that is being added, a refused one and an added one, which was taken back."""
    (first, second), prompt = desk.checkpoints[:2], desk.prompts[2].key
    good = f"{first.pk},{second.pk},left,somebody,{prompt},{desk.study.criteria.values_list('key', flat=True)[0]}"
    for name, wrong, leave_out in (
        (UNBROKEN[:30], SCRIPT, False),
        ("added", UNBROKEN, True),
        ("refused", SCRIPT, False),
    ):
        lines = "\n".join(
            ("left,right,outcome,rater,prompt,criterion", f"nobody {wrong},{good.partition(',')[2]}", good)
        )
        received = receive_vote_file(
            study=desk.study,
            file=io.BytesIO(lines.encode()),
            name=name,
            actor=owner,
            leave_out=leave_out,
            only_look=name not in ("added", "refused"),
        )
        work_on_vote_file(vote_file=received)
    take_back(vote_import=VoteImport.objects.get(study=desk.study), reason=hostile(300), actor=owner)
    at_work = VoteFile.objects.create(
        study=desk.study, name="under way", sha256="1" * 64, size=10**8, state="adding", attempts=1, asked_by=owner
    )
    Progress(at_work).tell(PAIRS, 40_000, 1_000_000)


def _unfinished(desk: Desk, owner: User) -> None:
    """A submission with a bad file and missing ones."""
    broken = studies.receive_manifest(
        study=desk.study,
        actor=owner,
        checkpoint=CheckpointFacts(name=UNBROKEN[:110]),
        files=[
            promised(f"{place}{hostile(200).replace('/', '')}.png", picture(place), prompt.key)
            for place, prompt in enumerate(desk.prompts[:3])
        ],
    )
    entry = broken.entries.earliest("pk")
    studies.receive_file(submission=broken, sha256=entry.sha256, stream=SimpleUploadedFile("x", b"no picture"))


def _questions(desk: Desk) -> None:
    Criterion.objects.create(study=desk.study, key="detail", name=hostile(80), question=hostile(200), position=1)


def _votes(desk: Desk, owner: User) -> list[Enrolment]:
    """People, simulated raters and one who only presses left; two rankings, and ship tests registered before."""
    criterion = desk.study.criteria.get(key="quality")
    margins = [
        services.register_margin(
            study=desk.study,
            criterion=criterion,
            candidate=desk.checkpoints[candidate],
            baseline=desk.checkpoints[baseline],
            margin=margin,
            actor=owner,
        )
        for candidate, baseline, margin in ((2, 0, 150.0), (1, 0, 10.0), (3, 1, 60.0))
    ]
    raters = people(desk, 5)
    vote_on_all(desk, raters[:3], noisy(3, spread=1), milliseconds=3_100)
    services.refit(study=desk.study)
    vote_on_all(desk, simulated_raters(desk, 2), noisy(4))
    vote_on_all(desk, raters[3:4], lambda left, right: "left", milliseconds=240)
    save([ballot(desk, raters[0], 1, 0, prompt, "left", control="repeat") for prompt in range(4)])
    services.set_group(enrolment=raters[0], group=hostile(40), actor=owner)
    services.set_exclusion(enrolment=raters[3], reason=hostile(500), actor=owner)
    services.refit(study=desk.study)
    services.withdraw_margin(margin=margins[2], reason=hostile(500), actor=owner)
    return raters


def _controls_and_reports(desk: Desk, owner: User, raters: list[Enrolment]) -> None:
    for place, use in enumerate(("training", "qualification", "control")):
        gold(desk, use, place, explanation=hostile(500))
    for place, (reason, side) in enumerate((("broken", "left"), ("other", ""))):
        skipped, _ = ballot(desk, raters[4], 0, 1, place, "left")
        skipped.answered_at = None
        skipped.save()
        Skip.objects.create(comparison=skipped, reason=reason, side=side, comment=hostile(1_000))
    (vote,) = save([ballot(desk, raters[4], 2, 1, 3, "left")])
    where = {"side": "left", "x": 0.2, "y": 0.3, "width": 0.4, "height": 0.2}
    Remark.objects.create(comparison=vote.comparison, comment=hostile(1_000), **where)


def _scores_and_runs(desk: Desk, owner: User) -> None:
    give_scores(desk.study, "lpips", rising=True)
    give_scores(desk.study, "fid", rising=False, per_sample=False)
    find_agreement(study=desk.study)
    submission = desk.checkpoints[0].submission
    ended(submission, owner)
    under_way(submission, owner)
    _near_duplicates(desk, submission, owner)
    late = Checkpoint.objects.get(pk=desk.checkpoints[3].pk)
    studies.withdraw_checkpoint(checkpoint=late, actor=owner, reason=SCRIPT)


def _near_duplicates(desk: Desk, submission: Submission, owner: User) -> None:
    """What a finished search found, within the outputs and beside references; two outputs share a file."""
    samples = list(Sample.objects.filter(checkpoint=submission.checkpoint).order_by("prompt__position"))
    samples[5].media = samples[4].media
    samples[5].save()
    search = claim_search(search_id=ask_for_duplicates(submission=submission, actor=owner).pk)
    assert search is not None
    others: tuple[dict[str, Any], ...] = (
        {"other": samples[1]},
        {"other": samples[2]},
        {"reference": desk.prompts[3].reference},
    )
    pairs = [
        NearDuplicate(search=search, sample=samples[0], similarity=0.99 - place / 50, **other)
        for place, other in enumerate(others)
    ]
    found = {"outputs": 8, "references": 8, "pairs_within": 2, "near_within": 3, "seconds": 0.3}
    about = {"column": "inception", "threshold": THRESHOLDS["inception"], "fingerprint": "c0ffee" * 10}
    facts = {**found, **about, "without": 1, "pairs_references": 1, "near_references": 1}
    assert keep_duplicates(search=search, facts=facts, pairs=pairs)


def _ways_in(desk: Desk, owner: User) -> None:
    studies.create_invite(study=desk.study, role=Role.RATER, actor=owner, max_uses=3)
    studies.create_invite(
        study=desk.study, role=Role.VIEWER, actor=owner, expires_at=timezone.now() - timedelta(days=1)
    )
    studies.create_token(user=owner, name=hostile(80))
    for platform in ("link", "prolific", "mturk"):
        way = way_in(desk, platform, name=hostile(40 - len(platform)) + platform)
        arrive(recruitment=way, arrival=Arrival(f"{PID}-{platform}", SESSION + platform, PROLIFIC_STUDY))


def _webhooks(study: Study, owner: User) -> None:
    for place, address in enumerate(("https://hooks.example/short", f"https://hooks.example/?{UNBROKEN[:300]}")):
        webhook = Webhook.objects.create(
            study=study,
            address=address,
            events=[Event.RUN_DONE, Event.FIT_CHANGED],
            created_by=owner,
            paused_at=timezone.now() if place else None,
        )
        for state in CallState:
            WebhookCall.objects.create(
                webhook=webhook,
                event=Event.RUN_DONE,
                payload={"type": "run.done", "data": {"name": hostile(300)}},
                state=state,
                attempts=3,
                status=500,
                said=hostile(500),
                ended_at=None if state == CallState.WAITING else timezone.now(),
            )
