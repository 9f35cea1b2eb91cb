"""Networks: modules, layers, how their weights begin, and how good their predictions are."""

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
