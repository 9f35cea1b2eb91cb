"""Every NumPy function in the table: its value, shape and dtype are NumPy's, its derivatives are right to second order.

The rules themselves are tested in `test_rules.py`; here are the functions that are made of them, and NumPy's options.
"""

from __future__ import annotations

import operator
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.lib.stride_tricks import sliding_window_view

from tests.rules.test_rules import assert_close, check
from tests.strategies import LAYOUTS, laid_out, seeds
from tinygrad_edu import Tensor, grad, hessian
from tinygrad_edu.autograd.operators import constant
from tinygrad_edu.autograd.primitives import FUNCTIONS, Primitive

L = np.linalg
MATRIX, CUBE, VECTOR, SQUARES = (3, 4), (2, 3, 4), (5,), (2, 3, 3)


def both(function, **options):
    """The two outputs side by side."""
    return lambda *a: list(function(*a, **options))


def assigned(c, index, value):
    c[index] = value
    return c


def written(function, a, *args, **options):
    copy = a * 2 if isinstance(a, Tensor) else np.asarray(a * 2)  # and not a number
    assert function(copy, *args, **options) is None
    return copy


def changed(ufunc, c, *args):
    ufunc.at(c, *args)
    return c


POINTS = 3.0 * np.arange(5)
POLYMUL = lambda a, b: np.polymul(np.append(np.zeros(2), a), b)
HISTOGRAM = lambda w: np.histogram([[1, 4, 2, 5]] * 3, [1, 2, 3, 4], weights=np.exp(w), density=True)[0]

# The functions that a call exercises, the call, and the shapes of its arrays.
CALLS = [
    (np.divmod, both(lambda a: np.divmod(a, 0.7)), [MATRIX]),
    (np.modf, both(np.modf), [MATRIX]),
    (np.frexp, lambda a: np.frexp(a)[0], [MATRIX]),
    (np.around, lambda a: a + np.around(a, 1), [MATRIX]),
    (np.real, np.real, [MATRIX]),
    (np.copy, np.copy, [MATRIX]),
    (np.unique, np.unique, [VECTOR]),
    (np.imag, lambda a: a + np.imag(a), [MATRIX]),
    (np.conjugate, np.conj, [MATRIX]),
    (np.real_if_close, np.real_if_close, [MATRIX]),
    (np.astype, lambda a: np.astype(a, np.float64), [MATRIX]),
    (np.clip, lambda a: np.clip(a, min=-0.5, max=0.5), [MATRIX]),
    (np.where, lambda a, b: np.where(a > b, a, b), [MATRIX, (4,)]),
    # Sums, products, statistics
    (np.amax, lambda a: np.amax(a, 0), [MATRIX]),
    (np.amin, lambda a: np.amin(a, 1, keepdims=True), [MATRIX]),
    (np.prod, lambda a: np.prod(a, (0, 2), keepdims=True), [CUBE]),
    (np.cumsum, lambda a: np.cumsum(a, -1), [MATRIX]),
    (np.cumprod, lambda a: np.cumprod(a, 1), [CUBE]),
    (np.average, lambda a, w: np.average(a, 1, np.exp(w)), [MATRIX, MATRIX]),
    (np.average, both(lambda a, w: np.average(a, axis=1, weights=np.exp(w), returned=True)), [MATRIX, (4,)]),
    (np.average, lambda a: np.average(a, 0, keepdims=True), [MATRIX]),
    (np.average, lambda a, w: np.average(a, (2, 0), np.exp(w)), [(2, 3, 4), (4, 2)]),
    (np.ptp, lambda a: np.ptp(a, 0), [MATRIX]),
    *((f, lambda a, f=f: f(np.where(a > 0.8, np.nan, a), axis=1, keepdims=True), [(3, 9)])
      for f in (np.nansum, np.nanprod, np.nanmax, np.nanmin, np.nanmean)),
    *((f, lambda a, f=f: f(np.where(a > 0.8, np.nan, a), axis=1, ddof=1, keepdims=True), [(3, 9)])
      for f in (np.nanvar, np.nanstd)),
    *((f, lambda a, f=f: f(np.where(abs(a) > 0.8, np.nan, a), axis=1), [CUBE]) for f in (np.nancumsum, np.nancumprod)),
    *((f, lambda a, f=f: f(a, axis=0, mean=np.mean(a, 0, keepdims=True)), [MATRIX]) for f in (np.var, np.std)),
    (np.nanmedian, lambda a: np.nanmedian(np.where(a > 0.8, np.nan, a), axis=(0, -1), keepdims=True), [(3, 2, 9)]),
    *((np.nanquantile, lambda a, m=m: np.nanquantile(np.where(a > 0.8, np.nan, a), [0.1, 0.7], 0, method=m), [(9, 3)])
      for m in ("linear", "lower", "hazen")),
    (np.nanpercentile, lambda a: np.nanpercentile(np.where(a > 0.8, np.nan, a), 30, axis=1, keepdims=True), [(3, 9)]),
    (np.cumulative_sum, lambda a: np.cumulative_sum(a, axis=-1, include_initial=True), [MATRIX]),
    (np.cumulative_prod, lambda a: np.cumulative_prod(a, axis=0, include_initial=True), [MATRIX]),
    (np.cumulative_prod, np.cumulative_prod, [VECTOR]),
    (np.median, lambda a: np.median(a, axis=0), [MATRIX]),
    (np.median, lambda a: np.median(a, (0, 2), keepdims=True), [CUBE]),
    *((np.quantile, lambda a, m=m: np.quantile(a, [0.1, 0.35, 0.9], axis=1, method=m), [MATRIX])
      for m in ("linear", "lower", "higher", "nearest", "midpoint", "hazen", "weibull", "median_unbiased")),
    (np.percentile, lambda a: np.percentile(a, 30, axis=(0, 1)), [MATRIX]),
    (np.percentile, lambda a: np.percentile(a, [[30], [40]], axis=(0, -1), keepdims=True), [CUBE]),
    (np.diff, lambda a: np.diff(a, 2, axis=0, prepend=0.0, append=np.ones((1, 4))), [MATRIX]),
    (np.gradient, both(np.gradient), [MATRIX]),
    (np.gradient, lambda a: np.gradient(a, 2.0, edge_order=2, axis=1), [MATRIX]),
    (np.gradient, both(lambda a: np.gradient(a, np.array([0, 1, 3.0]), 0.5, edge_order=2)), [MATRIX]),
    (np.gradient, lambda a: np.gradient(a), [(2,)]),
    (np.trapezoid, lambda a, x: np.trapezoid(a, x), [MATRIX, (4,)]),
    (np.trapezoid, lambda a, x: np.trapezoid(a, x, axis=0), [MATRIX, MATRIX]),
    (np.trapezoid, lambda a: np.trapezoid(a, dx=0.3, axis=0), [MATRIX]),
    # Moving elements
    (np.reshape, lambda a: np.reshape(a, (4, -1), order="A"), [MATRIX]),
    *((np.ravel, lambda a, o=o: np.ravel(np.transpose(a, (1, 0, 2)), order=o), [CUBE]) for o in "CFAK"),
    (np.expand_dims, lambda a: np.expand_dims(a, (0, -1)), [MATRIX]),
    (np.squeeze, lambda a: np.squeeze(a, 1), [(3, 1, 2)]),
    (np.atleast_1d, np.atleast_1d, [()]),
    (np.atleast_2d, both(np.atleast_2d), [VECTOR, MATRIX]),
    (np.atleast_3d, np.atleast_3d, [MATRIX]),
    (np.broadcast_to, lambda a: np.broadcast_to(a, (2, 3, 4)), [(3, 1)]),
    (np.broadcast_arrays, both(np.broadcast_arrays), [(3, 1), (4,)]),
    (np.full_like, lambda a, b: np.full_like(a, b), [MATRIX, (4,)]),
    (np.transpose, np.transpose, [CUBE]),
    (np.swapaxes, lambda a: np.swapaxes(a, 0, -1), [CUBE]),
    (np.moveaxis, lambda a: np.moveaxis(a, [0, 1], [-1, 0]), [CUBE]),
    (np.rollaxis, lambda a: np.rollaxis(a, 2), [CUBE]),
    (np.matrix_transpose, np.matrix_transpose, [CUBE]),
    (operator.getitem, lambda a: a[1, ..., None], [CUBE]),
    (operator.setitem, lambda a, v: assigned(a * 2, np.s_[:, [0, 2, 0]], v * 3), [MATRIX, (3, 3)]),
    (operator.setitem, lambda a, v: assigned(a * 2, np.s_[..., 1], v[:1]), [CUBE, (4, 1)]),
    (np.concatenate, lambda a, b: np.concatenate((a, b), 1), [MATRIX, (3, 2)]),
    (np.stack, lambda a, b: np.stack([a, b], axis=-1), [MATRIX, MATRIX]),
    (np.hstack, lambda a, b: np.hstack((a, b)), [VECTOR, (2,)]),
    (np.vstack, lambda a, b: np.vstack((a, b)), [MATRIX, (4,)]),
    (np.dstack, lambda a, b: np.dstack((a, b)), [MATRIX, MATRIX]),
    (np.column_stack, lambda a, b: np.column_stack((a, b)), [MATRIX, (3,)]),
    (np.append, np.append, [MATRIX, VECTOR]),
    (np.append, lambda a, b: np.append(a, b, axis=0), [MATRIX, MATRIX]),
    (np.block, lambda a, b: np.block([[a, b], [b, np.ones((3, 4))]]), [MATRIX, MATRIX]),
    (np.insert, lambda a, b: np.insert(a, 1, b, axis=0), [MATRIX, (4,)]),
    (np.insert, lambda a: np.insert(a, [1, 2], 5.0, axis=1), [MATRIX]),
    (np.delete, lambda a: np.delete(a, [0, 2], axis=1), [MATRIX]),
    *((f, f, [MATRIX]) for f in (np.flip, np.fliplr, np.flipud, np.rot90, np.tril, np.triu, np.diag)),
    (np.flip, lambda a: np.flip(a, (0, -1)), [CUBE]),
    (np.roll, lambda a: np.roll(a, (1, 2), (0, 1)), [MATRIX]),
    (np.repeat, lambda a: np.repeat(a, [1, 0, 2], axis=0), [MATRIX]),
    (np.tile, lambda a: np.tile(a, (2, 1, 2)), [MATRIX]),
    (np.resize, lambda a: np.resize(a, (4, 5)), [MATRIX]),
    (np.diag, lambda a: np.diag(a, -1), [VECTOR]),
    (np.diagflat, lambda a: np.diagflat(a, 1), [VECTOR]),
    (np.diagonal, lambda a: np.diagonal(a, 1, 0, 2), [CUBE]),
    *((f, both(lambda a, f=f: f(a, 2)), [(2, 4, 4)]) for f in (np.hsplit, np.vsplit, np.dsplit)),
    (np.split, both(lambda a: np.split(a, [1, 3], axis=1)), [MATRIX]),
    (np.array_split, both(lambda a: np.array_split(a, 3, axis=1)), [MATRIX]),
    (np.take, lambda a: np.take(a, [[0, 2], [1, 1]], axis=1), [MATRIX]),
    (np.take, lambda a: np.take(a, [0, 70], mode="clip"), [MATRIX]),
    (np.take_along_axis, lambda a: np.take_along_axis(a, np.array([[0], [2], [1]]), 1), [MATRIX]),
    (np.compress, lambda a: np.compress([True, False, True], a, axis=0), [MATRIX]),
    (np.extract, lambda a: np.extract(np.arange(12).reshape(3, 4) % 5 > 1, a), [MATRIX]),
    (np.choose, lambda a, b: np.choose([0, 1, 1, 0], [a, b]), [MATRIX, MATRIX]),
    (np.select, lambda a, b: np.select([np.eye(3, 4) > 0, np.tri(3, 4) > 0], [a, b], default=3.0), [MATRIX, MATRIX]),
    (np.select, lambda a: np.select([np.eye(3, 4) > 0], [a]), [MATRIX]),
    *((np.pad, lambda a, m=m: np.pad(a, ((1, 2), (0, 3)), m), [MATRIX])
      for m in ("edge", "reflect", "symmetric", "wrap")),
    (np.pad, lambda a: np.pad(a, ((1, 2), (0, 3)), constant_values=((1.0, 2.0), (3.0, 4.0))), [MATRIX]),
    (np.meshgrid, both(np.meshgrid), [(3,), (2,)]),
    (np.meshgrid, both(np.meshgrid, indexing="ij", sparse=True), [(3,), (2,)]),
    (np.sort, lambda a: np.sort(a, axis=0), [MATRIX]),
    (np.sort, lambda a: np.sort(a, axis=None), [MATRIX]),
    (np.partition, lambda a: np.partition(a, 2, axis=1), [MATRIX]),
    # Products
    (np.matmul, np.matmul, [CUBE, (4,)]),
    (np.dot, np.dot, [CUBE, (5, 4, 2)]),
    (np.inner, np.inner, [(2, 4), (3, 5, 4)]),
    (np.outer, np.outer, [MATRIX, VECTOR]),
    (np.vdot, np.vdot, [MATRIX, MATRIX]),
    (np.vecdot, np.vecdot, [MATRIX, (4,)]),
    *((getattr(np, name), getattr(np, name), shapes)  # NumPy 2.2
      for name, shapes in (("matvec", [SQUARES, (3,)]), ("vecmat", [(3,), SQUARES])) if hasattr(np, name)),
    (np.tensordot, lambda a, b: np.tensordot(a, b, axes=([0, 2], [1, 0])), [CUBE, (4, 2, 5)]),
    (np.tensordot, lambda a, b: np.tensordot(a, b, 0), [(2,), (3,)]),
    (np.kron, np.kron, [(2, 3), (2,)]),
    (np.cross, np.cross, [(4, 3), (3,)]),
    (np.cross, lambda a, b: np.cross(a, b, axis=0), [(3, 4), (3, 4)]),
    (np.trace, lambda a: np.trace(a, 1, 1, 2), [CUBE]),
    (np.einsum, lambda a, b: np.einsum("...ij,...jk->...ik", a, b), [(2, 2, 3), (3, 4)]),
    (np.einsum, lambda a, b: np.einsum(a, [0, 1], b, [1, 2], [2, 0]), [(2, 3), (3, 4)]),
    (np.einsum, lambda a: np.einsum("ii", a), [(3, 3)]),
    (np.convolve, np.convolve, [(5,), (3,)]),
    (np.correlate, lambda a, v: np.correlate(a, v, "same"), [(3,), (6,)]),
    # Statistics of several variables, counts, polynomials, points and lines
    (np.cov, np.cov, [MATRIX]),
    (np.cov, lambda a, b: np.cov(a, b, bias=True), [MATRIX, (2, 4)]),
    (np.cov, lambda a, b: np.cov(a, b, rowvar=False, ddof=0), [(4, 2), (4,)]),
    (np.cov, lambda a, w: np.cov(a, fweights=[1, 3, 0, 2], aweights=np.exp(w)), [MATRIX, (4,)]),
    (np.cov, lambda a, w: np.cov(a, aweights=np.exp(w), ddof=0), [VECTOR, VECTOR]),
    (np.cov, lambda a: np.cov(a, fweights=np.array([1, 3, 0, 2])), [MATRIX]),
    (np.corrcoef, np.corrcoef, [MATRIX]),
    (np.corrcoef, lambda a, b: np.corrcoef(a, b, False), [(4, 2), (4, 1)]),
    (np.corrcoef, lambda a: a[0] + np.corrcoef(a), [VECTOR]),
    (np.bincount, lambda w: np.bincount([0, 3, 3, 1, 0], w, minlength=6), [VECTOR]),
    (np.histogram, lambda w: np.histogram([0.1, 0.5, 1.0, -2.0, 0.3], 4, (0, 1), weights=w)[0], [VECTOR]),
    (np.histogram, HISTOGRAM, [MATRIX]),
    (np.interp, lambda x, f: np.interp(x, [-1.0, 0.4, 0.6], f), [MATRIX, (3,)]),
    (np.interp, lambda x, p, f, e: np.interp(x, np.sort(p), f, e[0], right=e[1]), [MATRIX, VECTOR, VECTOR, (2,)]),
    (np.interp, lambda x, p, f: np.interp(x, p, f, 1.0, 2.0, period=-1.4), [MATRIX, (3,), (3,)]),
    (np.linspace, lambda a, b: np.linspace(a, b, 4), [(3,), ()]),
    (np.linspace, both(lambda a, b: np.linspace(a, b, 3, endpoint=False, retstep=True, axis=-1)), [MATRIX, (4,)]),
    (np.linspace, lambda a: np.linspace(a, 3, 1, dtype=np.float64), [(3,)]),
    (np.logspace, lambda a, b: np.logspace(a, b, 4, base=2.0, axis=1, dtype=np.float64), [(3,), ()]),
    (np.logspace, lambda a, b: np.logspace(a, 1.0, 3, False, np.exp(b)), [(3,), ()]),
    (np.geomspace, lambda a, b: np.geomspace(np.exp(a), np.exp(b), 4, axis=-1), [(3,), ()]),
    (np.geomspace, lambda a: np.geomspace(-np.exp(a), -2.0, 3, endpoint=False, dtype=np.float64), [()]),
    (np.polyval, np.polyval, [VECTOR, MATRIX]),
    (np.polyval, lambda x: np.polyval([1.0, 0.0, 2.0], x), [MATRIX]),
    (np.polyval, lambda p: np.polyval(p, [0.5, 2.0]), [VECTOR]),
    (np.polyadd, lambda a, b: np.polyadd(a, b), [VECTOR, (3,)]),
    (np.polyadd, lambda a: np.polyadd(2.0, a), [VECTOR]),
    (np.polysub, lambda a, b: np.polysub(a, b), [(3,), VECTOR]),
    (np.polymul, POLYMUL, [VECTOR, (3,)]),
    (np.polyder, np.polyder, [VECTOR]),
    (np.polyder, lambda a: np.polyder(a, 2), [VECTOR]),
    (np.polyint, np.polyint, [VECTOR]),
    (np.polyint, lambda a, k: np.polyint(a, 2, k), [VECTOR, ()]),
    (np.polyint, lambda a, k: np.polyint(a, m=2, k=k), [VECTOR, (3,)]),
    (np.poly, np.poly, [VECTOR]),
    (np.polydiv, both(lambda u, v: np.polydiv(u, np.append(2.0, v))), [VECTOR, (2,)]),
    (np.polydiv, both(lambda u: np.polydiv(u, [2.0, 1.0])), [(3,)]),
    (np.polydiv, both(lambda v: np.polydiv([1.0, 0.5, 2.0], np.append(2.0, v))), [()]),
    (np.polyfit, lambda x, y: np.polyfit(x + POINTS, y, 2), [(5,), (5,)]),
    (np.polyfit, lambda x, y, w: np.polyfit(x + POINTS, y, 1, w=np.exp(w)), [(5,), (5, 2), (5,)]),
    (np.polyfit, lambda y: np.polyfit(POINTS, y, 1, full=True)[0], [(5,)]),
    (np.polyfit, lambda y: sum(map(np.sum, np.polyfit(POINTS, y, 1, full=True)[1:2])), [(5, 2)]),
    (np.polyfit, both(lambda x, y: np.polyfit(x + POINTS, y, 1, cov=True)), [(5,), (5,)]),
    (np.polyfit, both(lambda x, y: np.polyfit(x + POINTS, y, 1, cov="unscaled")), [(5,), (5, 2)]),
    (np.roots, lambda r: np.roots(np.poly(np.cumsum(np.exp(r) + 0.5))), [(3,)]),
    (np.vander, np.vander, [VECTOR]),
    *((np.vander, lambda a, n=n: np.vander(a, n, increasing=True), [(3,)]) for n in (0, 1, 5)),
    (np.ediff1d, np.ediff1d, [MATRIX]),
    (np.ediff1d, lambda a, b: np.ediff1d(a, b, to_begin=[1.0, 2.0]), [MATRIX, (2, 2)]),
    (np.unwrap, lambda a: np.unwrap(a * 5, axis=0), [MATRIX]),
    (np.unwrap, lambda a: np.unwrap(a * 5, 2.0, period=3.0), [MATRIX]),
    # Parts, and functions of them
    (sliding_window_view, lambda a: sliding_window_view(a, 3), [VECTOR]),
    (sliding_window_view, lambda a: sliding_window_view(a, (2, 3)), [MATRIX]),
    (sliding_window_view, lambda a: sliding_window_view(a, [2, 2, 2], axis=(-1, 0, -1)), [CUBE]),
    (sliding_window_view, lambda a: sliding_window_view(a, np.int64(3), 1) * 2, [CUBE]),
    (np.unstack, both(np.unstack), [MATRIX]),
    (np.unstack, both(lambda a: np.unstack(a, axis=-1)), [CUBE]),
    (np.trim_zeros, lambda a: np.trim_zeros(np.append(np.zeros(2), np.append(a, 0.0))), [VECTOR]),
    *((np.trim_zeros, lambda a, t=t: np.trim_zeros(np.append(0.0, np.append(a, 0.0)), t), [VECTOR]) for t in "fB"),
    (np.apply_along_axis, lambda a: np.apply_along_axis(np.sort, 0, a), [CUBE]),
    (np.apply_along_axis, lambda a: np.apply_along_axis(lambda r, k: np.sum(r) * k, -1, a, k=2.0), [MATRIX]),
    (np.apply_along_axis, lambda a: np.apply_along_axis(lambda r: r[:2, None] * r[1:], 1, a), [CUBE]),
    (np.apply_along_axis, lambda a: a + np.apply_along_axis(np.argmax, 0, a), [MATRIX]),
    (np.apply_over_axes, lambda a: np.apply_over_axes(np.sum, a, (0, -1)), [CUBE]),
    (np.apply_over_axes, lambda a: np.apply_over_axes(lambda x, k: np.max(x, k, keepdims=True), a, 1), [MATRIX]),
    (np.piecewise, lambda a: np.piecewise(a, [a < 0, a > 0.7], [np.sin, lambda x: x**3, 2.0]), [MATRIX]),
    (np.piecewise, lambda a, b: np.piecewise(a * b[0], [a < 9, a > 0], [lambda x, k: k * x, lambda x, k: x * x], 3.0),
     [MATRIX, (2,)]),
    (np.piecewise, lambda a: np.piecewise(a, a > 0.3, [lambda x: x * x, lambda x: -x]), [VECTOR]),
    (np.piecewise, lambda a: np.piecewise(a, [a > 3, a < -3], [np.sin, np.cos, np.exp]), [()]),
    # Writing into a copy
    *((f, lambda a, *b, f=f, how=how: written(f, a, *b, **how), shapes) for f, how, shapes in (
        (np.copyto, {}, [MATRIX, (1, 1, 4)]),
        (np.copyto, {"where": np.eye(3, 4) > 0}, [MATRIX, (4,)]),
        (np.fill_diagonal, {}, [(5, 2), ()]),
        (np.fill_diagonal, {"wrap": True}, [(5, 2), (3,)]),
        (np.fill_diagonal, {}, [(2, 2, 2), (4,)]),
    )),
    (np.put, lambda a, b: written(np.put, a, [0, -1, 0, 5], b), [MATRIX, (3,)]),
    (np.put, lambda a, b: written(np.put, a, [[2, 33]], b, mode="wrap"), [MATRIX, (3,)]),
    (np.place, lambda a, b: written(np.place, a, np.arange(12) % 3 < 2, b), [MATRIX, (3,)]),
    (np.putmask, lambda a, b: written(np.putmask, a, np.eye(3, 4) > 0, b), [MATRIX, (3,)]),
    (np.put_along_axis, lambda a, b: written(np.put_along_axis, a, np.array([[0], [3], [1]]), b, 1), [MATRIX, (3, 1)]),
    (np.put_along_axis, lambda a, b: written(np.put_along_axis, a.copy(), np.array([0, 11]), b, None), [MATRIX, ()]),
    # Linear algebra
    (L.inv, lambda a: L.inv(a + 4 * np.eye(3)), [SQUARES]),
    (L.pinv, L.pinv, [(2, 4, 2)]),
    (L.solve, lambda a, b: L.solve(a + 4 * np.eye(3), b), [SQUARES, (3,)]),
    (L.slogdet, lambda a: list(L.slogdet(a + 4 * np.eye(3))), [SQUARES]),
    (L.cholesky, lambda a: L.cholesky(a @ a.mT + np.eye(3), upper=True), [SQUARES]),
    (L.eigh, lambda a: [abs(x) for x in L.eigh((a + a.mT) / 2 + np.diag([0, 8, 16]), "U")], [SQUARES]),
    (L.eigvalsh, lambda a: L.eigvalsh(a + a.mT), [SQUARES]),
    (L.svd, lambda a: [abs(x) for x in L.svd(a + np.diag([0, 8, 16]))], [SQUARES]),
    (L.svdvals, L.svdvals, [MATRIX]),
    (L.svd, lambda a: [abs(x) for x in L.svd(a + np.diag([0, -8, 16]), hermitian=True)], [SQUARES]),
    (L.svd, lambda a: L.svd(a + np.diag([0, -8, 16]), compute_uv=False, hermitian=True), [SQUARES]),
    (L.pinv, lambda a: L.pinv(a + 4 * np.eye(3), hermitian=True), [SQUARES]),
    *((L.qr, lambda a, mode=mode: L.qr(a, mode), [MATRIX]) for mode in ("reduced", "r")),
    (L.qr, lambda a: L.qr(np.hstack((a, np.eye(len(a)))), "complete"), [MATRIX]),  # of high ones there is none
    (L.qr, lambda a: L.qr(a.mT), [CUBE]),
    (L.eig, lambda a: [np.real(x) ** 2 for x in L.eig(np.triu(a) + np.diag([0, 8, 16]))], [SQUARES]),
    (L.eigvals, lambda a: np.real(L.eigvals(np.triu(a) + np.diag([0, 8, 16]))), [SQUARES]),
    (L.lstsq, lambda a, b: list(L.lstsq(np.vstack((a, 9 * np.eye(4))), b)), [MATRIX, (7, 2)]),
    (L.lstsq, lambda a, b: list(L.lstsq(np.hstack((9 * np.eye(3), a)), b)), [MATRIX, (3,)]),
    (L.tensorsolve, L.tensorsolve, [(2, 3, 6), (2, 3)]),
    (L.tensorsolve, lambda a, b: L.tensorsolve(a, b, axes=(0, 2)), [(2, 6, 3), (6,)]),
    (L.tensorinv, lambda a: L.tensorinv(np.atleast_1d(a)), [(2, 3, 6)]),  # NumPy fails at a number
    (L.tensorinv, lambda a: L.tensorinv(a, ind=1), [(4, 2, 2)]),
    *((L.cond, lambda a, p=p: L.cond(a + 4 * np.eye(3), p), [SQUARES]) for p in (None, -2, "fro", 1, -1, -np.inf)),
    *((L.vector_norm, lambda a, o=o, axis=axis, keep=keep: L.vector_norm(a, axis=axis, keepdims=keep, ord=o), [CUBE])
      for o, axis, keep in ((2, None, False), (3, (2, 0), True), (1, -1, False), (np.inf, (1,), True), (2, 0, True))),
    *((L.matrix_norm, lambda a, o=o, keep=keep: L.matrix_norm(a, keepdims=keep, ord=o), [(2, 2, 3)])
      for o, keep in (("fro", False), ("nuc", True), (2, False), (-1, True))),
    *((L.matrix_power, lambda a, n=n: L.matrix_power(a + 4 * np.eye(3), n), [SQUARES]) for n in (-2, 1, 3)),
    (L.multi_dot, lambda a, b, c: L.multi_dot([a, b, c]), [(3,), (3, 4), (4, 2)]),
    *((L.norm, lambda a, o=o: L.norm(a, o, axis=0, keepdims=True), [MATRIX])
      for o in (None, 2, 1, np.inf, -np.inf, 3, 0.5)),
    *((L.norm, lambda a, o=o: L.norm(a, o, axis=(0, 2)), [CUBE])
      for o in (None, "fro", "nuc", 2, -2, 1, -1, np.inf, -np.inf)),
    (L.norm, L.norm, [CUBE]),
    (L.trace, L.trace, [SQUARES]),
    (L.diagonal, L.diagonal, [SQUARES]),
    (L.matrix_transpose, L.matrix_transpose, [SQUARES]),
    (L.outer, L.outer, [VECTOR, VECTOR]),
    (L.cross, L.cross, [(3,), (3,)]),
    (L.matmul, L.matmul, [MATRIX, (4, 2)]),
    (L.tensordot, L.tensordot, [CUBE, (3, 4)]),
    (L.vecdot, L.vecdot, [MATRIX, MATRIX]),
    # Ways of calling ufuncs
    (np.add.reduce, lambda a: np.add.reduce(a), [MATRIX]),
    (np.multiply.reduce, lambda a: np.multiply.reduce(a, axis=1), [MATRIX]),
    (np.maximum.reduce, lambda a: np.maximum.reduce(a, axis=None), [MATRIX]),
    (np.minimum.reduce, lambda a: np.minimum.reduce(a), [MATRIX]),
    (np.logaddexp.reduce, lambda a: np.logaddexp.reduce(a, axis=1, keepdims=True), [MATRIX]),
    (np.logical_and.reduce, lambda a: a * np.logical_and.reduce(a > -0.9, axis=1, keepdims=True), [MATRIX]),
    (np.logical_or.reduce, lambda a: a * np.logical_or.reduce(a), [MATRIX]),
    *((np.ufunc.reduce, lambda a, f=f: f.reduce(a, 1), [MATRIX]) for f in (np.subtract, np.hypot, np.fmax)),
    (np.ufunc.reduce, lambda a: np.hypot.reduce(a, axis=(2, 0), keepdims=True), [CUBE]),
    (np.add.accumulate, lambda a: np.add.accumulate(a, axis=1), [MATRIX]),
    (np.multiply.accumulate, lambda a: np.multiply.accumulate(a), [MATRIX]),
    (np.maximum.accumulate, lambda a: np.maximum.accumulate(a), [MATRIX]),
    (np.minimum.accumulate, lambda a: np.minimum.accumulate(a, axis=1), [CUBE]),
    *((np.ufunc.accumulate, lambda a, f=f: f.accumulate(a, 1), [MATRIX]) for f in (np.subtract, np.logaddexp)),
    (np.ufunc.outer, lambda a, b: np.subtract.outer(a, b), [MATRIX, (2,)]),
    (np.ufunc.outer, lambda a, b: np.power.outer(np.exp(a), b), [(2,), (2,)]),
    (np.ufunc.reduceat, lambda a: np.add.reduceat(a, [1, 0, 2]), [MATRIX]),
    (np.ufunc.reduceat, lambda a: np.add.reduceat(a, [0, 2, 1, 1], axis=1), [CUBE]),
    (np.ufunc.reduceat, lambda a: np.multiply.reduceat(a, [0, 3, 1], axis=-1), [MATRIX]),
    (np.ufunc.at, lambda a, b: changed(np.add, a * 2, [0, 2, 0], b), [VECTOR, (3,)]),
    (np.ufunc.at, lambda a, b: changed(np.subtract, a * 2, ([0, 0], [1, 1]), b), [MATRIX, ()]),
    (np.ufunc.at, lambda a, b: changed(np.multiply, a * 2, [2, 0], b), [MATRIX, (4,)]),
    (np.ufunc.at, lambda a: changed(np.exp, a * 2, [2, 0]), [MATRIX]),
    (np.ufunc.__call__, lambda a: np.exp(a, dtype=np.float64), [MATRIX]),
]  # fmt: skip


def _plain(x):
    return x.numpy() if isinstance(x, Tensor) else x


def outputs(result):
    return [part for x in result for part in outputs(x)] if isinstance(result, list | tuple) else [result]


@pytest.mark.parametrize("k", range(len(CALLS)), ids=[f"{k}-{call[0].__name__}" for k, call in enumerate(CALLS)])
def test_value_and_derivatives(k):
    value_and_derivatives(*CALLS[k][1:])


def value_and_derivatives(call, shapes):
    """Of calls at random numbers: the values are NumPy's, the derivatives right."""

    @settings(max_examples=3)
    @given(seeds)
    def property(seed):
        rng = np.random.default_rng(seed)
        inputs = []
        for shape in shapes:
            spread = np.linspace(-1.5, 1.5, max(2, int(np.prod(shape))))[: int(np.prod(shape))]  # no two are close
            inputs.append(laid_out(rng.permutation(spread).reshape(shape), rng.choice(LAYOUTS)))
        inputs = [x + rng.uniform(-0.05, 0.05, x.shape) for x in inputs]
        wanted = outputs(call(*inputs))
        got = outputs(call(*(Tensor(x, requires_grad=True) for x in inputs)))
        assert len(wanted) == len(got)
        for want, have in zip(wanted, got, strict=True):
            have = np.asarray(_plain(have))
            assert have.dtype == np.asarray(want).dtype
            assert_close(have, want, rtol=1e-12, atol=1e-13)
            assert have.shape == np.shape(want)
        weigh = lambda result: sum(np.sum(np.sin(x) * (i + 1)) for i, x in enumerate(outputs(result)))
        check(lambda *a: weigh(call(*a)), inputs)

    property()


def test_every_function_in_the_table_is_called_here_or_in_the_rules():
    constant(len)
    give_plain_arrays = FUNCTIONS.pop(len).__code__
    composed = {
        function
        for function, handler in FUNCTIONS.items()
        if not isinstance(handler, Primitive) and getattr(handler, "__code__", None) is not give_plain_arrays
    }
    assert composed - {call[0] for call in CALLS} == set()


class TestOptions:
    x = np.arange(6.0).reshape(2, 3)

    @pytest.mark.parametrize(
        ("call", "option"),
        [
            (lambda t: np.sum(t, out=np.zeros(())), "out"),
            (lambda t: np.exp(t, where=np.array(True)), "where"),
            (lambda t: np.cumulative_sum(t[0], out=np.zeros(3)), "out"),
            (lambda t: np.nancumsum(t, out=np.zeros(6)), "out"),
            (lambda t: np.nancumprod(t, out=np.zeros(6)), "out"),
            (lambda t: np.nanmedian(t, out=np.zeros(())), "out"),
            (lambda t: np.var(t, mean=1.0, out=np.zeros(())), "out"),
            (lambda t: np.add.reduceat(t, [0], out=np.zeros((1, 3))), "out"),
            (lambda t: np.hypot.reduce(t, out=np.zeros(3)), "out"),
            (lambda t: np.hypot.accumulate(t, out=np.zeros((2, 3))), "out"),
            (lambda t: np.take(t, [0], out=np.zeros(1)), "out"),
            (lambda t: np.quantile(t, 0.5, weights=np.ones(6), method="inverted_cdf"), "weights"),
            (lambda t: np.ptp(t, out=np.zeros(())), "out"),
            (lambda t: np.concatenate([t, t], dtype=np.float32), "dtype"),
            (lambda t: np.concatenate([t, t], casting="no"), "casting"),
            (lambda t: np.einsum("ij->i", t, dtype=np.float32), "dtype"),
        ],
    )
    def test_what_is_not_honoured_is_refused(self, call, option):
        with pytest.raises(TypeError, match=rf"option {option}=|{option}="):
            call(Tensor(self.x, requires_grad=True))

    def test_a_tensor_cannot_be_an_option(self):
        t = Tensor(self.x, requires_grad=True)
        with pytest.raises(TypeError, match="initial= is a tensor that requires grad"):
            np.sum(t, initial=t[0, 0])

    @pytest.mark.parametrize(
        "call",
        [
            lambda t: np.quantile(Tensor([3.0, 1.0, 2.0]), t[0]),
            lambda t: np.gradient(np.array([3.0, 1.0, 2.0]) * t[0], t),
            lambda t: np.pad(Tensor([3.0, 1.0]), 1, constant_values=t[0]),
            lambda t: np.compress(t, Tensor([3.0, 1.0, 2.0])),
        ],
    )
    def test_a_tensor_where_there_is_no_rule_for_it(self, call):
        with pytest.raises(TypeError, match="tensor that requires grad"):
            call(Tensor([0.1, 0.2, 0.4], requires_grad=True))

    def test_options_are_kept_as_they_were(self):
        t, mask = Tensor([1.0, 2.0], requires_grad=True), np.array([True, True])
        y = np.sum(t, where=mask)
        mask[0] = False
        y.backward()
        assert t.grad.tolist() == [1, 1]

    def test_integers_as_numpy_takes_them(self):
        t = np.array([1, 2, 4, 7])
        for call in (np.gradient, np.median, lambda a: np.quantile(a, 0.3), lambda a: L.norm(a, -1), np.mean):
            np.testing.assert_allclose(call(Tensor(t)).numpy(), call(t))

    def test_infinities_and_nans_stay_where_they_are(self):
        for values, call in (
            ([np.inf] * 3, np.median),
            ([1.0, 2.0, np.inf], np.median),
            ([1.0, 2.0, np.nan, 4.0, 5.0, 6.0], np.gradient),
        ):
            np.testing.assert_array_equal(call(Tensor(values, requires_grad=True)).numpy(), call(np.array(values)))

    def test_empty_and_single(self):
        empty = np.zeros((0, 3))
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for call in (np.std, lambda a: np.median(a, axis=0), np.prod, lambda a: np.cumprod(a, axis=0)):
                result = call(Tensor(empty, requires_grad=True))
                np.testing.assert_array_equal(np.asarray(_plain(result)), call(empty))
            t = Tensor(empty, requires_grad=True)
            np.sum(np.std(t, axis=1)).backward()
            assert t.grad.shape == (0, 3)
        for call in (lambda a: np.prod(a, axis=0), lambda a: np.cumprod(a, axis=0), lambda a: np.prod(a, axis=None)):
            check(call, [np.array(2.0)])

    def test_precision_stays(self):
        t = Tensor(np.arange(6, dtype=np.float32).reshape(2, 3), requires_grad=True)
        for call in (
            np.nanmean,
            lambda a: np.insert(a, 0, 5.0),
            lambda a: np.insert(a, 0, np.ones(2)),
            np.median,
            np.ptp,
        ):
            assert call(t).dtype == np.float32

    def test_where_a_decomposition_has_no_derivative(self):
        same = np.eye(2) * 2
        recombined = {
            "eigh": lambda x: np.sum((lambda w, v: (v * np.exp(w)) @ v.T)(*L.eigh((x + x.T) / 2))[0]),
            "svd": lambda x: np.sum((lambda u, s, v: u @ v)(*L.svd(x))[0]),
        }
        for name, f in recombined.items():
            with pytest.raises(ValueError, match=f"{name}: two values are equal"):
                grad(f)(same)
        with pytest.raises(ValueError, match="svd: a singular value is 0"):
            grad(lambda a: L.svd(a)[0][0, 2])(np.diag([2.0, 1.0, 0.0]))
        square = lambda x: np.sum(L.eigvalsh((x + x.T) / 2) ** 2)
        np.testing.assert_allclose(grad(square)(same), 2 * same)  # the values alone, once
        with pytest.raises(ValueError, match="two values are equal"):
            hessian(square)(same)
        with pytest.raises(ValueError, match="rcond cuts off"):
            L.pinv(Tensor([[2.0, 0.3], [0.1, 0.5]], requires_grad=True), rcond=0.5)

    def test_second_derivatives_of_determinants_of_singular_matrices(self):
        rng = np.random.default_rng(0)
        for a in (np.array([[1.0, 2.0], [2.0, 4.0]]), np.zeros((3, 3)), np.ones((3, 3)), np.zeros((1, 1)),
                  rng.normal(size=(4, 2)) @ rng.normal(size=(2, 4))):  # fmt: skip
            n = len(a)
            exact = np.zeros((n, n, n, n))
            for i, j, k, m in np.ndindex(exact.shape):  # a polynomial of degree 1 in each entry
                e = np.zeros((2, n, n))
                e[0, i, j] = e[1, k, m] = 1
                if (i, j) != (k, m):
                    exact[i, j, k, m] = (
                        sum(p * q * L.det(a + p * e[0] + q * e[1]) for p in (1, -1) for q in (1, -1)) / 4
                    )
            np.testing.assert_allclose(hessian(L.det)(a), exact, atol=1e-10)

    def test_power_with_a_learned_exponent_at_0(self):
        np.testing.assert_allclose(
            hessian(lambda p: p[0] ** p[1])(np.array([2.0, 0.0])), [[0, 0.5], [0.5, np.log(2) ** 2]], atol=1e-15
        )

    def test_refused_as_by_numpy(self):
        t = Tensor(np.ones((2, 3)), requires_grad=True)
        for call in (
            lambda: np.einsum("ii->i", t), lambda: np.einsum("...->", t), lambda: np.gradient(t, np.arange(3.0)),
            lambda: L.norm(t, axis=(1, 1)), lambda: L.multi_dot([t]), lambda: L.matrix_power(t[:, :2], 2.0),
        ):  # fmt: skip
            with pytest.raises((ValueError, TypeError)):
                call()
        A, B = np.ones((2, 3)), np.arange(12.0).reshape(3, 4)
        got = np.einsum(Tensor(A, requires_grad=True), [30, 2], B, [2, 1])
        np.testing.assert_array_equal(got.numpy(), np.einsum(A, [30, 2], B, [2, 1]))

    def test_multi_dot_chooses_the_order(self):
        rng = np.random.default_rng(0)
        parts = [rng.normal(size=s) for s in ((3, 50), (50, 2), (2, 40), (40,))]
        result = L.multi_dot([Tensor(p, requires_grad=True) for p in parts])
        np.testing.assert_allclose(result.numpy(), L.multi_dot(parts))

    def test_unique_and_copy(self):
        t = Tensor([3.0, 1.0, 3.0], requires_grad=True)
        values, counts = np.unique(t, return_counts=True)
        (values * np.array([1.0, 10.0])).sum().backward()
        assert t.grad.tolist() == [10, 1, 0] and counts.tolist() == [1, 2]
        plain = Tensor(np.zeros(2))
        plain.flatten()[0] = 5
        np.copy(plain)[0] = 5
        assert plain.tolist() == [0, 0]

    def test_ways_of_calling_ufuncs_without_a_rule(self):
        t = Tensor(self.x, requires_grad=True)
        for call in (
            lambda: np.nextafter.reduce(t),
            lambda: np.nextafter.reduceat(t, [0]),
            lambda: np.spacing.at(t * 2, 0),
        ):
            with pytest.raises(TypeError, match="has no derivative rule"):
                call()

    def test_joining_objects_of_numpy_hint_at_the_functions(self):
        t = Tensor(self.x[0], requires_grad=True)
        for join in (lambda: np.r_[t, 1.0], lambda: np.c_[t, t]):
            with pytest.raises(TypeError, match=r"np\.stack.*np\.concatenate.*np\.column_stack"):
                join()

    def test_what_has_no_derivative_for_these_shapes(self):
        t = Tensor(self.x, requires_grad=True)
        with pytest.raises(TypeError, match="has a derivative only with full_matrices=False"):
            L.svd(t)
        with pytest.raises(TypeError, match="pad: on tensors the mode must be one of"):
            np.pad(t, 1, "linear_ramp")
        for bad in (lambda: L.norm(t, "bad"), lambda: np.einsum("ijk->i", t), lambda: np.cross(t[:, :2], t[:, :2])):
            with pytest.raises(ValueError):
                bad()

    def test_plain_answers(self):
        t = Tensor(self.x, requires_grad=True)
        for answer in (
            np.isnan(t), np.argmax(t), np.argsort(t), np.shape(t), np.ndim(t), np.size(t), np.zeros_like(t),
            np.ones_like(t), np.nonzero(t), np.where(t), np.any(t), np.all(t > 1), np.allclose(t, t),
            t.argsort(), t.any(), t.all(),
        ):  # fmt: skip
            assert not isinstance(answer, Tensor)

    def test_the_methods_of_arrays(self):
        t = Tensor(self.x + 1, requires_grad=True)
        for call in (
            lambda a: a.repeat(2, axis=0), lambda a: a.take([0, 1], axis=1), lambda a: a.trace(),
            lambda a: a.diagonal(), lambda a: a.cumprod(axis=1),
            lambda a: a.round(1), lambda a: a.copy(), lambda a: a.conj(), lambda a: a.real,
            lambda a: divmod(a, 2)[1], lambda a: divmod(7, a)[1],
            lambda a: a.swapaxes(0, 1), lambda a: a.flatten("F"), lambda a: a.dot(np.ones(3)), lambda a: a.sum(1),
            lambda a: a.mean(0), lambda a: a.std(1), lambda a: a.var(), lambda a: a.max(1), lambda a: a.min(),
            lambda a: a.prod(1), lambda a: a.squeeze(), lambda a: a.clip(1, 3), lambda a: a.cumsum(),
        ):  # fmt: skip
            result = call(t)
            assert isinstance(result, Tensor) and result.requires_grad
            np.testing.assert_allclose(result.numpy(), call(self.x + 1), rtol=1e-14)


def test_piecewise_constant_functions_have_gradient_0():
    for f in (
        np.floor,
        np.ceil,
        np.rint,
        np.trunc,
        np.sign,
        np.round,
        np.fix,
        lambda x: x // 2,
        lambda x: np.heaviside(x, 0.5),
    ):
        assert grad(lambda x, f=f: np.sum(f(x)))(np.array([0.3, -1.7])).tolist() == [0, 0]


def test_special_points():
    def slope(f, *x):
        t = [Tensor(v, requires_grad=True) for v in x]
        f(*t).sum().backward()
        return t[0].grad.tolist()

    assert slope(L.norm, [0.0, 0.0]) == [0, 0]
    assert slope(lambda x: L.norm(x, 3), [0.0, 0.0]) == [0, 0]
    np.testing.assert_allclose(slope(L.det, [[1.0, 2.0], [2.0, 4.0]]), [[4, -2], [-2, 1]], atol=1e-14)
    assert slope(L.det, np.zeros((2, 2)).tolist()) == [[0, 0], [0, 0]]
    assert slope(np.cumprod, [2.0, 0.0, 3.0]) == [1, 8, 0]
    assert slope(np.cumprod, [-np.inf, 1.0, np.inf]) == [np.inf, -np.inf, -np.inf]
    assert slope(lambda x: np.trapezoid([1.0, 2.0, 4.0], x), [0.0, 1.0, 3.0]) == [-1.5, -1.5, 3]
    assert slope(np.sinc, [0.0]) == [0]
    second = grad(grad(np.sinc))
    assert second(0.0) == pytest.approx(-(np.pi**2) / 3, rel=1e-14)
    assert slope(np.median, [3.0, 1.0, 2.0, 5.0]) == [0.5, 0, 0.5, 0]
    assert np.isnan(np.median(Tensor([1.0, np.nan], requires_grad=True)).item())


@pytest.mark.parametrize("keepdims", [False, True])
def test_quantiles_where_no_element_is_left(keepdims):
    for call, shape in ((lambda a: np.quantile(a, 0.5, axis=1, keepdims=keepdims), (0, 2)),
                        (lambda a: np.quantile(a, [0.2, 0.5], axis=0, keepdims=keepdims), (3, 1, 0)),
                        *((lambda a, f=f: f(a, axis=0, keepdims=keepdims), (0, 2))
                          for f in (np.median, np.nanmedian))):  # fmt: skip
        x = np.zeros(shape)
        t = Tensor(x, requires_grad=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            y = call(t)
            assert y.shape == call(x).shape
        y.sum().backward()
        assert t.grad.shape == shape
