"""detect_anomaly: the operation, its place and its inputs are named, and arrays are locked, then as they were."""

from __future__ import annotations

import gc
import inspect
import mmap
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import SGD, Adam, AnomalyError, Dense, Sequential, Tensor, detect_anomaly, no_grad
from tinygrad_edu import functional as F
from tinygrad_edu.autograd import keeping
from tinygrad_edu.debug import anomaly
from tinygrad_edu.debug import read_only as locking

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")


def line(offset=0):
    return f"{__file__}:{inspect.currentframe().f_back.f_lineno + offset}"


def parameter(*values, dtype=np.float64):
    return Tensor(np.array(values, dtype), requires_grad=True)


@pytest.fixture(autouse=True)
def all_unlocked():
    yield
    assert not locking._locked


# Forward


def test_the_first_operation_that_gives_an_infinity_is_named():
    x = parameter(0, 1, 4)
    with detect_anomaly(), pytest.raises(FloatingPointError) as error:
        where = line(+1)
        np.exp(np.log(x * 1.0))
    assert type(error.value) is AnomalyError
    text = str(error.value)
    assert text.startswith(f"'log' at {where} gave 1 infinity from finite inputs\n")
    assert "argument 0: shape (3,), float64, min 0, mean 1.667, max 4, 1 zero\n" in text
    assert "Keep its inputs where 'log' is finite" in text


def test_the_module_is_named():
    net = Sequential(Dense(2, 3, rng=0), np.tanh, Sequential(F.relu, Dense(3, 2, rng=1)))
    net[2][1].weight.data = np.full((3, 2), 1e308)
    net[0].bias.data = np.full(3, 10.0)
    with (
        detect_anomaly(),
        pytest.raises(AnomalyError, match=r"'linear' .* in Sequential\.2\.1\.Dense gave 2 inf") as e,
    ):
        where = line(+1)
        net(np.zeros((1, 2)))
    assert where in str(e.value) and "argument 1 'weight': shape (3, 2), float64, min 1e+308" in str(e.value)
    with detect_anomaly(), pytest.raises(AnomalyError, match=r"in Dense gave 2 infinities from finite inputs"):
        net[2][1](np.full((1, 3), 1.0))

    class Own(tg.Module):
        def forward(self, x):
            return np.log(Dense(2, 2, init="zeros")(x))  # a module that is nobody's

    with detect_anomaly(), pytest.raises(AnomalyError, match=r"'log' .* in Own gave 2 infinities"):
        Own()(np.ones((1, 2)))
    with detect_anomaly(), pytest.raises(AnomalyError, match=r"'linear' .* in Own\.Dense gave 2 NaN"):
        Own()(np.full((1, 2), np.nan))


def test_data_that_are_bad_already_are_said_to_be():
    X = np.array([[1.0, np.nan], [np.nan, np.inf]])
    with detect_anomaly(), pytest.raises(AnomalyError) as error:
        Dense(2, 3)(X)
    assert "gave 6 NaN, because its argument 0 already holds 2 NaN and 1 infinity: find out" in str(error.value)
    assert "argument 0: shape (2, 2), float64, min 1, mean 1, max 1, 2 NaN and 1 infinity\n" in str(error.value)


def test_what_was_made_outside_is_said_to_be_bad_already():
    y = parameter(-1, 1) ** 0.5
    with detect_anomaly(), pytest.raises(AnomalyError, match=r"argument 0 already holds 1 NaN"):
        y * 2


def test_infinities_that_were_given_may_pass():
    x = parameter(1, 2, 3)
    with detect_anomaly():
        masked = x + np.array([0.0, -np.inf, 0.0])
        F.logsumexp(masked).backward()
        assert x.grad == pytest.approx([1 / (1 + np.e**2), 0, 1 / (1 + np.e**-2)])
        np.where(np.array([True, False, True]), x, -np.inf)
        with pytest.raises(AnomalyError, match="gave 1 NaN, because its argument 0 already holds 1 infinity"):
            masked - np.array([0.0, -np.inf, 0.0])
        with pytest.raises(AnomalyError, match="gave 1 NaN and 1 infinity, because"):
            masked * np.array([1.0, 0.0, np.inf])


def test_integers_scalars_and_no_gradient_pass():
    x = Tensor(2.0, requires_grad=True)
    with detect_anomaly():
        (x**3 * np.arange(3) + True).sum().backward()
        assert x.grad == 36
        with no_grad():
            assert np.isinf((x * np.inf).item())
        with pytest.raises(AnomalyError, match=r"'divide' .*\n  argument 0: shape \(\), float64, min 2, mean 2, max 2"):
            x / 0


def test_empty_arrays_pass():
    x = Tensor(np.zeros((0, 3)), requires_grad=True)
    with detect_anomaly():
        (x * x).sum().backward()
    assert x.grad.shape == (0, 3)


def test_float16_overflow_is_found():
    x = parameter(200, 300, dtype=np.float16)
    with detect_anomaly(), pytest.raises(AnomalyError, match=r"'multiply' .* gave 1 infinity from finite inputs"):
        x * x


# Backward


def test_the_rule_that_gives_an_infinite_gradient_is_named():
    x = Tensor(np.array([0.0, 4.0]), requires_grad=True, name="x")
    with detect_anomaly(), pytest.raises(AnomalyError) as error:
        where = line(+1)
        loss = np.sqrt(x).sum() + (x * x).sum()
        loss.backward()
    text = str(error.value)
    assert text.startswith(f"the backward of 'sqrt' at {where} gave 1 infinity for its argument 0 'x'\n")
    assert "gradient that arrived: shape (2,), float64, min 1, mean 1, max 1\n" in text
    assert "output: shape (2,), float64, min 0, mean 1, max 2, 1 zero\n" in text
    assert "np.where before it (after it is too late)" in text
    assert x.grad is None


def test_in_the_middle_and_with_several_users():
    x = parameter(0, 1)
    with detect_anomaly(), pytest.raises(AnomalyError, match=r"backward of 'power' .* for its argument 0\n"):
        h = x * 1.0
        (h * 2 + h**0.5 + np.exp(h)).sum().backward()


def test_among_several_users_the_guilty_one_is_named():
    x = parameter(0, 1)
    with detect_anomaly(), pytest.raises(AnomalyError, match=r"^the backward of 'sqrt' .* gave 1 infinity"):
        guilty = np.sqrt(x).sum()  # the oldest: its rule is the last one to be suspected
        others = np.sum(x, axis=0, keepdims=True) + F.logsumexp(x, axis=0) + (x * 3.0).sum()
        (guilty + others).sum().backward()


def test_the_double_where_of_the_documentation():
    x = parameter(0, 1)
    with detect_anomaly():
        np.where(x.data > 0, np.sqrt(np.where(x.data > 0, x, 1.0)), 0).sum().backward()
        assert x.grad.tolist() == [0, 0.5]
        with pytest.raises(AnomalyError, match=r"backward of 'sqrt' .* gave 1 NaN"):
            np.where(x.data > 0, np.sqrt(x), 0).sum().backward()


def test_a_graph_from_outside_is_checked_too():
    loss = np.sqrt(parameter(0, 1)).sum()
    with (
        detect_anomaly(),
        pytest.raises(AnomalyError, match=r"'sqrt' \(recorded outside detect_anomaly\(\)\) gave 1 inf"),
    ):
        loss.backward()


def test_a_gradient_that_overflows_in_the_precision_of_its_argument():
    x = parameter(1, 1, dtype=np.float32)
    with (
        detect_anomaly(),
        pytest.raises(AnomalyError, match=r"backward of 'multiply' .* gave 2 infinities for its arg"),
    ):
        (x * np.array([1e300, 1e300])).sum().backward()
    y = Tensor(np.float16(1), requires_grad=True)
    with (
        detect_anomaly(),
        pytest.raises(AnomalyError, match=r"backward of 'add' .* gave 1 infinity for its argument 0"),
    ):
        ((y + np.zeros((2, 2), np.float16)) * np.float16(3e4) - np.float16(3e4)).sum().backward()


def test_sums_and_seeds():
    x = parameter(1, dtype=np.float16)
    with detect_anomaly():
        with pytest.raises(
            AnomalyError, match=r"of a leaf of shape \(1,\) holds 1 infinity: the sum of 2 gradients overf"
        ):
            (x * np.float16(6e4) - np.float16(6e4) + x * np.float16(6e4)).sum().backward()
        with pytest.raises(AnomalyError, match=r"gradient of 'multiply' at .* holds 1 NaN: backward\(\) was given it"):
            (x * 2).backward([np.nan])


@pytest.mark.parametrize(
    "derivative",
    [
        lambda f, x: tg.grad(f)(x),
        lambda f, x: tg.value_and_grad(f)(x),
        lambda f, x: tg.jacobian(f)(x),
        lambda f, x: tg.vjp(f, x)[1](1.0),
        lambda f, x: tg.hessian(f)(x),
        lambda f, x: tg.jvp(f, (x,), (x,)),
        lambda f, x: tg.elementwise_grad(np.sqrt)(x),
        lambda f, x: tg.grad(lambda: f(w), parameters=(w := tg.Tensor(x, requires_grad=True)))(),
        lambda f, x: tg.grad(lambda z: tg.grad(f)(z).sum())(x),
        lambda f, x: tg.gradcheck(f, x),
    ],
)
def test_transforms_are_checked(derivative):
    x = np.array([0.0, 1.0])
    with detect_anomaly(), pytest.raises(AnomalyError, match="gave 1 infinity"):
        derivative(lambda x: np.sum(np.sqrt(x)), x)


def test_second_derivatives_are_named_by_what_they_are_of():
    x = np.array([0.0, 1.0])
    with detect_anomaly():
        assert tg.grad(lambda x: np.sum(x**1.5))(x).tolist() == [0, 1.5]
        with pytest.raises(AnomalyError, match=r"the backward of 'power' .* gave 1 infinity"):
            tg.hessian(lambda x: np.sum(x**1.5))(x)


def test_gradients_that_nobody_asked_for_are_not_checked():
    a, b = np.array([0.0]), np.array([1.0])
    with detect_anomaly():
        assert tg.grad(lambda a, b: np.sum(np.sqrt(a) * b), 1)(a, b) == [0]


# Compiled


def test_compiled_steps_are_checked_without_the_place():
    net = Sequential(Dense(2, 2, rng=0), np.sqrt)
    step = tg.compile_step(lambda X: net(X).sum(), SGD(net.parameters(), lr=0.1))
    before = net.state_dict()
    with np.errstate(all="ignore"), detect_anomaly():
        with pytest.raises(
            AnomalyError, match=r"the gradient of parameter 0, of shape \(2, 2\), of a compiled step holds .*NaN"
        ):
            step(np.zeros((1, 2)))
        with pytest.raises(
            AnomalyError, match=r"the loss of a compiled step holds 1 NaN.* run this step without compiling"
        ):
            step(np.full((1, 2), np.nan))
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_minimize_is_checked_compiled_or_not():
    pytest.importorskip("scipy", reason="minimize needs scipy (extra examples)")
    for compiled in (False, True):
        w = parameter(0, 1)
        with np.errstate(all="ignore"), detect_anomaly(), pytest.raises(AnomalyError):
            tg.minimize([w], lambda w=w: np.sum(np.sqrt(w)), compiled=compiled, progress=False)


# Where it holds


def test_outside_nothing_is_checked_or_kept():
    x = parameter(0, 1)
    with detect_anomaly():
        kept = x * x
    y = np.log(x)
    assert np.isneginf(y.data[0]) and type(y.record.saved) is tuple and x.data.flags.writeable
    assert y.record.position is None and y.record.noted.module == ""
    assert kept.record.position[0] == __file__
    np.sqrt(x).sum().backward()
    assert np.isinf(x.grad[0])


def test_as_a_decorator_and_nested():
    @detect_anomaly()
    def logarithm(x):
        return np.log(x)

    for _ in range(2):
        with pytest.raises(AnomalyError):
            logarithm(parameter(0, 1))
    with detect_anomaly():
        x = parameter(1, 2)
        outer = x * x
        with detect_anomaly():
            inner = x * x
            with pytest.raises(AnomalyError):
                np.log(x - 1)
        del outer
        assert not x.data.flags.writeable
        with pytest.raises(AnomalyError):
            np.log(x - 1)
        del inner
        assert x.data.flags.writeable


def test_other_watchers_inside():
    x = parameter(0, 1)
    with detect_anomaly():
        with tg.record_positions(), pytest.raises(AnomalyError, match="the backward of 'sqrt'"):
            np.sqrt(x).sum().backward()
        with pytest.raises(AnomalyError, match="the backward of 'sqrt'"):
            np.sqrt(x).sum().backward()


def test_threads_are_independent():
    inside, finish = threading.Event(), threading.Event()
    errors = []

    def detecting():
        with detect_anomaly():
            inside.set()
            finish.wait()
            try:
                np.log(parameter(0.0))
            except AnomalyError as error:
                errors.append(error)

    thread = threading.Thread(target=detecting)
    thread.start()
    inside.wait()
    y = np.log(parameter(0.0))
    finish.set()
    thread.join()
    assert np.isneginf(y.data) and len(errors) == 1


# Locks


def test_a_change_in_place_raises_where_it_happens():
    x = np.array([1.0, 2.0, 3.0])
    t = Tensor(x, requires_grad=True)
    with pytest.raises(ValueError, match="read-only") as error, detect_anomaly():
        y = (t * t).sum()
        t.data -= 1
    assert "change them after backward(), or make a new array" in error.value.__notes__[0]
    assert x.tolist() == [1, 2, 3] and x.flags.writeable
    y.backward()
    assert t.grad.tolist() == [2, 4, 6]


@pytest.mark.parametrize(
    "alias", [lambda a: a, lambda a: a.base, lambda a: a.T, lambda a: a[1:], lambda a: np.ravel(a)]
)
def test_through_aliases(alias):
    memory = np.arange(1.0, 7.0)
    array = memory.reshape(2, 3)
    t = Tensor(array, requires_grad=True)
    with detect_anomaly():
        y = t * t
        with pytest.raises(ValueError, match="read-only"):
            alias(array)[...] = 0
        y.sum().backward()
        alias(array)[...] = 0
    assert memory.flags.writeable and array.flags.writeable


def test_a_change_through_an_older_view_is_found_in_backward():
    x = np.array([1.0, 2.0, 3.0])
    view = x[1:]
    with detect_anomaly():
        t = Tensor(x, requires_grad=True)
        where = line(+1)
        y = (t * t).sum()
        view[0] = 100
        with pytest.raises(
            AnomalyError, match=r"an array of shape \(3,\) that 'multiply' at .* was changed in place"
        ) as e:
            y.backward()
    assert where in str(e.value)


@pytest.fixture
def kept_as_they_are(monkeypatch):
    """Arrays of constants as records keep large ones: not as copies."""
    monkeypatch.setattr(keeping, "SMALL", -1)


@pytest.mark.usefixtures("kept_as_they_are")
def test_flags_come_back_exactly():
    read_only = np.ones(3)
    read_only.flags.writeable = False
    foreign = np.frombuffer(bytearray(24))
    constant = np.frombuffer(bytes(24))
    mapped = np.frombuffer(mmap.mmap(-1, 24))
    owner = np.ones(6)
    view = owner[:3]
    owner.flags.writeable = False  # the view stays writeable, but could not be made so again
    strided = np.lib.stride_tricks.as_strided(np.ones(3), (3,), (8,))
    broadcast = np.broadcast_to(np.ones(()), 3)
    arrays = [np.ones(3), read_only, foreign, constant, mapped, view, owner, strided, broadcast, np.ones((3, 3))[1]]
    before = [a.flags.writeable for a in arrays]
    with detect_anomaly():
        kept = [Tensor(np.ones(a.shape), requires_grad=True) * a for a in arrays + arrays]
        locked = [not a.flags.writeable for a in arrays]
        assert locked == [True, True, True, True, True, False, True, False, True, True]
    assert [a.flags.writeable for a in arrays] == before
    for y in kept:
        y.sum().backward()


@pytest.mark.usefixtures("kept_as_they_are")
def test_views_taken_of_locked_memory_are_writeable_afterwards():
    x = np.ones((2, 3))
    t = Tensor(x, requires_grad=True)
    with detect_anomaly():
        y = t * t
        flat = t.reshape(-1)
        shown = np.broadcast_to(t, (4, 2, 3))
        needed_by_nobody = t.reshape(3, 2)
        z = flat * flat
        mine = x[0]
        w = t[0] * mine
        assert not flat.data.flags.writeable and not mine.flags.writeable
        del y, w
        assert not x.flags.writeable  # z still holds its memory
        z.sum().backward()
        assert x.flags.writeable and flat.data.flags.writeable and not shown.data.flags.writeable
        assert needed_by_nobody.data.flags.writeable and mine.flags.writeable


def test_views_of_read_only_memory_stay_read_only():
    x = np.ones((2, 3))
    x.flags.writeable = False
    t = Tensor(x, requires_grad=True)
    with detect_anomaly():
        y = t * t
        flat = t.reshape(-1)
        (y.sum() + (flat * flat).sum()).backward()
    assert not x.flags.writeable and not flat.data.flags.writeable


@pytest.mark.parametrize("how", ["dropped", "released", "exception", "the end"])
def test_unlocked_as_soon_as_nobody_needs_it(how):
    t = parameter(1, 2)
    gc.disable()
    try:
        with detect_anomaly():
            y, z = t * t, (t**3).sum()
            del y
            assert not t.data.flags.writeable
            if how == "dropped":
                del z
                assert t.data.flags.writeable
            elif how == "released":
                z.backward()
                assert t.data.flags.writeable
            elif how == "exception":
                with pytest.raises(AnomalyError):
                    (z + np.sqrt(t - 1).sum()).backward()
                z = None
        assert t.data.flags.writeable
    finally:
        gc.enable()


def test_retained_graphs_stay_locked():
    t = parameter(1, 2)
    with detect_anomaly():
        y = (t * t).sum()
        y.backward(retain_graph=True)
        assert not t.data.flags.writeable
        y.backward()
        assert t.data.flags.writeable
    assert t.grad.tolist() == [4, 8]


@pytest.mark.parametrize("make", [lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1), lambda p: Adam(p)])
@pytest.mark.parametrize("keep", [False, True])
def test_training_is_the_same_inside(make, keep):
    def train():
        net = Sequential(Dense(3, 4, rng=0), tg.Tanh(), tg.Dropout(0.2, rng=2), Dense(4, 2, rng=1))
        optimizer = make(net.parameters())
        X, y = np.random.default_rng(0).normal(size=(8, 3)), np.arange(8) % 2
        losses = []
        for _ in range(5):
            optimizer.zero_grad()
            for part in (slice(0, 4), slice(4, 8)):  # accumulated
                loss = F.cross_entropy(net(X[part]), y[part])
                loss.backward(retain_graph=keep)
                losses.append(loss)
            optimizer.step()
        return [J.item() for J in losses], net.state_dict()

    outside = train()
    with detect_anomaly():
        inside = train()
    assert inside[0] == outside[0]
    for name, value in outside[1].items():
        np.testing.assert_array_equal(inside[1][name], value)
        assert inside[1][name].flags.writeable


def test_the_optimiser_writes_in_place_inside_too():
    p = parameter(1, 2)
    optimizer = SGD([p], lr=0.1)
    with detect_anomaly():
        (p * p).sum().backward()
        optimizer.step()
        first = id(p.data)
        optimizer.zero_grad()
        (p * p).sum().backward()
        optimizer.step()
        assert id(p.data) == first


def test_fit_inside():
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2

    def run(compiled):
        net = Sequential(Dense(3, 4, rng=0), tg.ReLU(), Dense(4, 2, rng=1))
        optimizer = Adam(net.parameters())
        return tg.fit(net, X, y, loss=F.cross_entropy, optimizer=optimizer, epochs=2, rng=0, compiled=compiled)["loss"]

    for compiled in (False, True):
        assert detect_anomaly()(run)(compiled) == run(compiled)


@given(st.lists(st.sampled_from(["keep", "keep view", "drop", "backward", "fail"]), max_size=12))
def test_any_order_of_events_restores_the_flags(events):
    memory = np.ones((2, 4))
    memory[1] = 4
    view = memory[1]
    read_only = np.ones(4)
    read_only.flags.writeable = False
    leaf = Tensor(view, requires_grad=True)
    alive = []
    with detect_anomaly():
        for event in events:
            if event == "keep":
                alive.append(leaf * leaf * read_only)
            elif event == "keep view":
                part = leaf[1:]
                alive.append(part * part)
            elif event == "drop" and alive:
                alive.pop(0)
            elif event == "backward" and alive:
                alive.pop().sum().backward()
            elif event == "fail":
                with pytest.raises(AnomalyError):
                    np.log(leaf * 0)
            assert memory.flags.writeable is not bool(alive)
    assert memory.flags.writeable and view.flags.writeable and not read_only.flags.writeable
    assert not locking._locked


def test_no_memory_and_no_cycles_are_left(frozen):
    net = Sequential(Dense(3, 4, rng=0), tg.Tanh(), Dense(4, 2, rng=1))
    gc.collect()
    gc.disable()
    try:
        with detect_anomaly():
            for _ in range(3):
                F.cross_entropy(net(np.ones((5, 3))), np.zeros(5, int)).backward()
                assert not locking._locked
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_the_mean_of_large_numbers_is_finite():
    assert "mean 1e+308" in anomaly.describe(np.full(9, 1e308))
