"""`fit`: what it learns, counts and shows, how it stops and goes on."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import types
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import functional as F
from tinygrad_edu.optim import piecewise_constant
from tinygrad_edu.optim.progress import progress_bar

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = (X[:, 0] * X[:, 1] > 0).astype(int)


def network(seed=0, **options):
    return tg.Sequential(tg.Dense(4, 16, rng=seed, **options), tg.Tanh(), tg.Dense(16, 2, rng=seed + 1, **options))


def quiet(net, *args, **options):
    options = {"loss": F.cross_entropy, "epochs": 3, "rng": 0, "progress": False} | options
    options.setdefault("optimizer", tg.SGD(net.parameters(), lr=0.5))
    return tg.fit(net, *(args or (X, Y)), **options)


def bits(net):
    return b"".join(p.data.tobytes() for p in net.parameters())


@pytest.mark.parametrize("compiled", [False, True])
def test_is_the_loop_written_by_hand(compiled):
    net, other = network(), network()
    history = quiet(net, batch_size=25, compiled=compiled)
    optimizer, rng, losses = tg.SGD(other.parameters(), lr=0.5), np.random.default_rng(0), []
    for _ in range(3):
        order, total = rng.permutation(60), 0.0
        for chosen in (order[:25], order[25:50], order[50:]):
            optimizer.zero_grad()
            J = F.cross_entropy(other(X[chosen]), Y[chosen])
            J.backward()
            optimizer.step()
            total += J.item() * len(chosen)
        losses.append(total / 60)
    assert bits(net) == bits(other) and history["loss"] == losses
    assert history.stopped == "all epochs done" and history.epochs == 3 and history.seconds > 0


def test_learns_and_measures():
    net = network()
    history = quiet(
        net, X[:40], Y[:40], epochs=150, validation=(X[40:], Y[40:]), metrics=[tg.accuracy],
        optimizer=tg.Adam(net.parameters(), lr=0.02),
    )  # fmt: skip
    assert list(history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert all(len(values) == 150 and {type(v) for v in values} == {float} for values in history.values())
    assert history["accuracy"][-1] > 0.95 and history["loss"][-1] < 0.2
    assert history["val_loss"][-1] == pytest.approx(F.cross_entropy(tg.predict(net, X[40:]), Y[40:]).item())
    assert history["accuracy"][-1] == np.mean(tg.predict(net, X[:40]).argmax(1) == Y[:40])


def test_metrics_are_without_dropout_and_the_mode_is_put_back():
    net = tg.Sequential(tg.Dense(4, 50, rng=0), tg.Dropout(0.5, rng=1), tg.Dense(50, 2, rng=2))
    modes = []
    net.append(lambda z: (modes.append(net.training), z)[1])
    net.eval()
    quiet(net, epochs=1, batch_size=None, metrics={"share": lambda p, t: float(len(p))}, compiled=False)
    assert modes == [True, False] and not net.training and not net[1].training
    np.testing.assert_allclose(tg.predict(net, X), tg.predict(net, X, batch_size=7), rtol=1e-12)


def test_the_schedule_is_in_epochs():
    net, rates = network(), []
    optimizer = tg.SGD(net.parameters(), lr=1.0)
    quiet(
        net, optimizer=optimizer, batch_size=30, epochs=2, schedule=lambda t: rates.append(t) or piecewise_constant(
            [0.1, 0.2], [1.5, 1])(t),
    )  # fmt: skip
    assert rates == [0, 0.5, 1, 1.5] and optimizer.lr == 0.2


def test_floats_are_brought_to_the_models_precision():
    net, seen = network(dtype=np.float32), []
    quiet(net, epochs=1, loss=lambda p, t: (seen.append((p.dtype, t.dtype)), F.cross_entropy(p, t))[1])
    assert {(np.dtype(np.float32), np.dtype(np.int64))} == set(seen)


def test_early_stopping_puts_the_best_back():
    net = network()
    states, values = [], iter([3.0, 2.0, 2.5, 2.0, 2.1, 9.9])

    def measured(prediction, target):
        return next(values)

    history = quiet(
        net, epochs=50, metrics={"odd_loss": measured}, callbacks=[
            lambda t: states.append(bits(t.model)), tg.EarlyStopping(patience=3, monitor="odd_loss")],
    )  # fmt: skip
    assert history.epochs == 5 and history.stopped == "odd_loss did not improve after epoch 2"
    assert bits(net) == states[1]
    up = network()
    history = quiet(up, epochs=4, metrics=[tg.accuracy], callbacks=[tg.EarlyStopping(monitor="accuracy")])
    assert tg.accuracy(tg.predict(up, X), Y) == max(history["accuracy"])
    with pytest.raises(ValueError, match=r"'val_loss' is not in the history, which has loss\. .*pass validation"):
        quiet(network(), callbacks=[tg.EarlyStopping()])
    with pytest.raises(ValueError, match="patience must be at least 1"):
        tg.EarlyStopping(patience=0)


@pytest.mark.parametrize(("stop", "compiled"), [(2, False), (5, False), (3, True)])
def test_goes_on_from_a_checkpoint_to_the_same_bits(tmp_path, stop, compiled):
    def build():
        net = tg.Sequential(tg.Dense(4, 8, rng=0), tg.Tanh(), tg.Dropout(0.2, rng=5), tg.Dropout(0.1), tg.Dense(8, 2,
                            rng=1))  # fmt: skip
        return net, {
            "optimizer": tg.Adam(net.parameters(), lr=0.05), "epochs": 9, "compiled": compiled,
            "rng": np.random.default_rng(3),
            "validation": (X, Y), "callbacks": [tg.EarlyStopping(patience=4)],
            "schedule": lambda t: 0.05 / (1 + t),
        }  # fmt: skip

    tg.manual_seed(11)
    net, options = build()
    whole = quiet(net, **options)
    tg.manual_seed(11)
    first, options = build()
    path = tmp_path / "run.npz"
    quiet(first, checkpoint=path, **options | {"epochs": stop})
    tg.manual_seed(999)
    second, options = build()
    for p in second.parameters():
        p.data = p.data + 1
    seen = []
    options["callbacks"].append(lambda t: seen.append(t.epoch))
    history = quiet(second, checkpoint=path, **options)
    assert history == whole and bits(second) == bits(net) and history.stopped == whole.stopped
    assert seen[0] == stop + 1


def test_a_foreign_checkpoint_changes_nothing(tmp_path):
    path = tmp_path / "run.npz"
    net = network()
    quiet(net, checkpoint=path, epochs=1)
    other = tg.Sequential(tg.Dense(4, 2, rng=0))
    before = bits(other)
    with pytest.raises(ValueError, match=r"is no checkpoint of this training: .*missing|the model wants"):
        quiet(other, checkpoint=path)
    wrong = network(4)
    adam = tg.Adam(wrong.parameters())
    start, settings = bits(wrong), adam.state_dict()
    with pytest.raises(ValueError, match=r"no checkpoint of this training.*Delete it to start anew"):
        quiet(wrong, optimizer=adam, checkpoint=path)
    assert bits(wrong) == start and bits(other) == before and adam.state_dict().keys() == settings.keys()
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match="damaged"):
        quiet(network(), checkpoint=path)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_loss_that_is_not_finite_stops_before_the_step(compiled):
    net = network()
    before = bits(net)
    bad = X.copy()
    bad[5, 2] = np.nan
    with pytest.raises(FloatingPointError, match=r"the loss became nan in epoch 1, step 1.*learning rate"):
        quiet(net, bad, Y, batch_size=None, compiled=compiled)
    assert bits(net) == before


def test_ctrl_c_keeps_what_was_learned():
    def interrupt(training):
        if training.epoch == 2:
            raise KeyboardInterrupt

    net, other = network(), network()
    history = quiet(net, epochs=100, callbacks=[interrupt])
    quiet(other, epochs=2)
    assert history.stopped == "interrupted" and history.epochs == 2 and bits(net) == bits(other)


def test_a_callback_ends_it():
    def enough(training):
        raise StopIteration

    assert quiet(network(), callbacks=[enough]).stopped == "a callback ended it"


def test_misuse():
    net = network()
    for wrong, error, said in [
        (lambda: quiet(net, X[:0], Y[:0]), ValueError, "there are no samples"),
        (lambda: quiet(net, X, Y[:7]), ValueError, r"arrays of \[60, 7\] rows"),
        (lambda: quiet(net, epochs=-1), ValueError, "epochs must be a whole number of at least 0, got -1"),
        (lambda: quiet(net, epochs=1.5), ValueError, "epochs must be a whole number"),
        (lambda: quiet(net, batch_size=2.5), ValueError, "batch_size must be a whole number of at least 1"),
        (lambda: quiet(net, loss="mse"), TypeError, "loss must be a function .*mse_loss, not 'mse'"),
        (lambda: quiet(net, optimizer="adam"), TypeError, r"optimizer must be an optimiser, such as SGD\(.*not 'adam'"),
        (
            lambda: quiet(net, metrics="accuracy"),
            TypeError,
            r"metrics must be functions .*, such as \[accuracy\]",
        ),
        (lambda: quiet(net, metrics=tg.accuracy), TypeError, "in a list"),
        (lambda: quiet(net, schedule=0.1), TypeError, "schedule must be a function of the time in epochs, not 0.1"),
        (lambda: quiet(net, validation=X), TypeError, r"a pair of inputs and targets, \(X, y\)"),
        (
            lambda: quiet(net, loss=lambda p, t: tg.mse_loss(net, t)),
            TypeError,
            r"output of a model, model\(X\)",
        ),
        (
            lambda: tg.fit([net], X, Y, loss=F.cross_entropy, optimizer=tg.SGD(net.parameters(), lr=1), epochs=1),
            TypeError,
            r"the model must be a Module, such as Sequential",
        ),
        (lambda: quiet(net, loss=lambda p, t: 1.0), TypeError, "must return a recorded scalar, got float"),
        (lambda: quiet(net, loss=lambda p, t: p), TypeError, r"got Tensor of shape \(32, 2\)"),
        (lambda: tg.predict(net, X[:0]), ValueError, "there are no samples"),
        (lambda: tg.accuracy(np.ones((3, 2)), [1, 0]), ValueError, "3 predictions for 2 labels"),
        (lambda: tg.History().plot(), ValueError, "nothing to draw yet"),
    ]:
        with pytest.raises(error, match=said):
            wrong()
    assert quiet(net, epochs=0) == {}


def test_accuracy():
    assert tg.accuracy([[1, 2], [5, 1], [0, 1]], [1, 0, 0]) == pytest.approx(2 / 3)
    assert tg.accuracy([[1, 2], [5, 1]], [[0, 1], [0, 1]]) == 0.5
    assert tg.accuracy([[0.7], [0.2]], [[1], [1]]) == tg.accuracy([0.7, 0.2], [1, 1]) == 0.5


def test_the_bar_shows_only_where_somebody_looks():
    pytest.importorskip("tqdm", reason="the bar is tqdm's (extra examples)")
    code = """
import numpy as np, tinygrad_edu as tg
net = tg.Sequential(tg.Dense(1, 1))
x = np.ones((4, 1))
for progress in (None, False, {}):
    tg.fit(net, x, x, loss=tg.mse_loss, optimizer=tg.SGD(net.parameters(), lr=0.1), epochs=2, progress=progress)
"""

    def run(last):
        narrow = os.environ | {"COLUMNS": "80", "LINES": "24"}
        return subprocess.run(
            [sys.executable, "-c", code.format(last)], capture_output=True, text=True, check=True, env=narrow
        )

    assert run("False").stderr == ""
    shown = run("True")
    assert "compiled, 4 of 4 rows: 100%" in shown.stderr and "loss" in shown.stderr and shown.stdout == ""


def test_a_notebook_without_widgets_shows_no_bar_and_no_warning(monkeypatch):
    pytest.importorskip("tqdm", reason="the bar is tqdm's (extra examples)")
    for name in ("auto", "autonotebook", "notebook"):
        monkeypatch.delitem(sys.modules, f"tqdm.{name}", raising=False)
    shell = types.SimpleNamespace(get_ipython=object)
    for name, module in (("ipykernel.zmqshell", types), ("IPython", shell), ("ipywidgets", None)):
        monkeypatch.setitem(sys.modules, name, module)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        assert progress_bar(None, 3) is None
    assert not shown


def test_validation_computes_what_training_does():
    net = tg.Sequential(tg.Dense(1, 1, init=lambda shape, rng: np.full(shape, 40.0)), tg.Sigmoid())
    one = np.array([[1.0]])
    history = quiet(
        net, one, 0 * one, loss=tg.binary_cross_entropy, optimizer=tg.SGD(net.parameters(), lr=0.0), epochs=1,
        validation=(one, 0 * one),
    )  # fmt: skip
    assert history == {"loss": [40.0], "val_loss": [40.0]}


def test_accuracy_refuses_what_is_no_probability_and_no_label():
    assert tg.accuracy(np.array([3, 1, 7]), np.array([2, 1, 9])) == pytest.approx(1 / 3)
    for prediction, target, said in [
        (np.full((3, 1), np.nan), np.zeros(3), "are not probabilities"),
        (np.array([[-3.0], [2.0]]), [0, 1], "apply sigmoid to logits"),
        (np.array([[0.4], [0.6]]), [-1, 1], "must be 0 and 1"),
        (np.eye(2), [1, 2], "accuracy: labels contain 2, but there are 2 classes"),
    ]:
        with pytest.raises(ValueError, match=said):
            tg.accuracy(prediction, target)


def test_early_stopping_begins_anew_and_knows_errors_go_down():
    stopping = tg.EarlyStopping(patience=50, monitor="mse")
    metrics = {"mse": lambda p, t: float(np.mean((p - t) ** 2))}
    x = np.ones((4, 1))
    for goal in (3.0, 100.0):
        net = tg.Sequential(tg.Dense(1, 1, bias=False, rng=0))
        history = quiet(net, x, goal * x, loss=tg.mse_loss, optimizer=tg.SGD(net.parameters(), lr=0.2), epochs=30,
                        metrics=metrics, callbacks=[stopping])  # fmt: skip
        assert history.epochs == 30 and net[0].weight.item() == pytest.approx(goal, rel=1e-3)
    with pytest.raises(ValueError, match="mode must be 'min', 'max' or None"):
        tg.EarlyStopping(mode="down")


def test_small_integers_do_not_wrap():
    X = np.array([[100], [200]], np.uint8)
    net = tg.Sequential(lambda x: x - 128, tg.Dense(1, 1, init=lambda shape, rng: np.ones(shape)))
    assert tg.predict(net, X).tolist() == [[-28], [72]]
    for compiled in (False, True):
        history = quiet(net, X, np.array([[-28.0], [72.0]]), loss=tg.mse_loss, epochs=1, compiled=compiled,
                        optimizer=tg.SGD(net.parameters(), lr=0.0))  # fmt: skip
        assert history["loss"] == [0.0]


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, bool, np.int32])
def test_small_integers_have_one_dtype_everywhere(kind):
    """Recorded, predicted, trained and measured: NumPy's, so float32 beside what float32 can hold."""
    images, seen = np.ones((4, 3), kind), []
    net = tg.Sequential(tg.Dense(3, 1, rng=0, dtype=np.float32), lambda z: seen.append(z.dtype) or z)
    right = np.result_type(np.float32, kind)
    assert net(images).dtype == tg.predict(net, images).dtype == right
    targets = np.ones((4, 1))
    quiet(net, images, targets, loss=tg.mse_loss, validation=(images, targets), metrics=[lambda h, y: 0.0])
    assert set(seen) == {right}


@pytest.mark.parametrize(
    "make", [lambda p: tg.SGD(p, lr=0.5), lambda p: tg.SGD(p, lr=0.5, momentum=0.9, nesterov=True)]
)
def test_clipped_gradients(make):
    """By hand, recorded and compiled to the same bits; a bound that is never reached changes nothing."""
    nets = [network() for _ in range(4)]
    optimizers = [make(net.parameters()) for net in nets]
    for epoch in range(3):
        optimizers[0].zero_grad()
        J = F.cross_entropy(nets[0](X), Y)
        J.backward()
        length = np.sqrt(sum(np.sum(p.grad**2) for p in nets[0].parameters()))
        assert length > 0.01, epoch
        for p in nets[0].parameters():
            p.grad = p.grad * (0.01 / length)
        optimizers[0].step()
    for net, optimizer, compiled in zip(nets[1:3], optimizers[1:3], (False, True), strict=True):
        quiet(net, batch_size=None, optimizer=optimizer, clip_grad_norm=0.01, compiled=compiled)
    assert bits(nets[1]) == bits(nets[2])
    for p, q in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-12, atol=1e-15)
    step = tg.compile_step(lambda X, y: F.cross_entropy(nets[3](X), y), optimizers[3], clip_grad_norm=1e6)
    free = network()
    quiet(free, batch_size=None, optimizer=make(free.parameters()))
    for _ in range(3):
        step(X, Y)
    assert bits(nets[3]) == bits(free)


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_that_cannot_be_clipped(compiled):
    net = tg.Sequential(tg.Dense(1, 1, init="zeros"), np.sqrt)  # of 0, with an infinite slope
    before = bits(net)
    with pytest.raises(
        FloatingPointError, match=r"(fit|compile_step): the gradient of parameter number 0, '0\.weight'"
    ):
        quiet(net, np.ones((2, 1)), np.ones((2, 1)), loss=tg.mse_loss, clip_grad_norm=1.0, compiled=compiled)
    assert bits(net) == before
    with pytest.raises(ValueError, match="fit: clip_grad_norm must be a positive number, not 0"):
        quiet(net, clip_grad_norm=0)
    with pytest.raises(ValueError, match="compile_step: clip_grad_norm must be a positive number, not -1"):
        tg.compile_step(tg.mse_loss, tg.SGD(net.parameters(), lr=0.1), clip_grad_norm=-1)


def test_callbacks_hear_of_every_end():
    heard = []

    class Listener(tg.Callback):
        def after_training(self, training):
            heard.append(training.epoch)

    with pytest.raises(FloatingPointError):
        quiet(network(), np.full((3, 4), np.inf), [0, 1, 0], callbacks=[Listener()])
    assert heard == [0]


def test_arguments_are_looked_at_first(tmp_path):
    net = network()
    for options, error, said in [
        ({"batch_size": 0}, ValueError, "batch_size must be a whole number of at least 1"),
        ({"checkpoint": "run.ckpt"}, ValueError, r"must be an \.npz file"),
        ({"checkpoint": tmp_path / "no" / "run.npz"}, ValueError, "in a folder that exists"),
        ({"schedule": lambda t: next(iter(()))}, RuntimeError, "no learning rate for t = 0"),
    ]:
        with pytest.raises(error, match=said):
            quiet(net, **options)
    quiet(net, checkpoint=tmp_path / "run.npz", epochs=1)
    with pytest.raises(ValueError, match="it measured loss, this training measures accuracy, loss"):
        quiet(net, checkpoint=tmp_path / "run.npz", metrics=[tg.accuracy])


INTERRUPTED = """
import os, signal, threading, time, numpy as np, tinygrad_edu as tg
net = tg.Sequential(*[tg.Dense(60, 60, rng=k) for k in range(20)])
optimizer = tg.Adam(net.parameters(), lr=1e-4)
x = np.ones((4, 60))
tg.fit(net, x, x, loss=tg.mse_loss, optimizer=optimizer, epochs=1, progress=False)
for wait in np.linspace(0.01, 0.06, 5):
    timers = [threading.Timer(wait, os.kill, (os.getpid(), signal.SIGINT))]
    begin = lambda training: timers and timers.pop().start()  # when the first step is done
    history = tg.fit(net, x, x, loss=tg.mse_loss, optimizer=optimizer, epochs=10**6, progress=False, callbacks=[begin])
    steps = {int(v) for name, v in optimizer.state_dict().items() if name.endswith("steps")}
    assert history.stopped == "interrupted" and len(steps) == 1, (history.stopped, steps)
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""


def test_ctrl_c_waits_for_the_step_to_end():
    subprocess.run([sys.executable, "-c", INTERRUPTED], check=True)


class Counting(tg.Module):
    def __init__(self):
        self.inner, self.calls = tg.Dense(4, 2, rng=0), []

    def forward(self, x):
        self.calls.append(1)
        return self.inner(x)


class Branching(tg.Module):
    def __init__(self):
        self.inner = tg.Dense(4, 2, rng=0)

    def forward(self, x):
        return self.inner(x) if np.sum(x) > -1e9 else x


class Noisy(tg.Module):
    def __init__(self):
        self.inner, self.rng = tg.Dense(4, 2, rng=0), np.random.default_rng(5)

    def forward(self, x):
        return self.inner(x) + self.rng.normal(size=2)


class Tabled(tg.Module):
    def __init__(self):
        self.inner, self.table = tg.Dense(4, 2, rng=0), np.ones((2, 60_000))

    def forward(self, x):
        return self.inner(x) * self.table[:, 0]


class Annealed(tg.Module):
    def __init__(self):
        self.inner, self.heat = tg.Dense(4, 2, rng=0), 1.0

    def forward(self, x):
        return self.inner(x) * self.heat


def cool(training):
    training.model.heat *= 0.9


class Cooling(tg.Callback):
    def after_batch(self, training):
        training.model.heat *= 0.99


@pytest.mark.parametrize(
    ("make", "callbacks", "why"),
    [
        (Branching, [], "a Python branch depends on the data"),
        (Counting, [], "the function changes 'calls'|the function changes a variable"),
        (Noisy, [], "computes something else when it is called again"),
        (Tabled, [], r"reads an array of shape \(2, 60000\), whose changes would not be seen"),
        (Annealed, [Cooling()], "keeps changing"),
        (Annealed, [cool], None),
        (lambda: tg.Sequential(tg.Dense(4, 8, rng=0), tg.BatchNorm(8), tg.Dropout(0.5, rng=1), tg.Dense(8, 2, rng=2)),
         [], None),
    ],
    ids=["branch", "count", "noise", "table", "each step", "each epoch", "layers"],
)  # fmt: skip
def test_what_cannot_be_compiled_is_recorded_with_the_same_numbers(make, callbacks, why):
    nets = make(), make()
    histories = [
        quiet(net, epochs=3, batch_size=8, callbacks=callbacks, compiled=compiled)
        for net, compiled in zip(nets, (None, False), strict=True)
    ]
    for name, p in dict(nets[0].named_parameters()).items():
        np.testing.assert_allclose(p.data, dict(nets[1].named_parameters())[name].data, rtol=1e-12)
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-12)
    assert re.search(why or "^$", histories[0].why_recorded) and histories[1].why_recorded == "compiled=False"
    if why is None:
        assert not histories[0].why_recorded
    elif make is not Annealed:
        with pytest.raises(TypeError) if make in (Branching, Noisy) else contextlib.nullcontext():
            quiet(make(), epochs=1, batch_size=8, compiled=True)


def test_a_mistake_is_reported_as_it_is_without_compiling():
    with pytest.raises(ValueError, match=r"Dense\(3 → 2\) got an input of shape"):
        quiet(tg.Sequential(tg.Dense(3, 2)), epochs=1)


def test_the_bar_says_why_steps_are_recorded(capfd):
    pytest.importorskip("tqdm", reason="the bar needs the extra examples")
    quiet(Branching(), epochs=1, progress=True)
    said = capfd.readouterr().err
    assert "recorded, 32 of 60 rows: 100%" in said and "recorded, not compiled: a Python branch depends" in said
