"""What a site answers, as objects."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from evalhub.client.client import Client


class Unfinished(Exception):
    """What was waited for cannot come, or did not come in time; the message is a sentence."""


@dataclass(frozen=True)
class BadFile:
    """A file that arrived and did not do, and the sentence that says why."""

    path: str
    problem: str


@dataclass(frozen=True)
class Score:
    """One metric's result: `state` is `done`, `waiting_for_weights` or `failed`, and `note` says why if it is not done.

    `value` lies in [`low`, `high`], a 95 % interval, in the metric's own `unit`; `n` is how many samples it rests on.
    Scores compare only where their `fingerprint`, the whole protocol, is the same.
    """

    metric: str
    title: str
    unit: str
    higher_is_better: bool
    state: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    note: str
    fingerprint: str
    warnings: tuple[str, ...]
    run: str

    @classmethod
    def read(cls, answer: Mapping[str, Any], run: str) -> Self:
        names = set(cls.__dataclass_fields__) - {"warnings", "run"}
        return cls(**{name: answer[name] for name in names}, warnings=tuple(answer["warnings"]), run=run)


@dataclass(frozen=True)
class Submission:
    """One delivery: its state (`incomplete`, `complete`), its page, what it lacks."""

    id: str
    state: str
    url: str
    study: str
    checkpoint: str
    step: int | None
    files: int
    received: int
    summary: str
    bad_files: tuple[BadFile, ...]
    missing_prompts: tuple[str, ...]
    duplicates: tuple[tuple[str, ...], ...]
    site: "Client" = field(repr=False, compare=False)

    @classmethod
    def read(cls, answer: Mapping[str, Any], site: "Client") -> Self:
        report = answer["report"]
        return cls(
            id=answer["id"],
            state=answer["state"],
            url=answer["url"],
            study=answer["study"],
            checkpoint=answer["checkpoint"]["name"],
            step=answer["checkpoint"]["step"],
            files=answer["files"],
            received=answer["received"],
            summary=report["summary"],
            bad_files=tuple(BadFile(**bad) for bad in report["bad_files"]),
            missing_prompts=tuple(report["missing_prompts"]),
            duplicates=tuple(tuple(group) for group in report["duplicates"]),
            site=site,
        )

    @property
    def is_complete(self) -> bool:
        return self.state == "complete"

    def wait(self, timeout: float | None = None) -> Self:
        """Return once the machines have scored it, however often the site goes away meanwhile.

        Args: timeout: in seconds; without it, for as long as it takes.
        Raises: Unfinished when it is incomplete, or when the time is up; Problem when it is gone.
        """
        self.site.wait(self.id, timeout)
        return self

    def scores(self) -> list[Score]:
        """Every metric's newest result, from the runs that have ended."""
        return self.site.scores(self.id)
