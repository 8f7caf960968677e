"""Bars on standard error, with count or size, rate and remaining time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

errors = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def counting(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar for `total` pictures. Gives what takes the number done so far."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors) as bar:
        task = bar.add_task(title, total=total, rate="")

        def advance(done: int) -> None:
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
            bar.update(task, completed=done, rate=f"{speed:.1f} images/s" if speed else "")

        yield advance


@contextmanager
def fetching(title: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar for a download. Gives what takes the bytes here so far and of the whole."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(show_speed=True),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
