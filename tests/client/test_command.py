"""The `evalhub` command against a running system."""

import csv
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evalhub.client import Problem, Unreachable
from tests.client.conftest import Desk
from tests.submitting import picture, promised
from tests.systems import System, clean_environment


def submit(desk: Desk, folder: Path, name: str, *more: str, **environment: str) -> tuple[int, str, str]:
    done = desk.run("submit", "--study", "faces", "--checkpoint", name, *more, str(folder), **environment)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_login_keeps_a_token_for_its_owner_alone(desk: Desk, outputs: Path) -> None:
    done = desk.run("login", "--username", "ben", "--password-stdin", stdin="correct-horse\n", EVALHUB_TOKEN="")
    assert (done.returncode, done.stderr) == (0, "")
    kept = desk.home / "evalhub" / "site.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert submit(desk, outputs, "logged-in", EVALHUB_TOKEN="", EVALHUB_URL="")[0] == 0
    elsewhere = desk.run("status", "--study", "faces", EVALHUB_TOKEN="", EVALHUB_URL="http://127.0.0.1:9")
    assert elsewhere.returncode == 2
    assert "No token for http://127.0.0.1:9 is known" in elsewhere.stderr
    wrong = desk.run("login", "--username", "ben", "--password-stdin", stdin="guess\n", EVALHUB_TOKEN="")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("evalhub: No active account has this name and password")


def test_submit_tells_how_far_it_is_and_where_the_result_is(desk: Desk, outputs: Path, tmp_path: Path) -> None:
    facts = tmp_path / "facts.toml"
    facts.write_text('latency_p50 = 1.5\ngpu = "H200"\n')
    code, out, err = submit(desk, outputs, "wave", "--family", "wave", "--step", "2000", "--facts", str(facts))
    assert code == 0, err
    summary, url = out.splitlines()
    assert summary == "Complete: 3 files have arrived, all in order."
    assert url.startswith(f"{desk.system.url}/submissions/")
    assert "Sending 3 of 3 files" in err
    assert "0 s to go" in err
    with desk.client() as site:
        found = next(row for row in site.submissions("faces") if row["checkpoint"]["name"] == "wave")
    assert {name: found["checkpoint"][name] for name in ("family", "step", "latency_p50", "gpu")} == {
        "family": "wave",
        "step": 2000,
        "latency_p50": 1.5,
        "gpu": "H200",
    }
    again = submit(desk, outputs, "wave", "--family", "wave", "--step", "2000")
    assert again == (0, out, "")
    shown = desk.run("status", found["id"])
    assert (shown.returncode, shown.stdout) == (0, out)
    listed = desk.run("status", "--study", "faces")
    assert f"{found['id']}  complete    wave @ 2,000" in listed.stdout


def test_an_incomplete_submission_says_what_it_lacks_and_ends_with_1(desk: Desk, outputs: Path) -> None:
    whole = (outputs / "cat.png").read_bytes()
    (outputs / "cat.png").write_bytes(whole[:-50])
    (outputs / "tree.png").unlink()
    code, out, _ = submit(desk, outputs, "partial")
    assert code == 1
    assert "1 file did not do, to be sent again; 1 prompt has no output" in out
    assert "cat.png does not decode as PNG" in out
    assert "No file answers the prompt “tree”." in out
    (outputs / "cat.png").write_bytes(whole)
    (outputs / "tree.png").write_bytes(whole)
    code, out, _ = submit(desk, outputs, "partial")
    assert code == 0
    assert "The same picture was sent as cat.png, tree.png; is that meant?" in out


@pytest.mark.parametrize("layout", ["seeds", "csv", "jsonl"])
def test_other_layouts(desk: Desk, outputs: Path, layout: str) -> None:
    rows = []
    for number, key in enumerate(("cat", "dog", "tree")):
        path = f"{key}/{number}.png" if layout == "seeds" else f"any/{number}.png"
        (outputs / path).parent.mkdir(exist_ok=True)
        (outputs / f"{key}.png").rename(outputs / path)
        rows.append({"path": path, "prompt": key, "seed": number})
    if layout == "csv":
        with (outputs / "manifest.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["path", "prompt", "seed"])
            writer.writeheader()
            writer.writerows(rows)
    elif layout == "jsonl":
        (outputs / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (outputs / "notes.txt").write_text("not an output")
    code, out, err = submit(desk, outputs, f"layout-{layout}")
    assert code == 0, err
    assert "Complete: 3 files" in out
    assert "Left out, being no pictures by their names: notes.txt." in err


def test_bad_input_is_one_sentence_and_ends_with_2(desk: Desk, outputs: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    facts = tmp_path / "facts.json"
    facts.write_text('{"speed": 3}')
    (outputs / "cow.png").write_bytes(picture(1))
    cases = [
        (submit(desk, tmp_path / "nowhere", "x"), "is no folder"),
        (submit(desk, empty, "x"), "There are no pictures here"),
        (submit(desk, outputs, "x", "--facts", str(facts)), "it has speed"),
        (submit(desk, outputs, "x"), "The study has no such prompts"),
        (submit(desk, outputs, "x", EVALHUB_TOKEN=desk.read_token), "This token may only read"),
        (submit(desk, outputs, "x", EVALHUB_TOKEN="evh_made_up"), "This token opens nothing"),
        (submit(desk, outputs, "x", EVALHUB_TOKEN="", EVALHUB_URL=""), "No site is known"),
    ]
    for (code, out, err), sentence in cases:
        assert (code, out) == (2, ""), err
        assert sentence in err.splitlines()[-1]
    unknown = desk.run("status", "00000000-0000-0000-0000-000000000000")
    assert (unknown.returncode, "nothing here" in unknown.stderr) == (2, True)
    assert desk.run("status", "seven").returncode == 2


def test_leaderboard_and_export(desk: Desk, outputs: Path, tmp_path: Path) -> None:
    assert submit(desk, outputs, "listed")[0] == 0
    assert "listed" in desk.run("leaderboard", "--study", "faces").stdout
    board = json.loads(desk.run("leaderboard", "--study", "faces", "--json").stdout)
    assert "listed" in {row["checkpoint"] for row in board["rows"]}
    for name in ("board.csv", "board.json"):
        done = desk.run("export", "--study", "faces", "-o", str(tmp_path / name))
        assert done.returncode == 0, done.stderr
    with (tmp_path / "board.csv").open(newline="") as file:
        assert [row["checkpoint"] for row in csv.DictReader(file)] == [row["checkpoint"] for row in board["rows"]]
    assert json.loads((tmp_path / "board.json").read_text())["study"] == "faces"
    assert desk.run("export", "--study", "faces", "-o", "board.xls").returncode == 2


def test_metrics_are_listed_and_asked_for(desk: Desk, outputs: Path) -> None:
    assert submit(desk, outputs, "scored")[0] == 0
    with desk.client() as site:
        submission = next(row["id"] for row in site.submissions("faces") if row["checkpoint"]["name"] == "scored")
    listed = desk.run("score", submission, "--list").stdout
    assert "* clip_score               CLIPScore (ViT-B/32) (prompts) CLIPScore (ViT-B/32) waits for" in listed
    assert "- psnr                     PSNR compares each sample with its prompt's reference, and 3 of 3" in listed

    started = desk.run("score", submission, "--metrics", "clip_score", "--protocol", "tf1", "--wait")
    assert started.stdout.startswith(f"{desk.system.url}/runs/")
    assert "clip_score: waiting for weights" in started.stdout
    refused = desk.run("score", submission, "--metrics", "psnr,fids")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "There is no metric called “fids”" in refused.stderr


def test_the_client_for_scripts(desk: Desk, outputs: Path) -> None:
    with desk.client() as site:
        assert [study["slug"] for study in site.studies()] == ["faces"]
        assert [prompt["key"] for prompt in site.prompts("faces")] == ["cat", "dog", "tree"]
        submission = site.submit("faces", "scripted", outputs, facts={"price": 0.01})
        assert submission.is_complete
        assert site.submission(submission.id) == submission
        with pytest.raises(Problem, match="nothing here") as refused:
            site.leaderboard("nothing")
        assert refused.value.status == 404


def test_a_site_that_is_away_is_asked_again_and_then_given_up(outputs: Path) -> None:
    from evalhub.client import Client

    with Client("http://127.0.0.1:9", "x", patience=0.4) as site:
        began = time.monotonic()
        with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:9 did not answer as it should"):
            site.studies()
        assert time.monotonic() - began > 0.1


def test_gunicorn_killed_in_the_middle_of_a_file(desk: Desk, outputs: Path) -> None:
    """kill -9 while half of a file is here: nothing of it is in storage, and the same command completes the rest."""
    content = picture(int.from_bytes(os.urandom(4)), size=(512, 512))
    (outputs / "cat.png").write_bytes(content)
    files = {path.name: path.read_bytes() for path in outputs.iterdir()}
    lines = [vars(promised(path, content)) for path, content in files.items()]
    body = {"checkpoint": {"name": "killed"}, "files": lines}
    with desk.connection() as connection:
        submission = connection.ask("POST", "studies/faces/submissions/", json=body)
    sha256 = promised("cat.png", content).sha256
    request = (
        f"PUT /api/v1/submissions/{submission['id']}/files/{sha256}/ HTTP/1.1\r\nHost: 127.0.0.1:{desk.system.port}\r\n"
        f"Authorization: Token {desk.token}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    uploads, media = desk.system.home / "uploads", desk.system.home / "media"
    with socket.create_connection(("127.0.0.1", desk.system.port)) as wire:
        wire.sendall(request.encode() + content[: len(content) // 2])
        deadline = time.monotonic() + 20
        while not any(uploads.glob("*.part")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        for pid, command in desk.system.processes().items():
            if "gunicorn" in command:
                os.kill(pid, signal.SIGKILL)
    assert not list(media.rglob(sha256))
    code, out, err = submit(desk, outputs, "killed")
    assert code == 0, err
    assert "Complete: 3 files" in out
    assert next(media.rglob(sha256)).read_bytes() == content


def test_a_body_without_length_and_one_too_large(desk: Desk, outputs: Path) -> None:
    with desk.client() as site:
        submission = site.submit("faces", "lengths", outputs)
    address = f"/api/v1/submissions/{submission.id}/files/{'0' * 64}/"
    headers = {"Authorization": f"Token {desk.token}"}
    for more, status in (({"Transfer-Encoding": "chunked"}, 411), ({"Content-Length": str(2**40)}, 413)):
        connection = http.client.HTTPConnection("127.0.0.1", desk.system.port, timeout=20)
        connection.putrequest("PUT", address)
        for name, value in (headers | more).items():
            connection.putheader(name, value)
        connection.endheaders()
        if status == 411:
            connection.send(b"0\r\n\r\n")
        response = connection.getresponse()
        assert (response.status, response.getheader("Content-Type")) == (status, "application/problem+json")
        connection.close()


@contextmanager
def scoring_held(system: System) -> Iterator[None]:
    """While this lasts no score comes, so that whoever waits for one still waits."""
    # The run begins on the default queue, and ends there too where there is nothing to compute. On a busy machine the
    # site answers long before its workers have all begun: two of them, with two children and one.
    patience = time.monotonic() + 120
    while len(workers := [pid for pid, command in system.processes().items() if " --queues " in command]) < 5:
        assert time.monotonic() < patience, system.processes()
        time.sleep(0.5)
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)


def test_ctrl_c_says_how_to_go_on(desk: Desk, outputs: Path) -> None:
    environment = {**clean_environment(), "EVALHUB_URL": desk.system.url, "EVALHUB_TOKEN": desk.token}
    command = [sys.executable, "-m", "evalhub.client.command", "submit", "--study", "faces", "--checkpoint", "stopped"]
    with (
        scoring_held(desk.system),
        subprocess.Popen(
            [*command, "--wait", str(outputs)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Waiting for the scores" in line:
                process.send_signal(signal.SIGINT)
    assert process.returncode == 130, lines
    assert lines[-1].startswith("evalhub: Stopped; what the site has received stays there")
