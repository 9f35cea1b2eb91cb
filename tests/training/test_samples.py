"""What `fit` learns from: several inputs and targets, parts held out, weights, augmentation, iterables of batches."""

from __future__ import annotations

import collections
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import functional as F
from tinygrad_edu.training.samples import samples

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(30, 3)), RNG.normal(size=(30, 2))
Y = A[:, :1] * B[:, :1]
Pair = collections.namedtuple("Pair", "a b")


class Joined(tg.Module):
    """A model of two inputs, told apart: it gives the sum of two layers, and the first of them for itself."""

    def __init__(self, outputs=1, **options):
        self.left, self.right = tg.Dense(3, 1, rng=1, **options), tg.Dense(2, 1, rng=2, **options)
        self.outputs = outputs

    def forward(self, a, b):
        left = self.left(a)
        both = left + np.tanh(self.right(b))
        return both if self.outputs == 1 else {"both": both, "left": left}


def single(seed=0):
    return tg.Sequential(tg.Dense(3, 4, rng=seed), tg.Tanh(), tg.Dense(4, 1, rng=seed + 1))


def quiet(net, *args, **options):
    options = {"loss": tg.mse_loss, "epochs": 3, "rng": 0, "progress": False, "batch_size": 8} | options
    options.setdefault("optimizer", tg.SGD(net.parameters(), lr=0.1, momentum=0.9))
    return tg.fit(net, *args, **options)


def bits(net):
    return b"".join(p.data.tobytes() for p in net.parameters())


def each(data):
    return data.values() if isinstance(data, dict) else data


# Several inputs and targets


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("X", [(A, B), {"a": A, "b": B}, {"b": B, "a": A}, Pair(A, B), (A.tolist(), B)])
def test_several_inputs_are_arguments(X, compiled):
    net, other = Joined(), Joined()
    history = quiet(net, X, Y, compiled=compiled, validation=(X, Y), metrics={"size": lambda p, t: float(len(p))})
    optimizer, rng, losses = tg.SGD(other.parameters(), lr=0.1, momentum=0.9), np.random.default_rng(0), []
    for _ in range(3):
        order, total = rng.permutation(30), 0.0
        for chosen in np.split(order, [8, 16, 24]):
            optimizer.zero_grad()
            J = tg.mse_loss(other(A[chosen], B[chosen]), Y[chosen])
            J.backward()
            optimizer.step()
            total += J.item() * len(chosen)
        losses.append(total / 30)
    assert bits(net) == bits(other) and history["loss"] == losses and history["val_size"] == [30] * 3
    predicted = tg.predict(net, X, batch_size=7)
    np.testing.assert_allclose(predicted, other(A, B).numpy(), rtol=1e-12)
    assert history["val_loss"][-1] == pytest.approx(tg.mse_loss(predicted, Y).item())


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind", [tuple, dict, Pair])
def test_several_targets_reach_the_loss_as_they_are(kind, compiled):
    targets = {"both": Y, "left": A[:, :1]}
    y = targets if kind is dict else Pair(*targets.values()) if kind is Pair else (Y, A[:, :1])
    seen = set()

    def loss(prediction, target):
        seen.add(type(target))
        both, left = target.values() if kind is dict else target
        if kind is Pair:
            assert target.a is both
        return tg.mse_loss(prediction["both"], both) + 2 * tg.mse_loss(prediction["left"], left)

    def error(prediction, target):
        assert type(target) is kind and prediction.keys() == targets.keys() and len(prediction["left"]) == 30
        return float(tg.mse_loss(prediction["left"], next(itertools.islice(each(target), 1, None))))

    nets = [Joined(outputs=2) for _ in range(2)]
    histories = [quiet(nets[0], (A, B), y, loss=loss, metrics=[error], compiled=compiled, validation=((A, B), y))]
    histories.append(
        quiet(
            nets[1], (A, B), np.hstack(list(targets.values())), validation=((A, B), np.hstack(list(targets.values()))),
            loss=lambda p, t: tg.mse_loss(p["both"], t[:, :1]) + 2 * tg.mse_loss(p["left"], t[:, 1:]),
            metrics={"error": lambda p, t: float(tg.mse_loss(p["left"], t[:, 1:]))},
        )
    )  # fmt: skip
    assert seen == {kind} and histories[0] == histories[1] and bits(nets[0]) == bits(nets[1])


def test_names_not_places_decide_in_a_compiled_step():
    """Two batches of dicts whose arrays have the same shapes, in another order."""
    net = tg.Dense(2, 1, rng=0)
    step = tg.compile_step(lambda X: np.sum(net(X["plus"]) - 2 * net(X["minus"])), tg.SGD(net.parameters(), lr=0.0))
    plus, minus = RNG.normal(size=(2, 4, 2))
    value = step({"plus": plus, "minus": minus})
    assert value == step({"minus": minus, "plus": plus}) == pytest.approx((net(plus) - 2 * net(minus)).sum().item())
    assert step({"minus": plus, "plus": minus}) != value


def test_a_list_and_a_tuple_of_numbers_are_one_array():
    net = tg.Sequential(tg.Dense(2, 1, rng=0))
    for X, y in [(((1.0, 2.0), (3.0, 4.0)), (1.0, 2.0)), ([np.ones(2), np.zeros(2)], (np.float64(1), 2.0))]:
        history = quiet(net, X, y, loss=lambda p, t: tg.mse_loss(p[:, 0], t))
        assert history.epochs == 3 and tg.predict(net, X).shape == (2, 1)
    assert [b.tolist() for (b,) in tg.Batches((1, 2, 3), batch_size=2, shuffle=False)] == [[1, 2], [3]]


def test_floats_of_all_inputs_are_brought_to_the_models_precision():
    net, seen = Joined(dtype=np.float32), set()
    quiet(
        net, (A, B), {"y": Y}, epochs=1, loss=lambda p, t: seen.add((p.dtype, t["y"].dtype)) or tg.mse_loss(p, t["y"])
    )
    assert seen == {(np.dtype(np.float32),) * 2}
    images = np.full((6, 2), 200, np.uint8)  # whose sum does not wrap
    model = lambda a, b: (a + b).astype(float)
    assert np.all(tg.predict(model, (images, images)) == 400)


def test_batches_of_tuples_and_dicts():
    X = {"a": np.arange(10), "rest": (np.arange(10) * 2, Pair(np.arange(10.0), np.arange(20).reshape(10, 2)))}
    batches = tg.Batches(X, np.arange(10) * 3, batch_size=4, rng=0)
    assert len(batches) == 3
    rows = []
    for x, y in batches:
        assert type(x) is dict and type(x["rest"]) is tuple and type(x["rest"][1]) is Pair
        for other in (3 * x["a"], 1.5 * x["rest"][0], 3 * x["rest"][1].a, 1.5 * x["rest"][1].b[:, 0]):
            assert np.array_equal(other, y)
        rows += [*y]
    assert sorted(rows) == [*range(0, 30, 3)]
    for wrong, error, said in [
        (({"a": A, "b": B[:4]}, Y), ValueError, r"arrays of \[30, 4, 30\] rows"),
        (({}, Y), TypeError, "at least one array, and one in each tuple or dict"),
        (((A, 3.0), Y), TypeError, "a row for each sample"),
    ]:
        with pytest.raises(error, match=said):
            tg.Batches(*wrong, batch_size=2)


def test_misuse_of_several():
    net = Joined()
    for X, y, error, said in [
        ((A, B[:4]), Y, ValueError, r"fit: X and y are arrays of \[30, 4, 30\] rows; all must have the same number"),
        (tuple(A), Y, ValueError, r"3, 30\] rows; .*A tuple is several arrays; np\.array\(\) makes one of rows"),
        ({}, Y, TypeError, r"fit: X must be an array with a row for each sample, got \{\}, which holds none"),
        ((A, 3.0), Y, TypeError, r"fit: X must be an array with a row for each sample, got array\(3"),
        ((A, B), None, TypeError, "fit: y must be an array with a row for each sample"),
        ({"a": A, "c": B}, Y, TypeError, "unexpected keyword argument 'c'"),
        (A, Y, TypeError, "missing 1 required positional argument: 'b'"),
    ]:
        with pytest.raises(error, match=said):
            quiet(net, X, y)
    with pytest.raises(ValueError, match=r"validation\[0\] and validation\[1\] are arrays of \[30, 30, 9\] rows"):
        quiet(net, (A, B), Y, validation=((A, B), Y[:9]))
    for prediction, target in [((A, B), A), (A, {"a": A}), ((Y > 0, Y > 1), (Y > 0, Y > 1))]:
        with pytest.raises(TypeError, match=r"accuracy: these are several arrays, .* Say which: metrics="):
            tg.accuracy(prediction, target)


# What is held out, and the order


@settings(max_examples=60)
@given(st.integers(2, 40), st.floats(0.01, 0.99), st.booleans())
def test_the_last_rows_are_held_out(rows, share, weighted):
    """As Keras does it: the first ⌊rows · (1 − share)⌋ are learned from."""
    first = int(np.floor(rows * (1 - share)))
    X, seen = np.arange(float(rows)).reshape(-1, 1), []
    net = tg.Dense(1, 1, init="zeros")
    optimizer = tg.SGD(net.parameters(), lr=0.0)
    options = {"loss": tg.mse_loss, "optimizer": optimizer, "epochs": 1}
    weight = np.arange(rows) % 3
    if weighted:
        options |= {"sample_weight": weight, "loss": lambda p, t: tg.mse_loss(p, t, "none")}
    metrics = {"noted": lambda p, t: seen.append(t[:, 0].tolist()) or 0.0}
    if not first:
        with pytest.raises(ValueError, match=rf"of {rows} rows leaves 0 to learn from and {rows} for validation"):
            quiet(net, X, X, validation_split=share, **options)
        return
    history = quiet(net, X, X, validation_split=share, metrics=metrics, **options)
    assert seen == [[*range(first)], [*range(first, rows)]]
    squares = X[:, 0] ** 2 * (weight if weighted else 1)
    assert history["loss"][0] == pytest.approx(np.mean(squares[:first]))
    assert history["val_loss"][0] == pytest.approx(np.mean(squares[first:]))


def test_the_share_may_be_a_numpy_number():
    sizes = []
    quiet(single(), A, Y, validation_split=np.float32(0.5), metrics={"m": lambda p, t: sizes.append(len(t)) or 0.0})
    assert sizes == [15] * 6


def test_the_order_without_shuffling():
    rows = []
    note = lambda X, y, rng: rows.append(X["a"][:, 0].tolist()) or (X, y)
    net = Joined()
    quiet(net, {"a": A, "b": B}, Y, shuffle=False, augment=note, epochs=2)
    assert rows == [A[k : k + 8, 0].tolist() for k in (0, 8, 16, 24)] * 2
    compiled, one_by_one = Joined(), Joined()
    quiet(compiled, (A, B), Y, shuffle=False, epochs=2, compiled=True, rng=1)
    quiet(one_by_one, (A, B), Y, shuffle=False, epochs=2, rng=2)
    assert bits(net) == bits(compiled) == bits(one_by_one)


# Weights


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("loss", "target"),
    [(tg.mse_loss, Y), (tg.mse_loss, np.hstack([Y, A])), (tg.binary_cross_entropy_with_logits, Y > 0),
     (F.cross_entropy, np.arange(30) % 4)],
)  # fmt: skip
def test_weights_by_hand(loss, target, compiled):
    """One step down the mean of weight times loss of a row, which is itself a mean."""
    columns = 4 if loss is F.cross_entropy else target.shape[1]
    weight = RNG.uniform(-1, 3, size=30)
    net, other = tg.Dense(3, columns, rng=0), tg.Dense(3, columns, rng=0)
    history = quiet(
        net, A, target, loss=lambda p, t: loss(p, t, reduction="none"), sample_weight=weight, batch_size=None,
        epochs=1, compiled=compiled, optimizer=tg.SGD(net.parameters(), lr=0.1), validation=(A[:5], target[:5]),
    )  # fmt: skip
    rows = [weight[k] * loss(other(A[k : k + 1]), target[k : k + 1]) for k in range(30)]
    J = sum(rows) / 30
    J.backward()
    assert history["loss"][0] == pytest.approx(J.item(), rel=1e-12)
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.data - 0.1 * q.grad, rtol=1e-10, atol=1e-12)
    assert history["val_loss"][0] == pytest.approx(loss(net(A[:5]), target[:5]).item())  # of rows without weights


def test_weights_follow_their_rows():
    """Rows of weight 0 are not learned from, in whatever order and batches, recorded and compiled to the same bits."""
    wrong = Y.copy()
    wrong[::3] = 1e6
    nets = [single() for _ in range(3)]
    for net, target, compiled in zip(nets, (Y, wrong, wrong), (False, False, True), strict=True):
        quiet(net, A, target, sample_weight=np.arange(30) % 3, loss=lambda p, t: tg.mse_loss(p, t, "none"),
              augment=lambda X, y, rng: (X + rng.normal(size=X.shape), y), compiled=compiled)  # fmt: skip
    assert bits(nets[0]) == bits(nets[1]) == bits(nets[2])


def test_weights_are_in_the_models_precision():
    net, seen = Joined(dtype=np.float32), []
    quiet(net, (A, B), Y, sample_weight=np.arange(30), loss=lambda p, t: tg.mse_loss(p, t, "none"), epochs=1,
          callbacks=[lambda t: seen.append((t.weight.dtype, t.weight.shape))])  # fmt: skip
    assert seen == [(np.float32, (6,))]


def test_misuse_of_weights():
    net = single()
    each_row = lambda p, t: tg.mse_loss(p, t, "none")
    for weight, loss, error, said in [
        (
            np.ones(30),
            tg.mse_loss,
            TypeError,
            r"a value for each of the 8 rows, got a result of shape \(\).*reduction=",
        ),
        (np.ones(30), lambda p, t: np.mean(p, axis=0), TypeError, r"result of shape \(1,\)"),
        (np.ones(29), each_row, ValueError, r"one weight for each of the 30 rows, of shape \(30,\); got \(29,\)"),
        (np.ones((30, 1)), each_row, ValueError, r"got \(30, 1\)"),
        (2.0, each_row, ValueError, r"got \(\)"),
        (np.where(np.arange(30) == 7, np.nan, 1), each_row, ValueError, "sample_weight holds NaN, infinity"),
        (["heavy"] * 30, each_row, TypeError, "fit: sample_weight holds real numbers"),
    ]:
        before = bits(net)
        for compiled in (False, True):
            with pytest.raises(error, match=said):
                quiet(net, A, Y, sample_weight=weight, loss=loss, compiled=compiled)
        assert bits(net) == before
    with pytest.raises(TypeError, match=r"must return a recorded scalar, got Tensor of shape \(8, 1\)"):
        quiet(net, A, Y, loss=each_row)
    shorter = lambda X, y, rng: (X[:3], y[:3])
    with pytest.raises(ValueError, match="augment made 3 rows of 8, and each has a weight"):
        quiet(net, A, Y, loss=each_row, sample_weight=np.ones(30), augment=shorter)


# Augmentation


def noisy(X, y, rng):
    X += rng.normal(size=X.shape)  # into what it is given
    y *= rng.choice([1, 1.5])
    return X, y


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("data", ["arrays", "whole", "views", "Batches", "seeded Batches", "list"])
def test_augmentation_goes_on_from_a_checkpoint_to_the_same_bits(data, compiled, tmp_path):
    def trained(epochs, checkpoint=None):
        tg.manual_seed(5)
        net = single()
        options = {"augment": noisy, "compiled": compiled, "epochs": epochs, "checkpoint": checkpoint, "rng": 3}
        if data in ("arrays", "whole", "views"):
            size = {"batch_size": None} if data == "whole" else {"shuffle": data == "arrays"}
            return net, quiet(net, A, Y, **size, **options)
        batches = tg.Batches(A, Y, batch_size=8, rng=11 if data == "seeded Batches" else None)
        if data == "list":
            batches = list(tg.Batches(A, Y, batch_size=8, rng=2))
        return net, tg.fit(net, batches, loss=tg.mse_loss, optimizer=tg.SGD(net.parameters(), lr=0.1), progress=False,
                           **options)  # fmt: skip

    before = A.copy(), Y.copy()
    whole, history = trained(5)
    assert np.array_equal(A, before[0]) and np.array_equal(Y, before[1])
    for epochs in (2, 3, 5):
        net, continued = trained(epochs, tmp_path / "run.npz")
    assert bits(net) == bits(whole) and continued == history
    assert bits(trained(2)[0]) != bits(whole)


def test_what_is_learned_from_is_what_augment_returns():
    seen = []
    net = Joined()

    def augment(X, y, rng):
        return (np.concatenate([X, X]), B[: 2 * len(X)]), np.concatenate([y, -y]).astype(np.float64)

    history = quiet(
        net, A[:8], Y[:8].astype(np.float32), augment=augment, epochs=1, callbacks=[lambda t: seen.append(t.batch)],
        optimizer=tg.SGD(net.parameters(), lr=0.0), shuffle=False,
    )  # fmt: skip
    ((X, y),) = seen
    expected = np.concatenate([Y[:8], -Y[:8]])
    assert np.array_equal(X[0], np.tile(A[:8], (2, 1))) and np.array_equal(X[1], B[:16]) and np.allclose(y, expected)
    assert history["loss"][0] == pytest.approx(tg.mse_loss(net(*X), expected).item(), rel=1e-6)


def test_misuse_of_augmentation():
    net = single()
    for augment, error, said in [
        ("flip", TypeError, r"augment must be a function \(X, y, rng\) that returns a pair \(X, y\), not 'flip'"),
        (lambda X, y, rng: X, TypeError, r"what augment\(X, y, rng\) returns must be a pair .*, got a ndarray"),
        (lambda X, y, rng: None, TypeError, "got a NoneType"),
        (lambda X, y, rng: (X, y, y), TypeError, "got a tuple of 3"),
        (lambda X, y, rng: (X[1:], y), ValueError, r"returns and y are arrays of \[7, 8\] rows"),
        (lambda X, y, rng: (X[:0], y[:0]), ValueError, "needs rows, got one without any"),
        (lambda X, rng: X, TypeError, "takes 2 positional arguments but 3 were given"),
    ]:
        with pytest.raises(error, match=said):
            quiet(net, A, Y, augment=augment)


class Dropping(tg.Module):
    def __init__(self):
        self.joined, self.dropout = Joined(), tg.Dropout(0.3, rng=9)

    def forward(self, *args, **named):
        return self.joined(*map(self.dropout, args), **{k: self.dropout(v) for k, v in named.items()})


def shaken(X, y, rng):
    return {name: x + rng.normal(size=x.shape) for name, x in X.items()}, y


@settings(max_examples=25)
@given(
    st.fixed_dictionaries(
        {"shuffle": st.booleans(), "batch_size": st.sampled_from([7, 8, None]),
         "clip_grad_norm": st.sampled_from([None, 1]), "validation_split": st.sampled_from([None, 0.3]),
         "augment": st.sampled_from([None, shaken]), "sample_weight": st.sampled_from([None, np.arange(30) % 4])}
    ),
    st.integers(0, 4),
)  # fmt: skip
def test_all_of_it_together(tmp_path_factory, options, stop):
    """Compiled to the same bits, and from a checkpoint to the same bits."""
    path = tmp_path_factory.mktemp("runs") / "run.npz"
    weighted = options["sample_weight"] is not None

    def loss(prediction, targets):
        reduction = {"reduction": "none" if weighted else "mean"}
        return tg.mse_loss(prediction, targets[0], **reduction) + tg.mse_loss(prediction, targets[1], **reduction)

    def trained(compiled, epochs=4, checkpoint=None):
        net = Dropping()
        history = quiet(net, {"a": A, "b": B}, (Y, A[:, :1]), loss=loss, compiled=compiled, epochs=epochs, rng=1,
                        checkpoint=checkpoint, metrics={"m": lambda p, t: float(np.sum(p))}, **options)  # fmt: skip
        return bits(net), history

    whole = trained(False)
    assert trained(True) == whole
    trained(True, stop, path)
    assert trained(False, checkpoint=path) == whole


# Iterables of batches


class Stream:
    """What loaders of other libraries are like: lists of an input and a target, anew in each epoch."""

    def __init__(self, count=4):
        self.count, self.begun = count, 0

    def __iter__(self):
        self.begun += 1
        return iter([[A[8 * k : 8 * k + 8], Y[8 * k : 8 * k + 8]] for k in range(self.count)])


class Loader(Stream):
    def __len__(self):
        return self.count


class Once(Loader):
    def __iter__(self):
        return self

    def __next__(self):
        return A[:8], Y[:8]


def endless():
    for k in itertools.count():
        chosen = np.arange(8 * k, 8 * k + 8) % 30
        yield A[chosen], Y[chosen]


@pytest.mark.parametrize("compiled", [False, True])
def test_once_through_an_iterable_is_an_epoch(compiled):
    arrays, net = single(), single()
    expected = quiet(arrays, A, Y, shuffle=False, validation=(A, Y), schedule=lambda t: 0.1 / (1 + t))
    for batches in (
        Loader(),
        list(Loader()),
        tuple(map(tuple, Loader())),
        tg.Batches(A, Y, batch_size=8, shuffle=False),
    ):
        net = single()
        history = quiet(
            net, batches, batch_size=32, compiled=compiled, validation=(A, Y), schedule=lambda t: 0.1 / (1 + t)
        )
        assert bits(net) == bits(arrays) and history == expected
    shuffled, net = single(), single()
    quiet(shuffled, A, Y, rng=7)
    quiet(net, tg.Batches(A, Y, batch_size=8, rng=7), batch_size=32, compiled=compiled)
    assert bits(net) == bits(shuffled)


@pytest.mark.parametrize("compiled", [False, True])
def test_endless_batches(compiled):
    net, other, times = single(), single(), []
    history = quiet(net, endless(), steps_per_epoch=3, batch_size=32, compiled=compiled,
                    schedule=lambda t: times.append(t) or 0.1)  # fmt: skip
    optimizer, losses = tg.SGD(other.parameters(), lr=0.1, momentum=0.9), []
    for x, y in itertools.islice(endless(), 9):
        optimizer.zero_grad()
        J = tg.mse_loss(other(x), y)
        J.backward()
        optimizer.step()
        losses.append(J.item())
    assert bits(net) == bits(other) and np.allclose(history["loss"], np.reshape(losses, (3, 3)).mean(1), rtol=1e-14)
    np.testing.assert_allclose(times, np.arange(9) / 3)


def test_an_epoch_may_be_less_or_more_than_once_through():
    loader, seen = Loader(4), []
    note = lambda X, y, rng: seen.append(X[0, 0]) or (X, y)
    quiet(single(), loader, steps_per_epoch=3, epochs=3, batch_size=32, augment=note)
    assert seen == [A[8 * (k % 4), 0] for k in range(9)] and loader.begun == 3
    assert quiet(single(), Loader(2), steps_per_epoch=5, batch_size=32).epochs == 3
    assert quiet(single(), Stream(2), steps_per_epoch=5, batch_size=32).epochs == 3


def test_several_inputs_from_an_iterable():
    batches = [({"a": A[:5], "b": B[:5]}, (Y[:5], Y[:5])), ({"b": B[5:9], "a": A[5:9]}, (Y[5:9], Y[5:9]))]
    nets = [Joined() for _ in range(3)]
    for net, compiled in zip(nets, (False, True), strict=False):
        quiet(net, batches, batch_size=32, loss=lambda p, t: tg.mse_loss(p, (t[0] + t[1]) / 2), compiled=compiled)
    for_hand = [((A[:5], B[:5]), Y[:5]), ((A[5:9], B[5:9]), Y[5:9])]
    quiet(nets[2], for_hand, batch_size=32)
    assert bits(nets[0]) == bits(nets[1]) == bits(nets[2])


def test_metrics_of_an_iterable_are_of_the_validation(tmp_path):
    metrics = {"error": lambda p, t: float(np.abs(p - t).mean())}
    for epochs in (1, 2):
        net = single()
        history = quiet(net, list(Loader()), batch_size=32, metrics=metrics, validation=(A, Y), epochs=epochs,
                        checkpoint=tmp_path / "run.npz")  # fmt: skip
    assert list(history) == ["loss", "val_loss", "val_error"] and history.epochs == 2


def test_misuse_of_iterables(tmp_path):
    net, path = single(), tmp_path / "run.npz"
    for batches, options, error, said in [
        (endless(), {}, ValueError, r"how many batches of the generator are an epoch\? .*say steps_per_epoch="),
        (Stream(), {}, ValueError, "how many batches of the Stream"),
        (Once(), {}, ValueError, r"how many batches of the Once are an epoch\? It can be gone through only once"),
        (iter([]), {"steps_per_epoch": 2}, ValueError, "there are no batches in the list_iterator"),
        ([], {}, ValueError, "there are no batches in the list"),
        (iter(Loader()), {"steps_per_epoch": 3}, RuntimeError, "list_iterator ended after 1 of the 3 batches"),
        ([A, Y], {}, TypeError, r"each batch of the iterable must be a pair of inputs and targets, .* got a ndarray"),
        ([(A, Y, Y)], {}, TypeError, "got a tuple of 3"),
        ([{"a": A}], {}, TypeError, "got a dict"),
        ([(A, Y[:4])], {}, ValueError, r"X of each batch of the iterable and y are arrays of \[30, 4\] rows"),
        ([(A[:0], Y[:0])], {}, ValueError, "needs rows"),
        ([(A, 3.0)], {}, TypeError, "y must be an array with a row for each sample"),
        (Loader(), {"batch_size": 8}, ValueError, "batch_size does not go with an iterable of batches: .*of that size"),
        (Loader(), {"batch_size": None}, ValueError, "batch_size does not go"),
        (Loader(), {"shuffle": False}, ValueError, "shuffle=False does not go"),
        (Loader(), {"validation_split": 0.2}, ValueError, r"validation_split does not go .*Pass validation=\(X, y\)"),
        (Loader(), {"sample_weight": np.ones(8)}, ValueError, r"sample_weight does not go .*\(X, \(y, weights\)\)"),
        (
            Loader(),
            {"metrics": [tg.accuracy]},
            ValueError,
            r"not computed on an iterable of batches.*validation=\(X, y",
        ),
        (Loader(), {"steps_per_epoch": 0}, ValueError, "steps_per_epoch must be a whole number of at least 1, got 0"),
        (Loader(), {"checkpoint": path}, ValueError, "a checkpoint cannot hold where in the Loader an epoch ended"),
        (endless(), {"checkpoint": path, "steps_per_epoch": 2}, ValueError, r"tg\.save\(training\.model"),
        (list(Loader()), {"checkpoint": path, "steps_per_epoch": 3}, ValueError, "without steps_per_epoch"),
    ]:
        with pytest.raises(error, match=said):
            quiet(net, batches, **{"batch_size": 32} | options)
    assert not path.exists()
    for options, error, said in [
        ({"steps_per_epoch": 3}, ValueError, "steps_per_epoch is for an iterable of batches"),
        ({"shuffle": "batch"}, TypeError, "shuffle must be True or False, not 'batch'"),
        ({"validation_split": 0.2, "validation": (A, Y)}, ValueError, "validation and validation_split exclude"),
        ({"validation_split": 1.0}, ValueError, r"between 0 and 1, such as 0\.2; got 1\.0"),
        ({"validation_split": 5}, ValueError, "got 5"),
    ]:
        with pytest.raises(error, match=said):
            quiet(net, A, Y, **options)
    for batches in (endless(), Loader()):
        with pytest.raises(
            TypeError, match=r"(?s)X must be an array .*If it gives batches, pairs \(X, y\), leave out y"
        ):
            quiet(net, batches, Y)
    with pytest.raises(TypeError, match="fit: y must be an array with a row for each sample, got"):
        quiet(net, A)


def test_a_loader_of_torch():
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    dataset = torch.utils.data.TensorDataset(torch.tensor(A), torch.tensor(Y))
    net, other = single(), single()
    history = quiet(net, torch.utils.data.DataLoader(dataset, batch_size=8), batch_size=32)
    assert history == quiet(other, A, Y, shuffle=False) and bits(net) == bits(other)


# Callbacks of each batch


class Watch(tg.Callback):
    def __init__(self):
        self.seen = []

    def after_batch(self, training):
        X, _ = training.batch
        self.seen.append((training.epoch, training.step, len(X), training.batch_loss, bits(training.model)))
        training.model.eval()

    def after_epoch(self, training):
        self.seen.append((training.epoch, training.step))


@pytest.mark.parametrize("compiled", [False, True])
def test_a_callback_of_each_batch(compiled):
    net, watch, modes = single(), Watch(), []
    net.append(lambda z: modes.append(net.training) or z)
    history = quiet(net, A, Y, callbacks=[watch], epochs=2, compiled=compiled)
    assert [entry[:3] for entry in watch.seen if len(entry) > 2] == [
        (epoch, step, rows) for epoch in (0, 1) for step, rows in enumerate((8, 8, 8, 6), 1)
    ]
    assert watch.seen[4] == (1, 4) and watch.seen[9] == (2, 4)
    losses = [np.dot([8, 8, 8, 6], [entry[3] for entry in watch.seen[a : a + 4]]) / 30 for a in (0, 5)]
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-14)
    assert all(modes) and len({entry[4] for entry in watch.seen if len(entry) > 2}) == 8
    assert watch.seen[8][4] == bits(net)
    other = single()
    other.append(lambda z: z)
    quiet(other, A, Y, epochs=2)
    assert bits(other) == bits(net)


def test_what_callbacks_see_of_the_data():
    """Nothing before the first batch, but of the same kind; small integers that do not wrap."""
    seen = []

    class Last(tg.Callback):
        def after_training(self, training):
            seen.append(training.batch)

    images = {"a": np.full((5, 3), 200, np.uint8), "b": np.ones((5, 2), np.int8)}
    for epochs in (0, 1):
        quiet(Joined(), images, Y[:5], callbacks=[Last()], epochs=epochs)
    (X, y), (last, _) = seen
    assert X["a"].shape == (0, 3) and X["b"].shape == (0, 2) and y.shape == (0, 1)
    assert np.all(last["a"] + last["a"] == 400)


def test_a_hook_put_on_an_object_is_called():
    seen, hook = [], tg.Callback()
    hook.after_batch = lambda training: seen.append(training.step)
    quiet(single(), A, Y, callbacks=[hook], epochs=1)
    assert seen == [1, 2, 3, 4]


def test_a_callback_ends_the_training_after_a_batch():
    class Enough(tg.Callback):
        def after_batch(self, training):
            if training.epoch == 1 and training.step == 2:
                raise StopIteration("enough")

    net, other = single(), single()
    history = quiet(net, A, Y, callbacks=[Enough()], epochs=9)
    watch = Watch()
    quiet(other, A, Y, callbacks=[watch], epochs=2)
    assert history.stopped == "enough" and history.epochs == 1 and bits(net) == watch.seen[6][4]


def test_a_callback_may_set_the_rate_of_each_step():
    class Rate(tg.Callback):
        def after_batch(self, training):
            training.optimizer.lr = 0.1 / (1 + training.epoch + training.step / 4)

    for compiled in (False, True):
        nets = single(), single()
        quiet(nets[0], A, Y, callbacks=[Rate()], compiled=compiled)
        quiet(nets[1], A, Y, schedule=lambda t: 0.1 / (1 + t))
        assert bits(nets[0]) == bits(nets[1])


def test_the_page_of_a_training_with_weights_and_several_inputs(tmp_path):
    net, page = Joined(), tg.TrainingPage(tmp_path / "page.html")
    weight = np.arange(30) % 3
    optimizer = tg.SGD(net.parameters(), lr=0.0)
    quiet(net, {"a": A, "b": B}, Y, sample_weight=weight, loss=lambda p, t: tg.mse_loss(p, t, "none"), epochs=1,
          batch_size=None, callbacks=[page], optimizer=optimizer)  # fmt: skip
    net.zero_grad()
    np.mean(weight[:, None] * tg.mse_loss(net(A, B), Y, "none")).backward()
    assert page.gradients["left.weight"] == [pytest.approx(np.linalg.norm(net.left.weight.grad))]


@pytest.mark.parametrize(
    ("rows", "part", "held"), [(10, 0.8, 8), (10, 0.9, 9), (1000, 0.07, 70), (100, 0.34, 34), (10, 0.25, 3)]
)
def test_a_share_of_the_rows_is_not_rounded_twice(rows, part, held):
    X = np.arange(float(rows)).reshape(-1, 1)
    data, held_out = samples(X, X, None, None, part, np.dtype(float))
    assert (data.rows, held_out.rows) == (rows - held, held)
