"""Activations: functions of each element, stable and with their derivative rules.

They take tensors (and record) or arrays (and give arrays), like NumPy's own, and keep the precision of floats. For
finite inputs all results are finite and nothing warns, also at large arguments of either sign. Sorted from simple to
less simple.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..autograd.conversion import floating
from ..autograd.operators import option
from ..autograd.primitives import Primitive, primitive, rule
from ..autograd.tensor import Tensor
from .normal import normal_cdf

# A primitive's `into` works in memory that it is given: `out` for the result, and `scratch(k, x)` for its k-th
# intermediate result, which is an array laid out like `x` (of another dtype if one is given), or of the shape `x`. In a
# compiled step these are the same arrays in every call.
Scratch = Callable[..., Any]


def new_array(k: int, x: Any, dtype: Any = None) -> Any:
    """The scratch memory of a call outside compiled steps, laid out as in those, so that sums come out the same."""
    return np.empty(x, dtype) if x.__class__ is tuple else np.empty_like(x, dtype)


def as_floats(x: Any) -> Any:
    """`x` as floats: a tensor stays a tensor, anything else becomes an array."""
    if isinstance(x, Tensor):
        return x if x.dtype.kind == "f" else x.astype(np.float64)
    if callable(x):
        raise TypeError(f"pass the output of a model, model(X), not the model itself ({type(x).__name__})")
    return floating(x)


if TYPE_CHECKING:

    class Activation(Primitive):
        """What a type checker is told: a tensor gives a tensor, an array gives an array."""

        @overload
        def __call__(self, x: Tensor) -> Tensor: ...
        @overload
        def __call__(self, x: ArrayLike) -> NDArray[Any]: ...
        def __call__(self, x: Any) -> Any: ...

    def activation(**traits: Any) -> Callable[[Callable[..., Any]], Activation]: ...
else:
    activation = primitive


# Activations


def relu_into(out: Any, scratch: Scratch, x: Any) -> None:
    np.maximum(x, 0, out=out)


@activation(into=relu_into, overwrites=0, elementwise=True)
def relu(x: Any) -> Any:
    """max(x, 0) for each element of x, of any shape; the derivative at 0 is 0, as in PyTorch. (Nair and Hinton,
    "Rectified linear units improve restricted Boltzmann machines", ICML 2010.)

    >>> tg.relu(np.array([-2.0, 0.0, 3.0]))
    array([0., 0., 3.])
    """
    return np.maximum(x, 0)


BITS = {2: np.int16, 4: np.int32, 8: np.int64}


def where_positive_into(out: Any, scratch: Scratch, h: Any, x: Any) -> None:
    mask = np.greater(h, 0, out=scratch(0, h, bool))
    bits = BITS.get(x.itemsize)  # multiplied by 0 or 1: turns infinity and NaN into 0 too, and is faster than a choice
    if bits is None:
        np.copyto(out, np.where(mask, x, 0))
    else:
        np.multiply(x.view(bits), mask, out=out.view(bits))


@primitive(into=where_positive_into, overwrites=1, rows="each")
def _where_positive(h: Any, x: Any) -> Any:
    """x where h > 0, elsewhere 0."""
    if isinstance(x, np.generic):  # a single number: sooner than by arrays
        return x if h > 0 else x.dtype.type(0)
    if not (isinstance(x, np.ndarray) and x.dtype.itemsize in BITS and x.shape == h.shape):
        return np.where(h > 0, x, 0)
    return (x.view(BITS[x.itemsize]) * (h > 0)).view(x.dtype)


rule(relu, lambda g, y: _where_positive(y, g))
rule(_where_positive, None, lambda g, h: _where_positive(h, g))


@primitive(elementwise=True)
def _leaky_relu(x: Any, *, negative_slope: float) -> Any:
    x = np.asarray(x)
    return np.where(x > 0, x, negative_slope * x)


rule(_leaky_relu, lambda g, x, *, negative_slope: np.where(x > 0, g, negative_slope * g))


@overload
def leaky_relu(x: Tensor, negative_slope: float = ...) -> Tensor: ...
@overload
def leaky_relu(x: ArrayLike, negative_slope: float = ...) -> NDArray[Any]: ...
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """x where x > 0, negative_slope · x elsewhere, for each element; the derivative at 0 is negative_slope.

    (Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models", ICML 2013.)

    >>> tg.leaky_relu(np.array([-2.0, 3.0]), 0.5)
    array([-1.,  3.])
    """
    return _leaky_relu(x, negative_slope=negative_slope)


def sigmoid_into(out: Any, scratch: Scratch, x: Any) -> None:
    np.negative(x, out=out)
    try:
        with np.errstate(over="raise"):
            np.exp(out, out=out)
        too_large = False
    except FloatingPointError:  # some e⁻ˣ is infinite, and 1/∞ is 0 …
        too_large = True
        with np.errstate(over="ignore"):
            np.exp(np.negative(x, out=out), out=out)
    out += 1
    np.divide(1, out, out=out)
    if too_large:
        np.copyto(out, np.exp(np.minimum(x, 0)), where=out == 0)  # … but a subnormal number is nearer


@activation(into=sigmoid_into, elementwise=True, marks_origin=True)  # binary_cross_entropy looks for the logits
def sigmoid(x: Any) -> Any:
    """The logistic function 1 / (1 + e⁻ˣ) for each element of x, of any shape; integers become float64. Its derivative
    is y (1 − y), where y is its value. Neither 0 nor 1 is lost to an overflow. Raises `TypeError` for complex numbers.

    >>> tg.sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    x = floating(x)
    y = np.empty_like(x)
    sigmoid_into(y, new_array, x)
    return y if y.ndim else y[()]


rule(sigmoid, lambda g, y: g * (y * (1 - y)))


@activation(elementwise=True)
def softplus(x: Any) -> Any:
    """log(1 + eˣ) for each element of x, of any shape, a smooth relu; integers become float64. Its derivative is
    sigmoid(x). No eˣ overflows. (Dugas et al., "Incorporating second-order functional knowledge", NIPS 2000.)

    >>> tg.softplus(np.array([-1000.0, 1000.0]))
    array([   0., 1000.])
    """
    return np.logaddexp(floating(x), 0)


rule(softplus, lambda g, x: g * sigmoid(x))


@activation(elementwise=True)
def log_sigmoid(x: Any) -> Any:
    """log(1 / (1 + e⁻ˣ)) = −softplus(−x) for each element of x, of any shape, also where sigmoid(x) is 0; integers
    become float64. Its derivative is sigmoid(−x).

    >>> tg.log_sigmoid(np.array([-1000.0]))
    array([-1000.])
    """
    return -np.logaddexp(-floating(x), 0)


rule(log_sigmoid, lambda g, x: g * sigmoid(-x))


@overload
def silu(x: Tensor) -> Tensor: ...
@overload
def silu(x: ArrayLike) -> NDArray[Any]: ...
def silu(x: Any) -> Any:
    """x · sigmoid(x) for each element, also called swish; integers become float64.

    (Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units", Neural Networks 107, 2018.)

    >>> tg.silu(np.array([-1000.0, 0.0, 1000.0]))
    array([  -0.,    0., 1000.])
    """
    x = as_floats(x)
    return x * sigmoid(x)


@primitive(elementwise=True)
def _elu(x: Any, *, alpha: float) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


@primitive(elementwise=True)
def _elu_slope(x: Any, *, alpha: float) -> Any:
    return np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0)))


rule(_elu, lambda g, x, *, alpha: g * _elu_slope(x, alpha=alpha))
rule(_elu_slope, lambda g, x, y, *, alpha: g * np.where(x < 0, y, 0))


@overload
def elu(x: Tensor, alpha: float = ...) -> Tensor: ...
@overload
def elu(x: ArrayLike, alpha: float = ...) -> NDArray[Any]: ...
def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where x > 0, α (eˣ − 1) elsewhere, for each element, with α = `alpha`; the derivative at 0 is α. Integers
    become float64.

    (Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential linear units (ELUs)",
    ICLR 2016.)

    >>> tg.elu(np.array([-1000.0, 0.0, 3.0]))
    array([-1.,  0.,  3.])
    """
    return _elu(as_floats(x), alpha=alpha)


@primitive(elementwise=True)
def _hardtanh(x: Any, *, low: float, high: float) -> Any:
    return np.clip(x, low, high)


rule(_hardtanh, lambda g, x, *, low, high: np.where((x > low) & (x < high), g, 0))


@overload
def hardtanh(x: Tensor, min_val: float = ..., max_val: float = ...) -> Tensor: ...
@overload
def hardtanh(x: ArrayLike, min_val: float = ..., max_val: float = ...) -> NDArray[Any]: ...
def hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """x, but at least `min_val` and at most `max_val`, for each element; there, the derivative is 0, as in PyTorch.
    Raises `ValueError` if min_val is not below max_val.

    >>> tg.hardtanh(np.array([-2.0, 0.5, 3.0]))
    array([-1. ,  0.5,  1. ])
    """
    if not min_val < max_val:
        raise ValueError(f"hardtanh: min_val must be below max_val, got {min_val} and {max_val}")
    low, high = (float(option(bound, "hardtanh: a bound")) for bound in (min_val, max_val))
    return _hardtanh(as_floats(x), low=low, high=high)


@overload
def softsign(x: Tensor) -> Tensor: ...
@overload
def softsign(x: ArrayLike) -> NDArray[Any]: ...
def softsign(x: Any) -> Any:
    """x / (1 + |x|) for each element of x, of any shape; integers become float64. Its derivative is 1 / (1 + |x|)².

    >>> tg.softsign(np.array([-3.0, 0.0, 1.0]))
    array([-0.75,  0.  ,  0.5 ])
    """
    x = as_floats(x)
    return x / (1 + abs(x))


@overload
def gelu(x: Tensor, approximate: str = ...) -> Tensor: ...
@overload
def gelu(x: ArrayLike, approximate: str = ...) -> NDArray[Any]: ...
def gelu(x: Any, approximate: str = "none") -> Any:
    """x · Φ(x) for each element, where Φ is the normal distribution function; integers become float64.

    With `approximate="tanh"`, x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³))), which GPT-2 was trained with and which is
    quicker. Raises `ValueError` for another approximation.

    (Hendrycks and Gimpel, "Gaussian error linear units (GELUs)", 2016.)

    >>> tg.gelu(np.array([-1000.0, 0.0, 1000.0]))
    array([  -0.,    0., 1000.])
    """
    x = as_floats(x)
    if approximate == "none":
        return x * normal_cdf(x)
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', not {approximate!r}")
    bounded = hardtanh(x, -22, 22)  # farther out tanh is ±1, and x³ may overflow
    return x * sigmoid(2 * math.sqrt(2 / math.pi) * (bounded + 0.044715 * bounded**3))
