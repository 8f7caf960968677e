"""Known answers and rules on owners' pages, by the file and over the API; her own page; who may see what."""

import csv
import io
import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from evalhub.problems import Refusal
from evalhub.studies.models import Checkpoint, LogEntry, Membership, Role, User
from evalhub.studies.services import create_study
from raters import services
from raters.models import Enrolment, EnrolmentState, Gold, RaterRules
from raters.services import training
from tests.raters.ballots import ballot, load, save
from tests.raters.conftest import Desk, cast, offer, owner_of
from tests.raters.gold_scenes import gold, newcomer, rule, wrong

HOSTILE = '<script>alert("x")</script>'
HEAD = "prompt,better,worse,criterion,use,explanation\n"


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def at(name: str, *more: Any) -> str:
    return reverse(name, args=["study", *more])


def upload(client: Client, text: str, name: str = "golds.csv") -> Any:
    return client.post(at("known_answers_add"), {"list": SimpleUploadedFile(name, text.encode())}, follow=True)


def test_a_list_goes_in_and_comes_out(desk: Desk, owner: Client) -> None:
    Checkpoint.objects.filter(pk=desk.checkpoints[2].pk).update(step=1200)
    lines = [
        "prompt-0,Gamma@1200,Alpha,,training,Its edges are clean.",
        "prompt-1,Beta,Alpha,quality,control,",
        'prompt-2,Beta,Alpha,,qualification,"- first, a line that a spreadsheet might run"',
    ]
    page = upload(owner, HEAD + "\n".join(lines))
    assert "Added 3 known answers." in page.text
    rows = list(csv.DictReader(io.StringIO(owner.get(at("known_answers_file")).text)))
    assert [(row["prompt"], row["better"], row["use"]) for row in rows] == [
        ("prompt-0", "Gamma@1200", "training"),
        ("prompt-1", "Beta", "control"),
        ("prompt-2", "Beta", "qualification"),
    ]
    assert rows[2]["explanation"].startswith("'- first")  # no spreadsheet runs it
    again = owner.get(at("known_answers_file")).text
    Gold.objects.all().delete()
    upload(owner, again)
    explained = Gold.objects.get(use="qualification").explanation
    assert explained == "- first, a line that a spreadsheet might run"  # read back as it was


def test_json_lines_go_in_too(desk: Desk, owner: Client) -> None:
    line = {"prompt": "prompt-0", "better": "Gamma", "worse": "Alpha", "use": "control"}
    assert "Added 1 known answer." in upload(owner, json.dumps(line) + "\n\n", "golds.jsonl").text
    assert Gold.objects.get().better.checkpoint.name == "Gamma"


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        (HEAD, "golds.csv", "names no known answer"),
        ("prompt,better\n", "golds.csv", "expected prompt, better, worse"),
        ("prompt,better,worse,use,colour\n", "golds.csv", "has prompt, better, worse, use, colour"),
        (HEAD + "nowhere,Gamma,Alpha,,control,", "golds.csv", "Line 2: The study has no prompt “nowhere”"),
        (HEAD + "prompt-0,Gamma,Delta,,control,", "golds.csv", "has no checkpoint “Delta”; it has Alpha, Beta, Gamma"),
        (HEAD + "prompt-0,Gamma,Gamma,,control,", "golds.csv", "got Gamma twice"),
        (HEAD + "prompt-0,Gamma,Alpha,speed,control,", "golds.csv", "has no question “speed”"),
        (HEAD + "prompt-0,Gamma,Alpha,,exam,", "golds.csv", "A use is one of training, qualification, control"),
        (HEAD + "prompt-0,Gamma,Alpha,,control," + "x" * 2001, "golds.csv", "at most 2,000 characters"),
        (HEAD + "prompt-0,Gamma,Alpha,,control,\n" * 2, "golds.csv", "is known for control already"),
        (HEAD + "prompt-0,Gamma,Alpha,,control,a,b", "golds.csv", "more fields than its first line"),
        ("[1]", "golds.jsonl", "is no JSON object of texts"),
        ('{"prompt": 3}', "golds.jsonl", "is no JSON object of texts"),
        ('{"prompt": "p"}', "golds.jsonl", "expected prompt, better"),
    ],
)
def test_lists_that_do_not_do_add_nothing(desk: Desk, owner: Client, text: str, name: str, says: str) -> None:
    page = upload(owner, text, name)
    assert page.status_code in {409, 422}
    assert says in page.text.replace("&quot;", '"').replace("&#x27;", "'")
    assert not Gold.objects.exists()


def test_pairs_that_cannot_be_known(desk: Desk, owner: Client) -> None:
    first = {"use": "control", "better": "", "worse": "", "prompt": "prompt-0"}
    assert "Choose the better and the worse output" in owner.post(at("known_answers"), first).text
    one, other = desk.checkpoints[0].samples.order_by("id")[:2]
    page = owner.post(at("known_answers"), {**first, "better": one.pk, "worse": other.pk})
    assert "for one prompt, got prompt-0 and prompt-1" in page.text
    assert page.status_code == 422
    assert "no prompt “nowhere”" in owner.get(at("known_answers"), {"prompt": "nowhere"}).text
    assert owner.get(at("known_answers"), {"prompt": "a\0b", "use": "x", "page": "x"}).status_code == 422


def test_retiring_twice_is_logged_once(desk: Desk, owner: Client) -> None:
    one = gold(desk, "control", 0, explanation=HOSTILE)
    for _ in range(2):
        page = owner.post(at("known_answer_retire", one.pk), follow=True)
    assert "Retired: Gamma over Alpha on prompt-0" in page.text
    assert HOSTILE not in owner.get(at("known_answers"), {"retired": ""}).text
    assert LogEntry.objects.filter(verb="retired known answer").count() == 1
    gold(desk, "control", 0)  # the same may be known again


def test_rules_by_the_form_and_what_comes_of_them(desk: Desk, owner: Client, rung: list[Any]) -> None:
    load(desk)
    ria = desk.rater("ria")
    save([ballot(desk, ria, 0, 1, prompt, "left", milliseconds=400) for prompt in range(4)])
    form = {"pay_per_comparison": "0.05", "currency": "eur", "accept_median_seconds": "1", "use_median_seconds": "0.2"}
    page = owner.post(at("rater_rules"), form, follow=True)
    assert "The rules are saved" in page.text
    rules = RaterRules.objects.get()
    assert (rules.currency, rules.accept_median_seconds, rules.gold_every) == ("EUR", 1.0, None)
    assert "The median look took 0.4 seconds; at least 1 are asked for." in page.text
    assert "Not paid" in page.text
    (row,) = csv.DictReader(io.StringIO(owner.get(at("rater_pay")).text))
    assert (row["rater"], row["pairs"], row["paid"], row["amount"], row["currency"], row["used"]) == (
        str(ria.rater_id),
        "4",
        "no",
        "0.00",
        "EUR",
        "yes",
    )
    page = owner.post(at("rater_rules"), {"gold_every": "2", "repeat_every": "2"})
    assert page.status_code == 422
    assert "Controls may be half of the comparisons at most" in page.text
    assert "see what is said beside the fields" in owner.post(at("rater_rules"), {"use_gold_share": "101"}).text


def test_strict_rules_and_rules_without_pairs_are_warned_of(desk: Desk, owner: Client) -> None:
    rule(desk, use_gold_share=1.0, use_repeat_share=0.5, qualification_share=0.8)
    page = owner.get(at("rater_rules")).text
    assert "For using answers more than 90% of the known answers are asked for." in page
    assert "the rules mix in none" in page
    assert "the rules ask for none" in page
    assert "no pair to qualify by" in owner.get(at("known_answers")).text


@pytest.mark.parametrize("name", ["known_answers", "known_answers_file", "rater_rules", "rater_pay"])
def test_owners_only(desk: Desk, name: str) -> None:
    owner_of(desk)
    assert Client().get(at(name)).status_code == 302
    User.objects.create_user("stranger")
    assert signed_in("stranger").get(at(name)).status_code == 404
    for role in (Role.RATER, Role.VIEWER, Role.RESEARCHER):
        user = User.objects.create_user(f"a-{role}")
        Membership.objects.create(study=desk.study, user=user, role=role)
        assert signed_in(f"a-{role}").get(at(name)).status_code == 403
    for address in (at("known_answers_add"), at("known_answer_retire", 1), at("withdraw"), at("erase_in"), at("go_on")):
        assert signed_in("olga").get(address).status_code == 405


def test_the_api_says_the_same(desk: Desk, owner: Client, rung: list[Any]) -> None:
    answers, rules = "/api/v1/studies/study/known-answers/", "/api/v1/studies/study/rater-rules/"
    line = {"prompt": "prompt-0", "better": "Gamma", "worse": "Alpha", "use": "control"}

    def send(verb: str, address: str, body: Any) -> Any:
        return getattr(owner, verb)(address, json.dumps(body), content_type="application/json")

    made = send("post", answers, line)
    assert (made.status_code, made.json()["criterion"], made.json()["suspect"]) == (201, "", False)
    again = send("post", answers, line)
    assert again.status_code == 409
    assert "is known for control already" in again.json()["detail"]
    assert "has no checkpoint “Delta”" in send("post", answers, {**line, "worse": "Delta"}).json()["detail"]
    assert len(owner.get(answers).json()["results"]) == 1
    retired = send("post", f"{answers}{made.json()['id']}/retirement/", {}).json()
    assert retired["retired_at"] is not None
    assert send("patch", rules, {"gold_every": 8, "use_gold_share": 0.6}).json()["use_gold_share"] == 0.6
    assert owner.get(rules).json()["gold_every"] == 8
    wrong_one = send("patch", rules, {"gold_every": 2, "repeat_every": 3})
    assert wrong_one.status_code == 422
    assert "half of the comparisons" in wrong_one.json()["detail"]
    ria = desk.rater("ria")
    cast(offer(desk, ria))
    (account,) = owner.get("/api/v1/studies/study/rater-accounts/").json()["results"]
    assert (account["rater"], account["answered"], account["pay"]["yes"]) == (str(ria.rater_id), 1, True)
    assert signed_in("ria").get(answers).status_code == 403


def test_her_own_page_says_nothing_of_others(desk: Desk, rung: list[Any]) -> None:
    ria, otto = desk.rater("ria"), desk.rater("otto")
    for one in (ria, otto):
        cast(offer(desk, one))
    rule(desk, pay_per_comparison="0.10")
    for address in (reverse("mine"), at("mine_in")):
        page = signed_in("ria").get(address)
        assert "0.10 USD" in page.text
        assert "Known answers found" not in page.text  # the owner does not let her see it
        for secret in ("otto", str(otto.rater_id), "Alpha", "Beta", "Gamma"):
            assert secret not in page.text
        assert "no-store" in page.headers["Cache-Control"]
    User.objects.create_user("stranger")
    assert "You have not compared" in signed_in("stranger").get(reverse("mine")).text
    assert signed_in("stranger").get(at("mine_in")).status_code == 404
    assert signed_in("stranger").post(at("withdraw")).status_code == 404
    assert Client().get(reverse("mine")).status_code == 302


def test_no_study_is_called_as_her_page_is(desk: Desk) -> None:
    with pytest.raises(Refusal, match="stands for a page of raters"):
        create_study(slug="mine", name="Mine", actor=owner_of(desk))


def test_erasing_takes_a_tick(desk: Desk, rung: list[Any]) -> None:
    ria = desk.rater("ria")
    client = signed_in("ria")
    page = client.post(reverse("erase"))
    assert page.status_code == 422
    assert "it takes a tick" in page.text
    page = client.post(reverse("erase"), {"sure": "on", "unused": "on"})
    assert "You are erased" in page.text
    assert Enrolment.objects.get(rater=ria.rater).state == EnrolmentState.WITHDRAWN
    assert client.get(reverse("mine")).status_code == 302
    owner_of(desk)
    assert signed_in("olga").post(reverse("erase"), {"sure": "on"}).status_code == 302  # there is nothing to erase


def test_practice_without_scripts(desk: Desk) -> None:
    """Where a study works without them, so does practice, with its explanation, which no script of its owner enters."""
    type(desk.study).objects.update(works_without_javascript=True)
    gold(desk, "training", 0, explanation=f"**Look** here. {HOSTILE} ![x](https://example.org/x.png)")
    ria = newcomer(desk, "ria")
    client = signed_in("ria")
    client.post(at("begin"))
    assert "Practice: 1 of 1" in client.get(at("rate")).text
    found = training.next_lesson(Enrolment.objects.get(pk=ria.pk))
    assert found is not None
    comparison = found[0]
    page = client.post(at("vote"), {"comparison": comparison.token, "answer.quality": wrong(comparison)}, follow=True)
    assert "The other answer was expected" in page.text
    assert "<strong>Look</strong> here." in page.text
    assert HOSTILE not in page.text
    assert "example.org" not in page.text
    assert 'class="explained"' in page.text
    type(desk.study).objects.update(is_sensitive=True)
    assert 'class="explained covered"' in client.get(at("rate")).text  # blurred, until she agrees to see them
    type(desk.study).objects.update(is_sensitive=False)
    for word in ("Alpha", "Gamma", "gold"):
        assert word not in page.text
    page = client.post(at("go_on"), {"comparison": comparison.token}, follow=True)
    assert "That was the practice" in page.text
    assert client.post(at("vote"), {"comparison": comparison.token, "answer.quality": "tie"}).status_code == 302
    assert comparison.votes.count() == 1  # the answer stands
    page = client.post(at("begin"), follow=True)
    assert "0 done" in page.text


def test_nothing_can_be_answered_before_practice(desk: Desk) -> None:
    gold(desk, "training", 0)
    ria = services.start(enrolment=newcomer(desk, "ria"))
    client = signed_in("ria")
    assert client.post(at("ahead"), {"count": 3}).text == ""
    client.post(at("begin"))
    ria.refresh_from_db()
    assert ria.state == EnrolmentState.TRAINING
