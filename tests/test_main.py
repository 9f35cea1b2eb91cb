"""`python -m tinygrad_edu`: what a newcomer sees first."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

from tinygrad_edu import __main__ as command


def test_a_network_is_drawn_and_learns(tmp_path, capsys):
    if not shutil.which("dot"):
        pytest.importorskip("pygraphviz", reason="the drawing needs dot, or the extra viz")
    command.main(["--seconds", "0.2", "--out", str(tmp_path / "made")])
    said = capsys.readouterr().out
    assert {str(path) for path in (tmp_path / "made").iterdir()} == set(re.findall(r"^ +(/.*network\..*)$", said, re.M))
    assert "2.weight" in (tmp_path / "made" / "network.svg").read_text("utf-8")
    losses = [float(loss) for loss in re.findall(r"^ +\d\.\d +\d+  (\d\.\d{4})  #*$", said, re.M)]
    assert 0.72 < losses[0] < 0.73 and losses[-1] < losses[0]


def test_without_a_layout_program_it_says_so_and_learns(tmp_path, capsys, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pygraphviz" else found(name))
    command.main(["--seconds", "0.01", "--out", str(tmp_path)])
    said = capsys.readouterr().out
    assert "not drawn: drawing a graph needs Graphviz" in said and "Now it is right about" in said


def test_a_folder_that_cannot_be_made(tmp_path, capsys):
    (tmp_path / "file").touch()
    command.main(["--seconds", "0.01", "--out", str(tmp_path / "file")])
    assert re.search(r"not drawn: .*/file'. --out names another folder.\n", capsys.readouterr().out)


def test_ctrl_c_ends_the_learning_only(tmp_path, capsys, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "train", interrupted)
    command.main(["--out", str(tmp_path)])
    assert "Now it is right about" in (said := capsys.readouterr().out) and "Where to begin" in said


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf", "three"])
def test_a_time_that_cannot_be(seconds, capsys):
    with pytest.raises(SystemExit):
        command.main([f"--seconds={seconds}"])
    assert f"argument --seconds: invalid duration value: '{seconds}'" in capsys.readouterr().err


def test_where_to_begin(tmp_path, capsys, monkeypatch):
    root = Path(__file__).resolve().parents[1]
    assert [place for place in command.PLACES if not (root / place).is_file()] == []
    command.where_to_begin()
    assert f"Where to begin:\n    {root / 'examples'}" in capsys.readouterr().out
    monkeypatch.setattr(command, "CHECKOUT", tmp_path)  # as in an installed wheel
    command.where_to_begin()
    assert "Where to begin, in the project's repository:\n    examples/" in capsys.readouterr().out
