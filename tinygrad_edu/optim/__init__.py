"""What to do with gradients: optimisers, schedules of the learning rate, and SciPy's minimisers.

Read in this order: `optimizers.py` (the rules, from gradient descent to AdamW), `base.py` (the step in which they are
applied), `clipping.py` (gradients that are bounded), `schedules.py` (the learning rate over time), `minimization.py`
(all parameters as one vector for SciPy), `progress.py` (the progress bar).

May import `autograd`, `rules`, `functional`, `nn`, `compiler` and `debug`; not `graph` and not `training`.
"""

from .base import Optimizer
from .clipping import clip_grad_norm_, clip_grad_value_
from .minimization import minimize
from .optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from .schedules import Schedule, cosine, exponential, piecewise_constant, warmup

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "Schedule",
    "clip_grad_norm_",
    "clip_grad_value_",
    "cosine",
    "exponential",
    "minimize",
    "piecewise_constant",
    "warmup",
]
