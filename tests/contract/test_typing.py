"""The hints from outside: a user's program, checked strictly against the package as it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg

PROGRAM = Path(__file__).resolve().parents[1] / "typing" / "program.py"


def test_the_program_runs(tmp_path):
    pytest.importorskip("scipy", reason="minimize needs the extra examples")
    root = PROGRAM.parents[2]
    subprocess.run(
        [sys.executable, "-W", "error", PROGRAM], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(root)}, check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.slow
def test_strictly(tmp_path):
    pytest.importorskip("mypy", reason="needs the extra dev")
    venv.create(tmp_path / "venv", with_pip=False)
    (installed,) = [*tmp_path.glob("venv/lib/python*/site-packages"), *tmp_path.glob("venv/Lib/site-packages")]
    shutil.copytree(Path(tg.__file__).parent, installed / "tinygrad_edu")
    (installed / "others.pth").write_text(str(Path(np.__file__).parents[1]))
    python = Path(sysconfig.get_path("scripts", "venv", {"base": str(tmp_path / "venv")})) / Path(sys.executable).name
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--python-executable", python]

    def checked(*programs):
        return subprocess.run(
            [*command, "--cache-dir", tmp_path / "cache", *programs], cwd=tmp_path, capture_output=True, text=True,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        ).stdout  # fmt: skip

    program = shutil.copy(PROGRAM, tmp_path)  # where no checkout is near
    wrong = tmp_path / "wrong.py"
    wrong.write_text('import tinygrad_edu as tg\n\ntg.Tensor(1.0).backwards()\ntg.Adam(3)\ntg.Dense("a", 2)\n')
    said = checked(program, wrong)
    assert "program.py:" not in said and "in 1 file (checked 2 source files)" in said, said
    assert 'has no attribute "backwards"' in said and said.count("arg-type") >= 2
    (installed / "tinygrad_edu" / "py.typed").unlink()
    assert "py.typed" in checked(wrong)
