"""From files to pixels on the device, in the pass's threads."""

import queue
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metrics.engine.columns import Role
from metrics.engine.devices import new_event
from metrics.engine.images import decode_image
from metrics.engine.protocol import Protocol
from metrics.engine.subjects import Subject
from metrics.engine.videos import decode_video

Pixels = NDArray[np.uint8]
"""(f, h, w, 3): a video's frames, or one picture."""

_KEPT_BYTES = 2**28
"""Of decoded pictures kept because a later subject names them too, a reference shared by several samples above all."""


class Pictures:
    """Decodes each picture once, however many subjects name it, as long as what is kept for them has room.

    Args: wanted: every (subject, role) that the pass will ask for, as often as it will.
    """

    def __init__(self, protocol: Protocol, wanted: Iterable[tuple[Subject, Role]]) -> None:
        self.decoded = 0
        self._protocol = protocol
        self._lock = threading.Lock()
        self._uses = Counter(_key(subject, role) for subject, role in wanted)
        self._kept: dict[str, Future[Pixels]] = {}
        self._sizes: OrderedDict[str, int] = OrderedDict()

    def pixels(self, subject: Subject, role: Role) -> Pixels:
        """Raises: UnreadableImage."""
        key = _key(subject, role)
        with self._lock:
            self._uses[key] -= 1
            shared = self._kept.get(key)
            mine = shared is None
            if shared is None:
                shared = self._kept[key] = Future()
        if mine:
            self._decode_into(shared, subject, role)
        pixels = shared.result()
        with self._lock:
            self._keep_or_let_go(key, pixels.nbytes)
        return pixels

    def _decode_into(self, shared: Future[Pixels], subject: Subject, role: Role) -> None:
        picture = subject.picture(role)
        assert picture is not None  # `check_needs` has seen to it
        name = subject.title if role is Role.SAMPLE else f"The {role} of {subject.title}"
        try:
            with picture.open() as file:
                if self._protocol.moving:
                    pixels = decode_video(file, name=name, frames=self._protocol.frames)
                else:
                    pixels = decode_image(file, name=name)[None]
        except BaseException as fault:
            # Whoever waits for this picture gets the same fault; the sentence names the first subject that has it.
            shared.set_exception(fault)
            raise
        with self._lock:
            self.decoded += 1
        shared.set_result(pixels)

    def _keep_or_let_go(self, key: str, size: int) -> None:
        if self._uses[key] <= 0:
            self._kept.pop(key, None)
            self._sizes.pop(key, None)
        elif key in self._kept:
            self._sizes[key] = size
            while sum(self._sizes.values()) > _KEPT_BYTES:
                oldest, _ = self._sizes.popitem(last=False)
                del self._kept[oldest]


def _key(subject: Subject, role: Role) -> str:
    picture = subject.picture(role)
    assert picture is not None
    return picture.key


class Staging:
    """The way onto the device: none for a CPU, a ring of pinned buffers that are used again for a GPU.

    Args: buffers: of the ring; a thread waits where all of them are on their way.
    """

    def __init__(self, device: torch.device, buffers: int) -> None:
        self.device = device
        self._ring: queue.SimpleQueue[tuple[Tensor | None, torch.cuda.Event | None]] = queue.SimpleQueue()
        for _ in range(buffers):
            self._ring.put((None, None))

    def to_device(self, pixels: Pixels) -> Tensor:
        """(f, h, w, 3) in memory → (f, 3, h, w) uint8 on the device, still interleaved as decoded. On a GPU the copy is
        under way in the thread's current stream when this returns."""
        here = torch.from_numpy(pixels)
        if self.device.type != "cuda":
            return here.permute(0, 3, 1, 2)
        buffer, copied = self._ring.get()
        try:
            if copied is not None:
                copied.synchronize()
            if buffer is None or len(buffer) < here.numel():
                buffer = torch.empty(here.numel(), dtype=torch.uint8, pin_memory=True)
            pinned = buffer[: here.numel()].view(here.shape)
            pinned.copy_(here)
            there = pinned.to(self.device, non_blocking=True)
            copied = new_event(timed=False)
        finally:
            self._ring.put((buffer, copied))
        return there.permute(0, 3, 1, 2)
