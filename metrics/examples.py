"""What travels over the API of runs, as the schema shows it."""

from typing import Any

RUN_ID = "0198c5d2-9999-7c1e-9b60-3d1f6e0a2b11"
SUBMISSION_ID = "0198c5d2-6a4b-7c1e-9b60-3d1f6e0a2b11"

SCORE: dict[str, Any] = {
    "metric": "fid",
    "title": "FID",
    "unit": "",
    "higher_is_better": False,
    "state": "done",
    "value": 11.42,
    "low": 11.18,
    "high": 11.71,
    "interval": "bootstrap over samples",
    "n": 50_000,
    "warnings": [],
    "note": "",
    "fingerprint": "5b0f6e1f0c1f",
    "protocol": {"name": "clean", "dtype": "float32"},
    "details": {},
    "drift": {},
    "efficiency": {"device": "NVIDIA H200", "images_per_second": 2140.0},
}
SHARD: dict[str, Any] = {
    "index": 0,
    "state": "done",
    "attempts": 1,
    "worker": "gpu-8000@node-17",
    "stage": "",
    "samples_done": 256,
    "images_per_second": 2140.0,
    "problems": {},
    "error": "",
}
RUN: dict[str, Any] = {
    "id": RUN_ID,
    "submission": SUBMISSION_ID,
    "url": f"https://evalhub.example.org/runs/{RUN_ID}/",
    "state": "done",
    "stage": "",
    "error": "",
    "metrics": ["fid"],
    "protocol": "clean",
    "dtype": "float32",
    "automatic": False,
    "samples": 256,
    "samples_done": 256,
    "images_per_second": None,
    "remaining_seconds": None,
    "created_at": "2026-05-31T12:00:00Z",
    "started_at": "2026-05-31T12:00:02Z",
    "finished_at": "2026-05-31T12:00:31Z",
    "scores": [SCORE],
    "shards": [SHARD],
}
START = {"metrics": ["fid", "kid"], "protocol": "clean", "dtype": "float32"}
CHOICE = {
    "metric": "fid",
    "title": "FID",
    "group": "Against a set of real images",
    "higher_is_better": False,
    "summary": "How far the outputs, as a set, are from real images.",
    "automatic": True,
    "obstacle": "",
    "waits": "",
}
