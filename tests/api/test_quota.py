"""How much a study takes."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from evalhub.problems import Refusal
from evalhub.studies.models import LogEntry, Submission
from tests.api.test_submitting import manifest, post, problem, signed
from tests.studies.test_racing import at_once
from tests.submitting import Scene, make_scene, picture


def set_quota(client: Client, scene: Scene, size: Any, **more: Any) -> Any:
    headers = signed(more.get("user", scene.ada))
    return client.put(
        f"/api/v1/studies/{scene.study.slug}/quota/",
        {"quota_bytes": size},
        content_type="application/json",
        headers=headers,
    )


def total(files: dict[str, bytes]) -> int:
    return sum(map(len, files.values()))


def test_what_is_promised_counts_and_what_is_held_already_does_not(client: Client, scene: Scene) -> None:
    files, headers = scene.outputs(), signed(scene.ben)
    assert set_quota(client, scene, total(files) + 10).json() == {
        "quota_bytes": total(files) + 10,
        "held_bytes": 0,
        "promised_bytes": 0,
    }
    assert post(client, scene, manifest(files), headers).status_code == 200
    other = scene.outputs(seed=1)
    refused = post(client, scene, manifest(other, "other"), headers)
    sentence = problem(refused, 413)
    assert f"its quota is {(total(files) + 10) / 1000:.2f} kB" in sentence
    assert "ask an owner of the study for more" in sentence
    assert refused.json()["promised_bytes"] == total(files) + total(other)
    assert Submission.objects.count() == 1
    scene.submit(files)
    same = post(client, scene, manifest(files, "same bytes"), headers)
    assert (same.status_code, same.json()["state"]) == (200, "complete")
    assert set_quota(client, scene, None).json()["held_bytes"] == total(files)
    assert post(client, scene, manifest(other, "other"), headers).status_code == 200
    assert LogEntry.objects.filter(verb="set quota").count() == 2


def test_only_owners_set_it(client: Client, scene: Scene) -> None:
    assert "takes the role owner" in problem(set_quota(client, scene, 5, user=scene.ben), 403)
    problem(set_quota(client, scene, 5, user=scene.cy), 404)
    for wrong in (0, -1, "much", 2**64):
        problem(set_quota(client, scene, wrong), 400)


@pytest.mark.django_db(transaction=True)
def test_two_who_promise_at_once_do_not_both_get_the_last_room(transactional_db: None) -> None:
    scene = make_scene()
    one, other = scene.outputs(seed=1), scene.outputs(seed=2)
    scene.study.quota_bytes = int(1.5 * total(one))
    scene.study.save()
    results = at_once(lambda: scene.post(one, "one"), lambda: scene.post(other, "other"))
    assert sorted(isinstance(result, Refusal) for result in results) == [False, True]
    connection.close()


def test_the_operators_command(scene: Scene) -> None:
    def quota(*arguments: str) -> str:
        out = io.StringIO()
        call_command("quota", *arguments, stdout=out)
        return out.getvalue().strip()

    scene.post({"cat.png": picture(1, size=(40, 40))})
    size = len(picture(1, size=(40, 40)))
    assert quota("faces", "1.5G") == f"faces: holds 0 bytes, is promised {size / 1000:.2f} kB, takes 1.50 GB"
    assert quota("faces", "none").endswith("no quota")
    for wrong in (("faces", "lots"), ("nothing",), ("faces", "0")):
        with pytest.raises(CommandError):
            quota(*wrong)
