"""What to do with gradients: optimisers, schedules of the learning rate, and SciPy's minimisers."""

from .minimization import minimize
from .optimizers import SGD, Adam, Optimizer, RMSprop
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
