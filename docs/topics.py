"""The pages of the reference: what one looks for, and the public names that belong to it.

A name is what stands behind `tinygrad_edu.`; those of the package itself are shown as `tg.name`, and those of classes
that functions return, which nobody makes, as they are. A test holds that every public name has its place here.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import tinygrad_edu


class Topic(NamedTuple):
    """A page, what it begins with, and the names on it."""

    file: str
    title: str
    about: str
    names: str


def public(path: str) -> Any:
    """What has this name."""
    value: Any = tinygrad_edu
    parts = path.split(".")
    for k, part in enumerate(parts, 1):
        if not hasattr(value, part):
            importlib.import_module(".".join(["tinygrad_edu", *parts[:k]]))
        value = getattr(value, part)
    return value


TOPICS = (
    Topic(
        "tensors",
        "Tensors",
        "A tensor is an array that remembers how it was computed. NumPy's functions, Python's operators and the "
        "methods of arrays take it as it is.",
        "Tensor no_grad manual_seed",
    ),
    Topic(
        "derivatives",
        "Derivatives of functions",
        "These take a function and give its derivative, a function again: `tg.grad(f)(x)`. They can be nested.",
        "grad value_and_grad elementwise_grad jacobian hessian jvp vjp hvp",
    ),
    Topic(
        "layers",
        "Layers and models",
        "A layer is a function with parameters. Samples are rows, images are (m, channels, height, width), and "
        "sequences are (m, steps, features).",
        "Sequential Dense Embedding Conv1d Conv2d MaxPool2d AvgPool2d GlobalAvgPool2d BatchNorm LayerNorm RNN GRU LSTM "
        "MultiHeadAttention Flatten Dropout Identity Module linear embedding conv1d conv2d max_pool2d avg_pool2d "
        "adaptive_avg_pool2d batch_norm layer_norm scaled_dot_product_attention dropout",
    ),
    Topic(
        "weights",
        "Initial weights",
        "What `init=` of a layer takes: one of these names, or a function `(shape, rng) -> array` of your own.",
        "nn.glorot_uniform nn.glorot_normal nn.he_uniform nn.he_normal nn.zeros",
    ),
    Topic(
        "activations",
        "Activations",
        "Each comes as a function of arrays and tensors, and, written with capitals, as a layer for `Sequential`. "
        "(`np.tanh` is NumPy's own.)",
        "relu leaky_relu elu gelu silu softplus sigmoid log_sigmoid hardtanh softsign softmax log_softmax logsumexp "
        "ReLU LeakyReLU ELU GELU SiLU Sigmoid Tanh Hardtanh Softsign Softmax",
    ),
    Topic(
        "losses",
        "Losses",
        'A loss makes one number of predictions and targets. `reduction` says how: `"mean"`, `"sum"`, '
        '`"batchmean"` (the sum divided by the number of rows) or `"none"`.',
        "mse_loss l1_loss huber_loss smooth_l1_loss binary_cross_entropy binary_cross_entropy_with_logits "
        "cross_entropy nll_loss kl_div gaussian_nll_loss hinge_loss cosine_embedding_loss cosine_similarity l2_penalty",
    ),
    Topic(
        "optimisers",
        "Optimisers and learning rates",
        "An optimiser changes parameters by their gradients. A schedule says what the learning rate is at each time; "
        "`fit(schedule=…)` takes it. `minimize` finds the minimum with SciPy, all data at once.",
        "SGD Adagrad RMSprop Adam AdamW optim.Optimizer optim.piecewise_constant optim.exponential optim.cosine "
        "optim.warmup clip_grad_norm_ clip_grad_value_ minimize",
    ),
    Topic(
        "training",
        "Training and evaluation",
        "`fit` is the loop that you would write yourself, with a progress bar, validation and a history.",
        "fit History Callback EarlyStopping TrainingPage compile_step predict accuracy training.callbacks.Training "
        "training.compiled.CompiledStep",
    ),
    Topic(
        "data",
        "Data",
        "Batches, scaling and labels; and data sets, those with `load_` from files that you have.",
        "Batches Standardizer one_hot datasets.ex4_digits datasets.mnist_sample datasets.names datasets.rose "
        "datasets.image_points datasets.grid_points datasets.bicubic datasets.load_ex4 datasets.load_ex4_weights "
        "datasets.load_mnist datasets.fetch_mnist datasets.load_titanic",
    ),
    Topic(
        "random",
        "Random numbers",
        "Drawn inside a function that is differentiated, they are drawn anew in each step of a compiled training, too.",
        "random.normal random.uniform random.bernoulli random.integers random.permutation random.generator",
    ),
    Topic(
        "graphs",
        "Pictures of the graph",
        "What was computed, as a drawing, as a page that walks through the chain rule, and in words.",
        "draw_graph render_graph explain drawing_page load_drawings graph.computation.computation",
    ),
    Topic(
        "plots",
        "Pictures of what was learned",
        "They take arrays and give a figure of Matplotlib, which they neither show nor store: "
        '`tg.plots.curves(history).savefig("curves.png")`. They need Matplotlib.',
        "plots.curves plots.image_grid plots.digit_grid plots.hidden_units plots.predictions plots.misclassified "
        "plots.decision_regions plots.confusion_matrix plots.drawn plots.pictures",
    ),
    Topic(
        "mistakes",
        "Finding mistakes",
        "Is the gradient right, and where did that NaN come from?",
        "gradcheck numerical_gradient GradientMismatch detect_anomaly AnomalyError record_positions",
    ),
    Topic(
        "derivations",
        "Derivations and rules of your own",
        "`derive` writes the backward pass down, as NumPy and as formulas. `primitive` and `rule` make a function of "
        "your own one step of the chain rule.",
        "derive primitive rule compiler.derive.Derived",
    ),
    Topic(
        "storage",
        "Saving, loading, and PyTorch's weights",
        "Models are stored as `.npz` or `.safetensors`, never as pickles.",
        "save load from_torch_state_dict to_torch_state_dict",
    ),
    Topic(
        "numpy",
        "NumPy for tensors",
        "NumPy's functions take tensors by themselves. What makes arrays, and lists of tensors, need this: "
        "`import tinygrad_edu.numpy as np`. There, `zeros`, `ones`, `eye`, `identity`, `empty` and those that end in "
        "`_like` give tensors, too, and `r_` and `c_` join them. Everything else is NumPy's own.",
        "numpy.array numpy.asarray numpy.full numpy.full_like numpy.arange numpy.linspace",
    ),
    Topic(
        "scipy",
        "SciPy for tensors",
        "`scipy.special`'s ufuncs take tensors as they are. What they cannot do by themselves is here, under SciPy's "
        "own names. It needs SciPy.",
        "scipy.special.logsumexp scipy.special.softmax scipy.special.log_softmax scipy.special.polygamma "
        "scipy.stats.norm.pdf scipy.stats.norm.logpdf scipy.stats.norm.cdf scipy.stats.norm.logcdf scipy.stats.norm.sf "
        "scipy.stats.norm.logsf scipy.stats.norm.ppf scipy.optimize.minimize scipy.optimize.root "
        "scipy.optimize.least_squares scipy.optimize.curve_fit scipy.optimize.brentq scipy.optimize.root_scalar "
        "scipy.optimize.fsolve scipy.integrate.quad",
    ),
)
