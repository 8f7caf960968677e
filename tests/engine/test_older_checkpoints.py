"""Files of torch.save from before 1.6, such as DISTS's: read without running anything in them."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchmetrics.functional.image.dists as their_dists

from metrics.engine.catalogue import WEIGHTS
from metrics.engine.checkpoints import read_safetensors, read_torch_legacy
from metrics.engine.conversions import from_dists
from metrics.engine.errors import WrongWeights
from metrics.engine.weights import Weights
from tests.engine.test_weights import Trap

FILE = Path(their_dists.__file__).parent / "dists_models" / "weights.pt"


def saved(content: object, path: Path) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


def test_the_numbers_of_dists_are_torchmetrics_own(weights: Weights) -> None:
    state = weights.verify("dists-vgg16")
    assert state.source == "torchmetrics 1.9.0"
    assert state.tensors_sha256 == WEIGHTS["dists-vgg16"].tensors_sha256
    ours, theirs = read_safetensors(state.path), torch.load(FILE)
    assert sorted(ours) == ["alpha", "beta"]
    for name, numbers in ours.items():
        assert np.array_equal(numbers, theirs[name].detach().numpy().reshape(-1))


def test_the_file_itself_can_be_imported(tmp_path: Path) -> None:
    folder = Weights(tmp_path)
    folder.import_file("dists-vgg16", FILE)
    assert folder.verify("dists-vgg16").present


def test_the_reader_reads_what_torch_wrote(tmp_path: Path) -> None:
    whole = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    content = {
        "plain": whole,
        "turned": whole.T,
        "part": whole[1:3, 2:4],
        "half": torch.linspace(-1, 1, 7, dtype=torch.float16),
        "deep": {"counts": torch.tensor([1, 2, 3]), "one": torch.tensor(2.5, dtype=torch.float64)},
        "parameter": torch.nn.Parameter(torch.ones(3)),
    }
    found = read_torch_legacy(saved(content, tmp_path / "older.pt"))
    assert np.array_equal(found["turned"], whole.numpy().T)
    assert np.array_equal(found["part"], whole[1:3, 2:4].numpy())
    assert found["half"].dtype == np.float16
    assert found["deep.counts"].tolist() == [1, 2, 3]
    assert found["deep.one"] == 2.5
    assert found["parameter"].tolist() == [1, 1, 1]


def test_a_file_that_wants_to_run_something_is_refused_unrun(tmp_path: Path) -> None:
    file = saved({"alpha": torch.ones(3), "beta": Trap(tmp_path / "sprung")}, tmp_path / "trap.pt")
    with pytest.raises(WrongWeights, match=r"^trap\.pt asks to run (posix|nt)\.system when it is opened"):
        read_torch_legacy(file)
    assert not (tmp_path / "sprung").exists()


def test_damaged_and_foreign_files_are_told(tmp_path: Path) -> None:
    whole = FILE.read_bytes()
    for name, data in (("cut.pt", whole[:-100]), ("page.pt", b"<html>"), ("empty.pt", b""), ("head.pt", whole[:200])):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(
            WrongWeights, match=rf"^{name} is not a whole checkpoint as torch\.save wrote it before 1\.6"
        ):
            read_torch_legacy(tmp_path / name)
    few = saved({"alpha": torch.ones(5), "beta": torch.ones(5)}, tmp_path / "few.pt")
    with pytest.raises(WrongWeights, match=r"^few\.pt does not hold DISTS's 1,475 numbers twice"):
        from_dists(few)
    full = torch.ones(1475)
    odd = saved({"alpha": full, "beta": full, "gamma": full}, tmp_path / "odd.pt")
    with pytest.raises(WrongWeights, match=r"the first is “gamma”"):
        from_dists(odd)
