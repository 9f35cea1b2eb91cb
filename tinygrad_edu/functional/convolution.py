"""Convolution: three functions that are each other's derivatives, and what layers compute with them.

A convolution is linear in the images and in the kernels, and so is what it hands back to either. Therefore three
functions with two rules of one line each have derivatives of any order: `_conv`, and its gradients `_conv_x` and
`_conv_w`.

Images have the shape (m, c, h, w), as in PyTorch, but results lie in memory as (c, h, w, m), of which the user sees a
transposed view: what a kernel meets is then copied in long runs, a row of the output for all images at once, instead of
number by number. A few rows of the output are done at a time, so that the copies stay in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..autograd.conversion import shape_of
from ..autograd.primitives import primitive, rule
from ..autograd.tensor import Tensor
from .activations import Scratch, as_floats, new_array

Pair = tuple[int, int]
How = tuple[Pair, Pair, Pair, int]  # stride, padding and dilation, down and across, and the number of groups

# How many numbers are copied or added up at a time, and how many multiplications one product is made of: beyond that
# number it may take twice as long. Measured in float32, for images of 7 × 7 to 32 × 32 with 1 to 32 channels.
COPIED, ADDED, MULTIPLIED = 130_000, 300_000, 10**6


def by_channels(x: Any, scratch: Scratch, k: int, dtype: Any, padding: Pair = (0, 0), edge: float = 0) -> Any:
    """Images as (c, h, w, m), contiguous, with a border: the same memory if it lies like that, else a copy."""
    turned, (down, across) = x.transpose(1, 2, 3, 0), padding
    c, h, w, m = turned.shape
    if turned.flags.c_contiguous and turned.dtype == dtype and not (down or across):
        return turned
    copy = scratch(k, (c, h + 2 * down, w + 2 * across, m), dtype)
    if down or across:
        copy[...] = edge
    copy[:, down : down + h, across : across + w] = turned
    return copy


def new_images(shape: tuple[int, ...], dtype: Any) -> Any:
    """Memory for images (m, c, h, w), which lies as (c, h, w, m)."""
    return np.empty((*shape[1:], shape[0]), dtype).transpose(3, 0, 1, 2)


def output_size(size: Pair, kernel: Pair, how: How) -> Pair:
    """The height and width of what comes out of images of that size."""
    down, across = (
        (n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(size, kernel, *how[:3], strict=True)
    )
    return down, across


def _blocks(rows: int, row: int, most: int) -> Iterator[Pair]:
    """The first and the last of a few rows at a time, where each takes `row` numbers."""
    count = max(1, most // row)
    return ((start, min(start + count, rows)) for start in range(0, rows, count))


def _columns(xt: Any, kernel: Pair, rows: Pair, across: int, how: How, memory: Any) -> Any:
    """What the kernels meet for some rows of the output: (groups, numbers in a kernel, places)."""
    (down_by, across_by), _, dilation, groups = how
    c, h, w, m = xt.shape
    # One element of this copy is a run of numbers that lie one after the other on both sides.
    run, places = (across * m, []) if across_by == 1 else (m, [across])
    kind = np.dtype((np.void, run * xt.itemsize))
    sizes = (c, *kernel, rows[1] - rows[0], *places)
    steps = (h * w, dilation[0] * w, dilation[1], down_by * w, *([across_by] if places else []))
    step = m * xt.itemsize
    runs: Any = np.ndarray(sizes, kind, xt, rows[0] * down_by * w * step, [n * step for n in steps])
    columns = memory[: runs.size * run]
    columns.view(kind).reshape(sizes)[...] = runs
    return columns.reshape(groups, c // groups * kernel[0] * kernel[1], -1)


def _by_group(w: Any, how: How, dtype: Any) -> Any:
    """Kernels as matrices: (groups, outputs, numbers in a kernel)."""
    return np.asarray(w, dtype).reshape(how[3], w.shape[0] // how[3], -1)


def _column_blocks(xt: Any, kernel: Pair, y: Any, how: How, scratch: Scratch) -> Iterator[tuple[Any, slice]]:
    """For a few rows of the output at a time, what the kernels meet there, and which of a channel's places they are."""
    o, rows, across, m = y.shape
    each = across * m
    row = xt.shape[0] * kernel[0] * kernel[1] * each
    blocks = list(_blocks(rows, row, min(COPIED, MULTIPLIED // o)))
    memory = scratch(1, (blocks[0][1] * row,), y.dtype)
    for start, end in blocks:
        yield _columns(xt, kernel, (start, end), across, how, memory), slice(start * each, end * each)


def _conv_into(out: Any, scratch: Scratch, x: Any, w: Any, *, how: How) -> None:
    y = out.transpose(1, 2, 3, 0)
    if y.size:
        kernels = _by_group(w, how, y.dtype)
        results = y.reshape((*kernels.shape[:2], -1), copy=False)  # what is written into a copy would be lost
        xt = by_channels(x, scratch, 0, y.dtype, how[1])
        for columns, places in _column_blocks(xt, w.shape[2:], y, how, scratch):
            np.matmul(kernels, columns, out=results[:, :, places])


@primitive(into=_conv_into)
def _conv(x: Any, w: Any, *, how: How) -> Any:
    """The sums of kernels times what they meet: x (m, c, h, w) and w (o, c / groups, kh, kw) give (m, o, oh, ow)."""
    size = output_size(x.shape[2:], w.shape[2:], how)
    out = new_images((len(x), len(w), *size), np.result_type(x, w))
    _conv_into(out, new_array, x, w, how=how)
    return out


def _conv_x_into(out: Any, scratch: Scratch, dy: Any, w: Any, *, size: Pair, how: How) -> None:
    stride, (down, across), dilation, _ = how
    dx, kernel = out.transpose(1, 2, 3, 0), w.shape[2:]
    c, _, _, m = dx.shape
    if down or across:
        dx = scratch(0, (c, size[0] + 2 * down, size[1] + 2 * across, m), dx.dtype)
    dx[...] = 0
    dyt = by_channels(dy, scratch, 1, dx.dtype)
    kernels = _by_group(w, how, dx.dtype)
    results = dyt.reshape(*kernels.shape[:2], -1)
    rows, places = dyt.shape[1:3]
    each = places * m
    row = c * kernel[0] * kernel[1] * each
    blocks = list(_blocks(rows, row, ADDED)) if dy.size else []
    memory = scratch(2, (blocks[0][1] * row if blocks else 0,), dx.dtype)
    for start, end in blocks:
        parts = memory[: (end - start) * row].reshape(len(kernels), -1, (end - start) * each)
        np.matmul(kernels.mT, results[:, :, start * each : end * each], out=parts)
        parts = parts.reshape(c, *kernel, end - start, places, m)
        for i, j in np.ndindex(*kernel):
            top, left = start * stride[0] + i * dilation[0], j * dilation[1]
            bottom, right = top + (end - start - 1) * stride[0] + 1, left + (places - 1) * stride[1] + 1
            dx[:, top : bottom : stride[0], left : right : stride[1]] += parts[:, i, j]
    if down or across:
        out.transpose(1, 2, 3, 0)[...] = dx[:, down : down + size[0], across : across + size[1]]


@primitive(into=_conv_x_into)
def _conv_x(dy: Any, w: Any, *, size: Pair, how: How) -> Any:
    """The gradient of `_conv` by images of that size: each kernel, times what arrives, where it was."""
    out = new_images((len(dy), w.shape[1] * how[3], *size), np.result_type(dy, w))
    _conv_x_into(out, new_array, dy, w, size=size, how=how)
    return out


def _conv_w_into(out: Any, scratch: Scratch, x: Any, dy: Any, *, size: Pair, how: How) -> None:
    dtype, groups = out.dtype, how[3]
    out[...] = 0
    if dy.size:
        dyt = by_channels(dy, scratch, 2, dtype)
        results = dyt.reshape(groups, len(dyt) // groups, -1)
        xt = by_channels(x, scratch, 0, dtype, how[1])
        sums = out.reshape((*results.shape[:2], -1), copy=False).mT
        for columns, places in _column_blocks(xt, size, dyt, how, scratch):
            sums += np.matmul(columns, results[:, :, places].mT)


@primitive(into=_conv_w_into)
def _conv_w(x: Any, dy: Any, *, size: Pair, how: How) -> Any:
    """The gradient of `_conv` by kernels of that size: what they met, times what arrives."""
    out = np.empty((dy.shape[1], x.shape[1] // how[3], *size), np.result_type(x, dy))
    _conv_w_into(out, new_array, x, dy, size=size, how=how)
    return out


rule(
    _conv,
    lambda g, x_shape, w, *, how: _conv_x(g, w, size=x_shape[2:], how=how),
    lambda g, x, w_shape, *, how: _conv_w(x, g, size=w_shape[2:], how=how),
    new=True,
)
rule(
    _conv_x,
    lambda g, w, *, size, how: _conv(g, w, how=how),
    lambda g, dy, w_shape, *, size, how: _conv_w(g, dy, size=w_shape[2:], how=how),
    new=True,
)
rule(
    _conv_w,
    lambda g, x_shape, dy, *, size, how: _conv_x(dy, g, size=x_shape[2:], how=how),
    lambda g, x, *, size, how: _conv(x, g, how=how),
    new=True,
)


# What layers compute


@overload
def conv2d(
    x: Tensor, weight: Tensor | ArrayLike, bias: Tensor | ArrayLike | None = ...,
    stride: int | Pair = ..., padding: int | Pair = ..., dilation: int | Pair = ..., groups: int = ...,
) -> Tensor: ...  # fmt: skip
@overload
def conv2d(
    x: ArrayLike, weight: Tensor, bias: Tensor | ArrayLike | None = ...,
    stride: int | Pair = ..., padding: int | Pair = ..., dilation: int | Pair = ..., groups: int = ...,
) -> Tensor: ...  # fmt: skip
@overload
def conv2d(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = ...,
    stride: int | Pair = ..., padding: int | Pair = ..., dilation: int | Pair = ..., groups: int = ...,
) -> NDArray[Any]: ...  # fmt: skip
def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Any:
    """Kernels moved over images: y[m, o, i, j] = bias[o] + Σ weight[o, c, p, q] · x[m, c, i·stride + p·dilation,
    j·stride + q·dilation] over c, p and q, with `padding` zeros at each edge of x.

    x has the shape (m, c, h, w), weight (o, c / groups, kh, kw), bias (o,) and the result (m, o, oh, ow), where
    oh = (h + 2·padding − dilation·(kh − 1) − 1) // stride + 1. Each of `groups` equal parts of the c channels is seen
    by as many of the o kernels. Numbers given for height and width apart are pairs.

    Raises `ValueError` if the shapes do not go together. (LeCun et al., "Gradient-based learning applied to document
    recognition", Proc. IEEE 86, 1998; arguments as in PyTorch.)

    >>> tg.conv2d(np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2)))
    array([[[[ 8., 12.],
             [20., 24.]]]])
    """
    how = _how("conv2d", pair, stride, padding, dilation, groups)
    return _convolved("conv2d", "(m, c, h, w)", x, weight, bias, how)


@overload
def conv1d(
    x: Tensor, weight: Tensor | ArrayLike, bias: Tensor | ArrayLike | None = ...,
    stride: int = ..., padding: int = ..., dilation: int = ..., groups: int = ...,
) -> Tensor: ...  # fmt: skip
@overload
def conv1d(
    x: ArrayLike, weight: Tensor, bias: Tensor | ArrayLike | None = ...,
    stride: int = ..., padding: int = ..., dilation: int = ..., groups: int = ...,
) -> Tensor: ...  # fmt: skip
@overload
def conv1d(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = ...,
    stride: int = ..., padding: int = ..., dilation: int = ..., groups: int = ...,
) -> NDArray[Any]: ...  # fmt: skip
def conv1d(
    x: Any, weight: Any, bias: Any = None, stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1
) -> Any:
    """`conv2d` of rows: x (m, c, n) and weight (o, c / groups, k) give (m, o, on), with on = (n + 2·padding −
    dilation·(k − 1) − 1) // stride + 1; `bias` is (o,). Raises `ValueError` as that does.

    >>> tg.conv1d(np.array([[[1.0, 2.0, 4.0]]]), np.array([[[-1.0, 1.0]]]))
    array([[[1., 2.]]])
    """
    how = _how("conv1d", _across, stride, padding, dilation, groups)
    return _convolved("conv1d", "(m, c, n)", x, weight, bias, how)


def _convolved(who: str, axes: str, x: Any, weight: Any, bias: Any, how: How) -> Any:
    x, weight = as_floats(x), as_floats(weight)
    _check_shapes(who, axes, shape_of(x), shape_of(weight), None if bias is None else np.shape(bias), how)
    if x.ndim == 4:
        y = _conv(x, weight, how=how)
    else:
        y = _conv(np.expand_dims(x, 2), np.expand_dims(weight, 2), how=how)[:, :, 0]
    return y if bias is None else y + np.reshape(bias, (-1, *[1] * (x.ndim - 2)))


def whole(what: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{what} must be a whole number of at least {least}, not {value!r}")
    return int(value)


def pair(what: str, value: Any, least: int) -> Pair:
    """Two whole numbers, for height and width; a single one counts for both."""
    if isinstance(value, tuple | list) and len(value) == 2:
        return whole(what, value[0], least), whole(what, value[1], least)
    if isinstance(value, str | tuple | list):
        raise ValueError(f"{what} must be a whole number or a pair of them (height, width), not {value!r}")
    number = whole(what, value, least)
    return number, number


def _across(what: str, value: Any, least: int) -> Pair:
    """What stands for nothing down, and the number across."""
    return least, whole(what, value, least)


def _how(who: str, read: Any, stride: Any, padding: Any, dilation: Any, groups: Any) -> How:
    return (
        read(f"{who}: stride", stride, 1),
        read(f"{who}: padding", padding, 0),
        read(f"{who}: dilation", dilation, 1),
        whole(f"{who}: groups", groups, 1),
    )


def _check_shapes(who: str, axes: str, x: Any, weight: Any, bias: Any, how: How) -> None:
    groups = how[3]
    wanted = axes.replace("m, c", "o, c / groups").replace("h", "kh").replace("w)", "kw)").replace("n)", "k)")
    if len(weight) != len(x) or len(x) != axes.count(",") + 1:
        advice = ""
        if len(x) == axes.count(",") == len(weight) - 1:
            single = x[0] == weight[1] * groups > 1
            what, index = ("sample", "") if single else ("channel", ":, ")
            advice = f"; a single {what} has an axis, too: x[{index}np.newaxis]"
        raise ValueError(f"{who}: x must be {axes} and weight {wanted}, got {x} and {weight}{advice}")
    if 0 in weight:
        raise ValueError(f"{who}: weight of shape {weight} holds no kernels, or kernels without numbers")
    o, channels = weight[0], weight[1] * groups
    if x[1] != channels:
        advice = ""
        if x[-1] == channels:
            advice = ". Channels come second: np.moveaxis(x, -1, 1)"
        of = f" in {groups} groups" if groups > 1 else ""
        raise ValueError(f"{who}: weight of shape {weight} takes {channels} channels{of}, x {x} has {x[1]}{advice}")
    if o % groups:
        raise ValueError(f"{who}: {o} kernels cannot be divided among {groups} groups")
    if bias is not None and bias != (o,):
        raise ValueError(f"{who}: bias must have the shape ({o},), one number for each kernel, got {bias}")
    size, kernel = ((1, *x[2:])[-2:], (1, *weight[2:])[-2:])
    if min(output_size(size, kernel, how)) < 1:
        first = 4 - len(x)  # rows have one number for each
        raise ValueError(
            f"{who}: kernels of size {weight[2:]} (dilation {how[2][first:]}) do not fit into images of size {x[2:]} "
            f"with padding {how[1][first:]}; use more padding, or smaller kernels"
        )
