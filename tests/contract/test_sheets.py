"""The sheets: every line of our column runs, in its order, and what takes the place of NumPy by hand gives the same."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tinygrad_edu import Tensor

SHEETS = Path(__file__).resolve().parents[2] / "examples" / "lessons" / "sheets"
NAMES = ["from_autograd", "from_keras", "from_numpy", "from_pytorch"]


def rows(text):
    """The code of the sheet in its order: of a block None and its lines, of a row those of both columns."""
    for block, left, right in re.findall(r"^```python\n([\s\S]*?)^```$|^\| (`.*`) \| `(.*)` \|$", text, flags=re.M):
        yield (None, block) if block else (left.strip("`"), right)


def value(line, names):
    """What an expression gives; a statement is carried out."""
    try:
        code = compile(line, line, "eval")
    except SyntaxError:
        return exec(compile(line, line, "exec"), names)
    return eval(code, names)


def plain(found):
    """The array of a tensor."""
    return found.data if isinstance(found, Tensor) else found


def test_there_are_no_others():
    assert sorted(path.stem for path in SHEETS.glob("*.md")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_our_column_runs(name, tmp_path, monkeypatch):
    pytest.importorskip("scipy", reason="autograd has SciPy's functions")
    monkeypatch.chdir(tmp_path)
    text = (SHEETS / f"{name}.md").read_text("utf-8")
    names, theirs, count = {}, {}, 0
    for left, right in rows(text):
        found = value(right, names)
        count += left is not None
        if name == "from_numpy" and (left or not theirs):
            wanted = value(left or right, theirs)
            if wanted is not None and found is not None and not callable(found):
                several = isinstance(wanted, tuple)
                for ours, by_hand in zip(found, wanted, strict=True) if several else [(found, wanted)]:
                    np.testing.assert_allclose(plain(ours), plain(by_hand), rtol=1e-6, atol=1e-8, err_msg=right)
    assert count == len(re.findall(r"^\| `", text, flags=re.M)) > 20
    assert name == "from_keras" or any(isinstance(v, Tensor) for v in names.values())
