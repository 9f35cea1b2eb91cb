"""Networks: modules, layers, initial weights, and how good predictions are.

Read in this order: `module.py` (a function with parameters), with `state.py` (what is stored of it) and `summary.py`
(its table), `initializers.py` (the first weights), `layers.py` (Dense, Embedding, Sequential), `convolutional.py`,
`normalization.py`, `recurrent.py`, `attention.py`, `activations.py`, `evaluation.py` (predict and accuracy).

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
from .attention import MultiHeadAttention
from .convolutional import AvgPool2d, Conv1d, Conv2d, GlobalAvgPool2d, MaxPool2d
from .evaluation import accuracy, predict
from .initializers import INITIALIZERS, Initializer, glorot_normal, glorot_uniform, he_normal, he_uniform, zeros
from .layers import Dense, Dropout, Embedding, Flatten, Sequential
from .module import Module
from .normalization import BatchNorm, LayerNorm
from .recurrent import GRU, LSTM, RNN

__all__ = [
    "ELU",
    "GELU",
    "GRU",
    "INITIALIZERS",
    "LSTM",
    "RNN",
    "AvgPool2d",
    "BatchNorm",
    "Conv1d",
    "Conv2d",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAvgPool2d",
    "Hardtanh",
    "Identity",
    "Initializer",
    "LayerNorm",
    "LeakyReLU",
    "MaxPool2d",
    "Module",
    "MultiHeadAttention",
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
