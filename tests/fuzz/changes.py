"""What happens to data between recording and backward()."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_edu as tg


class Disagreement(AssertionError):
    """Two ways to compute the same thing gave different numbers."""


def _subtract(leaves: Any, leaf: Any, inner: Any, constants: Any) -> None:
    leaf.data -= 0.3


def _subtract_inside(leaves: Any, leaf: Any, inner: Any, constants: Any) -> None:
    if isinstance(inner, tg.Tensor) and inner.data.flags.writeable:
        inner.data *= 1.5


def _subtract_from_a_view(leaves: Any, leaf: Any, inner: Any, constants: Any) -> None:
    view = leaf.detach().T
    view.data -= 0.5


def _rebind(leaves: Any, leaf: Any, inner: Any, constants: Any) -> None:
    leaf.data = leaf.data + 1.0


def _assign(leaves: Any, leaf: Any, inner: Any, constants: Any) -> None:
    before = leaf.numpy().copy()
    try:
        leaf[...] = 7.0
    except TypeError as error:
        assert "np.where" in str(error), error
        np.testing.assert_array_equal(leaf.numpy(), before)
    else:
        raise Disagreement("assigning into a leaf did not raise")


def _assign_inside(leaves: Any, leaf: Any, inner: Any, constants: Any) -> None:
    if isinstance(inner, tg.Tensor):
        try:
            inner[...] = leaf.sum()  # a new value, of which what was recorded before knows nothing
        except TypeError as error:
            assert "into a view of" in str(error) or inner.is_leaf, error


def _assign_constant(leaves: Any, leaf: Any, inner: Any, constants: Any) -> None:
    for constant in constants:
        constant[...] = 1


def _optimise(leaves: Any, leaf: Any, inner: Any, constants: Any) -> None:
    for t in leaves:
        t.grad = np.ones(t.shape)
    tg.SGD(leaves, lr=0.1, momentum=0.5).step()
    tg.Adam(leaves, lr=0.1).step()


def _add_to_name(leaves: Any, leaf: Any, inner: Any, constants: Any) -> None:
    leaf += 1.0  # a new tensor, which only this name is bound to


CHANGES = [
    _subtract,
    _subtract_inside,
    _subtract_from_a_view,
    _rebind,
    _assign,
    _assign_inside,
    _assign_constant,
    _optimise,
    _add_to_name,
]
