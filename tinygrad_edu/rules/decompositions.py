"""Rules of the decompositions of `numpy.linalg`: Cholesky, QR, eigenvalues, singular values; batched as NumPy is.

A decomposition into several factors is one primitive, which gives the factors side by side in one array.

Formulas: M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation"
(2008); for the Cholesky factor I. Murray, "Differentiation of the Cholesky decomposition" (2016); for QR S. Walter and
L. Lehmann, "Algorithmic differentiation of linear algebra functions" (2010).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.operators import on_values
from ..autograd.primitives import implements, primitive, rule
from ..autograd.recording import plain


def _one_triangle(x: Any, lower: bool) -> Any:
    return _lower_part(x) if lower else _lower_part(x).mT


def _lower_part(x: Any) -> Any:
    """The gradient of a symmetric matrix of which NumPy reads only the lower triangle, gathered in that triangle."""
    return np.tril(x + x.mT) - np.tril(np.triu(x))


@primitive
def _cholesky(a: Any, *, upper: bool) -> Any:
    return np.linalg.cholesky(a, upper=upper)


def _halved(x: Any) -> Any:
    """The lower triangle with its diagonal halved."""
    return np.tril(x) - np.tril(np.triu(x)) / 2


def _cholesky_rule(g: Any, y: Any, *, upper: bool) -> Any:
    if upper:
        return _cholesky_rule(g.mT, y.mT, upper=False).mT
    return _lower_part(np.linalg.solve(y.mT, np.linalg.solve(y.mT, _halved(y.mT @ g)).mT))


rule(_cholesky, _cholesky_rule)


@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    return _cholesky(a, upper=upper)


@primitive
def _eigh(a: Any, *, lower: bool, of_values: bool = False) -> Any:
    """The eigenvalues as a column, then the eigenvectors: (…, n, 1 + n)."""
    w, v = np.linalg.eigh(a, "L" if lower else "U")
    return np.concatenate((w[..., None], v), axis=-1)


@on_values
def _equal_values(values: Any, used: Any, function: str) -> Any:
    """Which pairs of values are equal. Their vectors have no derivative of their own: where a gradient arrives at them
    (`used` is not 0), there is no right answer."""
    gaps = values[..., None, :] - values[..., :, None]
    equal = abs(gaps) <= 1e-10 * np.max(abs(values), axis=-1, initial=0)[..., None, None]
    off = ~np.eye(values.shape[-1], dtype=bool)
    if np.any(equal & off & _arrives(used)):
        raise ValueError(
            f"{function}: two values are equal (up to rounding), and the gradient depends on their vectors, which "
            "have no derivative there. The values alone can be differentiated once"
        )
    return equal


def _arrives(used: Any) -> Any:
    """Where a gradient is larger than the rounding errors of its largest entries."""
    return abs(used) > 1e-12 * np.max(abs(used), initial=0)


def _inverse_gaps(function: str, values: Any, used: Any) -> Any:
    """1 / (v_j − v_i) off the diagonal, 0 on it."""
    equal = _equal_values(values, used, function)
    return np.where(equal, 0, 1 / np.where(equal, 1, values[..., None, :] - values[..., :, None]))


def _eigh_rule(g: Any, y: Any, *, lower: bool, of_values: bool = False) -> Any:
    values, v = y[..., 0], y[..., 1:]
    skew = v.mT @ g[..., 1:]
    turned = _inverse_gaps("eigh", values, _used(skew, of_values)) * skew
    return _one_triangle(v @ (turned + _diagonal_matrices(g[..., 0])) @ v.mT, lower)


rule(_eigh, _eigh_rule)


def _used(arriving: Any, of_values: bool) -> Any:
    """Where the gradient depends on vectors. In the second derivative of the values (`of_values`) it does everywhere:
    where no gradient arrives at vectors that have no derivative, it is 0 · ∞."""
    return np.ones(arriving.shape) if of_values else plain(arriving)


def _diagonal_matrices(x: Any) -> Any:
    """Vectors on the last axis as diagonal matrices."""
    return x[..., None] * np.eye(x.shape[-1], dtype=x.dtype)


@primitive
def _eigvalsh(a: Any, *, lower: bool) -> Any:
    return np.linalg.eigvalsh(a, "L" if lower else "U")


def _recomposed(v: Any, g: Any) -> Any:
    """v diag(g) vᵀ."""
    return (v * g[..., None, :]) @ v.mT


rule(
    _eigvalsh,
    lambda g, a, *, lower: _one_triangle(_recomposed(_eigh(a, lower=lower, of_values=True)[..., 1:], g), lower),
)


def _reads_lower(UPLO: str) -> bool:
    if UPLO.upper() not in ("L", "U"):
        raise ValueError(f"eigh: UPLO must be 'L' or 'U', not {UPLO!r}")
    return UPLO.upper() == "L"


@implements(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> Any:
    packed = _eigh(a, lower=_reads_lower(UPLO))
    return _eigh_result(packed[..., 0], packed[..., 1:])


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return _eigvalsh(a, lower=_reads_lower(UPLO))


@primitive
def _svd(a: Any, *, full_matrices: bool, of_values: bool = False) -> Any:
    """Uᵀ, the singular values as a column, and Vᵀ side by side: (…, k, m + 1 + n)."""
    u, s, vt = np.linalg.svd(a, full_matrices)
    return np.concatenate((u.mT, s[..., None], vt), axis=-1)


@on_values
def _no_values(s: Any, gu: Any, gv: Any) -> Any:
    """Which singular values are 0; those have no vectors, so no gradient may arrive at them."""
    tiny = s <= 1e-13 * np.max(s, axis=-1, keepdims=True, initial=0)
    if np.any(tiny & (np.any(_arrives(gu), axis=-2) | np.any(_arrives(gv), axis=-2))):
        raise ValueError(
            "svd: a singular value is 0, and the gradient depends on its vectors, which have no derivative"
        )
    return tiny


def _svd_rule(g: Any, y: Any, a_shape: tuple[int, ...], *, full_matrices: bool, of_values: bool = False) -> Any:
    m, n = a_shape[-2:]
    u, s, v = y[..., :m].mT, y[..., m], y[..., m + 1 :].mT
    gu, gs, gv = g[..., :m].mT, g[..., m], g[..., m + 1 :].mT
    skew_u, skew_v = u.mT @ gu, v.mT @ gv
    unit = np.sum(plain(s), axis=-1, keepdims=True) + np.finfo(s.dtype).tiny  # in which squares do not overflow
    r = s / unit
    f = _inverse_gaps("svd", r**2, _used(abs(plain(skew_u)) + abs(plain(skew_v)), of_values)) / unit[..., None]
    outside = of_values and m != n  # of square matrices, the vectors of all values leave no room
    tiny = _no_values(s, _used(gu, outside), _used(gv, outside))
    over_s = 1 / np.where(tiny, 1, s)[..., None, :]
    middle = (
        _diagonal_matrices(gs)
        + (f * (skew_u - skew_u.mT)) * r[..., None, :]
        + r[..., :, None] * (f * (skew_v - skew_v.mT))
    )
    outside_u, outside_v = gu - u @ skew_u, gv - v @ skew_v
    return u @ middle @ v.mT + (outside_u * over_s) @ v.mT + u @ (outside_v * over_s).mT


rule(_svd, _svd_rule)


@primitive
def _svdvals(a: Any) -> Any:
    return np.linalg.svd(a, compute_uv=False)


def _svdvals_rule(g: Any, a: Any) -> Any:
    m = a.shape[-2]
    packed = _svd(a, full_matrices=False, of_values=True)
    return (packed[..., :m].mT * g[..., None, :]) @ packed[..., m + 1 :]


rule(_svdvals, _svdvals_rule)


@implements(np.linalg.svd)
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    m, n = a.shape[-2:]
    if hermitian:
        raise TypeError("svd: hermitian=True is not supported on tensors; use numpy.linalg.eigh")
    if compute_uv and full_matrices and m != n:
        raise TypeError(f"svd: a matrix of shape {(m, n)} has a derivative only with full_matrices=False")
    if not compute_uv:
        return _svdvals(a)
    packed = _svd(a, full_matrices=full_matrices)
    return _svd_result(packed[..., :m].mT, packed[..., m], packed[..., m + 1 :])


@implements(np.linalg.svdvals)
def svdvals(x: Any, /) -> Any:
    return svd(x, compute_uv=False)


_eigh_result: Any = type(np.linalg.eigh(np.eye(1)))
_svd_result: Any = type(np.linalg.svd(np.eye(1)))
