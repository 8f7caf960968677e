"""Contestants registered before the votes, and checkpoints withdrawn for all to see."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from evalhub.problems import Conflict, Refusal
from evalhub.studies import services
from evalhub.studies.access import Actor, ratings_visible
from evalhub.studies.models import ApiToken, Checkpoint, LogEntry, Study, StudyState, Submission, TokenScope, User
from tests.submitting import Scene


def competing(study: Study) -> list[str]:
    return [checkpoint.name for checkpoint in study.checkpoints.competing()]


@pytest.fixture
def two(scene: Scene) -> list[Submission]:
    """Two complete submissions of Ben's."""
    return [scene.submit(scene.outputs(seed), name=name) for seed, name in enumerate(("alpha", "beta"))]


# -- registration --------------------------------------------------------------------------------------------------


def test_a_registered_list_takes_nobody_more(scene: Scene, two: list[Submission]) -> None:
    scene.post(scene.outputs(7), name="slow")  # begun in time, delivered later
    study = services.register_contestants(study=scene.study, actor=scene.ada)
    assert study.contestants_registered_at is not None
    assert LogEntry.objects.get(verb="registered contestants").details == {"contestants": ["alpha", "beta", "slow"]}
    scene.submit(scene.outputs(7), name="slow")
    late = scene.submit(scene.outputs(8), name="late")
    assert late.is_complete  # it is taken and scored
    assert competing(study) == ["alpha", "beta", "slow"]
    assert [checkpoint.name for checkpoint in study.checkpoints.registered()] == ["alpha", "beta", "slow"]
    assert [Checkpoint.objects.get(name=name).is_registered for name in ("slow", "late")] == [True, False]
    # Registering again does not let anybody in.
    again = services.register_contestants(study=study, actor=scene.ada)
    assert again.contestants_registered_at == study.contestants_registered_at
    lifted = services.lift_registration(study=study, actor=scene.ada)
    assert lifted.contestants_registered_at is None
    assert competing(study) == ["alpha", "beta", "late", "slow"]
    assert LogEntry.objects.get(verb="lifted registration").details == {"contestants": ["late"]}
    services.lift_registration(study=study, actor=scene.ada)
    assert LogEntry.objects.filter(verb="lifted registration").count() == 1


def test_what_cannot_be_registered(scene: Scene, two: list[Submission]) -> None:
    empty = services.create_study(slug="empty", name="Empty", actor=scene.ada)
    with pytest.raises(Refusal, match="at least two contestants, and this study has 0; wait for more"):
        services.register_contestants(study=empty, actor=scene.ada)
    services.publish_study(study=scene.study, actor=scene.ada)
    services.close_study(study=scene.study, actor=scene.ada)
    with pytest.raises(Conflict, match="closed, so its contestants are who they are"):
        services.register_contestants(study=scene.study, actor=scene.ada)


def test_the_settings_page_registers_and_lifts(client: Client, scene: Scene, two: list[Submission]) -> None:
    client.force_login(scene.ada)
    address, settings = (reverse(name, args=["faces"]) for name in ("study_contestants", "study_settings"))
    assert "Register the contestants…" in client.get(settings).text
    assert client.post(address, {"to": "registered"}).status_code == 302
    scene.submit(scene.outputs(8), name="late")
    html = client.get(settings).text
    assert "2 checkpoints begun by then compete." in html
    assert "1 begun since is neither offered to raters nor ranked." in html
    assert 'late <span class="badge">Not registered</span>' in html
    late = Submission.objects.get(checkpoint__name="late")
    assert "it is scored, but neither offered to raters nor ranked" in client.get(late_page(late)).text
    assert client.post(address, {"to": "open"}).status_code == 302
    assert "Register the contestants…" in client.get(settings).text
    assert client.post(address, {"to": "gone"}).status_code == 422


@pytest.mark.parametrize("who", ["ben", "vera", "ria"])
def test_only_owners_register(client: Client, scene: Scene, two: list[Submission], who: str) -> None:
    client.force_login(getattr(scene, who))
    assert client.post(reverse("study_contestants", args=["faces"]), {"to": "registered"}).status_code == 403
    assert Study.objects.get().contestants_registered_at is None


# -- withdrawal ----------------------------------------------------------------------------------------------------


def late_page(submission: Submission) -> str:
    return reverse("submission", args=[submission.pk])


def test_a_withdrawal_says_why_and_can_be_taken_back(scene: Scene, two: list[Submission]) -> None:
    alpha = two[0].checkpoint
    with pytest.raises(Refusal, match="Say why"):
        services.withdraw_checkpoint(checkpoint=alpha, actor=scene.ben, reason="  ")
    with pytest.raises(Conflict, match="not withdrawn"):
        services.restore_checkpoint(checkpoint=alpha, actor=scene.ben)
    withdrawn = services.withdraw_checkpoint(checkpoint=alpha, actor=scene.ben, reason=" Trained on the prompts. ")
    assert withdrawn.withdrawal_reason == "Trained on the prompts."
    assert competing(scene.study) == ["beta"]
    # It stays on the registered list: its votes tell the others apart.
    assert [checkpoint.name for checkpoint in scene.study.checkpoints.registered()] == ["alpha", "beta"]
    with pytest.raises(Conflict, match="withdrawn already: Trained on the prompts"):
        services.withdraw_checkpoint(checkpoint=alpha, actor=scene.ben, reason="Again.")
    services.restore_checkpoint(checkpoint=alpha, actor=scene.ada)
    assert competing(scene.study) == ["alpha", "beta"]
    log = LogEntry.objects.filter(subject="alpha", verb__endswith=" checkpoint").order_by("id")
    assert list(log.values_list("verb", "actor", "details")) == [
        ("withdrew checkpoint", scene.ben.pk, {"reason": "Trained on the prompts."}),
        ("restored checkpoint", scene.ada.pk, {}),
    ]


def test_the_database_wants_a_reason(scene: Scene, two: list[Submission]) -> None:
    for values in ({"withdrawn_at": timezone.now()}, {"withdrawal_reason": "Because."}):
        with pytest.raises(IntegrityError, match="checkpoint_withdrawn_for_a_reason"), transaction.atomic():
            Checkpoint.objects.filter(pk=two[0].checkpoint_id).update(**values)
    for name in ("vote_budget", "votes_per_rater_per_day"):
        with pytest.raises(IntegrityError, match="study_limits_are_positive"), transaction.atomic():
            Study.objects.update(**{name: 0})
    with pytest.raises(IntegrityError, match="study_closed_for_a_known_reason"), transaction.atomic():
        Study.objects.update(closed_because="budget")


@pytest.mark.parametrize(
    ("who", "status"), [("ada", 302), ("ben", 302), ("other", 403), ("vera", 403), ("ria", 403), ("cy", 404)]
)
def test_who_withdraws_on_the_page(client: Client, scene: Scene, two: list[Submission], who: str, status: int) -> None:
    other = User.objects.create_user("other")
    services.add_member(study=scene.study, user=other, role="researcher", actor=scene.ada)
    client.force_login(other if who == "other" else getattr(scene, who))
    page = client.get(late_page(two[0]))
    assert ("Withdraw this checkpoint" in page.text) == (status == 302)
    response = client.post(reverse("withdraw", args=[two[0].pk]), {"reason": "A mistake in training."})
    assert response.status_code == status
    assert (Checkpoint.objects.get(name="alpha").withdrawn_at is not None) == (status == 302)


def test_the_page_withdraws_and_restores(client: Client, scene: Scene, two: list[Submission]) -> None:
    client.force_login(scene.ben)
    withdraw, restore = (reverse(name, args=[two[0].pk]) for name in ("withdraw", "restore"))
    nothing = client.post(withdraw, {"reason": ""})
    assert nothing.status_code == 422
    assert "Nothing was withdrawn" in nothing.text
    client.post(withdraw, {"reason": "<b>Broken</b>"})
    html = client.get(late_page(two[0])).text
    assert "&lt;b&gt;Broken&lt;/b&gt;" in html
    assert "its votes stay in the rankings" in html
    assert "Withdraw this checkpoint" not in html
    assert client.post(withdraw, {"reason": "Again"}).status_code == 409
    assert client.post(restore).status_code == 302
    assert client.post(restore).status_code == 409
    assert "Withdraw this checkpoint" in client.get(late_page(two[0])).text


def test_the_api_withdraws_and_restores(client: Client, scene: Scene, two: list[Submission]) -> None:
    def ask(verb: str, user: User, scope: str = TokenScope.SUBMIT, **body: str) -> tuple[int, dict[str, Any]]:
        _, secret = services.create_token(user=user, name="x", scope=scope)
        headers = {"Authorization": f"Token {secret}"}
        address = f"/api/v1/submissions/{two[0].pk}/{verb}/"
        response = client.post(address, body, content_type="application/json", headers=headers)
        return response.status_code, response.json()

    status, told = ask("withdraw", scene.ben)
    assert (status, "reason" in told["fields"]) == (400, True)
    status, told = ask("withdraw", scene.ben, reason="A mistake in training.")
    assert status == 200
    assert told["checkpoint"]["withdrawal_reason"] == "A mistake in training."
    assert ask("withdraw", scene.ben, reason="Again.")[0] == 409
    assert ask("restore", scene.ben, scope=TokenScope.READ)[0] == 403
    for user, code in ((scene.vera, 403), (scene.ria, 403), (scene.cy, 404)):
        assert ask("restore", user)[0] == code
    status, told = ask("restore", scene.ben)
    assert (status, told["checkpoint"]["withdrawn_at"]) == (200, None)
    assert ask("restore", scene.ada)[0] == 409


# -- late publication ----------------------------------------------------------------------------------------------


def test_ratings_are_the_owners_until_the_study_is_closed(scene: Scene) -> None:
    def seen_by() -> set[str]:
        people = {"ada": scene.ada, "ben": scene.ben, "vera": scene.vera, "ria": scene.ria, "cy": scene.cy}
        people["root"] = root
        return {name for name, user in people.items() if ratings_visible(Actor(user), study)}

    root = User.objects.create_superuser("root", password="a pass phrase for tests")
    study = services.change_study(study=scene.study, actor=scene.ada, publishes_late=True)
    assert seen_by() == {"ada", "root"}
    token = ApiToken(user=scene.vera)
    assert not ratings_visible(Actor(scene.vera, token), study)
    services.publish_study(study=study, actor=scene.ada)
    study = services.pause_study(study=study, actor=scene.ada)
    assert seen_by() == {"ada", "root"}
    # Neither what was promised nor what was seen is taken back.
    with pytest.raises(Conflict, match="froze how its pictures are shown, what raters are asked"):
        services.change_study(study=study, actor=scene.ada, publishes_late=False)
    study = services.close_study(study=study, actor=scene.ada)
    assert study.state == StudyState.CLOSED
    assert seen_by() == {"ada", "ben", "vera", "ria", "cy", "root"}
