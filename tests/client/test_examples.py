"""docs/examples: each is run as its reader would run it, against a running system."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from runpy import run_path

import pytest
import torch

from tests.client.conftest import Desk
from tests.submitting import picture
from tests.systems import SOURCE, System

EXAMPLES = SOURCE / "docs" / "examples"
MLFLOW = SOURCE / ".venv" / "peers" / "mlflow"
WITH_REFERENCES = """
import json, tempfile
from pathlib import Path
from evalhub.studies import services
from evalhub.studies.models import User
from tests.submitting import picture
ben, _ = User.objects.get_or_create(username="ben of examples")
study = services.create_study(slug="restored", name="Restored", actor=ben)
folder = Path(tempfile.mkdtemp())
for number, key in enumerate(("one", "two")):
    file = folder / f"{key}.png"
    file.write_bytes(picture(number, size=(64, 64)))
    reference = services.store_media(study=study, path=file)
    services.add_prompt(study=study, key=key, text=key, reference=reference, actor=ben)
print(json.dumps(services.create_token(user=ben, name="tests", scope="submit")[1]))
"""


def run(desk: Desk, *command: str | Path, **settings: str) -> str:
    environment = {
        **os.environ,
        "PATH": sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"],
        "EVALHUB_URL": desk.system.url,
        "EVALHUB_TOKEN": desk.token,
        **settings,
    }
    done = subprocess.run(
        [str(word) for word in command], env=environment, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def states(desk: Desk, name: str) -> dict[int, str]:
    with desk.client() as site:
        rows = [row for row in site.submissions("faces") if row["checkpoint"]["name"] == name]
    return {row["checkpoint"]["step"]: row["state"] for row in rows}


def test_a_slurm_job_that_submits_each_checkpoint(desk: Desk, tmp_path: Path) -> None:
    """Its body, by bash: there is no sbatch here. It is valid for a scheduler as far as its #SBATCH lines say."""
    sampler = tmp_path / "sample.sh"
    sampler.write_text(
        "#!/bin/sh\nset -e\nfor key in cat dog tree; do\n"
        f'  cp \'{tmp_path}\'/pictures/$(basename "$1" .pt)-$key.png "$2/$key.png"\ndone\necho sampled $1\n'
    )
    sampler.chmod(0o755)
    for folder in ("checkpoints", "pictures"):
        (tmp_path / folder).mkdir()
    for step in (2000, 4000):
        (tmp_path / "checkpoints" / f"step-{step:08}.pt").touch()
        for key in ("cat", "dog", "tree"):
            name = f"step-{step:08}-{key}.png"
            (tmp_path / "pictures" / name).write_bytes(picture(int.from_bytes(os.urandom(4))))
    script = EXAMPLES / "submit_each_checkpoint.slurm"
    settings = {"RUN": str(tmp_path), "SAMPLE": str(sampler), "STUDY": "faces", "NAME": "slurm"}
    assert run(desk, "bash", script, **settings).count("sampled") == 2
    assert states(desk, "slurm") == {2000: "complete", 4000: "complete"}
    again = run(desk, "bash", script, **settings)
    assert "sampled" not in again
    assert again.count("Complete: 3 files") == 2


def test_a_databricks_notebook(desk: Desk, outputs: Path) -> None:
    """As plain Python: its cells and comments are those of the source format, which no Databricks is needed to read."""
    notebook = EXAMPLES / "databricks_notebook.py"
    assert notebook.read_text().startswith("# Databricks notebook source\n")
    said = run(desk, sys.executable, notebook, OUTPUTS=str(outputs), STUDY="faces", NAME="notebook", STEP="20000")
    assert "Complete: 3 files have arrived" in said
    assert "'metric': 'clip_score'" in said
    assert states(desk, "notebook") == {20000: "complete"}


def test_a_callback_in_a_training_loop(desk: Desk, tmp_path: Path) -> None:
    example = run_path(str(EXAMPLES / "training_callback.py"))
    generator = torch.nn.Linear(4, 3 * 16 * 16)
    optimiser = torch.optim.SGD(generator.parameters(), lr=0.1)

    def sample(model: torch.nn.Module, text: str, seed: int) -> torch.Tensor:
        noise = torch.randn(4, generator=torch.Generator().manual_seed(seed + len(text)))
        return model(noise).sigmoid().reshape(3, 16, 16)

    with desk.client() as site:
        callback = example["SubmitSamples"](site, "faces", "trained", sample, tmp_path / "spool", every=5, seeds=(0, 1))
        for step in range(1, 11):
            optimiser.zero_grad()
            (generator(torch.ones(4)) ** 2).mean().backward()
            optimiser.step()
            callback(generator, step)
        submitted = callback.close()
    assert [submission.files for submission in submitted] == [6, 6]
    assert states(desk, "trained") == {5: "complete", 10: "complete"}
    assert generator.training
    assert not list((tmp_path / "spool").iterdir())


@pytest.fixture(scope="module")
def mlflow() -> Path:
    """A Python with the real MLflow and the client's own few dependencies, and neither Django nor torch."""
    python = MLFLOW / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", MLFLOW], check=True)
        uv: list[str | Path] = [Path(sys.executable).with_name("uv"), "pip", "install", "--quiet", "--python", python]
        subprocess.run([*uv, "mlflow-skinny>=3", "httpx>=0.28", "rich>=14", "typer>=0.20"], check=True)
    return python


def test_scores_are_logged_to_mlflow(live: System, desk: Desk, mlflow: Path, tmp_path: Path) -> None:
    token = json.loads(live.manage("shell", "-v", "0", "-c", WITH_REFERENCES).splitlines()[-1])
    desk.token = token
    folder = tmp_path / "restored"
    folder.mkdir()
    for number, key in enumerate(("one", "two")):
        (folder / f"{key}.png").write_bytes(picture(number + 10, size=(64, 64)))
    with desk.client() as site:
        submission = site.submit("restored", "restorer", folder, step=7)
        site.score(submission.id, ["psnr", "ssim"])
    settings = {"MLFLOW_TRACKING_URI": (tmp_path / "mlruns").as_uri(), "PYTHONPATH": str(SOURCE)}
    settings["MLFLOW_ALLOW_FILE_STORE"] = "true"  # its database takes more than the light package
    begin = "import mlflow; run = mlflow.start_run(); print(run.info.run_id)"
    run_id = run(desk, mlflow, "-c", begin, **settings).split()[-1]
    said = run(desk, mlflow, EXAMPLES / "log_to_mlflow.py", submission.id, run_id, **settings)
    assert int(said.split()[0]) >= 2
    read = (
        "import json, mlflow, sys; run = mlflow.get_run(sys.argv[1]);"
        "print(json.dumps([run.data.metrics, run.data.tags, 'django' in sys.modules]))"
    )
    metrics, tags, heavy = json.loads(run(desk, mlflow, "-c", read, run_id, **settings))
    with desk.client() as site:
        psnr = next(score for score in site.scores(submission.id) if score.metric == "psnr")
    assert metrics["psnr"] == pytest.approx(psnr.value)
    assert (metrics["psnr_n"], tags["evalhub.submission"]) == (2, submission.id)
    assert not heavy
