"""The backward pass in words, and where operations were called from."""

from __future__ import annotations

import inspect
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tinygrad_edu import (
    AnomalyError,
    Dense,
    Sequential,
    Sigmoid,
    Tanh,
    Tensor,
    detect_anomaly,
    draw_graph,
    explain,
    no_grad,
    record_positions,
)
from tinygrad_edu import functional as F
from tinygrad_edu.autograd.call_site import caller
from tinygrad_edu.autograd.record import reached


def test_a_small_graph():
    x = Tensor([3.0, 4.0], requires_grad=True, name="x")
    loss = (x * x * 0.5).sum()
    lines = [re.split(r"\s{2,}", line.strip()) for line in explain(loss).splitlines()]
    assert lines[0] == ["step", "operation", "values", "rules", "gradient"] and set(lines[1][0]) == {"─"}
    assert lines[2:] == [
        ["3", "Σ", "v2 (2,) → v3 = 12.5", "∂v3/∂v2 = g, repeated to (2,)", "1"],
        ["2", "×", "v1 (2,), 0.5 → v2 (2,)", "∂v3/∂v1 = g * 0.5", "norm 1.414"],
        ["1", "×", "x (2,), x (2,) → v1 (2,)", "∂v3/∂x += g * x", "norm 0.7071"],
        ["∂v3/∂x += g * x"],
        ["x (2,)", "norm 5"],
    ]
    assert x.grad is None


def test_a_name_of_several_lines_stays_in_its_row():
    lines = explain(Tensor([1.0], requires_grad=True, name="two\n lines").sum()).splitlines()
    assert len(lines) == 4 and "two lines (1,) → v1 = 1" in lines[2]
    assert "a\ufffd[31mred (1,)" in explain(Tensor([1.0], requires_grad=True, name="a\x1b[31mred").sum())


def test_how_many_rows():
    x = Tensor([1.0], requires_grad=True)
    for _ in range(120):
        x = x + 1.0
    assert len(explain(x, max_rows=None).splitlines()) == 123  # with the leaf
    assert len(explain(x).splitlines()) < 102
    for rows in (0, -3, "a", 2.5):
        with pytest.raises(ValueError, match=f"explain: max_rows={rows!r} must be a whole number of at least 1, or N"):
            explain(x, max_rows=rows)


def test_the_model_s_names_and_a_released_graph():
    net = Sequential(Dense(2, 1, rng=0), Sigmoid())
    loss = F.binary_cross_entropy(net(np.ones((3, 2))), np.ones((3, 1)))
    assert "c1 (3, 2), 0.weight (2, 1), 0.bias (1,) → v1 (3, 1)" in explain(loss, model=net)
    loss.backward()
    text = explain(loss, model=net)
    assert text.splitlines()[-1].startswith("backward() released") and "∂v3/∂0.weight = c1.T @ g" in text
    assert "by-passed: computed from the logits" in text
    # The labels and the samples are gone with the records.
    assert [line.split()[-1] for line in text.splitlines()[2:-1] if line[0] != " "] == ["1", "–", "–"]


def test_positions_in_the_user_s_code():
    net = Sequential(Dense(2, 2, rng=0), np.exp, Tanh())
    here = inspect.currentframe().f_lineno
    with record_positions():
        h = net(np.ones((3, 2)))
        loss = np.sum(
            h * 2.0,
        )
    steps = {record.primitive.name: record.position for record in reached(loss.record)[0]}
    assert steps["linear"] == steps["exp"] == steps["tanh"] == (__file__, here + 2)
    assert steps["multiply"] == (__file__, here + 4) and steps["sum"][0] == __file__
    text = explain(loss)
    assert "called at" in text and text.count(f"test_explain.py:{here + 2}") == 3
    later = h * 1.0
    assert later.record.position is None and "called at" in explain(later)
    assert "called at" not in explain(Tensor(1.0, requires_grad=True) * 2.0)


def test_the_caller_is_found_from_anywhere():
    assert caller() == (__file__, inspect.currentframe().f_lineno)
    assert np.testing.assert_no_warnings(caller) == (__file__, inspect.currentframe().f_lineno)  # NumPy calls it


def test_long_graphs_are_folded():
    y = Tensor([1.0], requires_grad=True)
    for _ in range(1000):
        y = np.sin(y) * 2.0
    lines = explain(y, max_rows=10).splitlines()
    assert len(lines) < 10 and "1–2000" in lines[2] and "1,000 × (sin, multiply)" in lines[2]
    assert lines[-1] == "2,000 of 2,000 operations folded into a box"
    assert len(explain(y, max_rows=2000).splitlines()) == 2003


def test_leaves_and_what_is_no_tensor():
    x = Tensor([1.0], requires_grad=True)
    with no_grad():
        unrecorded = np.exp(x)
    for y in (x, unrecorded, Tensor([2.0]) * 3, (2 * x).detach()):
        assert explain(y).startswith("nothing was recorded: this tensor is a leaf, or")
        assert "nothing was recorded" in draw_graph(y).source.replace("\\n", " ")
    with pytest.raises(TypeError, match="got float"):
        explain(1.0)


@pytest.mark.parametrize(("dtype", "large"), [(np.float16, 6e4), (np.float32, 1e30), (np.float64, 1e200)])
def test_norms_of_large_gradients_do_not_overflow(dtype, large):
    x = Tensor(np.zeros(4, dtype), requires_grad=True)
    y = np.sum(x * np.ones(4, dtype) * np.full(4, large, dtype))
    assert float(explain(y).split()[-1]) == pytest.approx(2 * large, rel=1e-3)


def test_a_graph_that_divides_by_zero_is_explained_without_a_warning():
    with np.errstate(all="ignore"):
        y = np.sum(np.log(Tensor([0.0, 1.0], requires_grad=True)) * 2.0)
    with np.errstate(all="raise"):
        assert "log" in explain(y)


def test_positions_in_a_notebook_s_cells(monkeypatch):
    names = {"/tmp/ipykernel_42/1.py": ("Cell", "In[3]")}
    shell = SimpleNamespace(compile=SimpleNamespace(format_code_name=names.get))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    code = compile("z = np.exp(x)\ny = np.log(z - 1)", "/tmp/ipykernel_42/1.py", "exec")
    known = {"np": np, "x": Tensor(1.0, requires_grad=True)}
    with record_positions():
        exec(code, known)
    assert "cell In[3], line 2" in explain(known["y"]) and "cell In[3], line 1" in explain(known["y"])
    known["x"] = Tensor(0.0, requires_grad=True)
    said = r"'log' at cell In\[3\], line 2 gave"
    with np.errstate(all="ignore"), detect_anomaly(), pytest.raises(AnomalyError, match=said):
        exec(code, known)
    monkeypatch.setattr(shell, "compile", None)  # IPython before 8
    assert "1.py:2" in explain(known["y"])


def test_in_a_notebook_it_is_a_table():
    x = Tensor(3.0, requires_grad=True, name="<x>")
    shown = explain(x * x + 1.0)
    assert isinstance(shown, str) and repr(shown) == str(shown)
    html = shown._repr_html_()
    cells = re.findall(r"<t[hd] [^>]*>(.*?)</t[hd]>", html)
    assert cells[:5] == ["step", "operation", "values", "rules", "gradient"] and html.count("<tr>") == 5
    assert "&lt;x&gt; = 3, &lt;x&gt; = 3 → v1 = 9" in cells and "<x>" not in html
    (x * x).backward()
    y = x * x
    y.backward()
    x.data = np.array(4.0)
    changed = explain(y)
    assert changed.endswith("\n<x> has changed since this was computed: its value is that of now")
    assert changed._repr_html_().endswith(
        "<p>&lt;x&gt; has changed since this was computed: its value is that of now</p>"
    )
