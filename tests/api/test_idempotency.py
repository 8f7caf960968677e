"""A request asked again with its key is done once."""

import threading
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from evalhub.studies.models import IdempotencyKey
from metrics.models import Run
from tests.api.test_submitting import problem, signed
from tests.submitting import Scene, make_scene


def start(client: Client, submission: Any, headers: dict[str, str], key: str, **wanted: Any) -> Any:
    address = f"/api/v1/submissions/{submission.pk}/runs/"
    return client.post(
        address,
        wanted or {"metrics": ["clip_score"]},
        content_type="application/json",
        headers=headers | {"Idempotency-Key": key},
    )


def test_the_same_request_again_gets_the_same_answer(client: Client, scene: Scene) -> None:
    submission, headers = scene.submit(scene.outputs()), signed(scene.ben)
    first, again = (start(client, submission, headers, "job-1") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert (first.get("Idempotency-Replayed"), again["Idempotency-Replayed"]) == (None, "true")
    assert Run.objects.count() == 1
    assert start(client, submission, headers, "job-2").json()["id"] != first.json()["id"]
    assert start(client, submission, signed(scene.ada), "job-1").json()["id"] != first.json()["id"]
    other = start(client, submission, headers, "job-1", metrics=["clip_score"], protocol="tf1")
    assert "was used for another request" in problem(other, 422)


def test_a_refusal_is_not_kept(client: Client, scene: Scene) -> None:
    headers = signed(scene.ben)
    submission = scene.post(scene.outputs())
    problem(start(client, submission, headers, "early"), 409)
    assert not IdempotencyKey.objects.exists()
    scene.submit(scene.outputs())
    assert start(client, submission, headers, "early").status_code == 201
    for key in ("", "x" * 201, "tab\there"):
        problem(start(client, submission, headers, key), 422)


def test_keys_expire(client: Client, scene: Scene) -> None:
    from datetime import timedelta

    submission, headers = scene.submit(scene.outputs()), signed(scene.ben)
    start(client, submission, headers, "job")
    row = IdempotencyKey.objects.get()
    IdempotencyKey.objects.update(created_at=row.created_at - timedelta(days=2))
    start(client, submission, headers, "job")
    assert Run.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_at_once_are_one(transactional_db: None) -> None:
    scene = make_scene()
    submission, headers = scene.submit(scene.outputs()), signed(scene.ben)
    answers: list[Any] = []

    def ask() -> None:
        answers.append(start(Client(), submission, headers, "both"))
        connection.close()

    both = [threading.Thread(target=ask) for _ in range(4)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Run.objects.count() == 1
