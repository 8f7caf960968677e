"""From a manifest to samples: what is taken, what is refused, and that nothing incomplete gets through."""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from pytest_django import DjangoCaptureOnCommitCallbacks

from evalhub.problems import Conflict, Refusal
from evalhub.studies import services
from evalhub.studies.models import LogEntry, Media, Sample, Submission
from evalhub.studies.services import CheckpointFacts, ManifestFile
from tests.submitting import Scene, make_scene, picture, promised


def reported(submission: Submission) -> services.Report:
    return services.report(submission)


def test_manifest_files_complete(
    scene: Scene, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    files = scene.outputs()
    submission = scene.post(files)
    assert submission.state == "incomplete"
    assert reported(submission).summary == "Incomplete: 3 of 3 files are still to come."
    assert not Sample.objects.exists()
    for content in list(files.values())[:2]:
        assert scene.put(submission, content) == [("received", "")]
    assert not Sample.objects.exists()
    with django_capture_on_commit_callbacks() as rung:
        scene.put(submission, files["tree.png"])
    assert len(rung) == 2  # presentation copies and scores
    submission.refresh_from_db()
    assert submission.is_complete
    assert submission.completed_at is not None
    samples = Sample.objects.filter(checkpoint=submission.checkpoint).select_related("media", "prompt")
    assert {sample.prompt.key: default_storage.open(sample.media.path).read() for sample in samples} == {
        path.removesuffix(".png"): content for path, content in files.items()
    }
    media = samples[0].media
    assert (media.kind, media.format, media.width, media.height, media.size) == (
        "image",
        "png",
        24,
        16,
        len(files["cat.png"]),
    )
    assert LogEntry.objects.filter(study=scene.study, verb="completed submission").count() == 1


def test_the_same_manifest_again_resumes(scene: Scene) -> None:
    files = scene.outputs()
    submission = scene.post(files)
    scene.put(submission, files["cat.png"])
    again = scene.post(files)
    assert again.pk == submission.pk
    assert [entry.path for entry in again.entries.outstanding()] == ["dog.png", "tree.png"]
    for content in files.values():
        scene.put(again, content)
    complete = scene.post(files)
    assert complete.is_complete
    assert Sample.objects.count() == 3
    assert scene.put(complete, files["cat.png"]) == [("received", "")]  # sent once more: the same answer
    assert services.complete_submission(submission=complete).is_complete


def test_a_changed_manifest_replaces_what_changed_while_incomplete(scene: Scene) -> None:
    files = scene.outputs()
    submission = scene.post(files)
    scene.put(submission, files["cat.png"])
    repaired = {"cat.png": files["cat.png"], "dog.png": picture(50), "trees/tree.png": files["tree.png"]}
    scene.post(repaired)
    assert {entry.path: entry.state for entry in submission.entries.all()} == {
        "cat.png": "received",
        "dog.png": "missing",
        "trees/tree.png": "missing",
    }
    with pytest.raises(Conflict, match="promises no file"):
        scene.put(submission, files["dog.png"])
    for content in (repaired["dog.png"], repaired["trees/tree.png"]):
        scene.put(submission, content)
    submission.refresh_from_db()
    assert submission.is_complete


def test_complete_and_different_is_a_conflict(scene: Scene) -> None:
    scene.submit(scene.outputs())
    with pytest.raises(Conflict, match="as a new checkpoint"):
        scene.post({**scene.outputs(), "cat.png": picture(99)})
    with pytest.raises(Conflict, match="as a new checkpoint"):
        scene.post({path: content for path, content in scene.outputs().items() if path != "cat.png"})


def test_a_colleagues_unfinished_submission_is_not_overwritten(scene: Scene) -> None:
    submission = scene.post(scene.outputs())
    assert scene.post(scene.outputs(), user=scene.ada).pk == submission.pk
    with pytest.raises(Conflict, match="ben-faces has begun a submission of plain with other files"):
        scene.post(scene.outputs(seed=1), user=scene.ada)


def test_a_prompt_without_output_keeps_it_incomplete_and_is_named(scene: Scene) -> None:
    files = scene.outputs()
    tree = files.pop("tree.png")
    submission = scene.submit(files)
    found = reported(submission)
    assert (found.state, found.awaited, found.missing_prompts) == ("incomplete", 0, ["tree"])
    assert found.summary == "Incomplete: 1 prompt has no output."
    with pytest.raises(Conflict, match="1 prompt has no output"):
        services.complete_submission(submission=submission)
    assert not Sample.objects.exists()
    scene.post({**files, "tree.png": tree})
    scene.put(submission, tree)
    assert Sample.objects.count() == 3


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        (lambda good: good[:-20], r"cat\.png arrived with [\d,]+ of [\d,]+ bytes; send it again\."),
        (lambda good: good + b"more", r"cat\.png has more than the [\d,]+ bytes that the manifest says\."),
        (lambda good: good[:-1] + b"x", r"cat\.png arrived with the SHA-256 [0-9a-f]{64}, which is not what"),
    ],
    ids=["cut off", "too long", "altered"],
)
def test_a_file_damaged_on_its_way_is_bad_until_it_is_sent_again(
    scene: Scene, sent: Callable[[bytes], bytes], sentence: str
) -> None:
    files = scene.outputs()
    submission = scene.submit({path: content for path, content in files.items() if path != "cat.png"})
    scene.post(files)
    ((state, problem),) = scene.put(submission, sent(files["cat.png"]), promised_as=files["cat.png"])
    assert state == "bad"
    found = reported(submission)
    assert [bad.path for bad in found.bad_files] == ["cat.png"]
    assert found.bad_files[0].problem == problem
    assert re.search(sentence, problem)
    assert not Sample.objects.exists()
    assert scene.put(submission, files["cat.png"]) == [("received", "")]
    assert Sample.objects.count() == 3


def test_an_undecodable_file_is_named_and_a_repaired_one_completes(scene: Scene) -> None:
    files = {**scene.outputs(), "cat.png": b"<!doctype html><html>Not found"}
    submission = scene.submit(files)
    assert [(bad.path, bad.problem) for bad in reported(submission).bad_files] == [
        ("cat.png", "cat.png is an HTML page: PNG, JPEG, WebP, AVIF and TIFF are taken.")
    ]
    assert not Media.objects.filter(size=len(files["cat.png"])).exists()
    scene.submit({**files, "cat.png": picture(3)})
    submission.refresh_from_db()
    assert submission.is_complete


def test_outputs_have_the_size_of_their_prompts_reference(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "reference.png"
    path.write_bytes(picture(1, size=(48, 32)))
    reference = services.store_media(study=scene.study, path=path)
    services.add_prompt(study=scene.study, key="pair", reference=reference)
    files = {**scene.outputs(), "pair.png": picture(2)}
    submission = scene.submit(files)
    (bad,) = reported(submission).bad_files
    assert bad.problem == (
        "pair.png is 24×16 pixels, and the reference of its prompt “pair” is 48×32; send it in that size."
    )
    scene.submit({**files, "pair.png": picture(2, size=(48, 32))})
    submission.refresh_from_db()
    assert submission.is_complete


def test_the_same_bytes_for_several_prompts_are_reported_and_sent_once(scene: Scene) -> None:
    black = picture(5)
    submission = scene.post({"cat.png": black, "dog.png": black, "tree.png": picture(6)})
    assert scene.put(submission, black) == [("received", ""), ("received", "")]
    assert reported(submission).duplicates == [["cat.png", "dog.png"]]
    scene.put(submission, picture(6))
    assert Sample.objects.count() == 3


def test_a_file_that_the_study_holds_need_not_be_sent(scene: Scene) -> None:
    scene.submit(scene.outputs(), name="first")
    submission = scene.post(scene.outputs(), name="second")
    assert submission.is_complete
    assert Media.objects.count() == 3
    assert Sample.objects.count() == 6


def test_a_hash_says_nothing_about_other_studies(scene: Scene) -> None:
    """Whoever knows the hash of another study's file neither learns that it is there nor gets it."""
    files = scene.outputs()
    scene.submit(files)
    other = make_scene("rivals")
    submission = other.post(files)
    assert reported(submission).received == 0
    assert len(submission.entries.outstanding()) == 3
    ((state, _),) = other.put(submission, b"x" * len(files["cat.png"]), promised_as=files["cat.png"])
    assert state == "bad"
    other.submit(files)
    assert Media.objects.filter(study=other.study).count() == 3
    assert {media.path.split("/")[1] for media in Media.objects.filter(study=other.study)} == {str(other.study.pk)}


def test_a_wrong_size_in_the_manifest_is_not_covered_up_by_a_known_file(scene: Scene) -> None:
    scene.submit(scene.outputs(), name="first")
    lines = [promised(path, content) for path, content in scene.outputs().items()]
    submission = services.receive_manifest(
        study=scene.study,
        actor=scene.ben,
        checkpoint=CheckpointFacts("second"),
        files=[replace(lines[0], size=5), *lines[1:]],
    )
    assert "bytes and the manifest says 5." in reported(submission).bad_files[0].problem


GOOD = ManifestFile("cat.png", "0" * 64, 10, "cat", 0)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([], "lists no files"),
        ([replace(GOOD, path="../cat.png")], "is not a relative path"),
        ([replace(GOOD, path="/etc/passwd")], "is not a relative path"),
        ([replace(GOOD, path="a//b.png")], "is not a relative path"),
        ([replace(GOOD, path="a\0.png")], "is not a relative path"),
        ([replace(GOOD, path="a\\b.png")], "is not a relative path"),
        ([replace(GOOD, sha256="ABC")], "64 lower-case hex digits"),
        ([replace(GOOD, size=0)], "cat.png is empty"),
        ([replace(GOOD, size=2**40)], r"at most 2,147,483,648 are taken"),
        ([replace(GOOD, seed=2**64)], "does not fit into 64 bits"),
        ([replace(GOOD, prompt="cow")], r"no such prompts \(its keys look like “cat”, “dog”, “tree”\): “cow”\."),
        ([GOOD, replace(GOOD, path="other.png")], "prompt “cat” with seed 0 is promised by two files"),
        ([GOOD, replace(GOOD, seed=1)], "path cat.png is listed twice"),
        ([GOOD, replace(GOOD, path="b.png", seed=1, size=11)], "the hash of another file and a different size"),
    ],
)
def test_a_manifest_that_does_not_do_is_refused_in_a_sentence(
    scene: Scene, files: Sequence[ManifestFile], sentence: str
) -> None:
    with pytest.raises(Refusal, match=sentence):
        services.receive_manifest(study=scene.study, actor=scene.ben, checkpoint=CheckpointFacts("plain"), files=files)
    assert not scene.study.checkpoints.exists()


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (CheckpointFacts(" "), "its name is a word or more"),
        (CheckpointFacts("a\0b"), "name contains control characters"),
        (CheckpointFacts("x" * 121), "name has 121 characters"),
        (CheckpointFacts("a", step=-1), "step is a count of training steps"),
        (CheckpointFacts("a", latency_p50=float("nan")), "latency_p50 is a number of 0 or more"),
        (CheckpointFacts("a", price=-0.5), "price is a number of 0 or more"),
    ],
)
def test_facts_that_do_not_do_are_refused_in_a_sentence(scene: Scene, facts: CheckpointFacts, sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        services.receive_manifest(study=scene.study, actor=scene.ben, checkpoint=facts, files=[GOOD])


def test_facts_may_be_mended_and_the_log_keeps_what_was_said_before(scene: Scene) -> None:
    files = [promised(path, content) for path, content in scene.outputs().items()]

    def post(facts: CheckpointFacts) -> Submission:
        return services.receive_manifest(study=scene.study, actor=scene.ben, checkpoint=facts, files=files)

    post(CheckpointFacts("plain", latency_p50=2.0, gpu="H200"))
    checkpoint = post(CheckpointFacts("plain", latency_p50=1.5)).checkpoint
    checkpoint.refresh_from_db()
    assert (checkpoint.latency_p50, checkpoint.gpu) == (1.5, "H200")
    entry = LogEntry.objects.get(verb="changed facts")
    assert entry.details == {"before": {"latency_p50": 2.0}, "after": {"latency_p50": 1.5}}


def test_a_closed_study_takes_no_more(scene: Scene) -> None:
    done = scene.submit(scene.outputs(), name="before")
    services.publish_study(study=scene.study, actor=scene.ada)
    begun = scene.post(scene.outputs(seed=1), name="begun")
    services.close_study(study=scene.study, actor=scene.ada)
    assert scene.post(scene.outputs(), name="before").pk == done.pk
    for name in ("begun", "new"):
        with pytest.raises(Conflict, match="closed and takes no more submissions"):
            scene.post(scene.outputs(seed=2), name=name)
    assert begun.entries.count() == 3


def test_storing_a_file_twice_keeps_one(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(picture(1))
    first = services.store_media(study=scene.study, path=path)
    assert services.store_media(study=scene.study, path=path) == first
    assert path.exists()
    path.write_text("no picture")
    with pytest.raises(Refusal, match=r"^a\.png is not a picture"):
        services.store_media(study=scene.study, path=path)


def test_what_a_killed_process_left_at_an_address_is_replaced(scene: Scene) -> None:
    content = picture(8)
    address = Media(study=scene.study, sha256=promised("x", content).sha256).path
    default_storage.save(address, io.BytesIO(content[:10]))
    scene.submit({**scene.outputs(), "cat.png": content})
    assert default_storage.open(address).read() == content
