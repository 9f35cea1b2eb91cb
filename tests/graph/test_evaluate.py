"""The pages' evaluator: what programs give there is what the library gives."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import functional as F
from tinygrad_edu import pages
from tinygrad_edu.autograd.primitives import FUNCTIONS, Primitive
from tinygrad_edu.compiler import exported
from tinygrad_edu.compiler.derivation import Derivation
from tinygrad_edu.compiler.exported import KNOWN, Unknown, held
from tinygrad_edu.compiler.tracing import written
from tinygrad_edu.functional import pooling
from tinygrad_edu.rules import elementwise, shape

SCRIPTS = ["evaluate.js", "images.js", "primitives.js"]
EVALUATE = """
return arguments[0].map(([program, given]) => evaluate(prepared(program), given.map(decoded))
  .map(({ shape, dtype, data }) => [shape, dtype, [...data].map((x) => Number.isFinite(x) ? x : String(x))]));
"""


def evaluated(browser, cases):
    """What the page computes: for each program with its inputs the outputs."""
    if not browser.run("return typeof evaluate === 'function' && typeof walkTo === 'undefined'"):
        script = "\n".join((files(pages) / name).read_text("utf-8") for name in SCRIPTS)
        browser.open(f"<!DOCTYPE html><script>{script}</script>".encode())
    found = browser.run(EVALUATE, [[program, [held(x) for x in given]] for program, given in cases])
    return [[np.array(numbers, float).reshape(size) for size, _, numbers in outputs] for outputs in found]


def program_of(fun, inputs, parameters=()):
    """The program that computes a scalar and its gradients by all parameters and inputs."""
    made = Derivation(fun, inputs, [*parameters], [k for k, x in enumerate(inputs) if np.asarray(x).dtype.kind == "f"])
    given = [*made.inputs, *made.parameters]
    outputs = [made.value, *(g for g in made.gradients if g is not None)]
    return exported.exported([*made.forward, *made.backward], given, outputs)


def expected(fun, inputs, parameters=()):
    tensors = [tg.Tensor(x, requires_grad=True) if np.asarray(x).dtype.kind == "f" else x for x in inputs]
    for p in parameters:
        p.grad = None
    value = fun(*tensors)
    value.backward()
    leaves = [*parameters, *(t for t in tensors if isinstance(t, tg.Tensor))]
    return [value.data, *(t.grad for t in leaves if t.grad is not None)]


def compare(found, wanted, relative, who):
    assert len(found) == len(wanted), who
    for a, b in zip(found, wanted, strict=True):
        b = np.asarray(b)
        assert a.shape == b.shape, who
        largest = np.max(np.abs(b), initial=0)
        np.testing.assert_allclose(a, b, rtol=relative, atol=relative * largest, err_msg=str(who))


# Each function

ELEMENTWISE = {
    (-0.9, 0.9): [np.arccos, np.arcsin, np.arctan, np.arctanh, np.tan, np.cos, np.sin, np.tanh, np.sinh, np.cosh,
                  np.arcsinh, np.expm1, np.log1p, np.exp, np.exp2, np.deg2rad, np.rad2deg, np.degrees, np.radians,
                  np.absolute, np.fabs, np.square, np.negative, np.positive, np.cbrt, np.reciprocal],
    (1.1, 3.0): [np.arccosh, np.log, np.log2, np.log10, np.sqrt],
    (-40.0, 40.0): [np.ceil, np.floor, np.rint, np.trunc, np.sign, np.copy, tg.sigmoid, tg.relu, F.softplus,
                    F.log_sigmoid, tg.leaky_relu, F.elu, F.hardtanh, lambda x: x * np.isfinite(x)],
    (-6.0, 6.0): [F.gelu, F.silu],
    (-800.0, 800.0): [tg.sigmoid, F.softplus],
}  # fmt: skip
TWO = [np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.fmax, np.fmin, np.hypot, np.arctan2,
       np.logaddexp, np.logaddexp2, np.copysign, np.heaviside, np.remainder, np.fmod, np.floor_divide,
       lambda a, b: np.power(abs(a), b), lambda a, b: np.float_power(abs(a), b),
       lambda a, b: np.where((a > b) | (a <= -1), a, b), lambda a, b: a * ((a != b) & (b < 1) & (a >= -2)),
       lambda a, b: np.where(np.bitwise_or(np.bitwise_and(a > 0, a < 2), b == 0), a, b),
       lambda a, b: np.clip(a, -0.5, b)]  # fmt: skip
REDUCING = [np.sum, np.mean, np.max, np.min, np.prod, np.var, np.std, F.logsumexp]
INDEX = [0, -1, slice(None, None, -2), (slice(1), np.newaxis, 2), (..., 1), np.array([[0, 1], [-1, 0]]),
         (np.array([0, 1]), np.array([2, 2])), (0, slice(None), np.array([3, 0])), (slice(None), np.array([1, 1]), 0),
         np.arange(24).reshape(2, 3, 4) % 5 == 0]  # fmt: skip


def numbers(*size, low=-2.0, high=2.0):
    return np.random.default_rng(sum(size) + 1).uniform(low, high, size)


def calls():
    """Calls of functions of arrays with their arguments."""
    for (low, high), functions in ELEMENTWISE.items():
        yield from ((f, [numbers(2, 3, low=low, high=high)]) for f in functions)
    yield from ((f, [numbers(2, 3), numbers(4, 1, 3)]) for f in TWO)
    for f in REDUCING:
        yield from ((lambda x, f=f, how=how: f(x, **how), [numbers(2, 3, 4)])
                    for how in ({}, {"axis": 1}, {"axis": (0, -1), "keepdims": True}))  # fmt: skip
    yield from ((lambda x, f=f: f(x, where=numbers(2, 3, 4) > 0, axis=1, initial=0.5), [numbers(2, 3, 4)])
                for f in (np.sum, np.max, np.prod))  # fmt: skip
    yield lambda x: np.var(x, axis=0, ddof=1), [numbers(3, 2)]
    yield lambda x: np.max(x, axis=1) * np.any(x > 1, axis=1) * np.all(x < 2, axis=1), [np.round(numbers(3, 5))]
    yield from ((lambda x, i=i: x[i], [numbers(2, 3, 4)]) for i in INDEX)
    yield from (
        (lambda x, f=f, axis=axis: f(x, axis), [numbers(3, 4)]) for axis in (0, -1) for f in (np.flip, np.cumsum)
    )
    yield lambda x, y: np.concatenate([x, y, np.ones((2, 1))], axis=1), [numbers(2, 3), numbers(2, 2)]
    yield lambda x: np.broadcast_to(np.transpose(np.reshape(x, (3, 1, 2)), (2, 0, 1)), (2, 3, 5)), [numbers(6)]
    yield lambda x: np.astype(x, np.float32).astype(np.float64) * np.ones_like(x), [np.round(numbers(4), 1)]
    yield lambda x: x * np.astype(x > 0, np.int64) * x.astype(np.int64), [numbers(6)]
    for left, right in [((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((3,), (3, 2)), ((2, 1, 4, 3), (6, 3, 2))]:
        yield np.matmul, [numbers(*left), numbers(*right)]
    for f, *sizes in [(np.dot, (2, 3), (4, 3, 2)), (np.dot, (3,), (3,)), (np.dot, (), (2,)), (np.inner, (2, 3), (4, 3)),
                      (np.vdot, (2, 3), (2, 3)), (np.vecdot, (2, 3), (4, 1, 3))]:  # fmt: skip
        yield f, [numbers(*size) for size in sizes]
    yield lambda a, b: np.tensordot(a, b, 2), [numbers(2, 3, 4), numbers(3, 4, 5)]
    yield lambda a, b: np.tensordot(a, b, ([0, -1], [2, 0])), [numbers(2, 3, 4), numbers(4, 5, 2)]
    yield lambda a, b: np.einsum("ij,kj->ik", a, b), [numbers(2, 3), numbers(4, 3)]
    yield lambda a, b, c: np.einsum("ij,jk,k", a, b, c), [numbers(2, 3), numbers(3, 4), numbers(4)]
    yield F.linear, [numbers(5, 2, 3), numbers(3, 4), numbers(4)]
    yield from ((lambda x, f=f, axis=axis: f(x, axis), [numbers(3, 4, low=-60, high=60)])
                for f in (F.softmax, F.log_softmax) for axis in (-1, 0, (0, 1)))  # fmt: skip
    yield from moving()
    yield lambda x: F.cross_entropy(x, np.array([2, 0])), [numbers(2, 3)]
    yield lambda x, t: F.cross_entropy(x, t, weight=[1, 2, 3]), [numbers(2, 3), np.array([[2], [1]])]
    yield lambda x, t: F.mse_loss(x, t, "batchmean"), [numbers(2, 3), numbers(3, 2).T]
    yield lambda x: F.binary_cross_entropy(x, [[0, 1], [0.5, 1]]), [numbers(2, 2, low=0.1, high=0.9)]
    yield lambda x: F.binary_cross_entropy(x, [[0, 1]], "none"), [numbers(1, 2, low=0.1, high=0.9)]
    yield lambda x, t: F.binary_cross_entropy_with_logits(x, t), [numbers(2, 2), np.array([[1, 0], [0, 1]])]
    yield lambda x, w, b: F.layer_norm(x, 4, w, b), [numbers(3, 4), numbers(4), numbers(4)]
    for how in ({}, {"stride": 2, "padding": 1}, {"padding": (2, 0), "dilation": (1, 2)}):
        yield lambda x, w, how=how: F.conv2d(x, w, **how), [numbers(2, 3, 6, 7), numbers(4, 3, 3, 2)]
    yield lambda x, w, b: F.conv2d(x, w, b, groups=2), [numbers(2, 4, 4, 4), numbers(2, 2, 2, 3), numbers(2)]
    for pool in (F.max_pool2d, F.avg_pool2d):
        yield lambda x, pool=pool: pool(x, 2), [np.round(numbers(2, 3, 4, 6), 1)]
        yield lambda x, pool=pool: pool(x, 3, 2, 1), [np.round(numbers(1, 2, 5, 6), 1)]


def moving():
    """What moves elements, or adds them where they come from, and what looks along an axis."""
    cube = [numbers(2, 3, 4)]
    for f in (
        lambda x: np.roll(x, (1, -2), (0, 2)),
        lambda x: np.repeat(x, [2, 0, 3], axis=1),
        lambda x: np.repeat(x, 2),
        lambda x: np.tile(x, (2, 1, 3)),
        lambda x: np.tril(x, 1),
        lambda x: np.triu(x, -1),
        lambda x: np.diagonal(x, 1, 2, 1),
        lambda x: np.diag(np.ravel(x)[:4], -1),
        lambda x: np.reshape(x, (4, 6), order="F"),
        lambda x: np.pad(x, ((1, 0), (0, 2), (1, 1)), constant_values=((2, 0), (0, 3), (4, 5))),
        lambda x: np.pad(x, 1),
        lambda x: np.pad(x, ((1, 1), (2, 2), (3, 0)), "reflect"),
        lambda x: np.pad(x, 2, "edge"),
        lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 3), (1, 2)),
        lambda x: np.einsum("kji->ikj", x),
        lambda x: np.trace(x, 1, 2, 1),
        lambda x: np.take_along_axis(x, np.array([[[3, -1, 0]]]), -1),
        lambda x: np.diff(x, axis=1),
        lambda x: np.diff(x, 2),
        lambda x: np.cumprod(x, axis=0),
        np.linalg.norm,
        lambda x: np.linalg.norm(x, axis=(0, 2)),
        lambda x: np.linalg.norm(x, 3, axis=1, keepdims=True),
        lambda x: np.round(x, 1) * np.round(100 * x, -1) * np.fix(x),
    ):
        yield f, cube
    for axis in (0, -1):
        yield lambda x, axis=axis: np.sort(x, axis), [np.round(numbers(5, 6))]  # with ties
    yield np.convolve, [numbers(5), numbers(3)]
    yield (
        lambda a, b: np.matvec(a, b) + np.vecmat(b, a) if hasattr(np, "matvec") else a @ b,
        [numbers(3, 3), numbers(3)],
    )


def by_lines():
    """Programs of lines of their own: of functions that a trace does not write so."""
    cases = []
    for function, *args in [
        (lambda x, v: shape._setitem(x, v, index=(slice(None), np.array([0, 2]))), numbers(2, 3), numbers(2)),
        (lambda x: elementwise.ratio(x, np.maximum(x, 0)), numbers(5)),
        (
            lambda v, x: pooling._pick(v, np.max(x, axis=(2, 3), keepdims=True), x, windows=((2, 3), (2, 3), (0, 0))),
            numbers(2, 3, 2, 3),
            np.round(numbers(2, 3, 2, 3)),
        ),
    ]:
        run = lambda trace, f=function, args=args: (inputs := [trace.input(x) for x in args], f(*inputs), trace)
        inputs, result, trace = written(run)
        cases.append((exported.exported(trace.lines, [s.line for s in inputs], [result.line]), args, function(*args)))
    return cases


def test_each_function_that_the_page_knows_gives_what_the_library_gives(browser):
    cases, wanted = [], []
    for f, inputs in calls():
        weights = np.random.default_rng(3).normal(size=np.shape(f(*inputs)))
        total = lambda *given, f=f: np.sum(f(*given[:-1]) * given[-1])
        inputs = [*inputs, weights]
        cases.append((program_of(total, inputs), inputs))
        wanted.append(expected(total, inputs))
    for program, inputs, result in by_lines():
        cases.append((program, inputs))
        wanted.append([result])
    used = {line[0] for program, _ in cases for line in program["lines"]}
    for case, found, exact in zip(cases, evaluated(browser, cases), wanted, strict=True):
        compare(found, exact, 1e-9, case)
    assert set(browser.run("return Object.keys(PRIMITIVES)")) == {*KNOWN.values(), "matvec", "vecmat"}
    assert set(KNOWN.values()) - used == set()
    others = [name for name in KNOWN.values() if name not in ("moved", "added_back")]
    assert len(set(others)) == len(others) - 1  # NumPy's astype and the primitive


# Networks


def of_images():
    net = tg.Sequential(
        tg.Conv2d(1, 2, 5, rng=0, dtype=np.float32), tg.ReLU(), tg.MaxPool2d(2),
        tg.Conv2d(2, 3, 5, rng=1, dtype=np.float32), tg.ReLU(), tg.MaxPool2d(2), tg.Flatten(), tg.Dropout(0.3, rng=0),
        tg.Dense(48, 10, init="he_normal", rng=2, dtype=np.float32), tg.ReLU(),
        tg.Dense(10, 10, rng=3, dtype=np.float32),
    )  # fmt: skip
    net.eval()
    X = np.random.default_rng(0).random((3, 1, 28, 28), np.float32)
    return net, lambda x: F.cross_entropy(net(x), np.array([3, 9, 0])), X


def networks():
    rng = np.random.default_rng(0)
    dense = lambda n, k, dtype=np.float64: tg.Dense(n, k, rng=n, dtype=dtype)
    ex4 = tg.Sequential(dense(400, 25), tg.Sigmoid(), dense(25, 10), tg.Sigmoid())
    eye = np.eye(10)
    cost = lambda x: F.binary_cross_entropy(ex4(x), eye, "batchmean") + tg.l2_penalty(ex4, 1.0, 10)
    yield "ex4", ex4, cost, rng.random((10, 400))
    f32 = np.float32
    mlp = tg.Sequential(dense(784, 50, f32), tg.ReLU(), dense(50, 10, f32))
    yield "mlp", mlp, lambda x: F.cross_entropy(mlp(x), np.arange(5)), rng.random((5, 784), f32)
    yield "convolution", *of_images()
    image = tg.Sequential(dense(34, 8), tg.ReLU(), dense(8, 8), tg.ReLU(), dense(8, 3), tg.Sigmoid())
    colours = rng.random((4, 3))
    yield "image", image, lambda x: F.binary_cross_entropy(image(x), colours), rng.random((4, 34))
    rose = tg.Sequential(dense(2, 4), tg.Tanh(), dense(4, 1), tg.Sigmoid())
    yield "rose", rose, lambda x: F.binary_cross_entropy(rose(x), np.ones((6, 1))), rng.normal(size=(6, 2))
    gelu = tg.Sequential(dense(20, 8, f32), tg.GELU(), dense(8, 20, f32))
    pixels = rng.random((4, 20), f32)
    yield "gelu", gelu, lambda x: F.binary_cross_entropy_with_logits(gelu(x), pixels, "batchmean"), pixels
    norm = tg.Sequential(dense(6, 5), tg.LayerNorm(5), tg.ELU(), dense(5, 2))
    yield "norm", norm, lambda x: F.mse_loss(norm(x), np.ones((4, 2))), rng.normal(size=(4, 6))


def test_values_and_gradients_of_networks_are_the_library_s(browser):
    """Before and after all their numbers were edited."""
    made = list(networks())
    programs = [program_of(loss, [X], net.parameters()) for _, net, loss, X in made]
    for edited in (False, True):
        rng = np.random.default_rng(5)
        for k, (name, net, loss, X) in enumerate(made if edited else ()):
            for p in net.parameters():
                p.data = p.data + rng.normal(scale=0.3, size=p.shape).astype(p.dtype)
            made[k] = (
                name,
                net,
                loss,
                X + rng.normal(scale=0.3, size=X.shape).astype(X.dtype) if X.dtype.kind == "f" else X,
            )
        cases = [
            (program, [X, *(p.data for p in net.parameters())])
            for program, (_, net, _, X) in zip(programs, made, strict=True)
        ]
        for (name, net, loss, X), found in zip(made, evaluated(browser, cases), strict=True):
            compare(found, expected(loss, [X], net.parameters()), 1e-9 if X.dtype == np.float64 else 1e-5, name)


# What a program holds

REFUSED = """
    angle basis cholesky cofactors cofactors_slope conjugate det divmod eig eigh eigvals eigvalsh imag interp inv
    inverse_or_nan ldexp log_abs_det lstsq modf nan_to_num nanmax nanmean nanmin nanprod nansum norm_of_nothing
    of_full_rank order_statistic partition pinv qr roots running_max running_min sinc sinc_derivative slopes
    slopes_at_roots slopes_back solve sums_by_place sums_of_parts svd svdvals unique unwrap values_of_lstsq variable
""".split()  # noqa: SIM905


def test_what_the_page_cannot_compute_is_a_list():
    from_here = {p for p in FUNCTIONS.values() if isinstance(p, Primitive) and p.rules and is_from_here(p.function)}
    assert sorted({p.name for p in from_here if p.function not in KNOWN}) == REFUSED


def is_from_here(function):
    module = getattr(function, "__module__", None) or ""
    is_ours = module.startswith("tinygrad_edu.") and not module.startswith("tinygrad_edu.scipy")
    return is_ours or module.startswith("numpy") or getattr(np, function.__name__, None) is function


def test_weights_may_be_a_part_of_the_program(browser):
    net = tg.Sequential(tg.Dense(3, 2, rng=0), tg.Softmax())
    x = numbers(4, 3)
    made = Derivation(lambda x: np.sum(net(x) ** 2), [x], [*net.parameters()])
    weights = dict(zip(made.parameters, (p.data for p in net.parameters()), strict=True))
    program = exported.exported(made.forward, made.inputs, [made.value], weights)
    assert [shape for shape, *_ in program["constants"][:2]] == [(3, 2), (2,)]
    [[value]] = evaluated(browser, [(program, [x])])
    assert value == pytest.approx(float(np.sum(net(x).data ** 2)), rel=1e-12)


def test_what_no_output_needs_is_left_out():
    made = Derivation(lambda x: np.sum(np.exp(x) ** 2), [numbers(3)], [], [0])
    assert [line[0] for line in exported.exported(made.forward, made.inputs, [made.value])["lines"]] == [
        "exp",
        "power",
        "sum",
    ]


def test_what_the_page_does_not_know_is_refused_with_a_reason():
    def refused(fun, *inputs):
        with pytest.raises(Unknown) as caught:
            program_of(lambda *xs: np.sum(fun(*xs)), list(inputs))
        return str(caught.value)

    @tg.primitive
    def square(x):  # a name that the page knows, and another function
        return x * x

    tg.rule(square, lambda g, x: 2 * g * x)
    assert refused(square, numbers(3)) == "the page cannot compute square"
    assert refused(np.linalg.inv, np.eye(2)) == "the page cannot compute inv"
    assert refused(np.exp, numbers(3).astype(np.float16)) == "the page does not compute in float16"
