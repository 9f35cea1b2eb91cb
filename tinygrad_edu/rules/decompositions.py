"""Rules of the decompositions of `numpy.linalg`: Cholesky, QR, eigenvalues, singular values; batched as NumPy is.

A decomposition into several factors is one primitive, which gives the factors side by side in one array.

Formulas: M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation"
(2008); for the Cholesky factor I. Murray, "Differentiation of the Cholesky decomposition" (2016); for QR S. Walter and
L. Lehmann, "Algorithmic differentiation of linear algebra functions" (2010).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.operators import constant, on_values, or_numpy
from ..autograd.primitives import implements, primitive, rule
from ..autograd.recording import plain


def negligible(x: Any, of_double: float) -> float:
    """What counts as 0 beside 1: a bound for float64, or a few units of the last place of a coarser dtype."""
    return max(of_double, 16 * float(np.finfo(x.dtype).eps))


# Cholesky


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


# QR


@primitive
def _qr(a: Any) -> Any:
    """Qᵀ and R side by side: (…, k, m + n)."""
    q, r = np.linalg.qr(a)
    return np.concatenate((q.mT, r), axis=-1)


@primitive
def _of_full_rank(r: Any) -> Any:
    """`r`, refused if one of its columns depends on those before."""
    size = np.max(abs(r), axis=-2, initial=0)
    if np.any(abs(np.diagonal(r, axis1=-2, axis2=-1)) <= negligible(r, 1e-13) * size):
        raise ValueError(
            f"qr: the first {r.shape[-1]} columns depend on each other (up to rounding), and the factors have no "
            "derivative there"
        )
    return r


rule(_of_full_rank, lambda g: g)


def _qr_rule(g: Any, y: Any, a_shape: tuple[int, ...]) -> Any:
    m, n = a_shape[-2:]
    k = min(m, n)  # the first k columns determine Q; of the others, R has the coordinates Qᵀ a
    q, r, others = y[..., :m].mT, _of_full_rank(y[..., m : m + k]), y[..., m + k :]
    gq, gr, g_others = g[..., :m].mT, g[..., m : m + k], g[..., m + k :]
    if n > k:
        gq = gq + q @ others @ g_others.mT
    upper = np.triu(gr @ r.mT - q.mT @ gq)
    first = np.linalg.solve(r, (gq + q @ (upper + np.triu(upper, 1).mT)).mT).mT
    return np.concatenate((first, q @ g_others), axis=-1) if n > k else first


rule(_qr, _qr_rule)


@implements(np.linalg.qr)
@or_numpy(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"qr: on tensors the mode must be 'reduced', 'complete' or 'r', not {mode!r}")
    packed = _qr(a)
    m, n = a.shape[-2:]
    if mode == "r":
        return packed[..., m:]
    if mode == "complete" and m > n:
        raise TypeError(f"qr: a matrix of shape {(m, n)} has a derivative only with mode='reduced' or 'r'")
    return _qr_result(packed[..., :m].mT, packed[..., m:])


# Eigenvalues


@primitive
def _eigh(a: Any, *, lower: bool, of_values: bool = False) -> Any:
    """The eigenvalues as a column, then the eigenvectors: (…, n, 1 + n)."""
    w, v = np.linalg.eigh(a, "L" if lower else "U")
    return np.concatenate((w[..., None], v), axis=-1)


def _pairs_of_equals(values: Any) -> Any:
    gaps = abs(values[..., None, :] - values[..., :, None])
    equal: Any = gaps <= negligible(values, 1e-10) * np.max(abs(values), axis=-1, initial=0)[..., None, None]
    return equal


@on_values
def _equal_values(values: Any, used: Any, function: str) -> Any:
    """Which pairs of values are equal. Their vectors have no derivative of their own: where a gradient arrives at them
    (`used` is not 0), there is no right answer."""
    equal = _pairs_of_equals(values)
    if np.any(equal & ~np.eye(values.shape[-1], dtype=bool) & _arrives(used)):
        raise ValueError(
            f"{function}: two values are equal (up to rounding), and the gradient depends on their vectors, which "
            "have no derivative there. The values alone can be differentiated once"
        )
    return equal


def _arrives(used: Any) -> Any:
    """Where a gradient is larger than the rounding errors of its largest entries."""
    return abs(used) > negligible(used, 1e-12) * np.max(abs(used), initial=0)


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
def _eig(a: Any, *, of_values: bool = False) -> Any:
    """The eigenvalues as a column, then the eigenvectors: (…, n, 1 + n)."""
    w, v = np.linalg.eig(a)
    return np.concatenate((_real(w)[..., None], np.real(v)), axis=-1)


def _real(values: Any) -> Any:
    """Eigenvalues as the real numbers that they are; NumPy 2.5 makes them complex in any case."""
    if np.any(np.imag(values) != 0):
        raise ValueError(
            "eig: the matrix has complex eigenvalues, and tensors have no complex numbers; of a symmetric matrix use "
            "numpy.linalg.eigh, or pass t.detach().numpy() if no gradient is wanted"
        )
    return np.real(values)


@primitive
def _basis(v: Any, values: Any) -> Any:
    """The eigenvectors `v`, refused if those of equal values are parallel, as there are too few then."""
    parallel = abs(v.mT @ v) >= 1 - negligible(v, 1e-8)
    if np.any(parallel & _pairs_of_equals(values) & ~np.eye(v.shape[-1], dtype=bool)):
        raise ValueError(
            "eig: two eigenvalues are equal (up to rounding), and so are their vectors: the matrix is defective, and "
            "neither have a derivative there"
        )
    return v


rule(_basis, lambda g: g, None)


def _eig_rule(g: Any, y: Any, *, of_values: bool = False) -> Any:
    values, v = y[..., 0], _basis(y[..., 1:], y[..., 0])
    gv = g[..., 1:]
    across = v.mT @ (gv - v * np.sum(v * gv, axis=-2, keepdims=True))  # they keep length 1
    turned = _inverse_gaps("eig", values, _used(across, of_values)) * across
    return np.linalg.solve(v.mT, (turned + _diagonal_matrices(g[..., 0])) @ v.mT)


rule(_eig, _eig_rule)


@primitive
def _eigvals(a: Any) -> Any:
    return _real(np.linalg.eigvals(a))


def _eigvals_rule(g: Any, y: Any, a: Any) -> Any:
    packed = _eig(a, of_values=True)
    values, v = packed[..., 0], _basis(packed[..., 1:], packed[..., 0])
    places = np.argsort(np.argsort(values, axis=-1), axis=-1)  # `eigvals` may give them in another order than `eig`
    g = np.take_along_axis(np.take_along_axis(g, np.argsort(y, axis=-1), axis=-1), places, axis=-1)
    return np.linalg.solve(v.mT, _diagonal_matrices(g) @ v.mT)


rule(_eigvals, _eigvals_rule)


@implements(np.linalg.eig)
@or_numpy(np.linalg.eig)
def eig(a: Any) -> Any:
    packed = _eig(a)
    return _eig_result(packed[..., 0], packed[..., 1:])


@implements(np.linalg.eigvals)
@or_numpy(np.linalg.eigvals)
def eigvals(a: Any) -> Any:
    return _eigvals(a)


# Singular values


@primitive
def _svd(a: Any, *, full_matrices: bool, of_values: bool = False) -> Any:
    """Uᵀ, the singular values as a column, and Vᵀ side by side: (…, k, m + 1 + n)."""
    u, s, vt = np.linalg.svd(a, full_matrices)
    return np.concatenate((u.mT, s[..., None], vt), axis=-1)


@on_values
def _no_values(s: Any, gu: Any, gv: Any) -> Any:
    """Which singular values are 0; those have no vectors, so no gradient may arrive at them."""
    tiny = s <= negligible(s, 1e-13) * np.max(s, axis=-1, keepdims=True, initial=0)
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


def slope_of_singular_values(g: Any, a: Any) -> Any:
    m = a.shape[-2]
    packed = _svd(a, full_matrices=False, of_values=True)
    return (packed[..., :m].mT * g[..., None, :]) @ packed[..., m + 1 :]


rule(_svdvals, lambda g, a: slope_of_singular_values(g, a))


def _svd_of_symmetric(a: Any, compute_uv: bool) -> Any:
    """The singular values are the sizes of the eigenvalues; as NumPy does, V takes the signs."""
    if not compute_uv:
        return np.flip(np.sort(abs(np.linalg.eigvalsh(a)), axis=-1), -1)
    values, u = np.linalg.eigh(a)
    order = np.flip(np.argsort(abs(values), axis=-1), -1)
    signs, s = (np.take_along_axis(x, order, axis=-1) for x in (np.copysign(1.0, values), abs(values)))
    u = np.take_along_axis(u, order[..., None, :], axis=-1)
    return _svd_result(u, s, (u * signs[..., None, :]).mT)


@implements(np.linalg.svd)
@or_numpy(np.linalg.svd)
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    m, n = a.shape[-2:]
    if hermitian:
        return _svd_of_symmetric(a, compute_uv)
    if compute_uv and full_matrices and m != n:
        raise TypeError(f"svd: a matrix of shape {(m, n)} has a derivative only with full_matrices=False")
    if not compute_uv:
        return _svdvals(a)
    packed = _svd(a, full_matrices=full_matrices)
    return _svd_result(packed[..., :m].mT, packed[..., m], packed[..., m + 1 :])


@implements(np.linalg.svdvals)
def svdvals(x: Any, /) -> Any:
    return svd(x, compute_uv=False)


constant(np.linalg.matrix_rank)

_qr_result: Any = type(np.linalg.qr(np.eye(1)))
_eigh_result: Any = type(np.linalg.eigh(np.eye(1)))
_eig_result: Any = type(np.linalg.eig(np.eye(1)))
_svd_result: Any = type(np.linalg.svd(np.eye(1)))
