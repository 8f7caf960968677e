"""Several GPUs: one worker each, which sees no other. Nothing here needs one."""

from pathlib import Path

import pytest

from evalhub.programs import gpu_workers, gpus


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, ["0", "1", "10"]),
        ({"CUDA_VISIBLE_DEVICES": "2, 3"}, ["2", "3"]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-8932f937,MIG-5c2d"}, ["GPU-8932f937", "MIG-5c2d"]),
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
    ],
)
def test_the_gpus_are_those_that_cuda_would_see(environment: dict[str, str], found: list[str], tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidia10", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    assert gpus(environment, tmp_path) == found


@pytest.mark.parametrize(
    ("environment", "workers"),
    [
        ({"CUDA_VISIBLE_DEVICES": "4,5"}, {"worker-gpu-0": "4", "worker-gpu-1": "5"}),
        ({"CUDA_VISIBLE_DEVICES": "4"}, {"worker-gpu": "4"}),
        ({"CUDA_VISIBLE_DEVICES": ""}, {"worker-gpu": ""}),
        ({"CUDA_VISIBLE_DEVICES": "4,5", "TORCH_DEVICE": "cpu"}, {"worker-gpu": "4,5"}),
    ],
)
def test_each_gpu_has_a_worker_of_its_own(environment: dict[str, str], workers: dict[str, str], tmp_path: Path) -> None:
    started = gpu_workers(environment, tmp_path, 8000)
    assert {child.name: (child.environment or {}).get("CUDA_VISIBLE_DEVICES") for child in started} == workers
    for child in started:
        assert child.command[child.command.index("--queues") + 1] == "gpu"
    names = [child.command[child.command.index("--hostname") + 1] for child in started]
    assert len(set(names)) == len(names)
