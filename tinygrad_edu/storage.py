"""Saving and loading parameters: `.npz` (NumPy's own, never a pickle) and `.safetensors`.

A file is written whole or not at all, and read with suspicion: what is damaged or not what was expected raises
`ValueError`, before memory is taken for it and with the model left as it was.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .nn import Module

Arrays = dict[str, NDArray[Any]]
Check = Callable[[str, tuple[int, ...]], None]  # of a name and a shape; raises to refuse
PathLike = str | os.PathLike[str]


def save(model: Module, path: PathLike) -> None:
    """Writes the parameters of `model` under their names ("0.weight"), as `.npz` or `.safetensors` by the ending.

    The file appears under its name only when it is complete, so that an interrupted save leaves an older one whole.
    Raises `ValueError` for another ending, `ImportError` if `.safetensors` is asked for without that package (extra
    `examples`).
    """
    save_arrays(model.state_dict(), path)


def load(model: Module, path: PathLike) -> None:
    """Sets the parameters of `model` from a file that `save` wrote.

    Raises `FileNotFoundError` if there is none, and `ValueError`, with the model left as it was, if the file is
    damaged, holds anything but arrays of numbers, or other names or shapes than the model's.
    """
    wanted = {name: array.shape for name, array in model.state_dict().items()}

    def check(name: str, shape: tuple[int, ...]) -> None:
        if name in wanted and shape != wanted[name]:
            raise ValueError(f"{path}: {name} is {shape}, the model wants {wanted[name]}")
        if name not in wanted:
            raise ValueError(f"{path}: {name} is not in the model, which has {', '.join(wanted)}")

    arrays = load_arrays(path, check)
    try:
        model.load_state_dict(arrays)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def save_arrays(arrays: Mapping[str, NDArray[Any]], path: PathLike) -> None:
    """Writes arrays of numbers under their names, whole or not at all."""
    path = Path(path)
    write = _writer(path)
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{path}: {name} is of dtype {array.dtype}; only arrays of real numbers are stored")
    with replacing(path) as file:
        write(file, {name: np.asarray(array, order="C") for name, array in arrays.items()})


def load_arrays(path: PathLike, check: Check) -> Arrays:
    """The arrays of a file by name; `check(name, shape)` sees each before it is read, and raises to refuse."""
    path = Path(path)
    read = {".npz": _read_npz, ".safetensors": _read_safetensors}.get(path.suffix)
    if read is None:
        raise ValueError(f"{path}: the name must end in .npz or .safetensors")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    return read(path, check)


def _writer(path: Path) -> Callable[[IO[bytes], Arrays], object]:
    if path.suffix == ".npz":
        return _write_npz
    if path.suffix == ".safetensors":
        safetensors = _safetensors()
        return lambda file, arrays: file.write(safetensors.numpy.save(arrays, {"crc32": _checksum(arrays)}))
    raise ValueError(f"{path}: the name must end in .npz or .safetensors")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file beside `path` that takes its place when it is complete and on the disk, and else disappears."""
    path = path.resolve()  # a link goes on pointing to the file
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if name in arrays or name == member.filename:
                    raise ValueError(f"{member.filename!r} is not an array, or is there twice")
                with archive.open(member) as file:
                    arrays[name] = _read_array(file, name, member.file_size, check)
    except (
        zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, SyntaxError,
        tokenize.TokenError,
    ) as error:  # fmt: skip
        raise ValueError(f"{path}: damaged, or no .npz file: {error}") from None
    except ValueError as error:
        message = str(error)
        raise ValueError(message if message.startswith(str(path)) else f"{path}: {message}") from None
    return arrays


def _read_array(file: IO[bytes], name: str, size: int, check: Check) -> NDArray[Any]:
    """One member, of which `size` bytes are announced. The header is looked at before memory is taken."""
    version = np.lib.format.read_magic(file)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if header is None:
        raise ValueError(f"{name}: version {version} of the array format is unknown")
    shape, in_columns, dtype = header(file)
    if dtype.kind not in "fiub":
        raise ValueError(f"{name} is of dtype {dtype}: only arrays of real numbers are read, never pickled objects")
    if any(n < 0 for n in shape):
        raise ValueError(f"{name} is of shape {shape}")
    check(name, shape)
    count = 1
    for n in shape:
        count *= n
    if not size - 65536 <= count * dtype.itemsize <= size:  # what is left is the header
        raise ValueError(f"{name} should hold {count} numbers, but the file announces {size} bytes for it")
    content = file.read(count * dtype.itemsize)
    if len(content) != count * dtype.itemsize or file.read(1):  # reading to the end also compares the checksum
        raise ValueError(f"{name}: its numbers are not all there")
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if in_columns else "C")
    return array.astype(dtype.newbyteorder("="))  # also a copy that can be written to


def _read_safetensors(path: Path, check: Check) -> Arrays:
    safetensors = _safetensors()
    arrays: Arrays = {}
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118  (not a dict)
                check(name, tuple(file.get_slice(name).get_shape()))
                arrays[name] = file.get_tensor(name)
            written = (file.metadata() or {}).get("crc32")  # files of others have none
            if written is not None and written != _checksum(arrays):
                raise ValueError("damaged: the numbers are not those that were written")
    except ValueError as error:
        message = str(error)
        raise ValueError(message if message.startswith(str(path)) else f"{path}: {message}") from None
    except (safetensors.SafetensorError, OSError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path}: damaged, or no .safetensors file: {error}") from None
    return arrays


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise ImportError("files in .safetensors need safetensors: pip install 'tinygrad-edu[examples]'") from None
    return safetensors
