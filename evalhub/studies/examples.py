"""What travels over the API, as the schema shows it."""

SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
SUBMISSION_ID = "0198c5d2-6a4b-7c1e-9b60-3d1f6e0a2b11"

LOGIN = {"username": "ada", "password": "correct horse battery", "name": "training cluster", "scope": "submit"}
NEW_TOKEN = {"token": "evh_5f0c…", "expiry": "2026-08-29T12:00:00Z"}
TOKEN = {
    "id": "c7ad44cbad762a5da0a452f9e854fdc1e0e7a52a38015f23f3eab1d80b931dd4",
    "name": "training cluster",
    "begins_with": "evh_5f0c",
    "scope": "submit",
    "study": "faces",
    "created": "2026-05-31T12:00:00Z",
    "expiry": "2026-08-29T12:00:00Z",
    "last_used_at": "2026-06-02T08:14:00Z",
}
STUDY = {
    "slug": "faces",
    "name": "Faces",
    "description": "Portraits at 1,024 pixels.",
    "modality": "image",
    "state": "open",
    "publishes_late": False,
    "contestants_registered_at": None,
    "prompts": 200,
    "url": "https://evalhub.example.org/studies/faces/",
}
NEW_STUDY = {
    "slug": "faces",
    "name": "Faces",
    "modality": "image",
    "description": "Portraits at 1,024 pixels.",
    "consent": "I take part of my own free will.",
    "questions": [{"name": "Overall", "question": "Which picture is better?", "allows_tie": True}],
}
QUOTA = {"quota_bytes": 200_000_000_000}
USAGE = {"quota_bytes": 200_000_000_000, "held_bytes": 5_120_000_000, "promised_bytes": 40_000_000}
MEDIA = {"sha256": SHA256, "size": 182_044, "kind": "image", "format": "PNG", "width": 1024, "height": 1024}
PROMPT = {
    "key": "cat",
    "text": "A cat in the snow",
    "source_text": "",
    "tags": ["animals"],
    "source": MEDIA,
    "mask": None,
    "reference": None,
}
PROMPT_FILES = {"prompt_list": "key,text\ncat,A cat in the snow\n"}
CHECKPOINT = {
    "name": "flow",
    "family": "flow",
    "step": 40_000,
    "latency_p50": 1.9,
    "latency_p95": 2.3,
    "price": 0.0016,
    "gpu": "H200",
    "dtype": "bfloat16",
    "notes": "",
}
FILE = {"path": "cat/0.png", "sha256": SHA256, "size": 182_044}
MANIFEST = {"checkpoint": CHECKPOINT, "files": [FILE | {"prompt": "cat", "seed": 0}]}
SUBMISSION_SUMMARY = {
    "id": SUBMISSION_ID,
    "state": "incomplete",
    "url": f"https://evalhub.example.org/submissions/{SUBMISSION_ID}/",
    "study": "faces",
    "checkpoint": CHECKPOINT | {"registered": True, "withdrawn_at": None, "withdrawal_reason": ""},
    "created_at": "2026-05-31T12:00:00Z",
    "completed_at": None,
}
MISSING = FILE | {"offset": 65_536}
SUBMISSION = SUBMISSION_SUMMARY | {
    "files": 1,
    "received": 0,
    "missing": [MISSING],
    "missing_more": None,
    "report": {
        "summary": "Incomplete: 1 file has not arrived.",
        "awaited": 1,
        "bad_files": [],
        "missing_prompts": [],
        "duplicates": [],
    },
}
WITHDRAWAL = {"reason": "It was trained on the prompts."}
OFFSET = {"offset": 65_536, "size": 182_044}
RECEIVED = {"entries": [{"path": "cat/0.png", "state": "received"}], "submission": "complete"}
WEBHOOK_ID = "0198c5d2-7777-7c1e-9b60-3d1f6e0a2b11"
NEW_WEBHOOK = {"address": "https://hooks.example.org/evalhub", "events": ["run.done", "fit.changed"]}
WEBHOOK = NEW_WEBHOOK | {"id": WEBHOOK_ID, "created_at": "2026-05-31T12:00:00Z", "paused_at": None}
CALL = {
    "id": "0198c5d2-8888-7c1e-9b60-3d1f6e0a2b11",
    "event": "run.done",
    "payload": {"type": "run.done", "data": {"state": "done"}},
    "state": "done",
    "attempts": 1,
    "next_at": "2026-05-31T12:00:00Z",
    "status": 204,
    "said": "",
    "seconds": 0.08,
    "created_at": "2026-05-31T12:00:00Z",
    "ended_at": "2026-05-31T12:00:01Z",
}
