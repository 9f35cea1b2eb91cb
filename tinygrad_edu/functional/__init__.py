"""The functions that NumPy lacks: activations and losses. Conventionally `from tinygrad_edu import functional as F`.

They take tensors (and record) or arrays (and give arrays), like NumPy's own.

Read in this order: `activations.py` (relu to gelu, with the distribution function of `normal.py`), `exponentials.py`
(softmax and its like), `layers.py` (linear, dropout), `targets.py` (the checks of targets and labels), `losses.py`
(a prediction and a target to one number), `distances.py` and `likelihoods.py` (losses that are composed of
other functions).

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
from .distances import (
    cosine_embedding_loss,
    cosine_similarity,
    hinge_loss,
    huber_loss,
    l1_loss,
    smooth_l1_loss,
)
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
from .targets import one_hot

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "elu",
    "gaussian_nll_loss",
    "gelu",
    "hardtanh",
    "hinge_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "l2_penalty",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "relu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "softsign",
]
