"""SGD against the formulas, groups, and misuse."""

from __future__ import annotations

import contextlib
import random
import signal
import threading

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import SGD, Adagrad, Adam, AdamW, RMSprop, Tensor
from tinygrad_edu.optim import cosine, exponential, piecewise_constant, warmup


def by_hand(p, gradients, lr, momentum, nesterov, decay):
    v = None
    for g in gradients:
        d = g + decay * p
        if momentum:
            v = d if v is None else momentum * v + d
            d = d + momentum * v if nesterov else v
        p = p - lr * d
    return p


@pytest.mark.parametrize("momentum", [0, 0.9])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decay", [0, 0.1])
def test_sgd(momentum, nesterov, decay):
    if nesterov and not momentum:
        with pytest.raises(ValueError, match="nesterov=True needs a momentum"):
            SGD([Tensor([1.0], requires_grad=True)], 0.1, nesterov=True)
        return
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(3, 2)), rng.normal(size=(5, 3, 2))
    p = Tensor(start, requires_grad=True)
    optimizer = SGD([p], lr=0.1, momentum=momentum, nesterov=nesterov, weight_decay=decay)
    for g in gradients:
        optimizer.zero_grad()
        (p * g).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(p.data, by_hand(start, gradients, 0.1, momentum, nesterov, decay), rtol=1e-13)


def test_float32_stays_and_an_old_graph_stays_right():
    p = Tensor(np.ones(2, np.float32), requires_grad=True)
    y = (p * p).sum()
    q = (p**3).sum()
    y.backward()
    before = p.data
    SGD([p], lr=0.1, momentum=0.9, weight_decay=0.1).step()
    SGD([p], lr=np.float64(0.1), momentum=np.float64(0.9)).step()
    assert p.dtype == np.float32 and p.data is not before and before.tolist() == [1, 1]
    p.zero_grad()
    q.backward()
    assert p.grad.tolist() == [3, 3]


def test_groups():
    w, b = Tensor([1.0], requires_grad=True), Tensor([1.0], requires_grad=True)
    optimizer = SGD([{"params": [w], "weight_decay": 0.5}, {"params": b, "lr": 1.0}], lr=0.1)
    (w + b).sum().backward()
    optimizer.step()
    assert w.item() == pytest.approx(1 - 0.1 * 1.5) and b.item() == 0
    optimizer.lr = 0.2
    assert optimizer.lr == 0.2 and [g["lr"] for g in optimizer.param_groups] == [0.2, 0.2]
    optimizer.zero_grad()
    assert w.grad is None and b.grad is None


def test_misuse():
    p = Tensor([1.0], requires_grad=True)
    with pytest.raises(
        RuntimeError, match=r"SGD\.step\(\): no parameter has a gradient; call loss\.backward\(\) first"
    ):
        SGD([p], 0.1).step()
    for lr in (-1, np.nan, np.inf, "0.1", None):
        with pytest.raises(ValueError, match="lr must be a finite number of at least 0"):
            SGD([p], lr)
    optimizer = SGD([p], 0.1)
    with pytest.raises(ValueError, match="lr must be"):
        optimizer.lr = -1
    assert optimizer.lr == 0.1
    with pytest.raises(ValueError, match="weight_decay must be"):
        SGD([p], 0.1, weight_decay=-1)
    with pytest.raises(ValueError, match=r"got no parameters; pass model\.parameters\(\)"):
        SGD([], 0.1)
    with pytest.raises(TypeError, match="leaf tensors that require grad"):
        SGD([Tensor([1.0])], 0.1)
    with pytest.raises(TypeError, match="leaf tensors that require grad"):
        SGD([p * 2], 0.1)
    with pytest.raises(ValueError, match="given twice"):
        SGD([p, p], 0.1)
    with pytest.raises(ValueError, match=r"unknown settings \['decay'\]"):
        SGD([{"params": [p], "decay": 1}], 0.1)
    with pytest.raises(TypeError, match="parameter groups are dicts"):
        SGD([{"weights": [p]}], 0.1)


def rmsprop_by_hand(p, gradients, lr, alpha, eps, decay):
    v = np.zeros_like(p)
    for g in gradients:
        g = g + decay * p
        v = alpha * v + (1 - alpha) * g**2
        p = p - lr * g / (np.sqrt(v) + eps)
    return p


def adam_by_hand(p, gradients, lr, beta1, beta2, eps, decay):
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(gradients, start=1):
        g = g + decay * p
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        p = p - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
    return p


def learn(optimizer, p, gradients):
    for g in gradients:
        optimizer.zero_grad()
        (p * g).sum().backward()
        optimizer.step()


@pytest.mark.parametrize("decay", [0, 0.1])
def test_rmsprop_and_adam(decay):
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(3, 2)), rng.normal(size=(5, 3, 2))
    p, q = Tensor(start.copy(), requires_grad=True), Tensor(start.copy(), requires_grad=True)
    learn(RMSprop([p], lr=0.1, alpha=0.8, eps=1e-3, weight_decay=decay), p, gradients)
    np.testing.assert_allclose(p.data, rmsprop_by_hand(start, gradients, 0.1, 0.8, 1e-3, decay), rtol=1e-13)
    learn(Adam([q], lr=0.1, betas=(0.7, 0.9), eps=1e-3, weight_decay=decay), q, gradients)
    np.testing.assert_allclose(q.data, adam_by_hand(start, gradients, 0.1, 0.7, 0.9, 1e-3, decay), rtol=1e-13)


def test_adamw_decays_beside_the_averages():
    """What Adam without decay does to a parameter that was shrunk by lr · weight_decay before the step."""
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(3, 2)), rng.normal(size=(5, 3, 2))
    p = Tensor(start.copy(), requires_grad=True)
    learn(AdamW([p], lr=0.1, betas=(0.7, 0.9), eps=1e-3, weight_decay=0.2), p, gradients)
    right, mean, square = start, np.zeros((3, 2)), np.zeros((3, 2))
    for t, g in enumerate(gradients, 1):
        mean, square = 0.7 * mean + 0.3 * g, 0.9 * square + 0.1 * g * g
        right = right * (1 - 0.1 * 0.2) - 0.1 * (mean / (1 - 0.7**t)) / (np.sqrt(square / (1 - 0.9**t)) + 1e-3)
    np.testing.assert_allclose(p.data, right, rtol=1e-13)
    assert AdamW([p]).param_groups[0]["weight_decay"] == 0.01


@pytest.mark.parametrize("decay", [0, 0.1])
def test_adagrad(decay):
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(3, 2)), rng.normal(size=(5, 3, 2))
    p = Tensor(start.copy(), requires_grad=True)
    learn(Adagrad([p], lr=0.1, eps=1e-3, weight_decay=decay), p, gradients)
    right, square = start, np.zeros((3, 2))
    for g in gradients:
        g = g + decay * right
        square = square + g * g
        right = right - 0.1 * g / (np.sqrt(square) + 1e-3)
    np.testing.assert_allclose(p.data, right, rtol=1e-13)


@pytest.mark.parametrize(
    ("make", "theirs"),
    [
        (lambda p: AdamW(p, lr=0.1, weight_decay=0.3), lambda o, p: o.AdamW(p, lr=0.1, weight_decay=0.3)),
        (lambda p: Adagrad(p, lr=0.1, weight_decay=0.3), lambda o, p: o.Adagrad(p, lr=0.1, weight_decay=0.3)),
    ],
)
def test_steps_are_pytorchs(make, theirs):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    rng = np.random.default_rng(0)
    start = rng.normal(size=(3, 2))
    p, q = Tensor(start.copy(), requires_grad=True), torch.tensor(start.copy(), requires_grad=True)
    ours, other = make([p]), theirs(torch.optim, [q])
    for g in rng.normal(size=(5, 3, 2)):
        p.grad, q.grad = g.copy(), torch.tensor(g)
        ours.step()
        other.step()
    np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-12)


def test_a_schedule_keeps_the_proportions_of_groups():
    net = tg.Dense(2, 1, rng=0)
    optimizer = SGD([{"params": [net.weight]}, {"params": [net.bias], "lr": 0.02}], lr=0.1)
    rates = []

    def train(schedule):
        note = lambda training: rates.append([g["lr"] for g in training.optimizer.param_groups])
        X = np.ones((4, 2))
        tg.fit(net, X, X[:, :1], loss=tg.mse_loss, optimizer=optimizer, epochs=3, schedule=schedule, callbacks=[note])

    train(lambda t: [0.5, 0.0, 0.25][int(t)])  # through 0, too
    np.testing.assert_allclose(rates, [[0.5, 0.1], [0, 0], [0.25, 0.05]], rtol=1e-15)
    train(lambda t: 0.0)
    optimizer.param_groups[1]["lr"] = 0.3  # of what is 0 there is no proportion
    train(lambda t: 1.0)
    np.testing.assert_allclose(rates[-1], [1, 0.2], rtol=1e-15)
    optimizer.param_groups[1]["lr"] = 2.0
    train(lambda t: 0.25)
    assert rates[-1] == [0.25, 0.5]
    optimizer.lr = 0.5
    train(lambda t: 0.25)
    assert rates[-1] == [0.25, 0.25]
    with pytest.raises(ValueError, match="SGD: lr must be a finite number of at least 0, not 'fast'"):
        optimizer.lr = "fast"


def test_the_norm_of_gradients_is_bounded():
    w, b, frozen = (Tensor(np.ones(n), requires_grad=True) for n in (2, 1, 3))
    (w[0] * 3 + w[1] * 4 + b[0] * 12).backward()
    assert tg.clip_grad_norm_([w, b, frozen], 26.0) == pytest.approx(13) and w.grad.tolist() == [3, 4]
    assert tg.clip_grad_norm_([w, b, frozen], 6.5) == pytest.approx(13)
    np.testing.assert_allclose(np.concatenate([w.grad, b.grad]), [1.5, 2, 6], rtol=1e-15)
    assert frozen.grad is None and tg.clip_grad_norm_([frozen], 1.0) == 0


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_norms_neither_overflow_nor_vanish(scale):
    w = Tensor(np.ones(4, np.float32), requires_grad=True)
    w.grad = np.full(4, scale, np.float32)
    assert tg.clip_grad_norm_([w], 1.0) == pytest.approx(2 * scale, rel=1e-6)
    assert w.grad.dtype == np.float32
    np.testing.assert_allclose(w.grad, 0.5 if scale > 1 else scale, rtol=1e-6)


def test_each_number_of_a_gradient_is_bounded():
    w = Tensor(np.ones(3, np.float32), requires_grad=True)
    (w * np.array([-5.0, 1.0, np.inf], np.float32)).sum().backward()
    tg.clip_grad_value_([w], 2.0)
    assert w.grad.tolist() == [-2, 1, 2] and w.grad.dtype == np.float32


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_not_clipped_but_named(bad):
    net = tg.Sequential(tg.Dense(2, 2, rng=0), tg.Dense(2, 1, rng=0))
    for p in net.parameters():
        p.grad = np.ones(p.shape)
    net[1].bias.grad = np.array([bad])
    what = "NaN" if np.isnan(bad) else "infinite"
    with pytest.raises(FloatingPointError, match=rf"parameter number 3, '1.bias', of shape \(1,\) is {what}\. Run"):
        tg.clip_grad_norm_(net.parameters(), 1.0)
    if np.isnan(bad):
        with pytest.raises(FloatingPointError, match=r"clip_grad_value_: .* parameter number 3, '1\.bias', "):
            tg.clip_grad_value_(net.parameters(), 1.0)
    assert net[0].weight.grad.tolist() == [[1, 1], [1, 1]]
    with pytest.raises(TypeError, match=r"clip_grad_norm_ takes a list of parameters, .*pass model\.parameters\(\)"):
        tg.clip_grad_norm_(net, 1.0)
    for function, name in ((tg.clip_grad_norm_, "max_norm"), (tg.clip_grad_value_, "clip_value")):
        for bound in (0, -1, np.inf, np.nan, "1"):
            with pytest.raises(ValueError, match=f"{name} must be a positive number, not"):
                function(net.parameters(), bound)


@pytest.mark.parametrize("make", [SGD, RMSprop, Adagrad, Adam, AdamW])
def test_only_an_array_of_its_own_is_written_over(make):
    """The first step binds a new array; later ones write into it, and a graph that still needs what it held raises."""
    shared = np.ones((2, 3))
    p = Tensor(shared, requires_grad=True)
    optimizer = make([p], lr=0.1)
    older = (p**3).sum()
    (p * p).sum().backward()
    optimizer.step()
    assert shared.tolist() == np.ones((2, 3)).tolist()  # the caller's
    p.zero_grad()
    older.backward()
    np.testing.assert_allclose(p.grad, np.full((2, 3), 3.0), rtol=1e-15)  # of the caller's array
    made = p.data
    for node in (p, p[0], p.T):  # also through views
        older = (node * node).sum()
        optimizer.step()
        assert p.data is made
        with pytest.raises(RuntimeError, match="changed in place after it was recorded"):
            older.backward()
    p.data = theirs = p.data.copy()  # and so is what is assigned later
    kept = theirs.copy()
    optimizer.step()
    assert np.array_equal(theirs, kept) and p.data is not theirs


def test_two_optimisers_of_one_parameter_write_over_nothing_of_each_other():
    p = Tensor(np.ones(3), requires_grad=True)
    both = SGD([p], lr=0.1), Adam([p], lr=0.1)
    (p * p).sum().backward()
    for _ in range(3):
        for optimizer in both:
            seen, kept = p.data, p.data.copy()
            optimizer.step()
            assert np.array_equal(seen, kept) or seen is p.data


def test_scalars_and_columns_stay_what_they_are():
    p = Tensor(2.0, requires_grad=True)
    q = Tensor(np.asfortranarray(np.ones((3, 2))), requires_grad=True)
    optimizer = Adam([p, q], lr=0.5)
    (p * q.sum()).backward()
    optimizer.step()
    assert p.item() == pytest.approx(1.5) and p.shape == () and q.data.flags.f_contiguous
    np.testing.assert_allclose(q.data, 0.5)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: SGD(p, lr=0.1),
        lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        lambda p: RMSprop(p, lr=0.1),
        lambda p: Adam([{"params": p[:1], "betas": (0.5, 0.6)}, {"params": p[1:], "lr": 0.2}], lr=0.1),
        lambda p: AdamW([{"params": p[:1], "weight_decay": 0.5}, {"params": p[1:], "lr": 0.2}], lr=0.1),
        lambda p: Adagrad(p, lr=0.1),
    ],
)
def test_state_goes_on_to_the_same_bits(make):
    rng = np.random.default_rng(1)
    gradients = rng.normal(size=(6, 2, 4))

    def parameters():
        return [Tensor(np.ones(4), requires_grad=True), Tensor(np.full(4, 2.0), requires_grad=True)]

    def steps(optimizer, ps, some):
        for a, b in some:
            optimizer.zero_grad()
            ((ps[0] * a).sum() + (ps[1] * b).sum()).backward()
            optimizer.step()

    whole = parameters()
    steps(make(whole), whole, gradients)
    first = parameters()
    optimizer = make(first)
    steps(optimizer, first, gradients[:3])
    state = optimizer.state_dict()
    second = parameters()
    for p, q in zip(second, first, strict=True):
        p.data = q.data.copy()
    another = make(second)
    another.load_state_dict(state)
    steps(another, second, gradients[3:])
    for p, q in zip(whole, second, strict=True):
        assert p.data.tobytes() == q.data.tobytes()


def test_states_of_another_optimiser_are_refused():
    p = Tensor(np.ones(3), requires_grad=True)
    adam, sgd = Adam([p]), SGD([p], lr=0.1, momentum=0.9)
    p.sum().backward()
    adam.step(), sgd.step()
    before = sgd.state_dict()
    good = adam.state_dict()
    for state, said in [
        (good, "groups.0.momentum is missing"),
        (before | {"state.0.square": np.ones(3)}, "another optimiser"),
        (before | {"state.0.velocity": np.ones(4)}, r"shape \(4,\), expected shape \(3,\)"),
        (before | {"state.7.velocity": np.ones(3)}, "state.7.velocity is unknown"),
        (before | {"groups.0.lr": np.array(-1.0)}, "lr must be a finite number"),
        (before | {"groups.0.lr": np.ones(2)}, "expected something like"),
        (before | {"groups.0.lr": np.array("x")}, "expected something like"),
    ]:
        with pytest.raises(ValueError, match=said):
            sgd.load_state_dict(state)
        assert all(np.array_equal(v, before[k]) for k, v in sgd.state_dict().items())


def test_settings_that_cannot_be_meant():
    p = Tensor([1.0], requires_grad=True)
    for wrong in [
        lambda: Adam([p], betas=(0.9, 1.0)),
        lambda: Adam([p], betas=0.9, lr=-1),
        lambda: Adam([p], eps=float("nan")),
        lambda: RMSprop([p], alpha=-0.1),
        lambda: RMSprop([p], lr="fast"),
    ]:
        with pytest.raises(ValueError, match="must be"):
            wrong()


def test_schedules():
    rate = piecewise_constant([2.8, 1.4, 0.6], [1000, 2000, 5])
    assert [rate(t) for t in (0, 999, 999.9, 1000, 2999, 3000, 9999)] == [2.8, 2.8, 2.8, 1.4, 1.4, 0.6, 0.6]
    assert [exponential(8, 0.5)(t) for t in (0, 1, 3)] == [8, 4, 1]
    rate = cosine(1.0, 10, final=0.1)
    assert rate(0) == 1 and rate(5) == pytest.approx(0.55) and rate(10) == pytest.approx(0.1) == rate(50)
    for wrong, said in [
        (lambda: piecewise_constant([1, 2], [3]), "as many positive lengths"),
        (lambda: piecewise_constant([1], [0]), "as many positive lengths"),
        (lambda: exponential(1, 0), "decay must lie"),
        (lambda: cosine(1, 0), "length must be positive"),
    ]:
        with pytest.raises(ValueError, match=said):
            wrong()


def test_warmup():
    for schedule in (cosine(0.4, 10), exponential(0.5, 0.9), piecewise_constant([1, 0.5], [1, 2]), lambda t: 0.1):
        rate = warmup(schedule, 4)
        for t in (0, 0.25, 1.5, 3.999):
            assert rate(t) == pytest.approx(schedule(4) * t / 4, rel=1e-14)
        assert [rate(t) for t in (4, 5.5, 20)] == [schedule(t) for t in (4, 5.5, 20)]
    assert warmup(warmup(lambda t: 8, 4), 2)(1) == 2  # up to what the inner one has reached by then
    for length in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"warmup: length must be positive and finite, not {length}"):
            warmup(cosine(0.1, 5), length)
    with pytest.raises(TypeError, match=r"warmup: schedule must be a function of the time.*not 0.1; a fixed rate"):
        warmup(0.1, 5)


@pytest.mark.parametrize("compiled", [False, True])
def test_warmup_in_training(compiled):
    """The groups keep their proportions, from the first step on, which has the rate 0."""
    net = tg.Dense(2, 1, rng=0)
    before, rates = net.weight.data.copy(), []
    optimizer = SGD([{"params": [net.weight]}, {"params": [net.bias], "lr": 0.02}], lr=0.1)
    note = lambda _: rates.append([*(g["lr"] for g in optimizer.param_groups), *net.weight.data.ravel()])
    tg.fit(
        net, np.ones((4, 2)), np.ones((4, 1)), loss=tg.mse_loss, optimizer=optimizer, epochs=4, compiled=compiled,
        schedule=warmup(lambda t: 0.3, 2), callbacks=[note],
    )  # fmt: skip
    np.testing.assert_allclose([r[:2] for r in rates], [[0, 0], [0.15, 0.03], [0.3, 0.06], [0.3, 0.06]], atol=1e-16)
    assert rates[0][2:] == before.ravel().tolist() != rates[1][2:]


@pytest.mark.parametrize("compiled", [False, True])
def test_two_parameters_that_are_given_one_array(compiled):
    """Each goes on from what it held before the step."""
    p, q = (Tensor(np.array([v]), requires_grad=True) for v in (1.0, 2.0))
    optimizer = SGD([p, q], lr=0.1)
    loss = lambda: np.sum(p * p + 2 * q * q)
    step = tg.compile_step(loss, optimizer)
    for wanted in ([0.8, 1.2], [0.64, 0.48], [0.512, 0.288]):
        if compiled:
            step()
        else:
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
        np.testing.assert_allclose([*p.data, *q.data], wanted, rtol=1e-12)
        if wanted[0] == 0.8:
            q.data = p.data
    assert not np.shares_memory(p.data, q.data)


def test_gradients_that_are_the_parameters_arrays():
    for make, rule in [
        (lambda ps: SGD(ps, lr=0.1), lambda p, g: p - 0.1 * g),
        (lambda ps: SGD(ps, lr=0.1, weight_decay=1.0), lambda p, g: p - 0.1 * (g + p)),
        (
            lambda ps: AdamW(ps, lr=0.1, betas=(0, 0), eps=0, weight_decay=1.0),
            lambda p, g: 0.9 * p - 0.1 * np.sign(g),
        ),
    ]:
        a, b = np.array([1.0, -2.0]), np.array([3.0, 1.0])
        p, q = Tensor(a.copy(), requires_grad=True), Tensor(b.copy(), requires_grad=True)
        optimizer = make([p, q])
        for _ in range(3):
            p.grad, q.grad = q.data[::-1], p.data
            optimizer.step()
            a, b = rule(a, b[::-1]), rule(b, a)
            np.testing.assert_allclose(p.data, a, rtol=1e-12)
            np.testing.assert_allclose(q.data, b, rtol=1e-12)


def test_an_optimiser_of_ones_own_needs_no_weight_decay():
    class Signs(tg.optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def _update(self, p, g, out, spare, group, state):
            np.subtract(p, group["lr"] * np.sign(g), out=out)

    w = Tensor([3.0, -4.0], requires_grad=True)
    optimizer = Signs([w], lr=0.5)
    (w**2).sum().backward()
    optimizer.step()
    assert w.data.tolist() == [2.5, -3.5]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer's signal")
@pytest.mark.parametrize("compiled", [False, True])
def test_ctrl_c_at_any_moment_leaves_nothing_locked(compiled):
    """Afterwards this thread and others go on; on Python 3.14 `with lock:` was interrupted between lock and block."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals come to the main thread")
    p = Tensor(np.ones(2), requires_grad=True)
    optimizer = SGD([p], lr=1e-9)
    p.grad = np.ones(2)
    step = tg.compile_step(lambda x: np.sum(x * p), SGD([p], lr=1e-9)) if compiled else lambda x: optimizer.step()

    def press(number, frame):
        raise KeyboardInterrupt

    before, rng, x = signal.signal(signal.SIGALRM, press), random.Random(0), np.ones(2)
    try:
        for _ in range(500):
            with contextlib.suppress(KeyboardInterrupt):
                try:
                    signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, 2e-4), 5e-3)
                    while True:
                        step(x)
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
    other = threading.Thread(target=step, args=(x,), daemon=True)
    other.start()
    other.join(10)
    assert not other.is_alive()
    step(x)


def test_a_momentum_that_is_put_to_0_leaves_a_state_that_can_be_loaded():
    def trained(steps, resumed_after=None):
        w = tg.Tensor(np.array([1.0, -2.0]), requires_grad=True)
        optimizer = tg.SGD([w], lr=0.1, momentum=0.9)
        for k in range(steps):
            if k in (3, 6):
                optimizer.param_groups[0]["momentum"] = 0.9 * (k == 6)
            optimizer.zero_grad()
            (w**2).sum().backward()
            optimizer.step()
            if k == resumed_after:
                state, optimizer = optimizer.state_dict(), tg.SGD([w], lr=0.3)
                optimizer.load_state_dict(state)
        return w.data

    for k in (2, 3, 4, 6):
        np.testing.assert_array_equal(trained(9, k), trained(9))
