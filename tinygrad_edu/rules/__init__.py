"""The derivative table of NumPy's functions: for each argument one rule, a line of NumPy.

A rule is a vector–Jacobian product. It names what it reads: `g` is the gradient arriving at the output, `y` the output,
and `x` (or `a` and `b`, or the function's own names) the arguments as they were. What a rule names is what a record
keeps. Importing the package fills the table; the files are meant to be read.

Read in this order: `elementwise.py` (arithmetic, exponentials, kinks), `shape.py` (reshape, join, index),
`reductions.py` (sum, mean, max), `running.py` (running sums and products), `products.py` (matrix products),
`einsum.py`, `blocks.py` (roll, pad, repeat), `movement.py` (other functions that only move or repeat elements),
`sorting.py`, `windows.py` (windows that slide), `statistics.py` (means, quantiles), `nans.py` (the same without NaNs),
`covariance.py`, `differences.py` (differences and integrals along an axis), `counting.py` (counts with weights),
`interpolation.py`, `spacing.py` (numbers between two ends), `polynomials.py`, `pieces.py` (functions that call others),
`writing.py` (functions that write into an array), `ufuncs.py` (keywords and methods of ufuncs), `linalg.py` (inverses,
systems of equations, determinants), `decompositions.py` (QR, eigenvalues, singular values), `least_squares.py`,
`chains.py` (products of many matrices), `norms.py`.

May import `autograd`.
"""

from . import (
    blocks,
    chains,
    counting,
    covariance,
    decompositions,
    differences,
    einsum,
    elementwise,
    interpolation,
    least_squares,
    linalg,
    movement,
    nans,
    norms,
    pieces,
    polynomials,
    products,
    reductions,
    running,
    shape,
    sorting,
    spacing,
    statistics,
    ufuncs,
    windows,
    writing,
)

__all__ = [
    "blocks",
    "chains",
    "counting",
    "covariance",
    "decompositions",
    "differences",
    "einsum",
    "elementwise",
    "interpolation",
    "least_squares",
    "linalg",
    "movement",
    "nans",
    "norms",
    "pieces",
    "polynomials",
    "products",
    "reductions",
    "running",
    "shape",
    "sorting",
    "spacing",
    "statistics",
    "ufuncs",
    "windows",
    "writing",
]
