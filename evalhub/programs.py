"""The site's own programs, as `make run` starts them: the web server, two workers and the clock."""

import signal
import sys
from pathlib import Path

from evalhub.orphans import SUPERVISED
from evalhub.supervisor import Child

SOURCE = Path(__file__).resolve().parent.parent
CELERY = [sys.executable, "-m", "celery", "--app", "evalhub.celery", "--workdir", str(SOURCE)]


def programs(environment: dict[str, str], home: Path, bind: str, port: int) -> list[Child]:
    """The web server first, then what works behind it.

    Refits and other light tasks have a worker to themselves, so that a long shard delays none of them; it has two
    children, so that neither does a study's presentation copies. On the `gpu` queue each worker has one child, which
    holds one device.
    """
    return [
        web(environment, home, f"[{bind}]:{port}" if ":" in bind else f"{bind}:{port}"),
        worker("default", 2, environment, home, port),
        *gpu_workers(environment, home, port),
        beat(environment, home),
    ]


def gpus(environment: dict[str, str], devices: Path = Path("/dev")) -> list[str]:
    """The GPUs of this machine as CUDA numbers them, without asking CUDA: those it is let see, or all there are."""
    allowed = environment.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return [name.strip() for name in allowed.split(",") if name.strip()]
    return sorted((path.name.removeprefix("nvidia") for path in devices.glob("nvidia[0-9]*")), key=int)


def gpu_workers(environment: dict[str, str], home: Path, port: int) -> list[Child]:
    """One worker for each GPU, which sees no other; one in all where there is at most one, or the device is named."""
    found = gpus(environment)
    if len(found) < 2 or environment.get("TORCH_DEVICE", "auto") != "auto":
        return [worker("gpu", 1, environment, home, port)]
    return [
        worker("gpu", 1, environment | {"CUDA_VISIBLE_DEVICES": name}, home, port, name=f"gpu-{number}")
        for number, name in enumerate(found)
    ]


def web(environment: dict[str, str], home: Path, address: str) -> Child:
    counters = home / "run" / "prometheus"  # every web process writes its own; together they are /metrics
    counters.mkdir(parents=True, exist_ok=True)
    for old in counters.glob("*.db"):
        old.unlink()
    options = {
        "--bind": address,
        "--worker-class": "gthread",
        "--workers": "2",
        "--threads": "8",
        "--timeout": "120",
        "--graceful-timeout": "5",
        # Longer than a client's own pause between two requests: else one closes just as the other asks.
        "--keep-alive": "75",
        "--chdir": str(SOURCE),
    }
    words = [word for option in options.items() for word in option]
    return Child(
        "web",
        [sys.executable, "-m", "gunicorn", "evalhub.wsgi", *words, "--preload", "--no-control-socket"],
        home / "logs" / "web.log",
        {**environment, "PROMETHEUS_MULTIPROC_DIR": str(counters)},
        orphaned_with=signal.SIGQUIT,
    )


def worker(queue: str, children: int, environment: dict[str, str], home: Path, port: int, *, name: str = "") -> Child:
    name = name or queue
    options = ["--queues", queue, "--concurrency", str(children), "--hostname", f"{name}-{port}@%h"]
    return Child(
        f"worker-{name}",
        [*CELERY, "worker", *options, "--loglevel", "INFO", "--without-gossip", "--without-mingle"],
        home / "logs" / f"worker-{name}.log",
        {**environment, SUPERVISED: "1"},
        # A task that is not done in ten seconds goes back to its queue; every task can run again.
        stop_harder=signal.SIGQUIT,
        orphaned_with=signal.SIGQUIT,
    )


def beat(environment: dict[str, str], home: Path) -> Child:
    # Every entry is a sweep that may run at any time, so no schedule file is kept that a kill could corrupt.
    options = ["--scheduler", "celery.beat.Scheduler", "--loglevel", "INFO", "--pidfile="]
    return Child("beat", [*CELERY, "beat", *options], home / "logs" / "beat.log", environment)
