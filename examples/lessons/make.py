"""Runs the lessons and writes their outputs into them: `python examples/lessons/make.py [01 02 …]`, without names all.

Each notebook runs in a kernel of its own, in a folder that is empty, and is written whole or not at all. What differs
from one run to the next (times, the Python's version) is left out, so that a lesson without changes stays as it is.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from tinygrad_edu.storage.atomic import replacing

HERE = Path(__file__).resolve().parent


@contextmanager
def kernel() -> Iterator[NotebookClient]:
    """A client with a kernel in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "IPYTHONDIR": folder}
        environment["PYTHONPATH"] = os.pathsep.join([str(HERE), str(HERE.parents[1])])
        environment.pop("MPLBACKEND", None)  # the kernel's own, which shows figures
        client = NotebookClient(
            nbformat.v4.new_notebook(),
            timeout=300,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
        )
        with client.setup_kernel(env=environment):
            yield client


def run(notebook: nbformat.NotebookNode, client: NotebookClient) -> None:
    """Fills in the outputs of all cells. Raises `nbclient.exceptions.CellExecutionError` if one fails."""
    client.nb = notebook
    client.reset_execution_trackers()
    for index, cell in enumerate(notebook.cells):
        client.execute_cell(cell, index, execution_count=client.code_cells_executed + 1)


def digest(notebook: nbformat.NotebookNode) -> str:
    """Of the code of all cells: the outputs are not those of other code."""
    code = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def make(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    with kernel() as client:
        run(notebook, client)
    for cell in notebook.cells:
        cell.metadata = {key: value for key, value in cell.metadata.items() if key == "tags"}
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"file_extension": ".py", "name": "python"},
        "code_digest": digest(notebook),
    }
    nbformat.validate(notebook)
    with replacing(path) as file:
        file.write(nbformat.writes(notebook, version=4).encode() + b"\n")


def main(names: list[str]) -> None:
    paths = sorted(HERE.glob("*.ipynb"))
    for name in names:
        if not any(path.stem.startswith(Path(name).stem) for path in paths):
            sys.exit(f"make.py: there is no lesson {name!r}; there are {', '.join(path.stem for path in paths)}")
    for path in paths:
        if not names or any(path.stem.startswith(Path(name).stem) for name in names):
            make(path)
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
