"""Sums of what falls into the same place: counts with weights, and histograms."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.operators import option
from ..autograd.primitives import implements, primitive, rule
from .elementwise import as_array


@primitive
def sums_by_place(weights: Any, *, places: Any, minlength: int) -> Any:
    """`np.bincount`: for each place the sum of its weights, in float64."""
    return np.asarray(np.bincount(places, weights, minlength), np.float64)  # of no weights NumPy gives integers


rule(sums_by_place, lambda g, *, places, minlength: g[places], new=True)


@implements(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    if weights is None:
        return np.bincount(option(x, "bincount: x"), None, minlength)
    return sums_by_place(weights, places=option(x, "bincount: x"), minlength=minlength)


@implements(np.histogram)
def histogram(a: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None) -> Any:
    """The sums have derivatives by the weights; how many elements there are, and where the bins begin, has none."""
    a, bins, range = (option(v, f"histogram: {name}") for v, name in ((a, "a"), (bins, "bins"), (range, "range")))
    a = np.asarray(a)
    if weights is None:
        return np.histogram(a, bins, range, density)
    weights = as_array(weights)
    edges = np.histogram(a, bins, range, weights=np.zeros(weights.shape))[1]  # and what is wrong
    last = edges.size - 1
    place = np.searchsorted(edges, a, side="right") - 1
    place = np.where(a == edges[-1], last - 1, np.where(place < 0, last, place))  # what is outside goes behind
    sums = sums_by_place(np.ravel(weights), places=np.ravel(place), minlength=last + 1)[:last]
    sums = np.astype(sums, weights.dtype)
    return (sums / np.diff(edges) / np.sum(sums) if density else sums), edges
