"""What to do with gradients: optimisers, schedules of the learning rate, and SciPy's minimisers.

Read in this order: `optimizers.py` (from gradient descent to Adam), `schedules.py` (the learning rate over time),
`minimization.py` (all parameters as one vector for SciPy), `progress.py` (the progress bar).

May import `autograd`, `rules`, `functional`, `nn`, `compiler` and `debug`; not `graph` and not `training`.
"""

from .base import Optimizer
from .minimization import minimize
from .optimizers import SGD, Adam, RMSprop
from .schedules import Schedule, cosine, exponential, piecewise_constant

__all__ = [
    "SGD",
    "Adam",
    "Optimizer",
    "RMSprop",
    "Schedule",
    "cosine",
    "exponential",
    "minimize",
    "piecewise_constant",
]
