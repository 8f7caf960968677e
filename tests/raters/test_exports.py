"""Votes and preferences as files: what is in them is what people said, in the columns that trainers read."""

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from django.test import Client
from PIL import Image
from pyarrow import parquet

from evalhub.problems import Refusal
from evalhub.studies.models import Criterion, Membership, Prompt, Role, User
from raters import exports, services
from raters.exports import Selection
from raters.exports.pairs import Pair, pairs
from raters.exports.splits import splits
from raters.models import Control, Remark, Standing, Vote
from tests.raters.ballots import ballot, load, noisy, people, save, simulated_raters, vote_on_all
from tests.raters.conftest import Desk, noise, png, store


def table(made: exports.Table, kind: str = "parquet") -> list[dict[str, Any]]:
    content = b"".join(exports.stream(made, kind))
    if kind == "parquet":
        return list(parquet.read_table(io.BytesIO(content)).to_pylist())
    if kind == "jsonl":
        return [json.loads(line) for line in content.decode().splitlines()]
    return list(csv.DictReader(io.StringIO(content.decode())))


@pytest.fixture
def voted(desk: Desk) -> Desk:
    """Three people and two simulated raters have compared everything."""
    load(desk)
    vote_on_all(desk, people(desk, 3), noisy(1))
    vote_on_all(desk, simulated_raters(desk, 2), noisy(2))
    return desk


@pytest.fixture
def member(desk: Desk, client: Client) -> Client:
    user = User.objects.create_user("researcher", password="a-long-password")
    Membership.objects.create(study=desk.study, user=user, role=Role.RESEARCHER)
    client.force_login(user)
    return client


class TestVotes:
    @pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
    def test_every_kind_of_file_tells_the_same(self, voted: Desk, kind: str) -> None:
        rows = table(exports.votes(voted.study, Selection()), kind)
        expected = Vote.objects.filter(simulated=False).order_by("id").select_related("comparison__left__media")
        assert [int(row["vote"]) for row in rows] == [vote.pk for vote in expected]
        for row, vote in zip(rows, expected, strict=True):
            assert row["choice"] == vote.choice
            assert row["left"] == str(vote.left_checkpoint)
            assert row["left_sha256"] == vote.comparison.left.media.sha256
            assert row["rater"] == vote.rater.pseudonym
            assert float(row["propensity"]) == vote.comparison.propensity
            assert row["winner"] == {"left": str(vote.left_checkpoint), "right": str(vote.right_checkpoint)}.get(
                vote.choice, ""
            )

    def test_what_was_said_besides_comes_with_its_revision(self, voted: Desk) -> None:
        comparison, vote = ballot(voted, people_of(voted)[0], 0, 1, 0, "left", control=Control.REPEAT)
        save([(comparison, vote)])
        Remark.objects.create(
            comparison=comparison, comment='=HYPERLINK("x")', side="right", x=0.1, y=0.2, width=0, height=0
        )
        selection = Selection(controls=True)
        row = next(row for row in table(exports.votes(voted.study, selection)) if row["vote"] == vote.pk)
        assert (row["comment"], row["region_side"], row["region_x"]) == ('=HYPERLINK("x")', "right", 0.1)
        sheet = next(r for r in table(exports.votes(voted.study, selection), "csv") if r["vote"] == str(vote.pk))
        assert sheet["comment"].startswith("'=")
        assert vote.pk not in {row["vote"] for row in table(exports.votes(voted.study, Selection()))}

    def test_undone_excluded_and_withdrawn_votes_are_left_out(self, voted: Desk) -> None:
        one, other, third = people_of(voted)
        owner = User.objects.create_user("owner")
        services.set_exclusion(enrolment=one, reason="Always left.", actor=owner)
        type(other).objects.filter(pk=other.pk).update(state="withdrawn", withdrawn_at=other.created_at)
        undone = Vote.objects.filter(rater=third.rater).first()
        assert undone is not None
        undone.pk, undone.revision, undone.choice = None, 2, "withdrawn"
        undone.save(force_insert=True)
        rows = table(exports.votes(voted.study, Selection()))
        assert {row["rater"] for row in rows} == {third.rater.pseudonym}
        assert undone.comparison_id not in {row["comparison"] for row in rows}
        readmitted = table(exports.votes(voted.study, Selection(excluded=True)))
        assert {row["rater"] for row in readmitted} == {third.rater.pseudonym, one.rater.pseudonym}

    def test_simulated_votes_are_in_only_when_asked_for_and_say_so(self, voted: Desk) -> None:
        assert not any(row["simulated"] for row in table(exports.votes(voted.study, Selection())))
        rows = table(exports.votes(voted.study, Selection(simulated=True)))
        assert Counter(row["simulated"] for row in rows) == {False: 36, True: 24}

    def test_trust_narrows_the_raters(self, voted: Desk) -> None:
        services.refit(study=voted.study)
        weighed = Standing.objects.filter(weight__isnull=False).values_list("enrolment__rater", "weight")
        weights = {rater: float(weight or 0) for rater, weight in weighed}
        middle = float(np.median(list(weights.values())))
        rows = table(exports.votes(voted.study, Selection(simulated=True, least_trust=middle)))
        assert {row["rater"] for row in rows} == {str(r)[:8] for r, weight in weights.items() if weight >= middle}


class TestPairs:
    def test_votes_of_a_pair_are_put_together_whatever_side_it_was_on(self, desk: Desk) -> None:
        load(desk)
        raters = people(desk, 5)
        save(
            [
                ballot(desk, raters[0], 0, 1, 0, "left"),
                ballot(desk, raters[1], 1, 0, 0, "right"),
                ballot(desk, raters[2], 0, 1, 0, "right"),
                ballot(desk, raters[3], 1, 0, 0, "tie"),
                ballot(desk, raters[4], 1, 0, 0, "both_bad"),
            ]
        )
        (pair,) = pairs(desk.study, Selection())
        alpha = [sample.checkpoint.name for sample in pair.samples].index("Alpha")
        assert pair.wins[alpha] == 2
        assert pair.wins[1 - alpha] == 1
        assert (pair.undecided, pair.both_bad, pair.votes) == (2, 1, 5)
        assert pair.label == 0.5  # two for Alpha, two undecided: neither is the most frequent
        assert pair.agreement == pytest.approx(0.4)
        assert pair.share == pytest.approx((pair.wins[0] + 1) / 5)

    def test_they_equal_a_count_by_hand(self, voted: Desk) -> None:
        found = {
            (p.prompt.pk, frozenset(s.pk for s in p.samples)): p for p in pairs(voted.study, Selection(simulated=True))
        }
        wins: Counter[tuple[frozenset[int], int]] = Counter()
        total: Counter[tuple[int, frozenset[int]]] = Counter()
        for vote in Vote.objects.select_related("comparison"):
            sides = {"left": vote.comparison.left_id, "right": vote.comparison.right_id}
            total[(vote.prompt_id, frozenset(sides.values()))] += 1
            if vote.choice in sides:
                wins[(frozenset(sides.values()), sides[vote.choice])] += 1
        assert {key: pair.votes for key, pair in found.items()} == total
        for pair in found.values():
            both = frozenset(sample.pk for sample in pair.samples)
            assert pair.wins == tuple(wins[(both, sample.pk)] for sample in pair.samples)

    def test_agreement_votes_and_decision_narrow_them(self, voted: Desk) -> None:
        everything = list(pairs(voted.study, Selection(simulated=True)))
        for selection in (
            Selection(simulated=True, least_agreement=0.8),
            Selection(simulated=True, least_votes=5),
            Selection(simulated=True, decided=True),
        ):
            kept = [
                pair
                for pair in everything
                if pair.agreement >= selection.least_agreement
                and pair.votes >= selection.least_votes
                and (pair.label != 0.5 or not selection.decided)
            ]
            assert 0 < len(kept) <= len(everything)
            assert list(pairs(voted.study, selection)) == kept

    def test_tags_and_criteria_narrow_them(self, voted: Desk) -> None:
        Prompt.objects.filter(pk=voted.prompts[1].pk).update(tags=["night", "people"])
        assert {p.prompt.key for p in pairs(voted.study, Selection(tags=("people", "dog")))} == {"prompt-1"}
        other = Criterion.objects.create(study=voted.study, key="text", name="Text", question="Which text is right?")
        assert not list(pairs(voted.study, Selection(criterion=other)))


class TestSplits:
    def test_no_words_and_no_source_are_in_two_splits(self, bare_desk: Any) -> None:
        desk = bare_desk("editing", prompts=60)
        sources = [store(desk.study, png(noise(n, 99)), "png") for n in range(20)]
        for n, prompt in enumerate(desk.prompts):
            prompt.text = f" Make IT  {n % 30} " if n % 2 else f"make it {n % 30}"
            prompt.source = sources[n % 20] if n % 3 == 0 else None
            prompt.save()
        found = splits(desk.study, Selection(test_share=0.3, validation_share=0.2))
        assert set(found) == {prompt.pk for prompt in desk.prompts}
        assert set(found.values()) == {"train", "validation", "test"}
        of_words: dict[str, set[str]] = {}
        of_source: dict[int, set[str]] = {}
        for prompt in desk.prompts:
            of_words.setdefault(" ".join(prompt.text.lower().split()), set()).add(found[prompt.pk])
            if prompt.source_id:
                of_source.setdefault(prompt.source_id, set()).add(found[prompt.pk])
        assert all(len(where) == 1 for where in [*of_words.values(), *of_source.values()])

    def test_prompts_added_later_move_nothing(self, bare_desk: Any) -> None:
        desk = bare_desk("growing", prompts=40)
        before = splits(desk.study, Selection(test_share=0.25))
        for n in range(40):
            Prompt.objects.create(study=desk.study, key=f"new-{n}", text=f"Something new, number {n}.")
        after = splits(desk.study, Selection(test_share=0.25))
        assert {prompt: after[prompt] for prompt in before} == before

    def test_shares_are_about_kept(self, bare_desk: Any) -> None:
        desk = bare_desk("many", prompts=400)
        counts = Counter(splits(desk.study, Selection(test_share=0.25)).values())
        assert counts["test"] == pytest.approx(100, abs=26)  # three standard deviations of a binomial


class TestPreferences:
    @pytest.fixture
    def folder(self, voted: Desk, tmp_path: Path) -> Path:
        """As `load_dataset` takes it: a card, and a file for each split."""
        (tmp_path / "data").mkdir()
        selection = Selection(simulated=True, test_share=0.4)
        (tmp_path / "README.md").write_text(exports.card(voted.study, selection))
        for split in ("train", "test"):
            made = exports.preferences(voted.study, Selection(simulated=True, test_share=0.4, split=split))
            (tmp_path / "data" / f"{split}.parquet").write_bytes(b"".join(exports.stream(made, "parquet")))
        return tmp_path

    def test_the_columns_are_pick_a_pics(self, voted: Desk, folder: Path) -> None:
        train = parquet.read_table(folder / "data" / "train.parquet")
        test = parquet.read_table(folder / "data" / "test.parquet")
        ours = {"votes", "share_0", "agreement", "both_bad", "criterion", "prompt", "tags", "split"}
        pick_a_pic = {
            *("are_different", "best_image_uid", "caption", "created_at", "has_label", "image_0_uid", "image_1_uid"),
            *("jpg_0", "jpg_1", "label_0", "label_1", "model_0", "model_1", "num_example_per_prompt", "ranking_id"),
        }
        assert set(train.column_names) == pick_a_pic | ours
        assert not set(train["prompt"].to_pylist()) & set(test["prompt"].to_pylist())
        assert len(train) + len(test) == 12
        for row in [*train.to_pylist(), *test.to_pylist()]:
            assert row["label_0"] + row["label_1"] == 1
            assert row["has_label"] == (row["label_0"] != 0.5)
            best = row["image_0_uid"] if row["label_0"] == 1 else row["image_1_uid"]
            assert row["best_image_uid"] == (best if row["has_label"] else "tie")
            assert row["num_example_per_prompt"] == 3

    def test_pictures_are_the_bytes_that_were_submitted(self, voted: Desk, folder: Path) -> None:
        names = {str(checkpoint): number for number, checkpoint in enumerate(voted.checkpoints)}
        for row in parquet.read_table(folder / "data" / "train.parquet").to_pylist():
            place = int(row["prompt"].removeprefix("prompt-"))
            for side in ("0", "1"):
                with Image.open(io.BytesIO(row[f"jpg_{side}"])) as picture:
                    assert picture.tobytes() == noise(place, names[row[f"model_{side}"]]).tobytes()

    def test_editing_studies_bring_source_and_mask(self, voted: Desk) -> None:
        source, mask = png(noise(7, 7)), png(noise(8, 8).convert("L"))
        Prompt.objects.filter(study=voted.study).update(
            source=store(voted.study, source, "png"), mask=store(voted.study, mask, "png")
        )
        rows = table(exports.preferences(voted.study, Selection()))
        assert {row["source"] for row in rows} == {source}
        assert {row["mask"] for row in rows} == {mask}

    def test_datasets_loads_it_and_two_steps_of_diffusion_dpo_train_on_it(self, folder: Path, tmp_path: Path) -> None:
        loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
        assert set(loaded) == {"train", "test"}
        decided = loaded["train"].filter(lambda row: row["label_0"] in (0.0, 1.0), keep_in_memory=True)
        assert len(decided) >= 2
        losses = diffusion_dpo(decided, steps=2)
        assert all(np.isfinite(losses))
        assert losses[1] < losses[0]

    def test_rewards_have_the_chosen_one_first(self, voted: Desk) -> None:
        rows = table(exports.rewards(voted.study, Selection(simulated=True)))
        decided = [pair for pair in pairs(voted.study, Selection(simulated=True)) if pair.label != 0.5]
        assert len(rows) == len(decided)
        for row, pair in zip(rows, decided, strict=True):
            winner = pair.samples[0 if pair.label == 1 else 1]
            assert row["chosen_uid"] == winner.media.sha256
            assert row["strength"] == pytest.approx(strength(pair))
            assert row["strength"] >= 0.5

    def test_the_card_says_where_it_comes_from(self, voted: Desk, folder: Path) -> None:
        services.refit(study=voted.study)
        type(voted.study).objects.filter(pk=voted.study.pk).update(licence="CC BY 4.0")
        voted.study.refresh_from_db()
        told = exports.card(voted.study, Selection(simulated=True))
        for sentence in (
            "60 votes of 5 raters on 4 prompts",
            "24 of these votes are simulated",
            "version 1 of the study's consent text",
            "CC BY 4.0",
            "Krippendorff's alpha",
        ):
            assert sentence in told


class TestEdges:
    @pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
    @pytest.mark.parametrize("name", ["votes", "preferences", "rewards"])
    def test_each_file_is_streamed(self, voted: Desk, member: Client, name: str, kind: str) -> None:
        answer = member.get(f"/api/v1/studies/study/exports/{name}.{kind}?simulated=true")
        assert answer.status_code == 200
        assert answer.streaming
        assert answer["Content-Disposition"] == f'attachment; filename="study-{name}.{kind}"'
        assert len(answer.getvalue()) > 100

    def test_what_cannot_be_read_is_said(self, voted: Desk, member: Client) -> None:
        answer = member.get("/api/v1/studies/study/exports/votes.csv?criterion=beauty")
        assert (answer.status_code, "has no criterion “beauty”" in answer.json()["detail"]) == (422, True)
        answer = member.get("/api/v1/studies/study/exports/votes.csv?least_agreement=2")
        assert answer.status_code == 400
        assert "least_agreement" in answer.json()["detail"]
        assert member.get("/api/v1/studies/study/exports/secrets.csv").status_code == 404
        assert member.get("/api/v1/studies/study/exports/votes.xlsx").status_code == 404

    def test_raters_and_strangers_get_nothing(self, voted: Desk, client: Client) -> None:
        for name, status in (("person0", 403), (None, 401)):
            client.logout()
            if name:
                client.force_login(User.objects.get(username=name))
            assert client.get("/api/v1/studies/study/exports/votes.csv").status_code == status
            assert client.get("/api/v1/studies/study/exports/card.md").status_code == status

    def test_a_study_that_publishes_late_keeps_its_votes(self, voted: Desk, member: Client) -> None:
        type(voted.study).objects.filter(pk=voted.study.pk).update(publishes_late=True)
        answer = member.get("/api/v1/studies/study/exports/votes.csv")
        assert (answer.status_code, "until it is closed" in answer.json()["detail"]) == (403, True)

    def test_the_page_counts_and_links(self, voted: Desk, member: Client) -> None:
        page = member.get("/studies/study/export/?simulated=true")
        assert page.status_code == 200
        totals = member.get("/studies/study/export/totals/?simulated=true").content.decode()
        assert "<dd>60</dd>" in totals
        assert "exports/preferences.parquet?simulated=true&amp;split=train" in totals
        assert member.get("/studies/study/export/?least_votes=0").status_code == 422

    def test_a_criterion_of_another_study_is_unknown(self, voted: Desk) -> None:
        with pytest.raises(Refusal, match="has no criterion"):
            exports.select(voted.study, {"criterion": "other"})


def people_of(desk: Desk) -> list[Any]:
    return list(desk.study.enrolments.filter(rater__simulated=False).select_related("rater", "study").order_by("id"))


def strength(pair: Pair) -> float:
    return pair.share if pair.label == 1 else 1 - pair.share


def diffusion_dpo(rows: Any, steps: int) -> list[float]:
    """Steps of the loss of Wallace et al. (2023) on a convolution that predicts noise, beside its frozen copy."""
    torch.manual_seed(0)
    model = torch.nn.Conv2d(3, 3, 3, padding=1)
    frozen = torch.nn.Conv2d(3, 3, 3, padding=1)
    frozen.load_state_dict(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    better, worse = (
        torch.stack([tensor(row[f"jpg_{0 if (row['label_0'] == 1) == is_better else 1}"]) for row in rows])
        for is_better in (True, False)
    )
    noise_added = torch.randn_like(better)
    losses = []
    for _ in range(steps):

        def gap(pictures: torch.Tensor) -> torch.Tensor:
            noisy_pictures = 0.7 * pictures + 0.7 * noise_added
            own = (model(noisy_pictures) - noise_added).square().mean(dim=(1, 2, 3))
            with torch.no_grad():
                reference = (frozen(noisy_pictures) - noise_added).square().mean(dim=(1, 2, 3))
            return own - reference

        loss = -torch.nn.functional.logsigmoid(-0.5 * 100 * (gap(better) - gap(worse))).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def tensor(content: bytes) -> torch.Tensor:
    with Image.open(io.BytesIO(content)) as picture:
        return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).float() / 127.5 - 1
