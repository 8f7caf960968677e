"""Reads other people's checkpoint files without running anything in them.

A pickle is a program. The readers here follow one that only builds arrays, containers and inert module shells, and
refuse the file at the first name outside that list. TorchScript and `torch.save` files are read as the zip archives
they are: their code is never loaded.
"""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from metrics.engine.errors import WrongWeights

Tensors = dict[str, NDArray[Any]]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001

_STORAGES: Mapping[str, np.dtype[Any]] = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype("<u2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}


def read_safetensors(path: Path) -> Tensors:
    """The tensors of a safetensors file."""
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as fault:
        raise WrongWeights(f"{path.name} is not a whole safetensors file ({fault}); fetch it again.") from None


def read_torch_archive(path: Path) -> Tensors:
    """The tensors of a `torch.save` or TorchScript file, by dotted name; nothing in it is run.

    Raises: WrongWeights if it is no such archive, is damaged, or its pickle asks for anything but tensors and
        containers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            (index,) = [name for name in archive.namelist() if name.endswith("/data.pkl") and name.count("/") == 1]
            folder = index.removesuffix("data.pkl")
            reader = _ArchiveUnpickler(io.BytesIO(archive.read(index)), lambda key: archive.read(f"{folder}data/{key}"))
            return dict(_flatten(reader.load(), ""))
    except WrongWeights as refusal:
        raise WrongWeights(f"{path.name} {refusal}") from None
    except (
        zipfile.BadZipFile,
        ValueError,
        KeyError,
        EOFError,
        pickle.UnpicklingError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as fault:
        raise WrongWeights(
            f"{path.name} is not a whole checkpoint archive as torch.save writes it since 1.6 ({fault}); fetch or "
            "save it again."
        ) from None


def read_torch_legacy(path: Path) -> Tensors:
    """The tensors of a file as `torch.save` wrote it before 1.6: pickles one after the other, then the numbers.

    Raises: WrongWeights as `read_torch_archive`.
    """
    try:
        with path.open("rb") as file:
            heading = [_LegacyUnpickler(file).load() for _ in range(3)]
            if heading[:2] != [_LEGACY_MAGIC, _LEGACY_VERSION]:
                raise ValueError("its heading is another one")
            reader = _LegacyUnpickler(file)
            content = reader.load()
            for key in _LegacyUnpickler(file).load():
                storage = reader.storages[key]
                (count,) = struct.unpack("<q", file.read(8))
                if count != storage.size or file.readinto(storage.data) != storage.nbytes:
                    raise ValueError("numbers are missing")
        return dict(_flatten(content, ""))
    except WrongWeights as refusal:
        raise WrongWeights(f"{path.name} {refusal}") from None
    except (
        ValueError,
        KeyError,
        EOFError,
        struct.error,
        pickle.UnpicklingError,
        TypeError,
        AttributeError,
        IndexError,
        MemoryError,
        RecursionError,
    ) as fault:
        raise WrongWeights(
            f"{path.name} is not a whole checkpoint as torch.save wrote it before 1.6 ({fault}); fetch it again."
        ) from None


def read_numpy_pickle(path: Path) -> Tensors:
    """The arrays of a pickled tree of dicts, by dotted name.

    Raises: WrongWeights if the pickle asks for anything but numpy arrays and containers.
    """
    try:
        with path.open("rb") as file:
            return dict(_flatten(_NumpyUnpickler(file).load(), ""))
    except WrongWeights as refusal:
        raise WrongWeights(f"{path.name} {refusal}") from None
    except (ValueError, KeyError, EOFError, pickle.UnpicklingError, TypeError, AttributeError, IndexError) as fault:
        raise WrongWeights(f"{path.name} is not a whole pickle of arrays ({fault}); fetch it again.") from None


def _refuse(module: str, name: str) -> WrongWeights:
    return WrongWeights(
        f"asks to run {module}.{name} when it is opened, which a file of plain weights never does; "
        "nothing was run, and the file is refused."
    )


class _NumpyUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _empty_array
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        raise _refuse(module, name)


def _empty_array(kind: type, shape: tuple[int, ...], code: bytes) -> NDArray[Any]:
    """What numpy's pickles build first and fill afterwards; only for real arrays of plain numbers."""
    if kind is not np.ndarray:
        raise _refuse("numpy", getattr(kind, "__name__", str(kind)))
    return np.ndarray(shape, np.dtype(np.int8))


class _Shell:
    """Stands in for a TorchScript module: keeps its attributes, has no behaviour."""

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)


class _Storage:
    def __init__(self, name: str, dtype: np.dtype[Any]) -> None:
        self.name, self.dtype = name, dtype


class _ArchiveUnpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, read: Callable[[str], bytes]) -> None:
        super().__init__(file)
        self._read = read

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return _Storage(name, _STORAGES[name])
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _rebuild_parameter
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch.jit._pickle" and name.startswith("build_") and name.endswith("list"):
            return list
        if module.startswith("__torch__."):
            return _Shell
        raise _refuse(module, name)

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        kind, storage, key, _device, count = pid
        if kind != "storage" or not isinstance(storage, _Storage):
            raise WrongWeights("refers to data outside itself; the file is refused.")
        flat = np.frombuffer(self._read(str(key)), dtype=storage.dtype, count=count)
        if storage.name == "BFloat16Storage":
            return (flat.astype(np.uint32) << 16).view(np.float32)
        return flat


class _LegacyUnpickler(_ArchiveUnpickler):
    """Gives tensors empty storages, which the rest of the file fills."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, _nothing_beside)
        self.storages: dict[str, NDArray[Any]] = {}

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        kind, storage, key, _device, count, _view = pid
        if kind != "storage" or not isinstance(storage, _Storage) or storage.name == "BFloat16Storage":
            raise WrongWeights("refers to data outside itself; the file is refused.")
        if key not in self.storages:
            self.storages[key] = np.zeros(count, dtype=storage.dtype)
        return self.storages[key]


def _nothing_beside(key: str) -> bytes:
    raise KeyError(key)


def _rebuild_tensor(
    storage: NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_rest: Any
) -> NDArray[Any]:
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if min((offset, *shape, *strides), default=0) < 0 or (0 not in shape and last >= storage.size):
        raise WrongWeights("has a tensor that reaches outside its own data; the file is refused.")
    steps = tuple(step * storage.itemsize for step in strides)
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)


def _rebuild_parameter(data: NDArray[Any], *_rest: Any) -> NDArray[Any]:
    return data


def _flatten(node: Any, prefix: str) -> list[tuple[str, NDArray[Any]]]:
    """Every array below `node`, by dotted name, in the order the file holds them."""
    if isinstance(node, np.ndarray):
        return [(prefix, node)]
    if isinstance(node, _Shell):
        node = vars(node)
    if not isinstance(node, Mapping):
        return []
    return [
        found for name, child in node.items() for found in _flatten(child, f"{prefix}.{name}" if prefix else str(name))
    ]
