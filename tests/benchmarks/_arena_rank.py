"""arena-rank, in an environment of its own: it pins numpy and JAX to other versions than ours.

Run by that environment's Python, this file is the other end: it reads the votes once, then does what each line of its
standard input says and answers when done.
"""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

RELEASE = "arena-rank==0.1.1"
HOME = Path(__file__).parents[2] / ".venv" / "peers" / "arena-rank"


class ArenaRank:
    """A running arena-rank that has read a file of votes; closing it ends it."""

    def __init__(self, votes: Path) -> None:
        python = _installed()
        self._child = subprocess.Popen(
            [python, __file__, votes],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def do(self, what: str, columns: str) -> dict[str, float]:
        """Ratings by name, after a "fit" or with "intervals", from "labels" or "codes"."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(f"{what} {columns}\n")
        self._child.stdin.flush()
        answer: dict[str, float] = json.loads(self._child.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait(timeout=60)


def _installed() -> Path:
    python = HOME / "bin" / "python"
    if not python.exists():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, HOME], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, RELEASE], check=True)
    return python


def _serve(votes: Path) -> None:
    import numpy as np
    import pandas as pd

    rating, data = (import_module(f"arena_rank.{name}") for name in ("models.bradley_terry", "utils.data_utils"))
    columns = np.load(votes)
    names, winners = columns["names"], np.array(["model_a", "model_b", "tie", "both_bad"])
    codes = {"model_a": columns["left"], "model_b": columns["right"]}
    winner = winners[columns["outcome"]].tolist()  # it takes no codes for these
    tables = {
        "codes": pd.DataFrame(codes | {"winner": winner}),
        "labels": pd.DataFrame({side: names[column].tolist() for side, column in codes.items()} | {"winner": winner}),
    }
    for line in sys.stdin:
        what, kind = line.split()
        pairs = data.PairDataset.from_pandas(tables[kind])
        model = rating.BradleyTerry(pairs.n_competitors)
        if what == "intervals":
            ratings = model.compute_ratings_and_cis(pairs)["ratings"]
        else:
            ratings = model.fit(pairs).params["ratings"] * model.alpha
        labels = pairs.competitors if kind == "labels" else [names[code] for code in pairs.competitors]
        print(json.dumps(dict(zip(map(str, labels), np.asarray(ratings).tolist(), strict=True))), flush=True)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
