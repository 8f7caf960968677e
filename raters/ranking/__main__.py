"""`python -m raters.ranking VOTES.csv`: ranks a plain file of votes."""

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from raters.ranking.errors import RankingError, UnknownOption
from raters.ranking.plain_file import read_votes, text_table
from raters.ranking.ranking import CLUSTERS, rank


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 with a sentence on standard error when the votes or options are wrong."""
    options = _parser().parse_args(arguments)
    try:
        votes, names = read_votes(options.votes, options.criterion, options.covariates)
        asked = CLUSTERS if options.cluster is None else _split(options.cluster)
        if options.cluster is not None:
            for kind in asked:
                if kind in CLUSTERS and getattr(votes, kind) is None:
                    raise UnknownOption(f"Clustering by {kind} needs a {kind} column in {options.votes}; add it.")
        ranking = rank(
            votes,
            names,
            model=options.model,
            position=options.position,
            phantom=options.phantom,
            cluster=[kind for kind in asked if kind not in CLUSTERS or getattr(votes, kind) is not None],
            cluster_correction=options.cluster_correction,
            anchor=options.anchor,
            scale=options.scale,
            seed=options.seed,
        )
    except RankingError as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(ranking.as_dict(), ensure_ascii=False, allow_nan=False, indent=2))
    else:
        print(text_table(ranking))
    return 0


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]


def _split(clusters: str) -> list[str]:
    kinds = _names(clusters)
    return [] if kinds == ["none"] else kinds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m raters.ranking",
        description="Rank contestants by votes on pairs, with 95 % intervals.",
    )
    parser.add_argument(
        "votes", type=Path, metavar="VOTES.csv", help="columns left,right,outcome[,rater,prompt,criterion]"
    )
    parser.add_argument("--model", choices=["davidson", "bradley-terry"], default="davidson")
    parser.add_argument("--cluster", metavar="rater,prompt", help="what votes depend through; none for neither")
    parser.add_argument("--cluster-correction", choices=["none", "small"], default="small")
    parser.add_argument("--no-position", dest="position", action="store_false", help="no advantage of the left side")
    parser.add_argument("--anchor", metavar="NAME", help="the contestant fixed at 1500, or 0 on the log scale")
    parser.add_argument("--scale", choices=["elo", "log"], default="elo")
    parser.add_argument("--phantom", type=float, default=0.5, metavar="X", help="0 for pure maximum likelihood")
    parser.add_argument(
        "--covariates",
        type=_names,
        default=[],
        metavar="NAME,…",
        help="columns of numbers, left less right (log pixels, seconds …), whose effect is taken out",
    )
    parser.add_argument("--criterion", metavar="NAME", help="only the votes on this criterion")
    parser.add_argument("--seed", type=int, default=0, help="of the simulation behind the rank intervals")
    parser.add_argument("--json", action="store_true")
    return parser


def _run() -> int:
    """As a command: UTF-8 whatever the locale, and quiet when its reader (`head`, say) has left."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to flush at exit goes there
        return 1
    return status


if __name__ == "__main__":
    sys.exit(_run())
