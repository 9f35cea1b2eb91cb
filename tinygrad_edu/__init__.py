"""A pure-Python autograd micro-framework on NumPy. Conventionally `import tinygrad_edu as tg`."""

from typing import TYPE_CHECKING, Any

from . import datasets, functional, nn, optim, plots
from . import rules as rules  # fills the table of derivatives
from .anomaly import AnomalyError, detect_anomaly
from .callbacks import Callback, EarlyStopping, History
from .compiled import compile_step
from .data import Batches, Standardizer, one_hot
from .evaluation import accuracy, predict
from .explain import explain
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
from .interchange import from_torch_state_dict, to_torch_state_dict
from .nn import Dense, Dropout, Flatten, Identity, LeakyReLU, Module, ReLU, Sequential, Sigmoid, Softmax, Tanh
from .optim import SGD, Adam, RMSprop, minimize
from .positions import record_positions
from .primitives import primitive, rule
from .random import manual_seed
from .recording import no_grad
from .storage import load, save
from .symbolic import derive
from .tensor import Tensor
from .training import fit
from .transforms import grad, hessian, hvp, jacobian, value_and_grad, vjp

if TYPE_CHECKING:
    from .training_page import TrainingPage

__version__ = "0.1.0"
__all__ = [
    "SGD",
    "Adam",
    "AnomalyError",
    "Batches",
    "Callback",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "Flatten",
    "GradientMismatch",
    "History",
    "Identity",
    "LeakyReLU",
    "Module",
    "RMSprop",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Standardizer",
    "Tanh",
    "Tensor",
    "TrainingPage",
    "accuracy",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "compile_step",
    "cross_entropy",
    "datasets",
    "derive",
    "detect_anomaly",
    "draw_graph",
    "dropout",
    "explain",
    "fit",
    "from_torch_state_dict",
    "functional",
    "grad",
    "gradcheck",
    "hessian",
    "hvp",
    "jacobian",
    "l2_penalty",
    "leaky_relu",
    "linear",
    "load",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "manual_seed",
    "minimize",
    "mse_loss",
    "nn",
    "no_grad",
    "numerical_gradient",
    "one_hot",
    "optim",
    "plots",
    "predict",
    "primitive",
    "record_positions",
    "relu",
    "render_graph",
    "rule",
    "save",
    "sigmoid",
    "softmax",
    "softplus",
    "to_torch_state_dict",
    "value_and_grad",
    "vjp",
]


def __getattr__(name: str) -> Any:
    """What few use and is loaded only for them."""
    if name == "TrainingPage":
        from .training_page import TrainingPage

        return TrainingPage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
