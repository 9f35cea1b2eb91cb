"""The derivative table of NumPy's functions: one line of NumPy for each argument.

Importing the package fills the table; the files are meant to be read. `g` is the gradient arriving at the output `y`;
then come the arguments as they were.
"""

from . import elementwise, linalg, movement, norms, products, reductions, shape, statistics

__all__ = ["elementwise", "linalg", "movement", "norms", "products", "reductions", "shape", "statistics"]
