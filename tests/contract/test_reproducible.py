"""The same seed gives the same bits: in every process, and whether or not a run was stopped and went on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_edu as tg

PROGRAM = """
import hashlib, itertools, json, os, signal, sys
import numpy as np
import tinygrad_edu as tg

compiled, path, epochs, moment = sys.argv[1] == "True", sys.argv[2] or None, int(sys.argv[3]), sys.argv[4]
tg.manual_seed(3)
data = np.random.default_rng(0)
X, y = data.normal(size=(70, 6)), data.integers(0, 3, 70)
net = tg.Sequential(
    tg.Dense(6, 16, init="he_normal"), tg.ReLU(), tg.Dropout(0.3), tg.Dense(16, 8, rng=5), tg.Dropout(0.1, rng=9),
    np.tanh,
    tg.Dense(8, 3),
)
net.extra = {"b": tg.Tensor(np.zeros(3), requires_grad=True), "a": tg.Tensor(np.ones(3), requires_grad=True)}
groups = [{"params": net.parameters()[::2]}, {"params": net.parameters()[1::2], "weight_decay": 1e-3}]
optimizer = tg.Adam(groups, lr=0.02)

steps = itertools.count(1)
def loss(z, labels):
    step = next(steps)
    if moment == f"kill in step {step}":
        os.kill(os.getpid(), signal.SIGKILL)
    if moment == f"Ctrl-C in step {step}":
        os.kill(os.getpid(), signal.SIGINT)
    return tg.cross_entropy(z + net.extra["a"] * net.extra["b"], labels)

def after(training):
    if moment == f"Ctrl-C{training.epoch}":
        os.kill(os.getpid(), signal.SIGINT)
    if moment == f"kill{training.epoch}":
        os.kill(os.getpid(), signal.SIGKILL)

stopping = tg.EarlyStopping(patience=50, monitor="val_loss")
history = tg.fit(net, X, y, loss=loss, optimizer=optimizer, epochs=epochs, batch_size=16, validation=(X[:20], y[:20]),
                 metrics=[tg.accuracy], schedule=tg.optim.cosine(0.02, 6), callbacks=[stopping, after],
                 checkpoint=path, compiled=compiled, progress=False)
digest = hashlib.sha256()
for name, array in [*sorted(net.state_dict().items()), *sorted(optimizer.state_dict().items())]:
    digest.update(name.encode() + array.tobytes())
digest.update(tg.random.generator().random(5).tobytes() + net[4].rng.random(5).tobytes())
print(json.dumps([digest.hexdigest(), history, history.stopped]))
"""


def run(compiled, path="", epochs=6, moment="", hashes="0"):
    """What the program prints at its end; None if it was killed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(compiled), path, str(epochs), moment],
        env=os.environ | {"PYTHONHASHSEED": hashes}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    if done.returncode == -getattr(signal, "SIGKILL", 9):
        return None
    assert done.returncode == 0
    return done.stdout


@pytest.fixture(scope="module")
def whole():
    return {compiled: run(compiled) for compiled in (False, True)}


@pytest.mark.parametrize("compiled", [False, True])
def test_over_processes(whole, compiled):
    assert run(compiled, hashes="12345") == run(compiled, hashes="random") == whole[compiled]


def test_recorded_and_compiled_learn_the_same(whole):
    assert whole[False] == whole[True]


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize(
    ("compiled", "moments"),
    [(False, ["kill2", "kill4"]), (False, ["Ctrl-C1", "Ctrl-C3"]), (False, ["kill in step 9", "Ctrl-C in step 3"]),
     (True, ["kill3"]), (True, ["Ctrl-C2"])],
)  # fmt: skip
def test_stopped_and_resumed(whole, compiled, moments, tmp_path):
    """Killed or interrupted between epochs or in the middle of one, in a new process each time."""
    path = str(tmp_path / "run.npz")
    for moment in moments:
        ended = run(compiled, path, moment=moment, hashes="random")
        assert (ended is None) == moment.startswith("kill")
        assert ended is None or '"interrupted"' in ended
    assert run(compiled, path) == whole[compiled]
    assert os.listdir(tmp_path) == ["run.npz"]


def test_weights_by_columns_go_on_to_the_same_bits(tmp_path):
    """The order in memory decides how products are rounded, so it is kept, too."""
    X = np.random.default_rng(0).normal(size=(50, 33))

    def go(epochs, **options):
        net = tg.Sequential(tg.Dense(33, 17, rng=1), tg.Tanh(), tg.Dense(17, 1, rng=2))
        net[0].weight.data = np.asfortranarray(net[0].weight.data)
        optimizer = tg.SGD(net.parameters(), lr=0.1, momentum=0.9)
        tg.fit(net, X, X[:, :1], loss=tg.mse_loss, optimizer=optimizer, epochs=epochs, batch_size=7, rng=4,
               progress=False, **options)  # fmt: skip
        return net

    net = go(6)
    go(3, checkpoint=tmp_path / "run.npz")
    other = go(6, checkpoint=tmp_path / "run.npz")
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        assert p.data.strides == q.data.strides and p.data.tobytes() == q.data.tobytes()
