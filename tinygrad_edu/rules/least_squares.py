"""Rules of the pseudo-inverse and of least squares.

Formulas: G. Golub and V. Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose
variables separate" (1973). They hold where the rank stays the same in the neighbourhood.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.operators import option, or_numpy
from ..autograd.primitives import implements, primitive, rule
from ..autograd.recording import plain
from .decompositions import negligible, slope_of_singular_values


@primitive
def _pinv(a: Any, *, options: Any) -> Any:
    return np.linalg.pinv(a, **options)


rule(
    _pinv,
    lambda g, y, a, *, options: (
        -y.mT @ g @ y.mT
        + (np.eye(a.shape[-2]) - a @ y) @ g.mT @ y @ y.mT
        + y.mT @ y @ g.mT @ (np.eye(a.shape[-1]) - y @ a)
    ),
)


@implements(np.linalg.pinv)
@or_numpy(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = np._NoValue) -> Any:
    if hermitian:
        np.linalg.pinv(np.ones((1,) * a.ndim))  # says what is wrong
        a = np.tril(a) + np.tril(a, -1).mT  # NumPy reads the lower triangle
    cutoff = option(rcond if rcond is not None or rtol is np._NoValue else rtol, "pinv: rcond")
    if cutoff is not None and a.size:
        values = np.linalg.svd(plain(a), compute_uv=False)
        largest = np.max(values, axis=-1, keepdims=True)
        dropped = (values <= np.asarray(cutoff)[..., None] * largest) & (values > negligible(values, 1e-13) * largest)
        if np.any(dropped):
            raise ValueError("pinv: there is no derivative rule where rcond cuts off singular values that are not 0")
    options = {"rcond": option(rcond, "pinv: rcond"), "hermitian": hermitian}
    return _pinv(a, options=options if rtol is np._NoValue else options | {"rtol": option(rtol, "pinv: rtol")})


@primitive
def _lstsq(a: Any, b: Any, *, rcond: Any) -> Any:
    """A solution for each column of `b`; below them, if there are more equations than unknowns, what is left over."""
    x, residuals, rank, _ = np.linalg.lstsq(a, b, rcond)
    if rank < min(a.shape):
        raise ValueError(
            f"lstsq: the matrix of shape {a.shape} has rank {rank}, and there is no derivative where it is below "
            f"{min(a.shape)}; a smaller rcond= may count more, and .detach().numpy() needs no derivative"
        )
    return np.concatenate((x, residuals[None])) if a.shape[0] > a.shape[1] else x


def _least(a: Any, b: Any, rcond: Any) -> Any:
    """a⁺ b."""
    return _lstsq(a, b, rcond=rcond)[: a.shape[1]]


def _lstsq_rule_a(g: Any, y: Any, a: Any, b: Any, *, rcond: Any) -> Any:
    m, n = a.shape
    x, gx = y[:n], g[:n]
    u = _least(a.mT, gx, rcond)
    slope = -u @ x.mT
    if m > n:
        return slope + (b - a @ x) @ (_least(a, u, rcond) - 2 * g[n] * x).mT
    if m < n:
        return slope + _least(a.mT, x, rcond) @ (gx - _least(a, a @ gx, rcond)).mT
    return slope


def _lstsq_rule_b(g: Any, y: Any, a: Any, b: Any, *, rcond: Any) -> Any:
    m, n = a.shape
    u = _least(a.mT, g[:n], rcond)
    return u + 2 * g[n] * (b - a @ y[:n]) if m > n else u


rule(_lstsq, _lstsq_rule_a, _lstsq_rule_b)


@primitive
def _values_of_lstsq(a: Any) -> Any:
    """The singular values as `lstsq` computes them, whose last bits are its own."""
    return np.linalg.lstsq(a, np.zeros((len(a), 0), a.dtype))[3]


rule(_values_of_lstsq, lambda g, a: slope_of_singular_values(g, a))


@implements(np.linalg.lstsq)
@or_numpy(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """As NumPy gives them: solutions, sums of squared residuals, rank, singular values of `a`."""
    columns = np.expand_dims(b, -1) if np.ndim(b) == 1 else b
    packed = _lstsq(a, columns, rcond=option(rcond, "lstsq: rcond"))
    m, n = np.shape(a)
    x, residuals = packed[:n], packed[n] if m > n else np.zeros(0, packed.dtype)
    values = _values_of_lstsq(np.astype(a, packed.dtype))
    return x[:, 0] if np.ndim(b) == 1 else x, residuals, np.intc(min(m, n)), values
