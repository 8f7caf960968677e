"""What every extractor is: the maker of one row from one sample's pictures or text."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from metrics.engine.protocol import Protocol


class Extractor(ABC):
    """A maker of rows (`columns.Column.maker`).

    Attributes: batch: inputs in one forward pass, for inputs of one shape.
    """

    def __init__(self, network: nn.Module, device: torch.device, batch: int, protocol: Protocol) -> None:
        self.network, self.device, self.batch, self.protocol = network, device, batch, protocol

    def batch_for(self, prepared: Tensor) -> int:
        """Inputs like `prepared` (without a batch dimension) in one forward pass."""
        return self.batch

    @abstractmethod
    def prepare(self, title: str, *inputs: Any) -> Tensor:
        """(f, …) network inputs: one per frame of a video, one for a still picture or a text.

        Args:
            title: what to call the sample in an error.
            inputs: one per role of the column, in its order: pictures as (f, 3, h, w) uint8 on the device, a still one
                having f = 1; texts as str.
        Raises: BadInput if the sample does not fit the metric.
        """

    @abstractmethod
    def forward(self, batch: Tensor) -> Tensor:
        """(b, …) inputs → (b, …) rows."""
