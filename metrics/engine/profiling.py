"""A torch profiler's trace of what runs inside, for chrome://tracing or Perfetto."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metrics.engine.errors import BadInput


@contextmanager
def profiled(target: Path | None) -> Iterator[None]:
    """Writes the trace of all threads, and of the GPU where there is one, as Chrome's JSON; does nothing for None.

    Raises: BadInput if the file cannot be written, before anything runs.
    """
    if target is None:
        yield
        return
    try:
        target.touch()
    except OSError as fault:
        raise BadInput(f"{target} cannot be written ({fault.strerror}); choose another path for --profile.") from None
    import torch
    from torch._C._profiler import _ExperimentalConfig
    from torch.profiler import ProfilerActivity, profile

    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    with profile(activities=kinds, experimental_config=_ExperimentalConfig(profile_all_threads=True)) as profiler:
        yield
    profiler.export_chrome_trace(str(target))
