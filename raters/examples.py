"""What travels over the API of raters, as the schema shows it."""

from typing import Any

RATER_ID = "0198c5d2-1111-4c1e-9b60-3d1f6e0a2b11"
FIT_ID = "0198c5d2-2222-4c1e-9b60-3d1f6e0a2b11"
RECRUITMENT_ID = "0198c5d2-3333-4c1e-9b60-3d1f6e0a2b11"
WHEN = "2026-05-31T12:00:00Z"

STANDING: dict[str, Any] = {
    "fit": FIT_ID,
    "votes": 412,
    "weight": 0.94,
    "lapse": 0.03,
    "gold_hits": 19,
    "gold_total": 20,
    "repeat_hits": 17,
    "repeat_total": 20,
    "side_bias": 4.2,
    "side_low": -18.0,
    "side_high": 26.4,
    "left_rate": 0.51,
    "tie_rate": 0.08,
    "median_seconds": 4.1,
    "fast_share": 0.0,
    "away_share": 0.01,
    "agreement": 0.71,
    "expected_agreement": 0.7,
    "influence": 1.3,
    "changes_top": False,
}
RATER: dict[str, Any] = {
    "rater": RATER_ID,
    "simulated": False,
    "group": "autumn",
    "state": "active",
    "excluded_at": None,
    "exclusion_reason": "",
    "standing": STANDING,
}
EXCLUSION = {"reason": "She told us that her screen was broken."}
VERDICT: dict[str, Any] = {
    "outcome": "pass",
    "difference": 31.0,
    "low": 12.0,
    "high": 50.0,
    "more_votes": None,
    "votes": 2100,
    "sentence": "flow @ 40,000 is no worse than plain by 15 Elo.",
    "fit": FIT_ID,
    "at": WHEN,
}
SHIP_TEST: dict[str, Any] = {
    "id": "0198c5d2-4444-4c1e-9b60-3d1f6e0a2b11",
    "criterion": "overall",
    "candidate": "flow @ 40,000",
    "baseline": "plain",
    "margin": 15.0,
    "registered_at": WHEN,
    "after_vote": 1200,
    "withdrawn_at": None,
    "withdrawal_reason": "",
    "verdict": VERDICT,
    "decided": VERDICT,
}
NEW_KNOWN_ANSWER = {"prompt": "cat", "better": "flow@40000", "worse": "plain", "use": "control", "explanation": ""}
KNOWN_ANSWER: dict[str, Any] = NEW_KNOWN_ANSWER | {
    "id": 7,
    "criterion": "",
    "retired_at": None,
    "asked": 40,
    "missed": 2,
    "suspect": False,
}
CHANGED_RULES: dict[str, Any] = {"gold_every": 12, "pay_per_comparison": "0.1200", "currency": "EUR"}
RULES: dict[str, Any] = CHANGED_RULES | {
    "least_width": None,
    "least_height": None,
    "break_after_minutes": 30,
    "qualification_share": 0.8,
    "repeat_every": 20,
    "shows_consistency": False,
    "accept_gold_share": 0.6,
    "accept_median_seconds": None,
    "use_gold_share": 0.7,
    "use_repeat_share": None,
    "use_median_seconds": None,
}
ACCOUNT: dict[str, Any] = {
    "rater": RATER_ID,
    "group": "autumn",
    "answered": 412,
    "gold_hits": 19,
    "gold_total": 20,
    "repeat_hits": 17,
    "repeat_total": 20,
    "median_seconds": 4.1,
    "pay": {"yes": True, "reasons": ["19 of 20 known answers were found."]},
    "amount": "49.44",
    "use": {"yes": True, "reasons": []},
    "excluded_at": None,
    "exclusion_reason": "",
    "withdrawn_at": None,
}
NEW_RECRUITMENT: dict[str, Any] = {"platform": "prolific", "name": "autumn", "comparisons": 50}
RECRUITMENT: dict[str, Any] = NEW_RECRUITMENT | {
    "id": RECRUITMENT_ID,
    "completion_code": "C1A2B3C4",
    "screened_out_code": "",
    "no_consent_code": "",
    "address": "https://evalhub.example.org/from/prolific/…/",
    "created_at": WHEN,
    "closed_at": None,
    "came": 31,
    "under_way": 2,
    "completed": 27,
    "screened_out": 1,
    "no_consent": 1,
}
VISIT: dict[str, Any] = {
    "visit": "0198c5d2-5555-4c1e-9b60-3d1f6e0a2b11",
    "participant": "5e9b…",
    "session": "64fa…",
    "platform_study": "64f0…",
    "rater": RATER_ID,
    "started_at": WHEN,
    "ended_at": None,
    "minutes": 7.5,
    "answers": 31,
    "outcome": "",
}
REPORT: dict[str, Any] = {
    "sample": 4711,
    "checkpoint": "flow @ 40,000",
    "prompt": "cat",
    "seed": 0,
    "broken": {"left": 3, "right": 1},
    "skips": {"cannot_tell": 2, "upsetting": 0, "other": 0},
    "shown": 58,
}
