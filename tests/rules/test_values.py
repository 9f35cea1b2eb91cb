"""A function of a tensor gives what NumPy gives for the array: the value to the bit, the dtype, warnings, errors.

Each call of the table is tried with arrays of every kind: dtypes, memory layouts, sizes 0 and 1, numbers without axes,
infinities, NaN, zeros of both signs. Deliberate exceptions are listed here, with a reason for each.
"""

from __future__ import annotations

import operator
import warnings

import numpy as np
import pytest
from hypothesis import given, settings

from tests.rules.test_numpy import CALLS as NUMPY
from tests.rules.test_numpy import CUBE, HISTOGRAM, MATRIX, POLYMUL, SQUARES, VECTOR, outputs
from tests.rules.test_numpy_corners import CALLS as CORNERS
from tests.strategies import LAYOUTS, TABLE, laid_out, seeds
from tinygrad_edu import Tensor

L = np.linalg
DTYPES = (np.float64, np.float32, np.float16, np.int64, np.int8, np.uint8, np.bool_)
SMALL = (np.dtype(np.int8), np.dtype(np.uint8))
SOME = np.array([[True, False, True, True], [True, True, False, False], [False, True, True, False]])

MANY_ROWS = lambda a: a @ np.ones((3, 2))

OPTIONS = [
    *((lambda a, f=f, o=o: f(a, **o), [CUBE])
      for f in (np.sum, np.mean, np.prod, np.max, np.min, np.var, np.std, np.any, np.all,
                np.nansum, np.nanmean, np.nanprod, np.nanmax, np.nanmin, np.median)
      for o in ({}, {"axis": 1}, {"axis": (0, -1), "keepdims": True}, {"axis": -1, "keepdims": True})),
    *((lambda a, f=f: f(a, axis=0, ddof=1), [MATRIX]) for f in (np.var, np.std)),
    (lambda a: np.sum(a, axis=1, where=SOME, initial=2.0), [MATRIX]),
    *((lambda a, f=f, axis=axis: f(a, axis=axis), [MATRIX])
      for f in (np.cumsum, np.cumprod, np.sort, np.argsort, np.argmax, np.argmin, np.count_nonzero)
      for axis in (None, 0, -1)),
    (lambda a: np.round(a, 1), [MATRIX]),
    (lambda a: np.nan_to_num(a, nan=1.0, posinf=2.0), [MATRIX]),
    (lambda a: np.clip(a, None, 1.0), [MATRIX]),
    (np.clip, [MATRIX, (4,), ()]),
    *((lambda a, p=p: a**p, [MATRIX]) for p in (2, 3, -1, 0, 0.5, 2.0)),
    *((lambda a, p=p: p**a, [MATRIX]) for p in (2, 0.5)),
    *((f, [MATRIX, (4,)]) for f in (operator.add, operator.sub, operator.mul, operator.truediv, operator.pow,
                                    operator.mod, operator.floordiv, divmod, operator.lt, operator.ge, operator.eq)),
    *((f, [MATRIX]) for f in (operator.neg, operator.abs, np.linalg.det, np.linalg.inv, np.sinc, np.unique)),
    *((f, [MATRIX, (4, 2)]) for f in (operator.matmul, np.dot)),
    *((f, [MATRIX, (4,)]) for f in (operator.matmul, np.dot, np.inner, np.outer)),
    *((f, [(4,), (4, 2)]) for f in (operator.matmul, np.dot)),
    *((f, [VECTOR, VECTOR]) for f in (operator.matmul, np.dot, np.vdot, np.vecdot)),
    (np.matmul, [CUBE, (2, 4, 3)]),
    (np.dot, [CUBE, (4,)]),
    *((lambda a, f=f: f(a, 2.5), [MATRIX]) for f in (np.dot, np.inner, np.multiply, np.power, np.logaddexp)),
    (MANY_ROWS, [(40, 3)]),
    (L.solve, [SQUARES, SQUARES]),
    (lambda a: L.matrix_power(a, 5), [SQUARES]),
    (lambda a, b: L.multi_dot([a, b, b.T, a.T]), [MATRIX, (4, 2)]),
    *((lambda a, i=i: a[i], [CUBE])
      for i in (0, (slice(None, None, -1), 1), ([0, 1, 0], ..., [2, 1, 0]), np.arange(24).reshape(CUBE) % 5 > 2)),
    *((lambda a, n=n, args=args: getattr(a, n)(*args), [MATRIX])
      for n, *args in (("sum", 0), ("mean",), ("max", 1), ("min",), ("std", 0), ("var",), ("prod", 0), ("cumsum", 1),
                       ("copy",), ("flatten",), ("ravel", "F"), ("clip", 0, 1), ("round", 1), ("argmax", 1), ("conj",),
                       ("transpose",), ("squeeze",), ("trace",), ("diagonal",), ("repeat", 2), ("take", [0, 5]),
                       ("any", 0), ("astype", np.float32))),
]  # fmt: skip

CALLS = {f"{k}-{function.__name__}": (call, shapes) for k, (function, call, shapes) in enumerate(NUMPY)}
# `np.add.at` of tensors sums equal places first, np.logaddexp.reduce is logsumexp, and other ufuncs reduce one by one:
# the last bits differ. np.polyfit refuses points that do not determine a polynomial, and np.roots complex roots.
OTHERS = np.logaddexp.reduce, np.ufunc.reduce, np.ufunc.reduceat, np.polyfit, np.roots
CALLS = {
    name: call
    for (name, call), (function, _, _) in zip(CALLS.items(), NUMPY, strict=True)
    if not name.endswith("-at") and function not in OTHERS
}
CALLS |= {f"corner {k}": call for k, call in enumerate(CORNERS)}
CALLS |= {f"option {k}": call for k, call in enumerate(OPTIONS)}
CALLS |= {
    function.__name__: (function, [MATRIX, (4,)][: function.nin])
    for function in TABLE
    if isinstance(function, np.ufunc) and function.signature is None and function.nout == 1
}

# Deliberately other functions, which compiled steps know: np.dot of two matrices is a @ b, and a product of many rows
# and few columns, for speed, (bᵀ aᵀ)ᵀ. To the bit, they are these:
REPLACED = {
    np.dot: lambda a, b: a @ b if a.ndim == b.ndim == 2 else np.dot(a, b),
    MANY_ROWS: lambda a: (np.ones((3, 2)).T @ a.T).T if a.ndim == 2 and len(a) == 40 else MANY_ROWS(a),
    # Leading zeros have derivatives, so they are multiplied, too, and 0 · ∞ is NaN.
    POLYMUL: lambda a, b: times_with_leading_zeros(np.append(np.zeros(2), a), b),
    # Each sum by itself; between edges that are given, NumPy subtracts sums of all before, which are less exact.
    HISTOGRAM: lambda w: densities(np.exp(w)) if w.shape == MATRIX else HISTOGRAM(w),
}
# To the dtype of the first array, also where NumPy refuses other dtypes or a gradient would be lost; a cast of infinity
# to integers is undefined in C
CASTS = ("insert", "full_like", "setitem", "copyto", "fill_diagonal", "put", "place", "putmask", "put_along_axis")

# Made of functions that warn in words of their own: these, and the variance about a given mean
IN_OTHER_WORDS = {np.nanvar, np.nanstd, np.cov, np.corrcoef, np.ufunc.accumulate}
HEEDLESS = {
    call
    for function, call, _ in NUMPY
    if function in IN_OTHER_WORDS or (hasattr(call, "__code__") and ("axis", "mean") in call.__code__.co_consts)
}


def of_numbers(function):
    """The variance of what is not NaN, which NumPy computes in two ways."""
    x = lambda a: np.where(a > 0.8, np.nan, a)
    return lambda a: function(x(a), axis=1, ddof=1, keepdims=True, where=~np.isnan(x(a)))


REPLACED |= {
    call: of_numbers(np.var if name.endswith("var") else np.std)
    for name, (call, _) in CALLS.items()
    if name.endswith(("nanvar", "nanstd"))
}


def times_with_leading_zeros(p, q):
    found = np.polymul(p, q)
    return np.convolve(p, q)[-found.size :] if np.size(q) else found


def densities(w):
    sums = np.stack([w[:, 0], w[:, 2], w[:, 1]])
    sums = np.bincount(np.repeat([0, 1, 2], w.shape[0]), np.ravel(sums)).astype(w.dtype)
    return sums / np.ones(3) / np.sum(sums)


def finite_only(call):
    """Whether to give it finite numbers only: LAPACK's iteration for singular values may not end at others."""
    names = {getattr(call, "__name__", ""), *getattr(getattr(call, "__code__", None), "co_names", ())}
    return not names.isdisjoint({"svd", "svdvals", "pinv", "norm", "matrix_norm", "cond", "lstsq"})


def drawn(rng, shapes, dtype, finite, mixed):
    """Arrays of these shapes, or with some of their lengths 1 or 0, or one of them without axes. Some have another
    dtype, if they may be mixed."""
    lengths = {n for shape in shapes for n in shape}
    strange = rng.random() < 0.4
    length = {n: int(rng.choice([n, n, 1, 0])) if strange else n for n in sorted(lengths)}
    number = int(rng.integers(len(shapes))) if rng.random() < 0.06 else None
    arrays = []
    for k, shape in enumerate(shapes):
        x = rng.normal(size=() if k == number else [length[n] for n in shape]) * rng.choice([1, 3, 30])
        own = dtype if rng.random() < 0.85 or not mixed else rng.choice(DTYPES)
        if np.issubdtype(own, np.inexact) and not finite:
            huge = np.finfo(own).max
            special = [[np.nan], [np.inf, -np.inf], [0.0, -0.0], [np.nan, np.inf, -np.inf, -0.0, huge, -huge, 1e-7, 1]]
            chosen = rng.choice(special[rng.integers(4)], size=x.shape)
            x = np.where(rng.random(x.shape) < rng.choice([0, 0, 0.2, 0.5]), chosen, x)
        with np.errstate(all="ignore"):
            x = np.asarray(x > 0 if own is np.bool_ else x.astype(np.int64 if own is np.uint8 else own).astype(own))
        arrays.append(laid_out(x, rng.choice(LAYOUTS)))
    return arrays


def ran(call, arrays):
    """The results, or the error, and the warnings."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            given = [x.data if isinstance(x, Tensor) else x for x in outputs(call(*arrays))]
        except Exception as error:
            return error, set()
    # Inside of functions, too, a @ b stands for np.dot, and operators of single numbers for ufuncs.
    said = [(w.category, str(w.message).replace("in dot", "in matmul").replace("in scalar ", "in ")) for w in warned]
    return [np.asarray(x) for x in given], set(said)


def difference(wanted, found, heeding_warnings=True):
    """What differs between what NumPy gives and what tensors give."""
    (wanted, warned), (found, also_warned) = wanted, found
    if isinstance(wanted, Exception) or isinstance(found, Exception):
        both = isinstance(wanted, Exception) and isinstance(found, Exception)
        return "" if both else f"raised: {wanted!r}, {found!r}"
    if [(x.dtype, x.shape) for x in wanted] != [(x.dtype, x.shape) for x in found]:
        return f"dtypes and shapes: {[(x.dtype, x.shape) for x in wanted]}, {[(x.dtype, x.shape) for x in found]}"
    for a, b in zip(wanted, found, strict=True):
        if not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
            return f"values: {a!r}, {b!r}"
        if a.dtype.kind == "f" and not np.array_equal(np.signbit(a[a == 0]), np.signbit(b[b == 0])):
            return f"signs of zeros: {a!r}, {b!r}"
    return "" if warned == also_warned or not heeding_warnings else f"warnings: {warned}, {also_warned}"


@pytest.mark.parametrize("name", CALLS)
def test_values_are_numpy_s(name):
    call, shapes = CALLS[name]
    if np.lib.NumpyVersion(np.__version__) < "2.2.0" and name.endswith(("-cov", "-corrcoef", "-put", "-svd")):
        pytest.skip("NumPy 2.1 has other values for some shapes")
    k = list(CALLS).index(name)
    heeding = call not in HEEDLESS

    @settings(max_examples=2)
    @given(seeds)
    def property(seed):
        rng = np.random.default_rng([k, seed])
        for _ in range(7):  # by itself: each of hypothesis's examples costs more than this
            compare(rng, DTYPES[rng.integers(len(DTYPES))], recorded=rng.random() < 0.5)

    def compare(rng, dtype, recorded):
        arrays = drawn(rng, shapes, dtype, finite_only(call), mixed=not name.endswith(CASTS))
        tensors = [
            Tensor(a, requires_grad=recorded and a.dtype.kind == "f") if j == 0 or rng.random() < 0.7 else a
            for j, a in enumerate(arrays)
        ]
        found = ran(call, tensors)
        numpys = REPLACED.get(call, call)
        why = difference(ran(numpys, arrays), found, heeding)
        # Arithmetic on tensors of small integers does not wrap around.
        for widened in (Tensor, (Tensor, np.ndarray)):
            if why and any(a.dtype in SMALL for a in arrays):
                parts = zip(arrays, tensors, strict=True)
                wide = [a.astype(np.int64) if a.dtype in SMALL and isinstance(t, widened) else a for a, t in parts]
                why = difference(ran(numpys, wide), found, heeding) and why
        assert not why, why

    property()
