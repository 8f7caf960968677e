"""`evalhub`: log in, submit outputs, see what became of them, read the leaderboard.

Ends with 0 when all is well; with 1 when a submission is incomplete, a run did not end well or in time, or the site
cannot be reached; with 2 when what was asked for does not do; with 130 after Ctrl-C.
"""

import json
import sys
import time
import tomllib
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from evalhub.client import configuration
from evalhub.client.answers import Unfinished
from evalhub.client.client import AT_ONCE, FACTS, Client
from evalhub.client.configuration import Site
from evalhub.client.connection import Problem, Unreachable
from evalhub.client.display import (
    Progress,
    describe_run,
    say,
    show_leaderboard,
    show_metrics,
    show_run,
    show_submission,
    warn,
)
from evalhub.client.layout import BadLayout
from evalhub.client.sheet import write_rows
from evalhub.client.sources import gather

app = typer.Typer(
    help="Submit a checkpoint's outputs to EvalHub and read the results.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

Url = Annotated[str | None, typer.Option("--url", envvar="EVALHUB_URL", help="Address of the site.")]
Token = Annotated[str | None, typer.Option("--token", envvar="EVALHUB_TOKEN", help="API token.", show_envvar=True)]
Study = Annotated[str, typer.Option("--study", help="The study's name in its address.")]
Timeout = Annotated[
    float | None, typer.Option("--timeout", min=0, help="Seconds to wait at most; without it as long as it takes.")
]
Patience = Annotated[
    float, typer.Option("--patience", min=0, help="Seconds for which a site that does not answer is asked again.")
]
PATIENCE = 120.0
WAIT_SECONDS = 3.0


@app.command()
def login(
    url: Annotated[str, typer.Option("--url", envvar="EVALHUB_URL", prompt="Address of the site")],
    username: Annotated[str, typer.Option("--username", prompt=True)],
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
) -> None:
    """Exchange name and password for a token, kept in a file that only you can read."""
    password = sys.stdin.readline().rstrip("\n") if password_stdin else typer.prompt("Password", hide_input=True)
    with Client(url) as site:
        token = site.login(username, password)
    file = configuration.keep(Site(url.rstrip("/"), token))
    say(f"Logged in to {url} as {username}; the token is kept in {file}.")


@app.command()
def submit(
    outputs: Annotated[
        list[str], typer.Argument(metavar="OUTPUTS…", help="A folder, a manifest, or tar shards and patterns of them.")
    ],
    study: Study,
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="The contestant's name.")],
    family: Annotated[str, typer.Option("--family", help="What its steps have in common.")] = "",
    step: Annotated[int | None, typer.Option("--step", min=0, help="Training step.")] = None,
    facts: Annotated[Path | None, typer.Option("--facts", help="JSON or TOML: latency_p50, price, gpu, …")] = None,
    at_once: Annotated[
        int, typer.Option("--at-once", min=1, max=64, help="Requests that send files side by side.")
    ] = AT_ONCE,
    patience: Patience = PATIENCE,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the machines have scored it.")] = False,
    timeout: Timeout = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Submit outputs; run again, it goes on where it stopped.

    A folder holds <prompt key>.png, or <prompt key>/<seed>.png, or a manifest.csv or manifest.jsonl with path, prompt,
    seed. A tar shard, named by itself or by a pattern such as 'shard-{0000..0015}.tar', holds the same names, or a JSON
    file with prompt and seed beside each picture.
    """
    given = read_facts(facts) if facts else {}
    if family:
        given["family"] = family
    found = gather(outputs)
    if found.left_out:
        warn(f"Left out, being no pictures by their names: {', '.join(found.left_out[:10])}.")
    site = _site(url, token, patience=patience, at_once=at_once)
    with site, Progress(len(found.sources)) as progress:
        submission = site.submit(study, checkpoint, found.sources, step=step, facts=given, watcher=progress)
        progress.stop()
        show_submission(submission)
        if not submission.is_complete:
            raise typer.Exit(1)
        if wait:
            _wait_for_scores(lambda: next(iter(site.runs(submission.id)), None), timeout)


@app.command()
def status(
    submission: Annotated[uuid.UUID | None, typer.Argument(help="A submission's id.")] = None,
    study: Annotated[str | None, typer.Option("--study", help="List the study's submissions instead.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the machines have scored it.")] = False,
    timeout: Timeout = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """How far a submission has come, or what has been submitted to a study."""
    if (submission is None) == (study is None) or (wait and submission is None):
        raise typer.BadParameter("Name either a submission, which can be waited for, or a --study.")
    with _site(url, token) as site:
        if submission is not None:
            found = site.submission(str(submission))
            show_submission(found)
            if wait and not found.is_complete:
                raise typer.Exit(1)
            if wait:
                _wait_for_scores(lambda: next(iter(site.runs(found.id)), None), timeout)
            return
        for row in site.submissions(study or ""):
            step = row["checkpoint"]["step"]
            name = row["checkpoint"]["name"] + ("" if step is None else f" @ {step:,}")
            withdrawn = "  withdrawn" if row["checkpoint"]["withdrawn_at"] else ""
            say(f"{row['id']}  {row['state']:<10}  {name}{withdrawn}")


@app.command()
def withdraw(
    submission: Annotated[uuid.UUID, typer.Argument(help="A submission's id.")],
    reason: Annotated[str, typer.Option("--reason", help="Everybody who sees the study can read it.")],
    url: Url = None,
    token: Token = None,
) -> None:
    """Withdraw a submission's checkpoint: it stays listed, with its votes, and raters are not shown it again."""
    with _site(url, token) as site:
        site.withdraw(str(submission), reason)
    say("Withdrawn; `evalhub restore` takes that back.")


@app.command()
def restore(
    submission: Annotated[uuid.UUID, typer.Argument(help="A submission's id.")], url: Url = None, token: Token = None
) -> None:
    """Take the withdrawal of a submission's checkpoint back."""
    with _site(url, token) as site:
        site.restore(str(submission))
    say("Restored: raters are shown it again.")


@app.command()
def score(
    submission: Annotated[uuid.UUID, typer.Argument(help="A complete submission's id.")],
    metrics: Annotated[str | None, typer.Option("--metrics", help="Names with commas; without it the usual.")] = None,
    protocol: Annotated[str, typer.Option("--protocol", help="clean or tf1.")] = "clean",
    dtype: Annotated[str, typer.Option("--dtype", help="float32, bfloat16 or float16.")] = "float32",
    offered: Annotated[bool, typer.Option("--list", help="Only say which metrics there are for it.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the machines have scored it.")] = False,
    timeout: Timeout = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Have the machines score a submission, or score it again by other metrics."""
    with _site(url, token) as site:
        if offered:
            show_metrics(site.metrics(str(submission)))
            return
        names = [name.strip() for name in metrics.split(",") if name.strip()] if metrics is not None else None
        run = site.score(str(submission), names, protocol=protocol, dtype=dtype)
        say(run["url"])
        if wait:
            _wait_for_scores(lambda: site.run(run["id"]), timeout)


@app.command()
def leaderboard(
    study: Study,
    as_json: Annotated[bool, typer.Option("--json", help="As the API gives it.")] = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Ratings by people and scores by machines."""
    with _site(url, token) as site:
        board = site.leaderboard(study)
    if as_json:
        say(json.dumps(board, indent=2))
    else:
        show_leaderboard(board)


@app.command()
def export(
    study: Study,
    output: Annotated[Path, typer.Option("--output", "-o", help="A .csv or .json file.")],
    url: Url = None,
    token: Token = None,
) -> None:
    """Write the leaderboard to a file: one row per contestant as CSV, or all of it as JSON."""
    if output.suffix not in {".csv", ".json"}:
        raise typer.BadParameter(f"An export is a .csv or a .json file, and {output.name} is neither.")
    with _site(url, token) as site:
        board = site.leaderboard(study)
    with output.open("w", newline="", encoding="utf-8") as file:
        if output.suffix == ".json":
            json.dump(board, file, indent=2)
        else:
            write_rows(file, board)
    say(f"The leaderboard is in {output}.")


def read_facts(file: Path) -> dict[str, Any]:
    """What a checkpoint costs, from a JSON or TOML file. BadLayout when it says something else."""
    try:
        content = file.read_bytes()
        found = tomllib.loads(content.decode()) if file.suffix == ".toml" else json.loads(content)
    except (ValueError, OSError) as error:
        raise BadLayout(f"The facts in {file} cannot be read: {error}.") from None
    if not isinstance(found, dict) or set(found) - set(FACTS):
        extra = f"; it has {', '.join(sorted(set(found) - set(FACTS)))}" if isinstance(found, dict) else ""
        raise BadLayout(f"{file} holds one table with some of {', '.join(FACTS)}{extra}.")
    return found


def _site(url: str | None, token: str | None, *, patience: float = PATIENCE, at_once: int = AT_ONCE) -> Client:
    site = configuration.find(url, token)
    return Client(site.url, site.token, patience=patience, at_once=at_once)


def _wait_for_scores(ask: Callable[[], dict[str, Any] | None], timeout: float | None) -> None:
    """Args: ask: gives the run as it is now, or nothing while none has begun."""
    say("Waiting for the scores; Ctrl-C stops the waiting, not the scoring.")
    deadline = None if timeout is None else time.monotonic() + timeout
    told = ""
    while True:
        try:
            run = ask()
            line = describe_run(run) if run else "Waiting for a worker"
        except Unreachable as away:
            run, line = None, f"{away} Waiting for it to come back."
        if run and run["finished_at"] is not None:
            break
        if line != told:
            warn(line)
            told = line
        if deadline is not None and time.monotonic() + WAIT_SECONDS > deadline:
            raise Unfinished(f"It was not scored within {timeout:g} s; the scoring goes on.")
        time.sleep(WAIT_SECONDS)
    show_run(run)
    if run["state"] != "done":
        raise typer.Exit(1)


INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command; whatever is wrong is one sentence on standard error."""
    try:
        app()
    except BadLayout as reason:
        _end(str(reason), 2)
    except Problem as problem:
        _end(str(problem), 1 if problem.status >= 500 else 2)
    except (Unfinished, Unreachable, OSError) as error:
        _end(str(error), 1)
    except SystemExit as ended:  # Typer has turned Ctrl-C into a status
        if ended.code == INTERRUPTED:
            _end("Stopped; what the site has received stays there, and the same command goes on from it.", INTERRUPTED)
        raise
    sys.exit(0)


def _end(sentence: str, status: int) -> NoReturn:
    sys.stderr.write(f"evalhub: {sentence}\n")
    sys.exit(status)


if __name__ == "__main__":
    main()
