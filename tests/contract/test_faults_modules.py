"""Faults that the field met with modes, names and printing, by kind: the right behaviour, and a neighbour."""

from __future__ import annotations

import ast
import asyncio
import functools
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor

X = np.random.default_rng(0).normal(size=(20, 3))
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
w = Tensor([1.0, 2.0], requires_grad=True)


def parameter(value):
    return Tensor([value], requires_grad=True)


# Modes


class Steps:
    def __call__(self):
        yield w * 2

    @staticmethod
    def drawn():
        yield w * 2


def steps():
    yield w * 2


async def later():
    await asyncio.sleep(0)
    return w * 2


@pytest.mark.parametrize(
    "made",
    [
        steps,
        Steps(),
        staticmethod(Steps.drawn),
        functools.partial(steps),
        lambda: steps(),
        lambda: (w * k for k in [1]),
    ],
)
def test_nothing_that_makes_a_generator_records(made):
    assert not next(tg.no_grad()(made)()).requires_grad and (w * 2).requires_grad


@pytest.mark.parametrize("made", [later, lambda: later(), functools.partial(later)])
def test_nothing_that_makes_a_coroutine_records(made):
    assert not asyncio.run(tg.no_grad()(made)()).requires_grad and (w * 2).requires_grad


def test_what_no_grad_does_not_decorate():
    async def stream():
        yield 1

    for wrong in (stream, lambda: stream()):
        with pytest.raises(TypeError, match="asynchronous generator; write `with no_grad"):
            tg.no_grad()(wrong)()
    for wrong in (True, Steps, classmethod(steps), property(steps)):
        with pytest.raises(
            TypeError, match=r"no_grad decorates functions, not .*`with no_grad\(\):`.*below @classmeth"
        ):
            tg.no_grad(wrong)


@pytest.mark.parametrize("decorator", [tg.detect_anomaly, tg.record_positions])
def test_other_decorators_refuse_what_runs_later(decorator):
    async def stream():
        yield 1

    for made in (steps, Steps(), later, stream, lambda: steps()):
        with pytest.raises(
            TypeError, match=r"runs when the decorator's block is over, .*; write `with` around its step"
        ):
            decorator()(made)()

    @decorator()
    def logarithm(x):
        return np.log(x) + (logarithm(x + 1) if x.data < 2 else 0)

    assert logarithm(Tensor(1.0, requires_grad=True)).item() == np.log(2) and logarithm.__name__ == "logarithm"
    if decorator is tg.detect_anomaly:
        with np.errstate(all="ignore"), pytest.raises(tg.AnomalyError):
            logarithm(Tensor(-1.0, requires_grad=True))


def test_one_no_grad_in_several_threads():
    shared, found = tg.no_grad(), []

    def work():
        for _ in range(100):
            with shared:
                inside = (w * 2).requires_grad
                with shared:
                    pass
                inside |= (w * 2).requires_grad
            found.append((inside, (w * 2).requires_grad))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(False, True)] * 400


def test_one_no_grad_whose_first_thread_leaves_first():
    shared, found = tg.no_grad(), []
    first_in, second_in, first_out = (threading.Event() for _ in range(3))

    def work(entered, before, leave):
        assert before is None or before.wait(60)
        with shared:
            entered.set()
            assert leave.wait(60)
            inside = (w * 2).requires_grad
        found.append((inside, (w * 2).requires_grad))
        first_out.set()

    threads = [threading.Thread(target=work, args=args)
               for args in ((first_in, None, second_in), (second_in, first_in, first_out))]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(False, True)] * 2


def test_a_generator_that_was_left_inside_no_grad():
    def inside():
        with tg.no_grad():
            yield (w * 2).requires_grad
            yield (w * 2).requires_grad

    left = inside()
    assert next(left) is False
    del left
    assert (w * 2).requires_grad
    one, two = inside(), inside()
    next(one), next(two)
    one.close(), two.close()
    assert (w * 2).requires_grad


# Names


@pytest.mark.parametrize(
    "held",
    [
        {"a.b": parameter(1.0), "a": {"b": parameter(2.0)}}, {1: parameter(1.0), "1": parameter(2.0)},
        {"x": [parameter(1.0)], "x.0": parameter(2.0)}, {"a": tg.Dense(1, 1), "a.weight": np.ones(1)},
    ],
)  # fmt: skip
def test_two_parameters_of_one_name_are_refused(held, tmp_path):
    net = tg.Module()
    net.held = held
    for act in (net.parameters, net.state_dict, lambda: tg.save(net, tmp_path / "n.npz")):
        with pytest.raises(
            ValueError, match=r"Module has two tensors or arrays of the name 'held\..*'; rename an attri"
        ):
            act()


class Normed(tg.Module):
    """Normalises by running figures: arrays of its own, in all places where one may keep them."""

    def __init__(self, features=3):
        self.scale = Tensor(np.ones(features), requires_grad=True)
        self.mean = np.zeros(features)
        self.kept = {"var": np.ones(features), "both": [np.zeros(2), (np.zeros(1),)]}
        self.count = np.int64(0)
        self.seen = np.zeros(2, bool)
        self.again = self.mean

    def forward(self, x):
        if self.training:
            values = x.data if isinstance(x, Tensor) else x
            self.mean = self.again = 0.9 * self.mean + 0.1 * values.mean(axis=0)
            self.kept["var"] = 0.9 * self.kept["var"] + 0.1 * values.var(axis=0)
            self.kept["both"][0] = self.kept["both"][0] + 1
            self.kept["both"][1][0][:] += 1
            self.count, self.seen = self.count + 1, np.ones(2, bool)
        return (x - self.mean) / np.sqrt(self.kept["var"] + 1e-5) * self.scale


def numbers(net):
    both = net.kept["both"]
    return [*net.mean, *net.again, *net.kept["var"], *both[0], *both[1][0], net.count, *net.seen, *net.scale.data]


@pytest.mark.parametrize("ending", [".npz", ".safetensors", None])
def test_arrays_of_a_module_are_saved(ending, tmp_path):
    if ending == ".safetensors":
        pytest.importorskip("safetensors", reason="needs the extra examples")
    net, other = Normed(), Normed()
    net(X), net(X + 1)
    if ending is None:
        other.load_state_dict(net.state_dict())
    else:
        tg.save(net, tmp_path / f"n{ending}")
        tg.load(other, tmp_path / f"n{ending}")
    assert numbers(other) == numbers(net) and other.again is other.mean and isinstance(other.count, np.int64)
    assert np.array_equal(tg.predict(net, X), tg.predict(other, X))
    before = net.state_dict()
    net(X)
    assert before["mean"].tolist() == other.mean.tolist() != net.mean.tolist()  # copies


def test_arrays_of_a_module_are_missed():
    state = Normed().state_dict()
    for name in ("mean", "kept.var", "kept.both.0", "kept.both.1.0", "count", "seen"):
        with pytest.raises(ValueError, match=f"missing: {name}"):
            Normed().load_state_dict({n: v for n, v in state.items() if n != name})
    with pytest.raises(ValueError, match=r"kept\.var is \(3,\), the model wants \(2,\).*mean is \(3,\)"):
        Normed(2).load_state_dict(state)


def test_an_array_that_forward_keeps(tmp_path):
    class Keeping(tg.Module):
        def __init__(self):
            self.layer = tg.Dense(3, 1, rng=0)

        def forward(self, x):
            self.last = x
            return self.layer(x)

    net = Keeping()
    net(X)
    tg.save(net, tmp_path / "n.npz")
    for act in (lambda: tg.load(Keeping(), tmp_path / "n.npz"), lambda: Keeping().load_state_dict(net.state_dict())):
        with pytest.raises(
            ValueError, match=r"last.* what forward\(\) keeps .* make it in __init__, or hold it in a types"
        ):
            act()


def test_arrays_of_a_module_come_back_from_a_checkpoint_and_with_the_best_epoch(tmp_path):
    def trained(path, *stages):
        for epochs in stages:
            net = tg.Sequential(Normed(), tg.Dense(3, 1, rng=0))
            stopping = tg.EarlyStopping(monitor="loss", min_delta=1e9, patience=50)
            tg.fit(net, X, X[:, :1], loss=tg.mse_loss, optimizer=tg.SGD(net.parameters(), 0.1), epochs=epochs, rng=0,
                   checkpoint=path, callbacks=[stopping])  # fmt: skip
        return numbers(net[0])

    once = trained(tmp_path / "c.npz", 1)
    assert trained(tmp_path / "a.npz", 3) == trained(tmp_path / "b.npz", 2, 3) == once != numbers(Normed())


# What a module looks like


class Embedding(tg.Module):
    def __init__(self):
        self.table = Tensor(np.ones((7, 4)), requires_grad=True)

    def forward(self, indices):
        return self.table[indices]


class Reader(tg.Module):
    def __init__(self):
        self.embedding = Embedding()
        self.hidden = [tg.Dense(4, 5), tg.Dense(5, 5)]
        self.heads = {"left": tg.Dense(5, 2), "right": (tg.Dense(5, 3), np.tanh)}
        self.scale = parameter(2.0)

    def forward(self, indices):
        z = np.sum(self.embedding(indices), axis=1)
        for layer in self.hidden:
            z = np.tanh(layer(z))
        return self.heads["left"](z) * self.scale, self.heads["right"][0](z)


def rows(table):
    return [" ".join(line.split()) for line in table.splitlines()]


def test_summaries_of_integers_and_of_models_made_of_classes():
    shown = rows(Reader().summary((3,)))
    for row in (
        "Reader (None, 2), (None, 3) 1",
        "embedding Embedding() (None, 3, 4) 28",
        "hidden.1 Dense(5 → 5) (None, 5) 30",
        "heads.left Dense(5 → 2) (None, 2) 12",
        "heads.right.0 Dense(5 → 3) (None, 3) 18",
        "total 114",
    ):
        assert row in shown
    assert "hidden.0 Dense(4 → 5) ? 25" in rows(Reader().summary())
    shown = rows(tg.Sequential(Embedding(), tg.Flatten(), tg.Sequential(tg.Dense(12, 2), np.tanh)).summary(3))
    assert shown[2:4] == ["0 Embedding() (None, 3, 4) 28", "1 Flatten() (None, 12) 0"]
    assert shown[4:6] == ["2.0 Dense(12 → 2) (None, 2) 26", "2.1 tanh (None, 2) 0"]
    assert "0 Embedding() (None, 4) 28" in rows(tg.Sequential(Embedding()).summary(()))
    with pytest.raises(ValueError, match="expected"):
        tg.Sequential(tg.Dense(2, 2)).summary(3)
    assert "0 Dense(2 → 3) (None, 3) 9" in rows(tg.Dense(2, 3).summary())
    act = tg.Tanh()
    shown = rows(tg.Sequential(tg.Dense(4, 3), act, tg.Dense(3, 2), act).summary())
    assert [row.split(") ", 1)[1] for row in shown[2:6]] == [
        "(None, 3) 15",
        "(None, 3) 0",
        "(None, 2) 8",
        "(None, 2) 0",
    ]


def test_the_repr_shows_modules_wherever_they_are():
    shown = repr(Reader())
    for part in (
        "(embedding): Embedding()",
        "(hidden.1): Dense(5 → 5)",
        "(heads.left): Dense",
        "(heads.right.0): Dense",
    ):
        assert shown.count(part) == 1
    assert "(1): Reader(" in repr(tg.Sequential(np.tanh, Reader()))


def test_modules_that_know_each_other():
    class Child(tg.Module):
        def __init__(self, parent):
            self.parent, self.layer, self.known = parent, tg.Dense(2, 2), [parent, {"me": self}]

    class Parent(tg.Module):
        def __init__(self):
            self.children = [Child(self), Child(self)]
            self.children.append(self.children)

    net = Parent()
    assert repr(net).count("Dense(2 → 2)") == 2 and net.num_parameters == 12
    assert "children.1.layer Dense(2 → 2) ? 6" in rows(net.summary())


PRINTING = """
import numpy as np, tinygrad_edu as tg
net = tg.Sequential(tg.Dense(2, 3), tg.Tanh())
print(net, net.summary(), net[0])
loss = net(np.ones((1, 2))).sum()
print(tg.explain(loss), tg.draw_graph(loss) is not None)
for act in (lambda: net(np.ones((1, 3))), lambda: tg.l2_penalty(net, -1, 1)):
    try:
        act()
    except Exception as error:
        print(error)
wrong = tg.primitive(lambda x: x * x)
tg.rule(wrong, lambda g, x: g * x)
try:
    tg.gradcheck(lambda x: wrong(x).sum(), np.ones(20))
except tg.GradientMismatch as error:
    print(error)
"""


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_prints_what_the_stream_can_write(encoding):
    env = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", PRINTING], env=env, capture_output=True, check=False)
    shown = done.stdout.decode(encoding)
    assert done.returncode == 0, done.stderr.decode()
    assert ("Dense(2 → 3)" if encoding == "utf-8" else "Dense(2 -> 3)") in shown and "20 of 20 entries" in shown


HELPING = """
import io, runpy, sys
from pathlib import Path
folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
for encoding in sys.argv[2:]:
    sys.stdout.reconfigure(encoding=encoding)
    for script in sorted(folder.glob("[a-z]*.py")):
        sys.argv = [str(script), "--help"]
        try:
            runpy.run_path(str(script), run_name="__main__")
        except SystemExit as end:
            print(f"{script.name}: {end.code}", flush=True)
    print("\f", end="", flush=True)
"""


def test_the_help_of_the_examples(tmp_path):
    for needed in ("matplotlib", "mlxtend", "scipy", "tqdm"):
        pytest.importorskip(needed, reason="needs the extra examples")
    (tmp_path / "optuna.py").write_text("raise ImportError")  # without Optuna, too
    path = os.pathsep.join([str(tmp_path), str(EXAMPLES.parent)])
    env = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONPATH": path}
    run = functools.partial(subprocess.run, env=env, cwd=tmp_path, capture_output=True, check=False)
    encodings = ["ascii", "cp1252"]
    done = run([sys.executable, "-c", HELPING, EXAMPLES, *encodings])
    assert done.returncode == 0, done.stderr.decode()
    scripts = sorted(path.name for path in EXAMPLES.glob("[a-z]*.py"))
    for part, encoding in zip(done.stdout.split(b"\f")[:-1], encodings, strict=True):
        shown = part.decode(encoding)
        assert shown.count("--seed SEED ") == len(scripts), encoding
        assert re.findall(r"^(\w+\.py): (\w+)\s*$", shown, re.MULTILINE) == [(script, "0") for script in scripts]
    alone = run([sys.executable, EXAMPLES / "parameter_scan.py"])
    assert b"error: this needs Optuna: python -m pip install" in alone.stderr


def test_messages_are_in_plain_characters():
    """An error that is printed, too, where there are no arrows."""
    for path in Path(tg.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise):
                for part in ast.walk(node):
                    assert not isinstance(part, ast.Constant) or str(part.value).isascii(), f"{path}:{node.lineno}"
