"""A pure-Python autograd micro-framework on NumPy. Conventionally `import tinygrad_edu as tg`.

Every public name is listed here, once. The sub-packages from the ground up: `autograd` (read it first), `rules`,
`functional`, `nn`, then `compiler`, `debug`, `storage`, then `optim` and `graph`, then `training`.
"""

from typing import TYPE_CHECKING, Any

from . import datasets as datasets
from . import functional as functional
from . import nn as nn
from . import optim as optim
from . import plots as plots
from . import random as random
from . import rules as rules  # fills the table of derivatives
from .autograd.gradcheck import GradientMismatch as GradientMismatch
from .autograd.gradcheck import gradcheck as gradcheck
from .autograd.gradcheck import numerical_gradient as numerical_gradient
from .autograd.pausing import no_grad as no_grad
from .autograd.positions import record_positions as record_positions
from .autograd.primitives import WAITING as _WAITING
from .autograd.primitives import primitive as primitive
from .autograd.primitives import rule as rule
from .autograd.tensor import Tensor as Tensor
from .autograd.transforms import elementwise_grad as elementwise_grad
from .autograd.transforms import grad as grad
from .autograd.transforms import hessian as hessian
from .autograd.transforms import hvp as hvp
from .autograd.transforms import jacobian as jacobian
from .autograd.transforms import jvp as jvp
from .autograd.transforms import value_and_grad as value_and_grad
from .autograd.transforms import vjp as vjp
from .compiler.derive import derive as derive
from .data import Batches as Batches
from .data import Standardizer as Standardizer
from .data import one_hot as one_hot
from .debug.anomaly import AnomalyError as AnomalyError
from .debug.anomaly import detect_anomaly as detect_anomaly
from .functional import adaptive_avg_pool2d as adaptive_avg_pool2d
from .functional import avg_pool2d as avg_pool2d
from .functional import batch_norm as batch_norm
from .functional import binary_cross_entropy as binary_cross_entropy
from .functional import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from .functional import conv1d as conv1d
from .functional import conv2d as conv2d
from .functional import cosine_embedding_loss as cosine_embedding_loss
from .functional import cosine_similarity as cosine_similarity
from .functional import cross_entropy as cross_entropy
from .functional import dropout as dropout
from .functional import elu as elu
from .functional import embedding as embedding
from .functional import gaussian_nll_loss as gaussian_nll_loss
from .functional import gelu as gelu
from .functional import hardtanh as hardtanh
from .functional import hinge_loss as hinge_loss
from .functional import huber_loss as huber_loss
from .functional import kl_div as kl_div
from .functional import l1_loss as l1_loss
from .functional import l2_penalty as l2_penalty
from .functional import layer_norm as layer_norm
from .functional import leaky_relu as leaky_relu
from .functional import linear as linear
from .functional import log_sigmoid as log_sigmoid
from .functional import log_softmax as log_softmax
from .functional import logsumexp as logsumexp
from .functional import max_pool2d as max_pool2d
from .functional import mse_loss as mse_loss
from .functional import nll_loss as nll_loss
from .functional import relu as relu
from .functional import scaled_dot_product_attention as scaled_dot_product_attention
from .functional import sigmoid as sigmoid
from .functional import silu as silu
from .functional import smooth_l1_loss as smooth_l1_loss
from .functional import softmax as softmax
from .functional import softplus as softplus
from .functional import softsign as softsign
from .graph.explain import explain as explain
from .graph.kept import load_drawings as load_drawings
from .graph.render import draw_graph as draw_graph
from .graph.render import render_graph as render_graph
from .nn.activations import ELU as ELU
from .nn.activations import GELU as GELU
from .nn.activations import Hardtanh as Hardtanh
from .nn.activations import Identity as Identity
from .nn.activations import LeakyReLU as LeakyReLU
from .nn.activations import ReLU as ReLU
from .nn.activations import Sigmoid as Sigmoid
from .nn.activations import SiLU as SiLU
from .nn.activations import Softmax as Softmax
from .nn.activations import Softsign as Softsign
from .nn.activations import Tanh as Tanh
from .nn.attention import MultiHeadAttention as MultiHeadAttention
from .nn.convolutional import AvgPool2d as AvgPool2d
from .nn.convolutional import Conv1d as Conv1d
from .nn.convolutional import Conv2d as Conv2d
from .nn.convolutional import GlobalAvgPool2d as GlobalAvgPool2d
from .nn.convolutional import MaxPool2d as MaxPool2d
from .nn.evaluation import accuracy as accuracy
from .nn.evaluation import predict as predict
from .nn.layers import Dense as Dense
from .nn.layers import Dropout as Dropout
from .nn.layers import Embedding as Embedding
from .nn.layers import Flatten as Flatten
from .nn.layers import Module as Module
from .nn.layers import Sequential as Sequential
from .nn.normalization import BatchNorm as BatchNorm
from .nn.normalization import LayerNorm as LayerNorm
from .nn.recurrent import GRU as GRU
from .nn.recurrent import LSTM as LSTM
from .nn.recurrent import RNN as RNN
from .optim.clipping import clip_grad_norm_ as clip_grad_norm_
from .optim.clipping import clip_grad_value_ as clip_grad_value_
from .optim.minimization import minimize as minimize
from .optim.optimizers import SGD as SGD
from .optim.optimizers import Adagrad as Adagrad
from .optim.optimizers import Adam as Adam
from .optim.optimizers import AdamW as AdamW
from .optim.optimizers import RMSprop as RMSprop
from .random import manual_seed as manual_seed
from .storage.files import load as load
from .storage.files import save as save
from .storage.torch import from_torch_state_dict as from_torch_state_dict
from .storage.torch import to_torch_state_dict as to_torch_state_dict
from .training.callbacks import Callback as Callback
from .training.callbacks import EarlyStopping as EarlyStopping
from .training.callbacks import History as History
from .training.compiled import compile_step as compile_step
from .training.loop import fit as fit

if TYPE_CHECKING:
    from .graph.drawing import drawing_page as drawing_page
    from .training.page import TrainingPage as TrainingPage

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """What few use and is loaded only for them."""
    if name == "TrainingPage":
        from .training.page import TrainingPage

        return TrainingPage
    if name == "drawing_page":
        from .graph.drawing import drawing_page

        return drawing_page
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _rules_of_special() -> None:
    from .scipy import rules  # noqa: F401  (fills the table)


_WAITING["scipy.special"] = _rules_of_special

_ROOMS = {"autograd", "compiler", "data", "debug", "graph", "memory", "pages", "rules", "storage", "training"}
__all__ = sorted(  # the names above, without what they are imported from
    {name for name in globals() if not name.startswith("_")} - {"Any", "TYPE_CHECKING"} - _ROOMS
    | {"TrainingPage", "drawing_page"}
)
