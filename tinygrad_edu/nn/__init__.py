"""Networks: modules, layers, initial weights, and how good predictions are.

Read in this order: `module.py` (a function with parameters), `initializers.py` (the first weights), `layers.py` (Dense,
Sequential), `activations.py`, `evaluation.py` (predict and accuracy).

May import `autograd`, `rules`, `functional`, `data` and `random`; nothing of what is built on networks.
"""

from .activations import (
    ELU,
    GELU,
    Hardtanh,
    Identity,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softsign,
    Tanh,
)
from .evaluation import accuracy, predict
from .initializers import INITIALIZERS, Initializer, glorot_normal, glorot_uniform, he_normal, he_uniform, zeros
from .layers import Dense, Dropout, Flatten, Sequential
from .module import Module

__all__ = [
    "ELU",
    "GELU",
    "INITIALIZERS",
    "Dense",
    "Dropout",
    "Flatten",
    "Hardtanh",
    "Identity",
    "Initializer",
    "LeakyReLU",
    "Module",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softsign",
    "Tanh",
    "accuracy",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "predict",
    "zeros",
]
