"""A pure-Python autograd micro-framework on NumPy. Conventionally `import tinygrad_edu as tg`."""

from . import functional, nn, optim
from . import rules as rules  # fills the table of derivatives
from .data import Batches, Standardizer, one_hot
from .functional import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    dropout,
    l2_penalty,
    leaky_relu,
    linear,
    log_sigmoid,
    log_softmax,
    logsumexp,
    mse_loss,
    relu,
    sigmoid,
    softmax,
    softplus,
)
from .gradcheck import GradientMismatch, gradcheck, numerical_gradient
from .graph import draw_graph, render_graph
from .nn import Dense, Dropout, Flatten, Identity, LeakyReLU, Module, ReLU, Sequential, Sigmoid, Softmax, Tanh
from .optim import SGD
from .primitives import primitive, rule
from .random import manual_seed
from .recording import no_grad
from .tensor import Tensor
from .transforms import grad, hessian, hvp, jacobian, value_and_grad, vjp

__version__ = "0.1.0"
__all__ = [
    "SGD",
    "Batches",
    "Dense",
    "Dropout",
    "Flatten",
    "GradientMismatch",
    "Identity",
    "LeakyReLU",
    "Module",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Standardizer",
    "Tanh",
    "Tensor",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "draw_graph",
    "dropout",
    "functional",
    "grad",
    "gradcheck",
    "hessian",
    "hvp",
    "jacobian",
    "l2_penalty",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "manual_seed",
    "mse_loss",
    "nn",
    "no_grad",
    "numerical_gradient",
    "one_hot",
    "optim",
    "primitive",
    "relu",
    "render_graph",
    "rule",
    "sigmoid",
    "softmax",
    "softplus",
    "value_and_grad",
    "vjp",
]
