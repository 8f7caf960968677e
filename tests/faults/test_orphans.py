"""What a killed supervisor leaves behind ends, even when it ignores every signal that asks for it."""

import os
import subprocess
import sys
import time

from evalhub.orphans import SUPERVISED

# A supervisor that starts a group of two stubborn processes, says who they are, and is killed.
STUBBORN = """
import os, signal, sys, time
from evalhub.orphans import end_with_parent
for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
end_with_parent(patience=0.5)
child = os.fork()
if child:
    print(os.getpid(), child, flush=True)
while True:
    time.sleep(1)
"""
SUPERVISOR = """
import os, subprocess, sys, time
process = subprocess.Popen([sys.executable, "-c", sys.argv[1]], start_new_session=True)
time.sleep(60)
"""


def test_a_group_that_ignores_signals_ends_after_its_parent() -> None:
    environment = {**os.environ, SUPERVISED: "1"}
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, STUBBORN], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert supervisor.stdout is not None
    stubborn = [int(pid) for pid in supervisor.stdout.readline().split()]
    assert all(is_alive(pid) for pid in stubborn)
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    patience = time.monotonic() + 30
    while any(is_alive(pid) for pid in stubborn) and time.monotonic() < patience:
        time.sleep(0.1)
    assert [pid for pid in stubborn if is_alive(pid)] == []


def is_alive(pid: int) -> bool:
    """Whether it runs; a zombie that nobody has waited for does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
