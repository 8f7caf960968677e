"""The reducers of metrics that compare the samples with a reference set."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from metrics.engine.blocks import Block
from metrics.engine.cmmd import CmmdReducer
from metrics.engine.fid import FidReducer
from metrics.engine.kid import KidReducer
from metrics.engine.manifolds import ManifoldReducer
from metrics.engine.reduced import Reduced, Reducer
from metrics.engine.references import Reference


class Frechet:
    """Fréchet distances of one column: FID and FID∞ of Inception's, FD-DINOv2 of DINOv2's."""

    def __init__(self, title: str, column: str, reference: Reference) -> None:
        self._column, self._rows = column, FidReducer(reference.column(column).moments, title)

    def add(self, block: Block) -> None:
        self._rows.add(block.columns[self._column])

    def finish(self, metric: str) -> Reduced:
        return Reduced(self._rows.infinity() if metric == "fid_infinity" else self._rows.estimate())


class Kid:
    """KID, with the mean and deviation over seeded subsets beside it."""

    def __init__(self, reference: Reference) -> None:
        self._rows = KidReducer(reference.column("inception").kept_features("KID"))

    def add(self, block: Block) -> None:
        self._rows.add(block.columns["inception"])

    def finish(self, metric: str) -> Reduced:
        return Reduced(self._rows.estimate(), details=self._rows.of_subsets())


class Manifolds:
    """Precision, recall, density and coverage of Inception's features."""

    def __init__(self, reference: Reference) -> None:
        self._rows = ManifoldReducer(reference.column("inception").kept_features("Precision and recall"))

    def add(self, block: Block) -> None:
        self._rows.add(block.columns["inception"])

    def finish(self, metric: str) -> Reduced:
        return Reduced(self._rows.estimate(metric))


class Cmmd:
    """CMMD, with the unbiased estimate beside it."""

    def __init__(self, reference: Reference) -> None:
        self._rows = CmmdReducer(reference.column("clip_large").kept_features("CMMD"))

    def add(self, block: Block) -> None:
        self._rows.add(block.columns["clip_large"])

    def finish(self, metric: str) -> Reduced:
        return Reduced(self._rows.estimate(), details={"unbiased": self._rows.without_bias()})


def _of_inception(reference: Reference) -> Reducer:
    return Frechet("FID", "inception", reference)


def _of_dinov2(reference: Reference) -> Reducer:
    return Frechet("FD-DINOv2", "dinov2", reference)


AGAINST_REFERENCE: Mapping[str, Callable[[Reference], Reducer]] = MappingProxyType(
    {
        "fid": _of_inception,
        "fid_infinity": _of_inception,
        "kid": Kid,
        "precision": Manifolds,
        "recall": Manifolds,
        "density": Manifolds,
        "coverage": Manifolds,
        "cmmd": Cmmd,
        "fd_dinov2": _of_dinov2,
    }
)
"""Metrics whose registry row has `Need.REFERENCE_SET`."""
