"""Random calls of the functions of convolution, pooling, normalisation and embedding, for every primitive in them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tinygrad_edu import functional as F
from tinygrad_edu.functional import convolution, normalization, pooling

seeds = st.integers(0, 2**32 - 1)
pairs = lambda low, high: st.tuples(st.integers(low, high), st.integers(low, high))


def normal(draw, shape):
    return np.random.default_rng(draw(seeds)).normal(size=shape)


@st.composite
def hows(draw):
    """A kernel's size, (stride, padding, dilation, groups), channels in and out, and a size of images that it fits."""
    kernel, groups = draw(pairs(1, 3)), draw(st.sampled_from([1, 1, 2]))
    how = draw(pairs(1, 3)), draw(pairs(0, 2)), draw(pairs(1, 2)), groups
    channels = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    least = (max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, how[2], how[1], strict=True))
    size = tuple(n + draw(st.integers(0, 3)) for n in least)
    return kernel, how, channels, size


@st.composite
def convolved(draw, which="conv"):
    kernel, how, (c, o), size = draw(hows())
    m = draw(st.integers(0, 2))
    x, w = normal(draw, (m, c, *size)), normal(draw, (o, c // how[3], *kernel))
    dy = normal(draw, (m, o, *convolution.output_size(size, kernel, how)))
    if which == "conv_x":
        return lambda dy, w: convolution._conv_x(dy, w, size=size, how=how), [dy, w]
    if which == "conv_w":
        return lambda x, dy: convolution._conv_w(x, dy, size=kernel, how=how), [x, dy]
    options = dict(zip(("stride", "padding", "dilation", "groups"), how, strict=True))
    if draw(st.booleans()):
        return lambda x, w, b: F.conv2d(x, w, b, **options), [x, w, normal(draw, o)]
    return lambda x, w: F.conv2d(x, w, **options), [x, w]


@st.composite
def pooled(draw, which):
    """Images with numbers that are apart, so that small steps change none of the largest."""
    kernel, stride, m, c = draw(pairs(1, 4)), draw(pairs(1, 3)), draw(st.integers(0, 2)), draw(st.integers(1, 2))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    size = tuple(k + draw(st.integers(0, 3)) for k in kernel)
    rng = np.random.default_rng(draw(seeds))
    shape = m, c, *size
    x = (rng.permutation(int(np.prod(shape))) + rng.uniform(0.2, 0.8)).reshape(shape) / 10
    windows = kernel, stride, padding
    top = pooling._max_pool(x, windows=windows)
    dy, v = rng.normal(size=top.shape), rng.normal(size=shape)
    return {
        "max_pool": (lambda x: F.max_pool2d(x, *windows), [x]),
        "unpool": (lambda dy: pooling._unpool(dy, top, x, windows=windows), [dy]),
        "pick": (lambda v: pooling._pick(v, top, x, windows=windows), [v]),
        "sum_pool": (lambda x: F.avg_pool2d(x, *windows), [x]),
        "spread": (lambda dy: pooling._spread(dy, size=size, windows=windows), [dy]),
    }[which]


@st.composite
def normalized(draw, which="standardised"):
    """Numbers spread widely enough that no variance is near 0, over a batch or within each sample."""
    shape = draw(st.sampled_from([(3, 2), (4, 1), (2, 2, 3), (2, 1, 2, 2), (2, 2, 2, 1)]))
    rng = np.random.default_rng(draw(seeds))
    x = (rng.permutation(int(np.prod(shape))) + rng.uniform(-0.2, 0.2, int(np.prod(shape)))).reshape(shape) + 5
    axes = tuple(sorted(draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))))
    mean = lambda x: np.mean(x, axis=axes, keepdims=True)
    if which == "variance":
        return lambda x: normalization._variance(x, mean(x), axes=axes), [x]
    if which == "slope":
        scale = np.ones([1 if k in axes else n for k, n in enumerate(shape)]) * 0.7
        return lambda dy, y, s: normalization._slope(dy, y, s, axes=axes), [rng.normal(size=shape), x - mean(x), scale]
    weight, bias = rng.normal(size=(2, shape[1]))
    last = rng.normal(size=(2, shape[-1]))
    return draw(
        st.sampled_from(
            [
                (lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), [x, weight, bias]),
                (lambda x, w, b: F.layer_norm(x, x.shape[-1], w, b, eps=0.1), [x, *last]),
                (lambda x: F.layer_norm(x, x.shape[1:], eps=0.01), [x]),
            ]
        )
    )


IMAGES = {
    "conv": convolved(),
    "conv_x": convolved("conv_x"),
    "conv_w": convolved("conv_w"),
    **{name: pooled(name) for name in ("max_pool", "unpool", "pick", "sum_pool", "spread")},
    **{name: normalized(name) for name in ("standardised", "variance", "slope")},
}
