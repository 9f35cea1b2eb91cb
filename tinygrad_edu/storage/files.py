"""Saving and loading parameters: `.npz` (NumPy's own, never a pickle) and `.safetensors`.

A file is written whole or not at all (`atomic.replacing`). It is read with suspicion: what is damaged or not what was
expected raises `ValueError`, before memory is taken for it and with the model left as it was.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..nn.layers import Module
from ..nn.state import IGNORED, KEPT, NotLoaded, refuse_lost
from .atomic import replacing

Arrays = dict[str, NDArray[Any]]
Check = Callable[[str, tuple[int, ...]], None]  # of a name and a shape; raises `Refused`
PathLike = str | os.PathLike[str]
LONGEST_HEADER = 10_000  # bytes of an array's description; NumPy's own limit
REAL = {"BOOL", "U8", "U16", "U32", "U64", "I8", "I16", "I32", "I64", "F16", "F32", "F64"}  # in .safetensors


class Refused(ValueError):
    """What is wrong with the contents of a file; the message does not have its name yet."""


def save(model: Module, path: PathLike) -> None:
    """Writes the parameters of `model` under their names ("0.weight") to the file `path`, an `.npz` or a
    `.safetensors`.

    The file appears under its name only when it is complete, so an interrupted save leaves an older file as it was.
    Raises `ValueError` for another ending, `TypeError` for an attribute of the model that is an array, but not of real
    numbers, so that it would be lost, and `ImportError` if `.safetensors` is asked for without that package (extra
    `examples`).

    >>> net = tg.Dense(2, 1)
    >>> tg.save(net, "net.npz")
    >>> np.load("net.npz")["weight"].shape
    (2, 1)
    """
    if not isinstance(model, Module):
        raise TypeError(f"save(model, path): the model comes first, got {type(model).__name__}")
    try:
        refuse_lost(model._items())
    except TypeError as error:
        raise TypeError(f"{path}: {error}") from None
    save_arrays(model.state_dict(), path)


def load(model: Module, path: PathLike, *, strict: bool = True) -> NotLoaded | None:
    """Sets the parameters of `model` from the file `path`, which `save` wrote, or an `.npz` with the same names.

    Raises `FileNotFoundError` if there is none, `TypeError` if the model does not come first, and `ValueError`, with
    the model left as it was, if the file is damaged, holds anything but arrays of numbers, or other names or shapes
    than the model's. Files of PyTorch's hold weights transposed: `from_torch_state_dict` reads those. With
    `strict=False`, names that are not both in the file and in the model are left out, and returned: `NotLoaded(missing,
    unknown)`.

    >>> net, other = tg.Dense(2, 1), tg.Dense(2, 1)
    >>> tg.save(net, "net.npz")
    >>> tg.load(other, "net.npz")
    >>> bool(np.all(net.weight.data == other.weight.data))
    True
    """
    if not isinstance(model, Module):
        raise TypeError(f"load(model, path): the model comes first, got {type(model).__name__}")
    wanted = {name: kept.value.shape for name, kept in model._state().items()}

    def check(name: str, shape: tuple[int, ...]) -> None:
        if name not in wanted:
            if not strict or name.rpartition(".")[2] == IGNORED:
                return
            raise Refused(f"{name} is not in the model, which has {', '.join(wanted)}. {BUILD}; {KEPT}")
        if shape != wanted[name]:
            raise Refused(f"{name} is {shape}, the model wants {wanted[name]}. {BUILD}")

    arrays = load_arrays(path, check)
    try:
        return model.load_state_dict(arrays, strict)
    except ValueError as error:
        raise ValueError(f"{path}: {error}. {BUILD}") from None


BUILD = "Build the model as it was when it was saved"


LONGEST_NAME = 60_000  # bytes: a ZIP archive has room for 65,535


def save_arrays(arrays: Mapping[str, NDArray[Any]], path: PathLike) -> None:
    """Writes arrays of numbers under their names; the file is complete or not there."""
    path = Path(path)
    write = _writer(path)
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is a folder or a device; name a file in a folder")
    for name, array in arrays.items():
        try:
            length = len(name.encode())
        except UnicodeEncodeError:  # half a surrogate pair
            length = LONGEST_NAME + 1
        if "\0" in name or name == "__metadata__" or length > LONGEST_NAME:
            raise ValueError(
                f"{path}: an array called {name[:40]!r} could not be read again; give it a shorter, plain name"
            )
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{path}: {name} is of dtype {array.dtype}; only arrays of real numbers are stored")
    with replacing(path) as file:
        write(file, dict(arrays))


def load_arrays(path: PathLike, check: Check) -> Arrays:
    """The arrays of a file by name; `check(name, shape)` sees each before it is read, and raises `Refused`."""
    path = Path(path)
    read = {".npz": _read_npz, ".safetensors": _read_safetensors}.get(path.suffix.lower())
    if read is None:
        raise ValueError(f"{path}: the name must end in .npz or .safetensors")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    if not path.is_file():
        raise ValueError(f"{path} is a folder or a device; name the file that save wrote")
    with open(path, "rb"):
        pass  # what may not be read is not called damaged
    try:
        return read(path, check)
    except Refused as error:
        raise ValueError(f"{path}: {error}") from None
    except ImportError:
        raise
    except Exception as error:  # whatever it is that the parsers stumble over
        raise ValueError(
            f"{path}: damaged, or not a {path.suffix} file ({error}). Take an older copy, or save the model again"
        ) from None


def _writer(path: Path) -> Callable[[IO[bytes], Arrays], object]:
    if path.suffix.lower() == ".npz":
        return _write_npz
    if path.suffix.lower() == ".safetensors":
        safetensors = _safetensors()

        def write(file: IO[bytes], arrays: Arrays) -> None:
            for name, array in arrays.items():
                if array.dtype.itemsize > 8:
                    raise ValueError(f"{name} is of dtype {array.dtype}, which .safetensors cannot hold; save as .npz")
            arrays = {n: np.asarray(a, a.dtype.newbyteorder("="), order="C") for n, a in arrays.items()}
            file.write(safetensors.numpy.save(arrays, {"crc32": _checksum(arrays)}))

        return write
    raise ValueError(f"{path}: the name must end in .npz or .safetensors")


def _write_npz(file: IO[bytes], arrays: Arrays) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _checksum(arrays: Arrays) -> str:
    """Of all numbers: the format of `.safetensors` has none of its own."""
    total = 0
    for name in sorted(arrays):
        total = zlib.crc32(np.ascontiguousarray(arrays[name]).tobytes(), zlib.crc32(name.encode(), total))
    return f"{total:08x}"


def _read_npz(path: Path, check: Check) -> Arrays:
    arrays: Arrays = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name in arrays or name == member.filename:
                raise Refused(f"{member.filename!r} is not an array, or is there twice. Is it a file of `save`?")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise Refused(f"{name} is compressed in a way that NumPy does not use. Is it a file of `save`?")
            with archive.open(member) as file:
                arrays[name] = _read_array(file, name, member.file_size, check)
    return arrays


def _read_array(file: IO[bytes], name: str, size: int, check: Check) -> NDArray[Any]:
    """One member, of which `size` bytes are announced. The header is looked at before memory is taken."""
    head = io.BytesIO(file.read(LONGEST_HEADER))  # a header that says it is longer finds its end here
    version = np.lib.format.read_magic(head)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if header is None:
        raise Refused(f"{name}: version {version} of the array format is unknown. Write it with numpy.savez")
    shape, in_columns, dtype = header(head)
    if dtype.kind not in "fiub":
        raise Refused(f"{name} is of dtype {dtype}: only arrays of real numbers are read, never pickled objects")
    check(name, shape)
    wanted = math.prod(shape) * dtype.itemsize
    if size != head.tell() + wanted:
        raise Refused(
            f"{name} of shape {shape} should take {wanted} bytes, but the file announces {size - head.tell()}: "
            "it is damaged, or made to do damage"
        )
    content = head.read()
    content += file.read(wanted - len(content))  # with the last byte, the checksum is compared
    if len(content) != wanted:
        raise Refused(f"{name}: some of its numbers are missing. The file is damaged: take an older copy")
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if in_columns else "C")
    return array.astype(dtype.newbyteorder("="))  # also a copy that can be written to


def _read_safetensors(path: Path, check: Check) -> Arrays:
    safetensors = _safetensors()
    arrays: Arrays = {}
    with safetensors.safe_open(path, framework="numpy") as file:
        written = (file.metadata() or {}).get("crc32")
        if written is None:
            raise Refused(
                "not written by `save`, so it does not say how its weights are laid out. If they are PyTorch's, "
                "(out, in), read it with from_torch_state_dict(model, safetensors.numpy.load_file(path)); if they are "
                "(in, out), with model.load_state_dict(safetensors.numpy.load_file(path))"
            )
        for name in file.keys():  # noqa: SIM118  (not a dict)
            check(name, tuple(file.get_slice(name).get_shape()))
            if (dtype := file.get_slice(name).get_dtype()) not in REAL:
                raise Refused(f"{name} is of dtype {dtype}: only arrays of real numbers are read")
            arrays[name] = file.get_tensor(name)
        if written != _checksum(arrays):
            raise Refused("damaged: its numbers are not those that were written. Take an older copy")
    return arrays


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise ImportError("files in .safetensors need safetensors: pip install 'tinygrad-edu[examples]'") from None
    return safetensors
