"""Faults that the field met while training, by kind: each with its right behaviour, and a neighbour of it."""

from __future__ import annotations

import collections
import os

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu import functional as F

X = np.random.default_rng(0).normal(size=(20, 3))


@pytest.mark.parametrize("shuffle", [False, True])
def test_rows_of_a_table_are_positions(shuffle):
    pd = pytest.importorskip("pandas", reason="needs pandas")
    order = np.random.default_rng(1).permutation(20)
    tables = [
        (pd.DataFrame(X, index=order), pd.Series(X[:, 0], index=order[::-1])),
        (pd.DataFrame(X, index=order + 100, columns=[5, 2, 0]), pd.Series(X[:, 0], index=[f"row {k}" for k in order])),
        (X, pd.Series(X[:, 0], index=order)),
    ]
    for a, b in tables:
        for x, y in tg.Batches(a, b, batch_size=6, shuffle=shuffle, rng=0):
            assert type(x) is type(y) is np.ndarray and np.array_equal(x[:, 0], y)
        assert np.array_equal(tg.predict(lambda x: x * 2, b, batch_size=7), X[:, 0] * 2)
    with pytest.raises(TypeError, match="a masked array would lose its mask"):
        tg.Batches(np.ma.array(X), batch_size=2)


def test_labels_in_a_table_are_positions():
    pd = pytest.importorskip("pandas", reason="needs pandas")
    labels, scores = pd.Series([2, 1, 0], index=[1, 0, 2]), np.eye(3)[[2, 1, 0]] * 9
    assert tg.accuracy(scores, labels) == 1 and F.cross_entropy(scores, labels) < 1e-3
    assert np.array_equal(tg.one_hot(labels, 3), np.eye(3)[[2, 1, 0]])


@pytest.mark.parametrize("constant", [0.5, 0.0, 0.1, 1 / 3, 1e9, 1e-20, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_column_is_divided_by_1(constant, dtype):
    column = np.full(11, constant, dtype)
    fitted = tg.Standardizer().fit(np.column_stack((column, np.arange(11, dtype=dtype))))
    np.testing.assert_allclose(fitted([[constant + 0.5, 5.0]])[0], [0.5, 0], rtol=1e-6, atol=1e-6)
    assert fitted.deviation[1] == np.std(np.arange(11, dtype=dtype))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it has threads
def test_two_forked_processes_draw_different_weights():
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork here")

    def forked():
        reading, writing = os.pipe()
        if not (process := os.fork()):
            os.write(writing, tg.Dense(3, 4).weight.data.tobytes())
            os._exit(0)
        os.waitpid(process, 0)
        drawn = os.read(reading, 1000)
        os.close(reading), os.close(writing)
        return drawn

    def all_drawn():
        tg.manual_seed(5)
        return [forked(), forked(), tg.Dense(3, 4).weight.data.tobytes()]

    first = all_drawn()
    assert len(set(first)) == 3 and all(len(weights) == 96 for weights in first) and all_drawn() == first
    tg.manual_seed(5)
    assert tg.Dense(3, 4).weight.data.tobytes() == first[2]  # a fork takes no numbers from the parent


def test_a_prediction_of_several_outputs():
    a, b = tg.Dense(3, 2, rng=0), tg.Dense(3, 1, rng=1)
    both = collections.namedtuple("both", "left right")  # noqa: PYI024
    models = [
        lambda x: (a(x), b(x)), lambda x: [a(x), a(x)], lambda x: {"a": a(x), "b": (b(x), a(x))},
        lambda x: both(a(x), b(x)), lambda x: (b(x)[:, 0], a(x)), lambda x: x[:, :1].tolist(),
    ]  # fmt: skip
    for model in models:
        whole, pieces = (tg.predict(model, X, batch_size=size) for size in (20, 6))
        assert type(pieces) is (np.ndarray if model is models[-1] else type(model(X)))
        same = [np.array_equal(p, q) for p, q in zip(_arrays(whole), _arrays(pieces), strict=True)]
        assert all(same) and all(len(p) == 20 for p in _arrays(pieces))
    for odd in (lambda x: np.sum(a(x)), lambda x: (a(x), np.ones(3)), lambda x: [a(row) for row in x]):
        with pytest.raises(ValueError, match=r"for \d rows the model gave an output .* call the model itself"):
            tg.predict(odd, X, batch_size=6)


def _arrays(tree):
    if isinstance(tree, np.ndarray):
        return [tree]
    return [array for part in (tree.values() if isinstance(tree, dict) else tree) for array in _arrays(part)]


def test_metrics_of_a_model_with_two_outputs():
    class Twice(tg.Module):
        def __init__(self):
            self.layer = tg.Dense(3, 1, rng=0)

        def forward(self, x):
            return self.layer(x), self.layer(x)

    net = Twice()
    history = tg.fit(net, X, X[:, :1], loss=lambda p, t: tg.mse_loss(p[1], t), optimizer=tg.SGD(net.parameters(), 0.1),
                     epochs=1, validation=(X, X[:, :1]), metrics={"mse": lambda p, t: float(tg.mse_loss(p[0], t))})  # fmt: skip
    assert history["mse"] == history["val_mse"] == history["val_loss"]


def test_the_accuracy_of_rows_with_several_labels():
    truth = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 1], [1, 1, 1]])
    for kind in (int, float, bool):
        assert tg.accuracy(truth.astype(kind), truth) == 1 and tg.accuracy((1 - truth).astype(kind), truth) == 0
    assert tg.accuracy(np.abs(truth - 0.2), truth) == 1
    assert tg.accuracy(np.abs(truth - [[0.7, 0, 0]]), truth.astype(float)) == 0  # one wrong label is a wrong row
    one = tg.one_hot([0, 2, 1], 3)
    assert tg.accuracy(one * 7 - 3, one) == 1 and tg.accuracy(one, [[0.6, 0.4, 0], [0, 0, 1], [0.1, 0.8, 0.1]]) == 1
    for prediction, target, said in [
        ((truth - 0.5) * 9, truth, "are not probabilities; apply sigmoid to logits"),
        (truth, truth * 2, "the labels of probabilities must be 0 and 1, got 0 to 2"),
        (np.zeros((2, 5, 4)), np.zeros((2, 5), int), r"prediction.reshape\(-1, 4\), and target.reshape\(-1\)"),
        (np.eye(3), [0.5, 1, 2], "accuracy: labels contain 0.5, .* whole numbers"),
        (np.eye(3), [0, 1, -100], "accuracy: labels contain -100, .* leave those rows out: keep = labels != -100"),
    ]:
        with pytest.raises(ValueError, match=said):
            tg.accuracy(prediction, target)


@pytest.mark.parametrize("mark", [-100, -1, 255])
def test_labels_that_mark_padding_are_not_made_a_class(mark):
    advice = rf"labels contain {mark}.*If it marks padding, leave those rows out: keep = labels != {mark}, then logits"
    for kind in (int, float):
        for labels in ([0, mark, 1], [mark] * 3):
            for reading in (lambda x: F.cross_entropy(np.zeros((3, 4)), x), lambda x: tg.one_hot(x, 4)):
                with pytest.raises(ValueError, match=advice) as error:
                    reading(np.array(labels, kind))
                assert mark != -100 or "Number the classes" not in str(error.value)
    with pytest.raises(ValueError, match=r"keep = labels != -100"):
        F.cross_entropy(np.zeros((3, 4)), [0, 9, -100])
    with pytest.raises(ValueError, match=r"got -100 to 1; if -100 marks missing targets, leave those out: keep = targ"):
        F.binary_cross_entropy_with_logits(np.zeros(3), [0, 1, -100])


@pytest.mark.parametrize(
    ("logits", "labels", "advice"),
    [
        ((2, 5, 4), (2, 5), r"logits\.reshape\(-1, 4\), and labels\.reshape\(-1\)$"),
        ((2, 5, 4), (2, 5, 4), r"logits\.reshape\(-1, 4\), and labels\.reshape\(-1, 4\)$"),
        ((2, 3, 5, 4), (2, 3, 5), r"logits\.reshape\(-1, 4\), and labels\.reshape\(-1\)$"),
        ((2, 4, 5), (2, 5), r"np\.moveaxis\(logits, 1, -1\)\.reshape\(-1, 4\), and labels\.reshape\(-1\)$"),
        ((2, 4, 3, 5), (2, 3, 5), r"np\.moveaxis\(logits, 1, -1\)\.reshape\(-1, 4\), and labels\.reshape\(-1\)$"),
        ((4,), (), r"For a single sample: logits\.reshape\(1, -1\), and labels\.reshape\(1\)$"),
        ((4,), (4,), r"For one score of each sample use binary_cross_entropy_with_logits$"),
        ((4, 0), (4,), r"without any class; give the model an output for each class$"),
    ],
)
def test_the_advice_on_logits_of_another_shape_works(logits, labels, advice):
    z, y = np.ones(logits), np.zeros(labels, int)
    if labels == logits and len(labels) > 1:
        y[..., 0] = 1
    with pytest.raises(ValueError, match=advice) as error:
        F.cross_entropy(z, y)
    if "Make rows" in advice or "reshape" in advice:
        said = str(error.value).rpartition(": ")[2].split(", and ")
        rows, classes = (eval(code, {"np": np, "logits": z, "labels": y}) for code in said)
        assert np.isfinite(F.cross_entropy(rows, classes))


def test_labels_in_several_rows():
    with pytest.raises(ValueError, match=r"got \(2, 3\); make one row of them: labels\.reshape\(-1\)"):
        tg.one_hot([[0, 1, 2], [2, 0, 1]], 3)
