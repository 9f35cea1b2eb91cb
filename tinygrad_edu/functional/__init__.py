"""The functions that NumPy lacks: activations and losses. Conventionally `from tinygrad_edu import functional as F`.

They take tensors (and record) or arrays (and give arrays), like NumPy's own.

Read in this order: `activations.py` (relu to gelu, with the distribution function of `normal.py`), `exponentials.py`
(softmax and its like), `layers.py` (linear, dropout), `targets.py` (the checks of targets and labels), `losses.py`
(a prediction and a target to one number), `distances.py` and `likelihoods.py` (losses that are composed of
other functions); `convolution.py`, `pooling.py`, `normalization.py`, `embedding.py` and `attention.py` (what further
layers compute).

May import `autograd`, `rules` and `random`.
"""

from .activations import (
    elu,
    gelu,
    hardtanh,
    leaky_relu,
    log_sigmoid,
    relu,
    sigmoid,
    silu,
    softplus,
    softsign,
)
from .attention import scaled_dot_product_attention
from .convolution import conv1d, conv2d
from .distances import (
    cosine_embedding_loss,
    cosine_similarity,
    hinge_loss,
    huber_loss,
    l1_loss,
    smooth_l1_loss,
)
from .embedding import embedding
from .exponentials import log_softmax, logsumexp, softmax
from .layers import dropout, linear
from .likelihoods import gaussian_nll_loss, kl_div, nll_loss
from .losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    l2_penalty,
    mse_loss,
)
from .normalization import batch_norm, layer_norm
from .pooling import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from .targets import one_hot

__all__ = [
    "adaptive_avg_pool2d",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv1d",
    "conv2d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "elu",
    "embedding",
    "gaussian_nll_loss",
    "gelu",
    "hardtanh",
    "hinge_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "l2_penalty",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "relu",
    "scaled_dot_product_attention",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "softsign",
]
