"""A pure-Python autograd micro-framework on NumPy. Conventionally `import tinygrad_edu as tg`."""

from typing import TYPE_CHECKING, Any

from . import datasets, functional, nn, optim, plots
from . import rules as rules  # fills the table of derivatives
from .autograd.call_site import record_positions
from .autograd.gradcheck import GradientMismatch, gradcheck, numerical_gradient
from .autograd.primitives import primitive, rule
from .autograd.recording import no_grad
from .autograd.tensor import Tensor
from .autograd.transforms import grad, hessian, hvp, jacobian, value_and_grad, vjp
from .compiler.derive import derive
from .data import Batches, Standardizer, one_hot
from .debug.anomaly import AnomalyError, detect_anomaly
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
from .graph.explain import explain
from .graph.render import draw_graph, render_graph
from .nn.evaluation import accuracy, predict
from .nn.layers import Dense, Dropout, Flatten, Identity, LeakyReLU, Module, ReLU, Sequential, Sigmoid, Softmax, Tanh
from .optim.minimization import minimize
from .optim.optimizers import SGD, Adam, RMSprop
from .random import manual_seed
from .storage.files import load, save
from .storage.torch import from_torch_state_dict, to_torch_state_dict
from .training.callbacks import Callback, EarlyStopping, History
from .training.compiled import compile_step
from .training.loop import fit

if TYPE_CHECKING:
    from .training.page import TrainingPage

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
        from .training.page import TrainingPage

        return TrainingPage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
