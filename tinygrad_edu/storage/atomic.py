"""The one way in which a file is written: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

KEPT = 50  # characters of the file's name in the temporary one, so that it is no longer than names may be


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file beside `path` that takes its name when it is complete and on the disk, and otherwise disappears.

    It is called `.net.npz.….tmp`, by a name that nobody else uses, so that threads and processes may write to one
    `path` at the same time: the last one stays. Raises `OSError` naming `path` if it cannot be written.
    """
    if "\0" in os.fspath(path):
        raise ValueError(f"{os.fspath(path)!r} cannot be written: no name of a file holds NUL; take another name")
    target = path.resolve()  # a link goes on pointing to the file
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {os.fspath(target.parent)!r}; make it")
    temporary = target.with_name(f".{target.name[:KEPT]}.{secrets.token_hex(4)}.tmp")
    note = f"while saving {path}, which is as it was before"
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno is not None and str(error.filename) in ("None", str(temporary)):
            named = OSError(error.errno, error.strerror, os.fspath(path))  # not the temporary file
            named.add_note(note)
            raise named from None
        error.add_note(note)
        raise
    _settle(target.parent)


def _settle(folder: Path) -> None:
    """Brings the new name to the disk, where folders can be opened: without, a power cut may bring the old one back."""
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
