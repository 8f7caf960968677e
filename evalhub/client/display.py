"""What the command prints: progress, a submission's report, a leaderboard. Plain lines when nobody is watching."""

import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars
from rich.table import Table

from evalhub.client.answers import Submission

LINE_EVERY = 5.0
NAMED = 50

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(line: str) -> None:
    out.print(line, markup=False)


def warn(line: str) -> None:
    err.print(line, markup=False)


class Progress:
    """How far reading and sending are: bars with rate and remaining time in a terminal, else a line now and then."""

    def __init__(self, files: int) -> None:
        self.files = files
        self._lock = threading.Lock()
        self._read = self._arrived = self._bytes = self._to_send = self._size = 0
        self._said = self._began = time.monotonic()
        self._bars: Bars | None = None
        if err.is_terminal:
            columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), DownloadColumn()
            self._bars = Bars(*columns, TransferSpeedColumn(), TimeRemainingColumn(), console=err)
            self._hashing = self._bars.add_task(f"Reading {files:,} files", total=None)

    def __enter__(self) -> Self:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        if self._bars:
            self._bars.stop()

    def hashed(self, size: int) -> None:
        if self._bars:
            self._bars.advance(self._hashing, size)
            return
        with self._lock:
            self._read += 1
            if self._is_time():
                warn(f"Read {self._read:,} of {self.files:,} files")

    def missing(self, files: int, size: int) -> None:
        self._to_send, self._size, self._began = files, size, time.monotonic()
        if self._bars:
            self._sending = self._bars.add_task(f"Sending {files:,} files", total=size)
        else:
            warn(f"Sending {files:,} of {self.files:,} files, {size / 1e6:,.1f} MB.")

    def sent(self, size: int) -> None:
        if self._bars:
            self._bars.advance(self._sending, size)
            return
        with self._lock:
            self._bytes += size
            if self._is_time():
                self._tell()

    def arrived(self, path: str) -> None:
        with self._lock:
            self._arrived += 1
            if self._bars:
                words = f"Sending {self._to_send:,} files, {self._arrived:,} are there"
                self._bars.update(self._sending, description=words)
            elif self._arrived == self._to_send:
                self._tell()

    def noted(self, sentence: str) -> None:
        warn(sentence)

    def _tell(self) -> None:
        seconds = max(time.monotonic() - self._began, 1e-3)
        rate = self._bytes / seconds
        remaining = (self._size - self._bytes) / max(rate, 1.0)
        warn(
            f"{self._arrived:,} of {self._to_send:,} files, {self._arrived / seconds:,.1f} files/s, "
            f"{rate / 1e6:,.1f} MB/s, {remaining:,.0f} s to go"
        )

    def _is_time(self) -> bool:
        now = time.monotonic()
        if now - self._said < LINE_EVERY:
            return False
        self._said = now
        return True


def show_submission(submission: Submission) -> None:
    """Its state, all that is wrong with it, and its page."""
    say(submission.summary)
    for bad in submission.bad_files[:NAMED]:
        say(f"  {bad.problem}")
    _more(len(submission.bad_files))
    for key in submission.missing_prompts[:NAMED]:
        say(f"  No file answers the prompt “{key}”.")
    _more(len(submission.missing_prompts))
    for group in submission.duplicates[:NAMED]:
        say(f"  The same picture was sent as {', '.join(group)}; is that meant?")
    _more(len(submission.duplicates))
    say(submission.url)


def _more(count: int) -> None:
    if count > NAMED:
        say(f"  … and {count - NAMED:,} more")


def describe_run(run: Mapping[str, Any]) -> str:
    """One line on how far it is."""
    left = run["remaining_seconds"]
    return f"{run['state'].capitalize()}: {run['samples_done']:,} of {run['samples']:,} outputs" + (
        "" if left is None else f", about {left:,.0f} s to go"
    )


def show_run(run: Mapping[str, Any]) -> None:
    """Its scores, each with interval and number, or why there is none."""
    say(f"The run is {run['state']}. {run['error']}".rstrip())
    for score in run["scores"]:
        seen = f" (n = {score['n']:,})" if score["value"] is not None else "." if score["note"] else ""
        say(f"  {score['metric']}: {_score(score)}{seen} {score['note']}".rstrip())


def show_metrics(choices: Sequence[Mapping[str, Any]]) -> None:
    """Every metric with what it is, or what is in its way; those marked * are the usual ones."""
    for choice in choices:
        mark = "*" if choice["automatic"] else "-" if choice["obstacle"] else " "
        told = choice["obstacle"] or f"{choice['title']} ({choice['group'].lower()})"
        say(f"{mark} {choice['metric']:<24} {' '.join(filter(None, (told, choice['waits'])))}")


def show_leaderboard(board: Mapping[str, Any]) -> None:
    """One line per contestant, numbers with their intervals."""
    rows = board["rows"]
    if not rows:
        say("Nobody has completed a submission yet.")
        return
    table = Table("Rank", "Checkpoint", "Rating", "Votes", box=None, header_style="bold")
    for score in rows[0]["scores"]:
        table.add_column(score["metric"], justify="right")
    for row in rows:
        step = row["step"]
        table.add_row(
            _span(row["rank_low"], row["rank_high"]),
            row["checkpoint"] + ("" if step is None else f" @ {step:,}"),
            _interval(row["rating"], row["low"], row["high"], 0),
            f"{row['comparisons']:,}",
            *[_score(score) + (f"\nn = {score['n']:,}" if score["n"] else "") for score in row["scores"]],
        )
    out.print(table)
    fit = board["fit"]
    if fit and fit["simulated_votes"]:
        say(f"{fit['simulated_votes']:,} of {fit['votes']:,} votes are simulated.")


def _score(score: Mapping[str, Any]) -> str:
    if score["value"] is None:
        return score["state"].replace("_", " ") if score["state"] != "none" else "–"
    return _interval(score["value"], score["low"], score["high"], 4)


def _interval(value: float | None, low: float | None, high: float | None, digits: int) -> str:
    if value is None:
        return "–"
    shown = f"{value:.{digits}f}"
    return shown if low is None or high is None else f"{shown} [{low:.{digits}f}, {high:.{digits}f}]"


def _span(low: int | None, high: int | None) -> str:
    if low is None:
        return "–"
    return str(low) if low == high else f"{low}–{high}"
