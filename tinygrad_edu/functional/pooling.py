"""Pooling: what stands for the windows of an image. Images have the shape (m, c, h, w); results lie in memory as those
of `convolution.py`.

Of the largest numbers, one function looks for them and two move numbers along the same ways: `_unpool` from each
window to its largest number, `_pick` back. Each is the other's derivative, and so are `_sum_pool` and `_spread`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..autograd.conversion import shape_of
from ..autograd.primitives import primitive, rule
from ..autograd.tensor import Tensor
from .activations import BITS, Scratch, as_floats, new_array
from .convolution import Pair, by_channels, new_images, output_size, pair

Windows = tuple[Pair, Pair, Pair]  # their size, their stride, and how far they reach over the edges


def _output_size(x: Any, windows: Windows) -> Pair:
    kernel, stride, padding = windows
    return output_size(x.shape[2:], kernel, (stride, padding, (1, 1), 1))


def _taps(images: Any, windows: Windows, size: Pair) -> Iterator[Any]:
    """For each place in a window, what stands there in all windows: a view of images (c, h, w, m) with their border."""
    kernel, (down, across), _ = windows
    for i, j in np.ndindex(*kernel):
        yield images[:, i : i + (size[0] - 1) * down + 1 : down, j : j + (size[1] - 1) * across + 1 : across]


def _bordered(x: Any, windows: Windows, scratch: Scratch, edge: float) -> Any:
    return by_channels(x, scratch, 0, x.dtype, windows[2], edge)


# The largest


def _max_pool_into(out: Any, scratch: Scratch, x: Any, *, windows: Windows) -> None:
    (high, wide), (down, across), _ = windows
    y = out.transpose(1, 2, 3, 0)
    images = _bordered(x, windows, scratch, -np.inf)
    # First along columns, then along rows, which compares less often than each number with each.
    rows = scratch(1, (len(y), y.shape[1], *images.shape[2:]), x.dtype)
    _largest([images[:, i : i + (y.shape[1] - 1) * down + 1 : down] for i in range(high)], rows)
    _largest([rows[:, :, j : j + (y.shape[2] - 1) * across + 1 : across] for j in range(wide)], y)


def _largest(arrays: list[Any], out: Any) -> None:
    np.maximum(arrays[0], arrays[min(1, len(arrays) - 1)], out=out)
    for array in arrays[2:]:
        np.maximum(out, array, out=out)


@primitive(into=_max_pool_into)
def _max_pool(x: Any, *, windows: Windows) -> Any:
    out = new_images((*x.shape[:2], *_output_size(x, windows)), x.dtype)
    _max_pool_into(out, new_array, x, windows=windows)
    return out


def _hits(top: Any, x: Any, windows: Windows, scratch: Scratch) -> Iterator[tuple[int, Any]]:
    """For each place in a window, where it is the first that has the largest number, or the first NaN."""
    largest = by_channels(top, scratch, 1, top.dtype)
    free, hit = scratch(2, largest.shape, bool), scratch(3, largest.shape, bool)
    free[...] = True
    # The border is no number in the first pass, and a number in the second: it is never found.
    for edge, found in ((np.nan, np.equal), (0.0, lambda tap, _, out: np.isnan(tap, out=out))):
        images = _bordered(x, windows, scratch, edge)
        for k, tap in enumerate(_taps(images, windows, largest.shape[1:3])):
            found(tap, largest, out=hit)
            hit &= free
            free ^= hit
            yield k, hit
        if not free.any():
            return


def _where_hit(hit: Any, g: Any, out: Any) -> Any:
    """g where there is a hit, elsewhere 0, also for an infinite g."""
    bits = BITS.get(g.dtype.itemsize)
    if bits is None:
        np.copyto(out, np.where(hit, g, 0))
    else:
        np.multiply(g.view(bits), hit, out=out.view(bits))
    return out


def _unpool_into(out: Any, scratch: Scratch, dy: Any, top: Any, x: Any, *, windows: Windows) -> None:
    gt = by_channels(dy, scratch, 4, out.dtype)
    part = scratch(5, gt.shape, out.dtype)
    whole = _whole(out, windows, scratch)
    taps = list(_taps(whole, windows, gt.shape[1:3]))
    for k, hit in _hits(top, x, windows, scratch):
        taps[k] += _where_hit(hit, gt, part)
    _cut(whole, windows, out)


def _whole(out: Any, windows: Windows, scratch: Scratch) -> Any:
    """Zeros to add to, (c, h, w, m), for images with a border: the memory of `out`, if there is none."""
    _, _, (down, across) = windows
    whole = out.transpose(1, 2, 3, 0)
    if down or across:
        c, h, w, m = whole.shape
        whole = scratch(6, (c, h + 2 * down, w + 2 * across, m), out.dtype)
    whole[...] = 0
    return whole


def _cut(whole: Any, windows: Windows, out: Any) -> None:
    """Puts images without their border into `out`."""
    _, _, (down, across) = windows
    if down or across:
        h, w = out.shape[2:]
        out.transpose(1, 2, 3, 0)[...] = whole[:, down : down + h, across : across + w]


@primitive(into=_unpool_into)
def _unpool(dy: Any, top: Any, x: Any, *, windows: Windows) -> Any:
    """What arrives at each window, handed to its largest number, `top` of x."""
    out = new_images(x.shape, dy.dtype)
    _unpool_into(out, new_array, dy, top, x, windows=windows)
    return out


def _pick_into(out: Any, scratch: Scratch, v: Any, top: Any, x: Any, *, windows: Windows) -> None:
    picked = out.transpose(1, 2, 3, 0)
    part, taken = scratch(4, picked.shape, out.dtype), scratch(5, picked.shape, out.dtype)
    images = by_channels(v, scratch, 6, out.dtype, windows[2])
    taps = list(_taps(images, windows, picked.shape[1:3]))
    picked[...] = 0
    for k, hit in _hits(top, x, windows, scratch):
        taken[...] = taps[k]
        picked += _where_hit(hit, taken, part)


@primitive(into=_pick_into)
def _pick(v: Any, top: Any, x: Any, *, windows: Windows) -> Any:
    """From each window of v, the number at the place where x has its largest, `top`."""
    out = new_images(top.shape, v.dtype)
    _pick_into(out, new_array, v, top, x, windows=windows)
    return out


# Where a window's largest number stands does not change with small steps: no gradient flows to `top` and to x.
rule(_max_pool, lambda g, y, x, *, windows: _unpool(g, y, x, windows=windows), new=True)
rule(_unpool, lambda g, top, x, *, windows: _pick(g, top, x, windows=windows), None, None, new=True)
rule(_pick, lambda g, top, x, *, windows: _unpool(g, top, x, windows=windows), None, None, new=True)


@overload
def max_pool2d(
    x: Tensor, kernel_size: int | Pair, stride: int | Pair | None = ..., padding: int | Pair = ...
) -> Tensor: ...
@overload
def max_pool2d(
    x: ArrayLike, kernel_size: int | Pair, stride: int | Pair | None = ..., padding: int | Pair = ...
) -> NDArray[Any]: ...
def max_pool2d(x: Any, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0) -> Any:
    """The largest number of each window: (m, c, h, w) to (m, c, oh, ow), where oh = (h + 2·padding − kernel_size) //
    stride + 1. Windows lie side by side unless `stride` says otherwise, and reach `padding` places over the edges,
    where there is nothing. Of equal numbers in a window, the first takes the gradient, as in PyTorch.

    Raises `ValueError` if x is not of that shape, or has no pixels, or if no window fits into it.

    >>> tg.max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """
    x = as_floats(x)
    return _max_pool(x, windows=_windows("max_pool2d", x, kernel_size, stride, padding))


def _windows(who: str, x: Any, kernel_size: Any, stride: Any, padding: Any) -> Windows:
    _check_images(who, shape_of(x))
    kernel, reach = pair(f"{who}: kernel_size", kernel_size, 1), pair(f"{who}: padding", padding, 0)
    windows = kernel, kernel if stride is None else pair(f"{who}: stride", stride, 1), reach
    if any(2 * p > k for p, k in zip(reach, kernel, strict=True)):
        raise ValueError(f"{who}: padding {reach} is more than half of the kernel_size {kernel}")
    if min(_output_size(x, windows)) < 1:
        raise ValueError(f"{who}: windows of {kernel} do not fit into images of {shape_of(x)[2:]} with padding {reach}")
    return windows


def _check_images(who: str, shape: tuple[int, ...]) -> None:
    if len(shape) != 4 or 0 in shape[2:]:
        raise ValueError(f"{who}: x must be images (m, c, h, w) with pixels, got shape {shape}")


# Sums


def _sum_pool_into(out: Any, scratch: Scratch, x: Any, *, windows: Windows) -> None:
    y = out.transpose(1, 2, 3, 0)
    y[...] = 0
    for tap in _taps(_bordered(x, windows, scratch, 0), windows, y.shape[1:3]):
        y += tap


@primitive(into=_sum_pool_into)
def _sum_pool(x: Any, *, windows: Windows) -> Any:
    """The sum of each window."""
    out = new_images((*x.shape[:2], *_output_size(x, windows)), x.dtype)
    _sum_pool_into(out, new_array, x, windows=windows)
    return out


def _spread_into(out: Any, scratch: Scratch, dy: Any, *, size: Pair, windows: Windows) -> None:
    gt = by_channels(dy, scratch, 0, out.dtype)
    whole = _whole(out, windows, scratch)
    for tap in _taps(whole, windows, gt.shape[1:3]):
        tap += gt
    _cut(whole, windows, out)


@primitive(into=_spread_into)
def _spread(dy: Any, *, size: Pair, windows: Windows) -> Any:
    """What arrives at each window, handed to each of its numbers."""
    out = new_images((*dy.shape[:2], *size), dy.dtype)
    _spread_into(out, new_array, dy, size=size, windows=windows)
    return out


rule(_sum_pool, lambda g, x_shape, *, windows: _spread(g, size=x_shape[2:], windows=windows), new=True)
rule(_spread, lambda g, *, size, windows: _sum_pool(g, windows=windows), new=True)


@overload
def avg_pool2d(
    x: Tensor, kernel_size: int | Pair, stride: int | Pair | None = ..., padding: int | Pair = ...
) -> Tensor: ...
@overload
def avg_pool2d(
    x: ArrayLike, kernel_size: int | Pair, stride: int | Pair | None = ..., padding: int | Pair = ...
) -> NDArray[Any]: ...
def avg_pool2d(x: Any, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0) -> Any:
    """The mean of each window of x, (m, c, h, w) to (m, c, oh, ow): `kernel_size`, `stride`, `padding` and what it
    raises are as in `max_pool2d`. Over the edges there are zeros, which count.

    >>> tg.avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """
    x = as_floats(x)
    windows = _windows("avg_pool2d", x, kernel_size, stride, padding)
    if x.dtype == np.float16:  # whose sums are soon too large for float16
        return np.astype(avg_pool2d(np.astype(x, np.float32), kernel_size, stride, padding), x.dtype)
    return _sum_pool(x, windows=windows) / math.prod(windows[0])


@overload
def adaptive_avg_pool2d(x: Tensor, output_size: int | Pair) -> Tensor: ...
@overload
def adaptive_avg_pool2d(x: ArrayLike, output_size: int | Pair) -> NDArray[Any]: ...
def adaptive_avg_pool2d(x: Any, output_size: int | Pair) -> Any:
    """Means of as many windows as are wanted, whatever the size of the images: (m, c, h, w) to (m, c, oh, ow), where
    `output_size` is (oh, ow) or one number for both. Window i of n rows goes from ⌊i·n / oh⌋ to ⌈(i + 1)·n / oh⌉, so
    that together they cover all, as in PyTorch.

    Raises `ValueError` if x is not of that shape, or has no pixels.

    >>> tg.adaptive_avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 1)
    array([[[[7.5]]]])
    """
    x = as_floats(x)
    _check_images("adaptive_avg_pool2d", shape_of(x))
    down, across = pair("adaptive_avg_pool2d: output_size", output_size, 1)
    return _means(_means(x, 2, down), 3, across)


def _means(x: Any, axis: int, windows: int) -> Any:
    """The means of so many windows along an axis."""
    n = x.shape[axis]
    ends = [(k * n // windows, -(-(k + 1) * n // windows)) for k in range(windows)]
    return np.stack([np.mean(x[(slice(None),) * axis + (slice(*end),)], axis=axis) for end in ends], axis)
