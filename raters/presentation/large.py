"""Pictures too large to be decoded in one piece here: handed to libvips in a process of its own, which may fall over
instead of this one and whose memory is free again when it ends."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

from raters.presentation.unpresentable import Unpresentable

POLICY = "tiles-2"
MEMORY = 4 * 2**30  # bytes of address space; a few hundred million are used, see `libvips`
SECONDS = 900  # of processor time, and twice as long by the clock
THREADS = 2  # each holds some rows of tiles

_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from raters.presentation.libvips import main; main()"
_PACKAGE = str(Path(__file__).parent.parent.parent)
_ITS_OWN_FAULT = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGXCPU}


def present(policy: str, file: IO[bytes], form: str, size: tuple[int, int], path: Path) -> None:
    """Write the file's picture, on a canvas of `size`, encoded under the policy, to `path`.

    Args:
        file: an open file of the operating system's.
        form: its format as the door found it, such as "png"; no other decoder is tried.
    Raises: Unpresentable when its pixels cannot be read; RuntimeError when the process was stopped from outside.
    """
    job = {"policy": policy, "form": form, "width": size[0], "height": size[1], "path": str(path)}
    job |= {"memory": MEMORY, "seconds": SECONDS}
    # No environment: it gets none of this process's secrets.
    environment = {"VIPS_BLOCK_UNTRUSTED": "1", "VIPS_CONCURRENCY": str(THREADS), "TMPDIR": str(path.parent)}
    command = [sys.executable, "-I", "-c", _PROGRAM, _PACKAGE, json.dumps(job)]
    try:
        done = subprocess.run(
            command, stdin=file.fileno(), capture_output=True, env=environment, timeout=2 * SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unpresentable(f"A picture took longer than {2 * SECONDS} seconds to be cut into tiles.") from None
    if -done.returncode in _ITS_OWN_FAULT:
        raise Unpresentable(f"A {form.upper()} file that decoded when it arrived makes libvips fail.")
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise RuntimeError(f"The process that reads large pictures ended with status {done.returncode}: {last}")
    problem = json.loads(done.stdout)["problem"]
    if problem:
        raise Unpresentable(f"A {form.upper()} file that decoded when it arrived does not decode now: {problem}.")
