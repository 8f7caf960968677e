"""The tour of the README by its own means: a whole system, real workers, the command line, two raters at keyboards."""

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.rating import press
from tests.systems import SOURCE, System, running

VOTES_EACH = 20
KEYS = {"left": "ArrowLeft", "right": "ArrowRight", "tie": "ArrowDown", "both_bad": "b"}
SCORED_WITHIN = 400  # seconds; 6 × 97 pictures through Inception on two busy cores


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    weights = os.environ.get("EVALHUB_TEST_WEIGHTS", str(SOURCE / "var" / "weights"))
    with running(EVALHUB_DEMO="1", EVALHUB_WEIGHTS=weights, REFIT_DELAY_SECONDS="1", SWEEP_SECONDS="3") as one:
        yield one


def password_of(system: System, name: str) -> str:
    """The password that the first start printed."""
    found = re.search(rf"\b{name}\s+(\S+)$", system.printed(), re.MULTILINE)
    assert found, system.printed()
    return found[1]


def sign_in(browser: Browser, system: System, name: str) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.set_default_timeout(20_000)
    page.goto(system.url)
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password", exact=True).fill(password_of(system, name))
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{system.url}/studies/")
    return page


def client(system: System, folder: Path, *arguments: str, typed: str = "") -> str:
    """The `evalhub` command on a training node that has its own settings folder."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}
    command = [str(Path(sys.executable).with_name("evalhub")), *arguments]
    done = subprocess.run(
        command, env=environment, input=typed, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def rows_of(system: System, query: str) -> list[tuple]:
    url = re.search(r"^DATABASE_URL='(.+)'$", (system.home / "environment").read_text(), re.MULTILINE)
    assert url
    with psycopg2.connect(url[1]) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def leaderboard(page: Page, system: System) -> dict:
    return page.request.get(f"{system.url}/api/v1/studies/demo/leaderboard/").json()


def wait_for_scores(page: Page, system: System, checkpoint: str) -> dict[str, dict]:
    deadline = time.monotonic() + SCORED_WITHIN
    scores: dict[str, dict] = {}
    while time.monotonic() < deadline:
        rows = {row["checkpoint"]: row for row in leaderboard(page, system)["rows"]}
        scores = {score["metric"]: score for score in rows[checkpoint]["scores"]} if checkpoint in rows else {}
        if {"fid", "lpips"} <= {metric for metric, score in scores.items() if score["state"] == "done"}:
            return scores
        time.sleep(2)
    raise AssertionError(f"{checkpoint} has only {scores} after {SCORED_WITHIN} s.{system.logs()}")


def vote_by_keyboard(page: Page, choices: list[str]) -> None:
    """From the list of studies to so many votes, without touching the mouse."""
    study = page.get_by_role("region", name=re.compile("super-resolution"))
    study.get_by_role("link", name="Start comparing").focus()
    page.keyboard.press("Enter")
    page.get_by_role("checkbox").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    begin = page.get_by_role("button", name=re.compile("begin|start", re.IGNORECASE))
    begin.focus()
    page.keyboard.press("Enter")
    for number, choice in enumerate(choices):
        press(page, KEYS[choice])
        expect(page.get_by_text(re.compile(rf"\b{number + 1}\b.*done"))).to_be_visible()


def test_the_tour(system: System, browser: Browser, tmp_path: Path) -> None:
    researcher = sign_in(browser, system, "researcher")
    researcher.get_by_role("link", name=re.compile("super-resolution")).first.click()
    for name in ("nearest", "bilinear", "bicubic", "lanczos", "lanczos-unsharp"):
        expect(researcher.get_by_role("rowheader", name=name, exact=False).first).to_be_visible()
    expect(researcher.get_by_text("No votes have been counted yet")).to_be_visible()

    # A sixth contestant, from a folder, by the command line.
    outputs, facts = tmp_path / "hamming", tmp_path / "facts.json"
    made = [sys.executable, "-m", "evalhub.studies.demo", "hamming", str(outputs), "--facts", str(facts)]
    subprocess.run(made, cwd=SOURCE, check=True, capture_output=True)
    password = password_of(system, "researcher")
    client(system, tmp_path, "login", "--url", system.url, "--username", "researcher", typed=f"{password}\n")
    submitted = client(
        system, tmp_path, "submit", "--study", "demo", "--checkpoint", "hamming", "--facts", str(facts), str(outputs)
    )
    assert system.url in submitted
    scores = wait_for_scores(researcher, system, "hamming")
    for metric in ("fid", "lpips"):
        assert scores[metric]["n"] == 97
        assert scores[metric]["low"] <= scores[metric]["value"] <= scores[metric]["high"]
    assert scores["clip_score"]["state"] == "waiting_for_weights"
    assert "weights import" in scores["clip_score"]["note"]
    researcher.reload()
    hamming = researcher.get_by_role("row").filter(has=researcher.get_by_role("rowheader", name="hamming"))
    expect(hamming).to_contain_text("n = 97")
    for name in ("nearest", "bilinear", "bicubic", "lanczos", "lanczos-unsharp"):
        wait_for_scores(researcher, system, name)

    # Two raters, keyboard only.
    cast = {
        "rater1": [("left", "right", "tie", "left", "both_bad")[i % 5] for i in range(VOTES_EACH)],
        "rater2": [("right", "left", "right", "tie")[i % 4] for i in range(VOTES_EACH)],
    }
    for name, choices in cast.items():
        vote_by_keyboard(sign_in(browser, system, name), choices)

    # The database holds exactly the votes cast, in order, and the comparisons they answer.
    for name, choices in cast.items():
        stored = rows_of(
            system,
            "SELECT v.choice, v.revision, v.simulated, v.without_javascript, v.milliseconds FROM raters_vote v "
            "JOIN raters_rater r ON r.id = v.rater_id JOIN studies_user u ON u.id = r.user_id "
            f"WHERE u.username = '{name}' ORDER BY v.id",
        )
        assert [row[0] for row in stored] == choices
        assert {row[1:4] for row in stored} == {(1, False, False)}
        assert all(row[4] is not None for row in stored)
    assert rows_of(system, "SELECT count(*) FROM raters_vote") == [(2 * VOTES_EACH,)]

    # The leaderboard counts all of them and orders the contestants.
    deadline = time.monotonic() + 120
    while (board := leaderboard(researcher, system))["fit"] is None or board["fit"]["votes"] < 2 * VOTES_EACH:
        assert time.monotonic() < deadline, json.dumps(board)[:2000]
        time.sleep(1)
    assert board["fit"]["simulated_votes"] == 0
    ratings = [row["rating"] for row in board["rows"] if row["rating"] is not None]
    assert len(ratings) == 6
    assert ratings == sorted(ratings, reverse=True)
    assert sum(row["comparisons"] for row in board["rows"]) == 2 * 2 * VOTES_EACH
    outcomes = Counter(choice for choices in cast.values() for choice in choices)
    rows = rows_of(
        system,
        "SELECT sum(wins), sum(ties), sum(both_bad) FROM raters_rating WHERE fit_id = '" + board["fit"]["id"] + "'",
    )
    decided = outcomes["left"] + outcomes["right"]
    assert rows == [(decided, 2 * outcomes["tie"], 2 * outcomes["both_bad"])]
    researcher.goto(f"{system.url}/studies/demo/")
    expect(researcher.locator("figure.chart .on-page svg")).to_be_visible()
    shown = [text.split("\n")[0] for text in researcher.locator("tbody th[scope=row] a").all_inner_texts()]
    assert shown == [row["checkpoint"] for row in board["rows"]]
