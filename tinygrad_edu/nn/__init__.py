"""Networks: modules, layers, initial weights, and how good predictions are.

Read in this order: `module.py` (a function with parameters), `initializers.py` (the first weights), `layers.py` (Dense,
the activations, Sequential), `evaluation.py` (predict and accuracy).

May import `autograd`, `rules`, `functional`, `data` and `random`; nothing of what is built on networks.
"""

from .evaluation import accuracy, predict
from .initializers import INITIALIZERS, Initializer, glorot_normal, glorot_uniform, he_normal, he_uniform, zeros
from .layers import Dense, Dropout, Flatten, Identity, LeakyReLU, ReLU, Sequential, Sigmoid, Softmax, Tanh
from .module import Module

__all__ = [
    "INITIALIZERS",
    "Dense",
    "Dropout",
    "Flatten",
    "Identity",
    "Initializer",
    "LeakyReLU",
    "Module",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "accuracy",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "predict",
    "zeros",
]
