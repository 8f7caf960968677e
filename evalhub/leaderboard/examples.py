"""What the API tells of rankings, as the schema shows it."""

from typing import Any

FIT: dict[str, Any] = {
    "id": "0198c5d2-2222-4c1e-9b60-3d1f6e0a2b11",
    "created_at": "2026-05-31T12:00:00Z",
    "votes": 5200,
    "simulated_votes": 0,
    "raters": 24,
    "cut_off": 5412,
    "method": "davidson",
    "version": "1",
    "seed": 0,
    "slice": {},
    "settings": {},
    "position": {"advantage": 3.1, "se": 2.8},
    "covariates": {},
    "agreement": {"alpha": 0.61, "low": 0.57, "high": 0.65, "units": 900, "values": 2700},
    "separations": [],
    "verdicts": [],
    "warnings": [],
}
ROW: dict[str, Any] = {
    "checkpoint": "flow",
    "family": "flow",
    "step": 40_000,
    "withdrawn": False,
    "rating": 1531.0,
    "low": 1518.0,
    "high": 1544.0,
    "rank_low": 1,
    "rank_high": 2,
    "comparisons": 2600,
    "win_rate": 0.54,
    "tie_rate": 0.07,
    "both_bad_rate": 0.01,
    "separated_from_next": True,
    "more_votes_to_separate": None,
    "scores": [
        {
            "metric": "fid",
            "column": "fid_5b0f6e1f",
            "state": "done",
            "value": 11.42,
            "low": 11.18,
            "high": 11.71,
            "n": 50_000,
            "interval": "bootstrap over samples",
            "fingerprint": "5b0f6e1f0c1f",
            "note": "",
        }
    ],
    "facts": {
        "self_reported": True,
        "latency_p50": 1.9,
        "latency_p95": 2.3,
        "price": 0.0016,
        "gpu": "H200",
        "dtype": "bfloat16",
    },
    "warnings": [],
}
LEADERBOARD: dict[str, Any] = {
    "study": "faces",
    "criterion": "overall",
    "fit": FIT,
    "ratings_withheld": False,
    "unfinished": None,
    "summary": ["flow @ 40,000 leads."],
    "votes_waiting_for_a_fit": 0,
    "rows": [ROW],
}
PAIR: dict[str, Any] = {
    "checkpoint": "flow @ 40,000",
    "against": "plain",
    "wins": 310,
    "losses": 240,
    "ties": 41,
    "both_bad": 3,
    "win_share": 0.56,
    "probability_better": 0.998,
}
CURVE: dict[str, Any] = {
    "family": "flow",
    "steps": [
        {"checkpoint": "flow", "step": 20_000, "value": 1497.0, "low": 1480.0, "high": 1514.0},
        {"checkpoint": "flow", "step": 40_000, "value": 1531.0, "low": 1518.0, "high": 1544.0},
    ],
}
