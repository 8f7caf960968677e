"""What the services of studies, members, invites and tokens do, and what they refuse."""

from datetime import timedelta

import pytest
from django.utils import timezone

from evalhub.problems import Conflict, Refusal
from evalhub.studies import services
from evalhub.studies.models import Invite, LogEntry, Membership, Role, Study, User
from tests.submitting import Scene


def role_of(user: User, study: Study) -> str:
    return Membership.objects.get(user=user, study=study).role


def test_a_study_begins_as_its_makers_draft(scene: Scene) -> None:
    study = services.create_study(slug="new", name=" New ", actor=scene.cy, criteria=[("look", "Look", "Which?")])
    assert (study.name, study.state, study.modality) == ("New", "draft", "image")
    assert role_of(scene.cy, study) == "owner"
    assert list(study.criteria.values_list("key", "question")) == [("look", "Which?")]


@pytest.mark.parametrize("slug", ["", "Faces", "a b", "-a", "a" * 65, "é", "a/b"])
def test_slugs_that_do_not_do(scene: Scene, slug: str) -> None:
    with pytest.raises(Refusal, match="lower-case letters, digits and hyphens"):
        services.create_study(slug=slug, name="X", actor=scene.ada)


def test_other_studies_that_cannot_be(scene: Scene) -> None:
    with pytest.raises(Conflict, match="There is a study called “faces” already"):
        services.create_study(slug="faces", name="X", actor=scene.ada)
    with pytest.raises(Refusal, match="needs a name"):
        services.create_study(slug="x", name=" ", actor=scene.ada)
    with pytest.raises(Refusal, match="“sound” is neither"):
        services.create_study(slug="x", name="X", modality="sound", actor=scene.ada)


def test_publishing_freezes_prompts_and_presentation(scene: Scene) -> None:
    study = services.publish_study(study=scene.study, actor=scene.ada)
    assert (study.state, study.published_at is not None) == ("open", True)
    with pytest.raises(Conflict, match="froze its prompts"):
        services.add_prompt(study=study, key="late", actor=scene.ada)
    with pytest.raises(Conflict, match="froze how its pictures are shown"):
        services.change_study(study=study, actor=scene.ada, presentation_edge=512)
    published = study.published_at
    services.pause_study(study=study, actor=scene.ada)
    assert services.publish_study(study=study, actor=scene.ada).published_at == published
    services.close_study(study=study, actor=scene.ada)
    for verb in (services.publish_study, services.pause_study):
        with pytest.raises(Conflict):
            verb(study=study, actor=scene.ada)
    verbs = (
        LogEntry.objects.filter(study=study, verb__endswith="ed study").order_by("id").values_list("verb", flat=True)
    )
    assert list(verbs) == ["created study", "opened study", "paused study", "opened study", "closed study"]


def test_an_empty_study_is_not_published(scene: Scene) -> None:
    study = services.create_study(slug="empty", name="Empty", actor=scene.ada)
    with pytest.raises(Refusal, match="at least one prompt"):
        services.publish_study(study=study, actor=scene.ada)
    with pytest.raises(Conflict, match="A study that is draft cannot become closed"):
        services.close_study(study=study, actor=scene.ada)


def test_changed_consent_is_a_new_version(scene: Scene) -> None:
    study = services.change_study(study=scene.study, actor=scene.ada, consent="Please.")
    assert study.consent_version == 2
    assert services.change_study(study=study, actor=scene.ada, consent="Please.").consent_version == 2
    with pytest.raises(Refusal, match="cannot be changed: slug"):
        services.change_study(study=study, actor=scene.ada, slug="other")


def test_prompts_that_cannot_be_added(scene: Scene) -> None:
    with pytest.raises(Conflict, match="a prompt “cat” already"):
        services.add_prompt(study=scene.study, key="cat", actor=scene.ada)
    for key in ("", "a/b", " a", "a\n", "x" * 201):
        with pytest.raises(Refusal, match="key is 1 to 200 characters"):
            services.add_prompt(study=scene.study, key=key, actor=scene.ada)
    scene.submit(scene.outputs())
    with pytest.raises(Conflict, match="would lack the new prompt"):
        services.add_prompt(study=scene.study, key="late", actor=scene.ada)


def test_members_come_change_and_go(scene: Scene) -> None:
    services.add_member(study=scene.study, user=scene.cy, role=Role.VIEWER, actor=scene.ada)
    with pytest.raises(Conflict, match="is a member of this study already"):
        services.add_member(study=scene.study, user=scene.cy, role=Role.OWNER, actor=scene.ada)
    services.change_role(study=scene.study, user=scene.cy, role=Role.RESEARCHER, actor=scene.ada)
    assert role_of(scene.cy, scene.study) == "researcher"
    services.remove_member(study=scene.study, user=scene.cy, actor=scene.ada)
    with pytest.raises(Conflict, match="is no member"):
        services.remove_member(study=scene.study, user=scene.cy, actor=scene.ada)
    with pytest.raises(Refusal, match="A role is one of owner, researcher, rater, viewer; got “king”"):
        services.add_member(study=scene.study, user=scene.cy, role="king", actor=scene.ada)


def test_a_study_keeps_an_owner(scene: Scene) -> None:
    with pytest.raises(Conflict, match="needs an owner"):
        services.remove_member(study=scene.study, user=scene.ada, actor=scene.ada)
    with pytest.raises(Conflict, match="needs an owner"):
        services.change_role(study=scene.study, user=scene.ada, role=Role.VIEWER, actor=scene.ada)
    services.change_role(study=scene.study, user=scene.ben, role=Role.OWNER, actor=scene.ada)
    services.remove_member(study=scene.study, user=scene.ada, actor=scene.ada)


def test_an_invite_makes_members_and_never_takes_rights_away(scene: Scene) -> None:
    invite, token = services.create_invite(study=scene.study, role=Role.RATER, actor=scene.ada, max_uses=1)
    assert token not in str(Invite.objects.filter(pk=invite.pk).values())
    assert services.accept_invite(token=token, user=scene.ben).role == "researcher"
    assert services.accept_invite(token=token, user=scene.cy).role == "rater"
    invite.refresh_from_db()
    assert invite.uses == 1
    with pytest.raises(Refusal, match="not valid"):
        services.accept_invite(token=token, user=User.objects.create_user("late"))
    _, better = services.create_invite(study=scene.study, role=Role.RESEARCHER, actor=scene.ada)
    assert services.accept_invite(token=better, user=scene.ria).role == "researcher"


def test_invites_that_open_nothing(scene: Scene) -> None:
    past = timezone.now() - timedelta(seconds=1)
    _, expired = services.create_invite(study=scene.study, role=Role.RATER, actor=scene.ada, expires_at=past)
    invite, revoked = services.create_invite(study=scene.study, role=Role.RATER, actor=scene.ada)
    services.revoke_invite(invite=invite, actor=scene.ada, at=timezone.now())
    for token in (expired, revoked, "made up", ""):
        with pytest.raises(Refusal, match="This invite link is not valid"):
            services.accept_invite(token=token, user=scene.cy)
    with pytest.raises(Refusal, match="at least one person"):
        services.create_invite(study=scene.study, role=Role.RATER, actor=scene.ada, max_uses=0)


def test_a_rater_needs_no_name(scene: Scene) -> None:
    _, token = services.create_invite(study=scene.study, role=Role.RATER, actor=scene.ada)
    user = services.create_user_by_invite(token=token)
    assert not user.has_usable_password()
    assert role_of(user, scene.study) == "rater"


def test_a_researcher_needs_a_name_and_a_good_password(scene: Scene) -> None:
    _, token = services.create_invite(study=scene.study, role=Role.RESEARCHER, actor=scene.ada)
    for name, password in (("", ""), ("dora", "short"), ("ada-faces", "long-enough-and-rare")):
        with pytest.raises(Refusal, match="An account needs a name and a password that are fit"):
            services.create_user_by_invite(token=token, username=name, password=password)
    user = services.create_user_by_invite(token=token, username="dora", password="long-enough-and-rare")
    assert user.check_password("long-enough-and-rare")
    assert role_of(user, scene.study) == "researcher"
    assert User.objects.filter(username="dora").count() == 1


def test_tokens_are_scoped_and_hashed(scene: Scene) -> None:
    token, secret = services.create_token(user=scene.ben, name="job", scope="read", study=scene.study)
    assert (token.scope, token.study, token.name) == ("read", scene.study, "job")
    assert secret.startswith("evh_")
    assert secret not in token.digest
    with pytest.raises(Refusal, match="A token's scope is one of read, submit; got “all”"):
        services.create_token(user=scene.ben, name="job", scope="all")
