"""Faults that the field met with messages and files, by kind: the right behaviour, and a neighbour."""

from __future__ import annotations

import functools
import gzip
import operator
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor, datasets
from tinygrad_edu import functional as F

X = np.random.default_rng(0).normal(size=(20, 3))
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
w = Tensor([1.0, 2.0], requires_grad=True)


def parameter(value):
    return Tensor([value], requires_grad=True)


# Messages


@pytest.mark.parametrize("kind", ["plot", "scatter", "step", "imshow", "hist", "fill_between", "axhline"])
def test_plotting_a_recorded_tensor_says_detach(kind):
    figures = pytest.importorskip("matplotlib.figure", reason="needs the extra examples")
    x = np.linspace(0, 1, 5)
    y = {"imshow": tg.Dense(3, 3).weight * 1, "axhline": np.sum(w)}.get(kind, Tensor(x, requires_grad=True) * 2)
    first = [x] if kind in ("plot", "scatter", "step", "fill_between") else []
    draw = lambda y: getattr(figures.Figure().subplots(), kind)(*first, y)
    with pytest.raises(TypeError, match=r"matplotlib .* Tensor .* Pass t\.detach\(\) for its values") as error:
        draw(y)
    assert "np.stack" not in str(error.value) and "pickled" not in str(error.value)
    draw(y.detach())
    y.sum().backward()
    with tg.no_grad():
        draw(y)


def test_measures_and_pictures_read_the_values():
    pytest.importorskip("matplotlib", reason="needs the extra examples")
    net = tg.Sequential(tg.Dense(2, 3, rng=0))
    assert tg.accuracy(net(X[:, :2]), np.zeros(20, int)) == tg.accuracy(net(X[:, :2]).numpy(), np.zeros(20, int))
    images, labels = Tensor(np.ones((4, 9)), requires_grad=True) * 1, Tensor(np.arange(4.0), requires_grad=True) * 1
    tg.plots.image_grid(images, titles=labels.detach(), wrong=np.arange(4) > 2)
    tg.plots.predictions(images, labels, labels), tg.plots.misclassified(images, labels, -labels)
    tg.plots.digit_grid(images), tg.plots.pictures({"a": images})
    tg.plots.curves({"loss": [np.sum(images), np.sum(images)], "m": labels})
    tg.plots.decision_regions(net, Tensor(X[:, :2], requires_grad=True), np.zeros(20, int))
    for odd in (lambda x: (net(x), net(x)), lambda x: net(x)[:, 0]):
        for draw in (lambda m: tg.plots.drawn(m, 4, 4), lambda m: tg.plots.decision_regions(m, X[:, :2], np.zeros(20))):
            with pytest.raises(ValueError, match=r"must give rows of numbers \(m, k\), it gives .* lambda X: model"):
                draw(odd)
    fitted = tg.Standardizer().fit(images * labels.reshape(4, 1))
    assert fitted.mean.tolist() == [1.5] * 9


def test_tables_and_tensors():
    pd = pytest.importorskip("pandas", reason="needs pandas")
    frame, series = pd.DataFrame(X, index=np.arange(20)[::-1]), pd.Series(X[:, 0], index=np.arange(20)[::-1])
    t = Tensor(np.full((20, 3), 2.0), requires_grad=True)
    one, column = np.sum(w), t[:, 0]
    for table, other in ((frame, t), (frame, one), (series, column), (pd.Index(X[:, 0]), column), (series, one)):
        for op in (operator.mul, operator.add, operator.sub, operator.truediv):
            found = op(table, other)
            assert isinstance(found, Tensor) and np.allclose(found.data, op(table.to_numpy(), other.data))
            assert found.requires_grad and isinstance(op(other, table), Tensor)
        assert isinstance((table * table) ** other, Tensor)
    assert isinstance(np.multiply(frame, t), Tensor) and isinstance(frame * t.detach(), Tensor)
    assert np.array_equal(frame > t, X > 2)
    with pytest.raises(TypeError, match=r"pandas makes a plain array of a Tensor .*\.detach\(\).*table\.to_numpy\(\)"):
        frame @ Tensor(np.ones((3, 2)), requires_grad=True)
    with pytest.raises(TypeError, match=r"pandas makes a plain array of a Tensor"):
        pd.DataFrame(t)


def test_none_among_parameters_in_every_transform():
    def f(p):
        return np.sum(p["w"] ** 2) + p["more"][1] * 3.0

    given = {"w": np.array([1.0, 2.0]), "b": None, "more": (None, 4.0)}
    assert tg.grad(f)(given)["more"] == (None, 3.0) and tg.value_and_grad(f)(given)[1]["b"] is None
    of_two = tg.jacobian(lambda p: {"y": f(p) * np.ones(2), "none": None})(given)
    assert of_two["none"] is None and of_two["y"]["b"] is None and of_two["y"]["w"].tolist() == [[2, 4], [2, 4]]
    second = tg.hessian(f)(given)
    assert second["b"] is None and second["w"]["b"] is None and second["w"]["w"].tolist() == [[2, 0], [0, 2]]
    assert tg.grad(lambda a, b: a * 2, argnums=(0, 1))(1.0, None) == (2, None)
    with pytest.raises(TypeError, match="argument 0 is None, so there is nothing to differentiate by; pass floats"):
        tg.grad(lambda a: a)(None)


def test_lists_are_taken_by_functions_and_layers():
    rows = [[1.0, -2.0], [3.0, 4.0]]
    layers = (
        tg.ReLU(),
        tg.LeakyReLU(),
        tg.ELU(),
        tg.SiLU(),
        tg.GELU(),
        tg.Hardtanh(),
        tg.Softsign(),
        tg.Sigmoid(),
        tg.Tanh(),
        tg.Softmax(),
        tg.Flatten(),
        tg.Identity(),
        tg.Dense(2, 1),
    )
    functions = [functools.partial(F.linear, weight=[[1.0], [2.0]], bias=bias) for bias in (None, [1.0])]
    for function in (*layers, *functions, F.logsumexp, functools.partial(F.dropout, rng=0)):
        with tg.no_grad():
            np.testing.assert_array_equal(function(rows), function(np.array(rows)))


# Files


WRITING = [lambda p: tg.save(tg.Dense(1, 1), f"{p}.npz"), lambda p: tg.render_graph(np.sum(w), f"{p}.dot")]


@pytest.mark.parametrize("act", WRITING)
@pytest.mark.parametrize("name", ["no/net", "a\0b", "n" * 300])
def test_where_nothing_can_be_written(act, name, tmp_path):
    with pytest.raises((OSError, ValueError)) as error:
        act(tmp_path / name)
    said = str(error.value)
    assert ".tmp" not in said and (repr(name)[1:-1] in said or "there is no folder" in said)
    act(tmp_path / ("n" * 244))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", ["\ud800", "ä" * 40_000])
def test_names_of_arrays_that_no_file_can_hold(name, tmp_path):
    net = tg.Module()
    net.held = {name: parameter(1.0)}
    with pytest.raises(ValueError, match="could not be read again; give it a shorter, plain name"):
        tg.save(net, tmp_path / "n.npz")
    assert not list(tmp_path.iterdir())


NAMES = ",".join(("Survived", *datasets.TITANIC_FEATURES))
ROW = ",".join(["1"] * 15)


@pytest.mark.parametrize(
    "content",
    [
        f"{NAMES}\n{'1' * 200_000}{ROW[1:]}\n", "x" * 200_000, f'{NAMES}\n"{ROW}\n' + f"{ROW}\n" * 9000,
        f"{NAMES}\n{ROW}\0\n", "\0" * 50, f"{NAMES}\n{ROW[:-1]}\n", "",
    ],
)  # fmt: skip
def test_damaged_tables_are_value_errors(content, tmp_path):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(ValueError, match=r"t\.csv"):
        datasets.load_titanic(tmp_path / "t.csv")


@pytest.mark.parametrize("announced", [1, 60_000])
def test_a_gzip_bomb_is_read_as_far_as_its_header_says(announced, tmp_path):
    with gzip.open(tmp_path / "train-images-idx3-ubyte.gz", "wb", compresslevel=1) as file:
        file.write(b"".join(n.to_bytes(4, "big") for n in (0x803, announced, 28, 28)))
        for _ in range(24):
            file.write(bytes(1 << 22))  # 100 MB
    tracemalloc.start()
    with pytest.raises(ValueError, match=rf"more than the {announced * 784} bytes announced"):
        datasets.load_mnist(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.4 * announced * 784 + (1 << 20) + (1 << 24) * (announced > 1)


@pytest.mark.parametrize("ending", ["dot", "html"])
def test_one_picture_from_several_threads(ending, tmp_path):
    y, errors = np.sum(w * 2), []

    def draw():
        try:
            for _ in range(4):
                tg.render_graph(y, tmp_path / f"g.{ending}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and [path.name for path in tmp_path.iterdir()] == [f"g.{ending}"]
