"""Log a submission's scores to an MLflow run: each metric's value and interval, and the protocol they belong to.

    python log_to_mlflow.py SUBMISSION_ID MLFLOW_RUN_ID

EVALHUB_URL and EVALHUB_TOKEN name the site, MLFLOW_TRACKING_URI the tracking server.
"""

import sys

import mlflow

from evalhub.client import Client


def log(submission_id: str, run_id: str) -> int:
    """Wait for the scores and log those there are; how many."""
    with Client() as site:
        submission = site.submission(submission_id)
        scores = [score for score in submission.wait(timeout=3600).scores() if score.value is not None]
    with mlflow.start_run(run_id=run_id):
        mlflow.set_tags({"evalhub.submission": submission.id, "evalhub.page": submission.url})
        for score in scores:
            figures = {"": score.value, "_low": score.low, "_high": score.high, "_n": float(score.n)}
            known = {score.metric + part: value for part, value in figures.items() if value is not None}
            mlflow.log_metrics(known, step=submission.step or 0)
            # Values compare only where the protocol is the same.
            mlflow.set_tag(f"evalhub.protocol.{score.metric}", score.fingerprint)
    return len(scores)


if __name__ == "__main__":
    print(f"{log(*sys.argv[1:3])} scores logged")
