"""Faults that the field met while training, by kind: each with its right behaviour, and a neighbour of it."""

from __future__ import annotations

import collections
import os

import numpy as np
import pytest

import tinygrad_edu as tg
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


def test_a_column_of_tiny_numbers_is_standardised_as_any():
    column = np.arange(9.0)[:, None]
    np.testing.assert_allclose(
        tg.Standardizer().fit(column * 1e-12)(column * 1e-12), tg.Standardizer().fit(column)(column)
    )
    assert tg.Standardizer(epsilon=1e-9).fit(np.ones((3, 1)))([[2.0]])[0, 0] > 9e8  # on request


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
    both = collections.namedtuple("both", "left right")
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
    optimizer, metrics = tg.SGD(net.parameters(), 0.1), {"mse": lambda p, t: float(tg.mse_loss(p[0], t))}
    history = tg.fit(net, X, X[:, :1], loss=lambda p, t: tg.mse_loss(p[1], t), optimizer=optimizer, epochs=1,
                     metrics=metrics, validation=(X, X[:, :1]))  # fmt: skip
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
        (np.zeros((2, 5, 4)), np.zeros((2, 4), int), r"predictions of shape \(2, 5, 4\) need labels of shape \(2, 5\)"),
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
        (
            (2, 4, 5),
            (2, 5),
            r"got \(2, 5\); the axis of the classes is the last one here: np\.moveaxis\(logits, 1, -1\)$",
        ),
        ((2, 4, 3, 5), (2, 3, 5), r"the axis of the classes is the last one here: np\.moveaxis\(logits, 1, -1\)$"),
        ((2, 5, 4), (10,), r"\(2, 5, 4\) need labels of shape \(2, 5\), \(2, 5, 1\) or \(2, 5, 4\), got \(10,\)"),
        ((2, 5, 4), (2, 6), r"need labels of shape \(2, 5\), \(2, 5, 1\) or \(2, 5, 4\), got \(2, 6\)$"),
        ((4,), (), r"For a single sample: logits\.reshape\(1, -1\), and labels\.reshape\(1\)$"),
        ((4,), (4,), r"For one score of each sample use binary_cross_entropy_with_logits$"),
        ((4, 0), (4,), r"without any class; give the model an output for each class$"),
    ],
)
def test_the_advice_on_logits_of_another_shape_works(logits, labels, advice):
    z, y = np.ones(logits), np.zeros(labels, int)
    with pytest.raises(ValueError, match=advice) as error:
        F.cross_entropy(z, y)
    said = str(error.value)
    names = {"np": np, "logits": z, "labels": y}
    if "single sample" in said:
        z, y = (eval(code, names) for code in said.rpartition(": ")[2].split(", and "))
    elif "moveaxis" in said:
        z = eval(said.rpartition(": ")[2], names)
    elif "; use" in said:
        y = eval(said.rpartition("; use ")[2], names)
    else:
        return
    assert np.isfinite(F.cross_entropy(z, y))


class Two(tg.Module):
    """Two layers whose order among the attributes may differ."""

    def __init__(self, reordered=False):
        for name in "ba" if reordered else "ab":
            setattr(self, name, tg.Dense(3, 3, rng=ord(name)))

    def forward(self, x):
        return self.b(self.a(x))


def learned(net, optimizer, steps=2):
    for _ in range(steps):
        optimizer.zero_grad()
        tg.mse_loss(net(X), X).backward()
        optimizer.step()
    return net.state_dict()


OPTIMISERS = [lambda p: tg.SGD(p, 0.1, momentum=0.9), lambda p: tg.Adam(p, 0.1), lambda p: tg.RMSprop(p, 0.1)]


@pytest.mark.parametrize("make", OPTIMISERS)
@pytest.mark.parametrize("grouped", [False, True])
def test_the_state_of_an_optimiser_follows_the_names(make, grouped):
    def given(net):
        groups = [{"params": net.a.parameters()}, {"params": net.b.parameters()}]
        return groups if grouped else net.parameters()

    net, other = Two(), Two(reordered=True)
    optimizer, its = make(given(net)), make(given(other))
    learned(net, optimizer)
    other.load_state_dict(net.state_dict())
    its.load_state_dict(optimizer.state_dict())
    expected, found = learned(net, optimizer), learned(other, its)
    assert all(np.array_equal(expected[name], found[name]) for name in expected)
    other.c = other.__dict__.pop("a")
    strange = make(other.parameters())
    if not grouped:
        with pytest.raises(ValueError, match=r"the state is one of '0/a.weight' \(group/name\), which this optimiser"):
            strange.load_state_dict(optimizer.state_dict())


@pytest.mark.parametrize("make", OPTIMISERS)
@pytest.mark.parametrize("given", [lambda net: net.parameters(), lambda net: list(net.parameters())])
def test_a_checkpoint_follows_the_names(make, given, tmp_path):
    def trained(path, *stages):
        for reordered, epochs in stages:
            net = Two(reordered)
            tg.fit(net, X, X, loss=tg.mse_loss, optimizer=make(given(net)), epochs=epochs, checkpoint=path, rng=0)
        return net.state_dict()

    stopped = trained(tmp_path / "a.npz", (False, 2), (True, 4))
    expected = trained(tmp_path / "b.npz", (False, 4))
    assert all(np.array_equal(expected[name], stopped[name]) for name in expected)


def test_parameters_without_an_order_are_refused():
    net = Two()
    for make in (*OPTIMISERS, lambda p: tg.minimize(p, lambda: tg.mse_loss(net(X), X))):
        for kind in (set, frozenset):
            with pytest.raises(TypeError, match=r"takes a list of parameters, not (frozen)?set; pass a list: .*order"):
                make(kind(net.parameters()))
    for given, advice in [
        ([{"params": set(net.parameters())}], "not set; pass a list"),
        ({"params": net.parameters()}, r"not dict; pass a list of them, \[\{...\}\]"),
        (dict(net.named_parameters()), r"not dict; pass list\(params.values\(\)\)"),
        ([{"params": net}], r"not Two; pass model.parameters\(\)"),
        (None, r"not NoneType; pass model.parameters\(\)"),
        (0.1, r"not float; pass model.parameters\(\)"),
    ]:
        with pytest.raises(TypeError, match=advice):
            tg.SGD(given, 0.1)


@pytest.mark.parametrize("make", OPTIMISERS)
def test_a_frozen_parameter_with_an_old_gradient_stays(make):
    net = Two()
    optimizer = make([{"params": net.a.parameters(), "weight_decay": 0.1}, {"params": net.b.parameters()}])
    learned(net, optimizer)
    net.a.weight.requires_grad = False
    before = net.state_dict()
    optimizer.step()
    after = net.state_dict()
    assert [name for name in before if np.array_equal(before[name], after[name])] == ["a.weight"]
    for p in net.parameters():
        p.requires_grad = False
    with pytest.raises(RuntimeError, match=r"step\(\): all parameters are frozen; set p.requires_grad = True"):
        optimizer.step()


def fitted(metrics=(), *, epochs=2, validation=(X, X), **options):
    net = Two()
    optimizer = tg.SGD(net.parameters(), 0.01)
    return tg.fit(net, X, X, loss=tg.mse_loss, optimizer=optimizer, epochs=epochs, metrics=metrics, rng=0,
                  validation=validation, **options)  # fmt: skip


def loss(prediction, target):
    return 7.0


@pytest.mark.parametrize(
    "metrics",
    [
        [loss], {"loss": tg.accuracy}, {"val_loss": loss}, {"m": loss, "val_m": loss}, {"seconds": loss}, {1: loss},
        [lambda p, t: 1.0, lambda p, t: 2.0], [np.mean, np.mean], [tg.Identity()],
    ],
)  # fmt: skip
def test_metrics_whose_names_would_be_mixed_up(metrics):
    with pytest.raises(ValueError, match=r"fit: the history has no room for a metric called .* a name of its own: met"):
        fitted(metrics)


def test_metrics_with_names_of_their_own(tmp_path):
    for stop in (1, 3):
        history = fitted(
            {"a": lambda p, t: 1.0, "lossy": loss, "a/b": loss}, epochs=stop, checkpoint=tmp_path / "c.NPZ"
        )
    assert history["a"] == [1.0] * 3 and history["val_lossy"] == [7.0] * 3 == history["a/b"]
    assert fitted([lambda p, t: 1.0])["<lambda>"] == [1, 1]
    assert fitted({"val_loss": loss}, validation=None)["val_loss"] == [7, 7]


def test_a_checkpoint_with_one_metric_more_is_not_done(tmp_path):
    fitted(epochs=1, checkpoint=tmp_path / "c.npz")
    with pytest.raises(ValueError, match="it measured loss, val_loss, this training measures loss, m, val_loss"):
        fitted({"m": loss}, checkpoint=tmp_path / "c.npz")


def stopped(values, **options):
    told, stopping = iter(values), tg.EarlyStopping(**{"monitor": "m", "patience": 2, "mode": "min"} | options)
    history = fitted(
        {stopping.monitor: lambda p, t: next(told)}, epochs=len(values), callbacks=[stopping], validation=None
    )
    return history.epochs, stopping.best_epoch


@pytest.mark.parametrize(
    ("values", "mode", "ended"),
    [
        ([np.nan, 3, 2, 5, 5, 5], "min", (5, 3)),
        ([np.nan, 1, 2, 0, 0, 0], "max", (5, 3)),
        ([np.nan, np.nan, np.nan, 1], "min", (3, 1)),
        ([3, np.nan, 2, np.nan, np.nan, 1], "min", (5, 3)),
        ([np.inf, 3, 4, 4], "min", (4, 2)),
        ([-np.inf, 3, 2, 2], "max", (4, 2)),
    ],
)
def test_early_stopping_takes_nan_for_no_improvement(values, mode, ended):
    assert stopped(values, mode=mode) == ended


@pytest.mark.parametrize(
    "monitor",
    [
        "auc",
        "val_auc",
        "f1",
        "r2",
        "recall",
        "score",
        "accuracy_of_b",
        "perplexity",
        "neg_mse",
        "val_neg_loss",
        "inaccuracy",
    ],
)
def test_early_stopping_does_not_guess_the_direction(monitor):
    with pytest.raises(ValueError, match=rf"should '{monitor}' go up or down\? Say mode='max' or mode='min'"):
        tg.EarlyStopping(monitor=monitor)
    assert stopped([1, 2, 1, 1, 9], monitor=monitor, mode="max") == (4, 2)


@pytest.mark.parametrize(("monitor", "sign"), [("top5_accuracy", -1), ("val_mse", 1), ("cost", 1), ("my_loss", 1)])
def test_early_stopping_knows_these(monitor, sign):
    assert tg.EarlyStopping(monitor=monitor).sign == sign


def test_a_gradient_that_is_not_finite_of_a_parameter_outside_the_model():
    net, scale = tg.Dense(3, 3, rng=0), tg.Tensor([0.0], requires_grad=True)

    def rooted(p, t):
        return tg.mse_loss(p, t) + np.sum(0 * np.sqrt(scale))

    for compiled in (False, True):
        scale.data = np.zeros(1)
        optimizer = tg.SGD([*net.parameters(), scale], 0.1)
        with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=r"a parameter of shape \(1,\) became"):
            tg.fit(net, X, X, loss=rooted, optimizer=optimizer, epochs=2, compiled=compiled)


@pytest.mark.parametrize("method", ["CG", "TNC", "L-BFGS-B", "BFGS", "Newton-CG", "trust-exact"])
@pytest.mark.parametrize("compiled", [False, True])
def test_minimize_from_where_the_gradient_is_not_finite(method, compiled):
    pytest.importorskip("scipy", reason="minimize needs SciPy")
    w = tg.Tensor([0.0, 0.0], requires_grad=True)
    with (
        np.errstate(all="ignore"),
        pytest.raises(ValueError, match=r"gradient at the start is NaN .* start from other"),
    ):
        tg.minimize([w], lambda: np.sqrt(np.sum(w * w)), method, compiled=compiled)
    assert w.tolist() == [0, 0]


def test_minimize_with_its_arguments_the_wrong_way_round():
    pytest.importorskip("scipy", reason="minimize needs SciPy")
    net = Two()
    value = lambda: tg.mse_loss(net(X), X)
    for other in (net, net.parameters(), tg.SGD(net.parameters(), 0.1)):
        with pytest.raises(TypeError, match=r"minimize\(model, loss\): the model comes first, got function"):
            tg.minimize(value, other)
    with pytest.raises(TypeError, match=r"loss is a function without arguments, not Tensor; pass lambda:"):
        tg.minimize(net, value())


@pytest.mark.parametrize(("size", "said"), [(32, "20 of 20"), (6, "6 of 20"), (None, "20 of 20")])
def test_the_bar_says_how_many_rows_a_step_has(size, said, capsys):
    pytest.importorskip("tqdm", reason="the bar is tqdm's (extra examples)")
    fitted(batch_size=size, progress=True)
    assert f"compiled, {said} rows" in capsys.readouterr().err
