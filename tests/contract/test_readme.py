"""The README's code runs and prints what it says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_tour(tmp_path, monkeypatch):
    pytest.importorskip("pygraphviz", reason="the drawing needs the extra viz")
    for needed in ("matplotlib", "scipy"):
        pytest.importorskip(needed, reason="the plot and SciPy's functions need the extra examples")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    tour = "".join(blocks)
    printed, namespace = io.StringIO(), {}
    with contextlib.redirect_stdout(printed):
        exec(compile(tour, "README.md", "exec"), namespace)
    rest = " ".join(printed.getvalue().split())
    for said in re.findall(r"print\(.*#\s*(.*?)\s*(?:= .*)?$", tour, flags=re.MULTILINE):
        _, found, rest = rest.partition(" ".join(said.split()))
        assert found, said  # in this order
    assert (tmp_path / "loss.svg").exists()
    text = README.read_text(encoding="utf-8")
    shown = re.search(r"^    m = len\(X\)\n.*?^    return J.*?$", text, flags=re.DOTALL | re.MULTILINE)[0].splitlines()
    written = namespace["written"].split("def value_and_gradients")[1]
    assert [" ".join(line.split()) for line in shown] == [" ".join(line.split()) for line in written.splitlines()[1:]]
    table = re.search(r"^    step  operation.*?\n\n", text, flags=re.DOTALL | re.MULTILINE)[0].splitlines()[:-1]
    without_numbers = lambda line: re.sub(r"\d\.\d+(e[−\d]+)?", "number", line).split()
    said = [without_numbers(line) for line in printed.getvalue().splitlines()]
    assert len(table) == 14 and all(without_numbers(line) in said for line in table if "─" not in line)
