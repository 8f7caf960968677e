"""How soon what died is there again."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalhub.supervisor import Child, Supervisor


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    one = Supervisor(say=print)
    yield one
    one.stop()


def test_what_dies_is_back_at_once_and_what_keeps_dying_after_longer_and_longer(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    child = Child("brief", ["false"], tmp_path / "log")
    supervisor.start(child)
    for pause in (0.0, 0.25, 0.5):
        assert child.process is not None
        ended, pid = child.process.wait(60), child.pid
        assert ended == 1
        died = time.monotonic()
        supervisor.heal()
        assert (child.pid != pid) == (pause == 0.0)
        while child.pid == pid:
            assert time.monotonic() - died < 60
            supervisor.heal()
        assert time.monotonic() - died >= pause
    assert supervisor.deaths(child) == 3
