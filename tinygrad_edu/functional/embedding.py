"""Embeddings: the rows of a table that belong to whole numbers."""

from __future__ import annotations

from typing import Any, overload

from numpy.typing import ArrayLike, NDArray

from ..autograd.conversion import numbers, shape_of
from ..autograd.operators import on_values
from ..autograd.tensor import Tensor
from .activations import as_floats


@overload
def embedding(indices: Tensor | ArrayLike, weight: Tensor) -> Tensor: ...
@overload
def embedding(indices: Tensor | ArrayLike, weight: ArrayLike) -> NDArray[Any]: ...
def embedding(indices: Any, weight: Any) -> Any:
    """The rows of `weight` (num, dim) at whole numbers of any shape: (…) to (…, dim). The gradients of a row that is
    taken several times add up.

    Raises `ValueError` for a `weight` that is no table, `TypeError` for indices that are not whole numbers, and
    `IndexError` for one below 0 or above num − 1.

    >>> tg.embedding([2, 0, 2], np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]))
    array([[ 3., 30.],
           [ 1., 10.],
           [ 3., 30.]])
    """
    weight = as_floats(weight)
    if len(shape_of(weight)) != 2:
        raise ValueError(f"embedding: weight must be a table (num, dim), got shape {shape_of(weight)}")
    return weight[_checked_indices(indices, count=shape_of(weight)[0])]


@on_values
def _checked_indices(indices: Any, *, count: int) -> Any:
    array = numbers("embedding: indices must be", indices)
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"embedding: indices must be whole numbers, got dtype {array.dtype}; convert them by .astype(int)"
        )
    if array.size and not (array.min() >= 0 and array.max() < count):
        wrong = array[(array < 0) | (array >= count)][0]
        raise IndexError(f"embedding: index {wrong} is not one of the {count} rows, 0 to {count - 1}")
    return array
