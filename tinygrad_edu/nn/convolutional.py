"""Layers for images and rows of numbers: convolutions and pooling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from .. import functional as F
from ..autograd.conversion import as_array
from ..autograd.printing import printable
from ..autograd.tensor import Tensor
from ..functional.convolution import Pair, pair, whole
from ..random import generator
from .initializers import Initializer, initial
from .module import Module

Rng = np.random.Generator | int | None


class _Convolution(Module):
    """What convolutions share: kernels (out_channels, in_channels / groups, …) and a bias (out_channels,)."""

    _read: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        *,
        bias: bool = True,
        init: str | Initializer = "he_uniform",
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        who, read = type(self).__name__, type(self)._read
        self.in_channels = whole(f"{who}: in_channels", in_channels, 1)
        self.out_channels = whole(f"{who}: out_channels", out_channels, 1)
        self.kernel_size = read(f"{who}: kernel_size", kernel_size, 1)
        self.stride = read(f"{who}: stride", stride, 1)
        self.padding = read(f"{who}: padding", padding, 0)
        self.dilation = read(f"{who}: dilation", dilation, 1)
        self.groups = whole(f"{who}: groups", groups, 1)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{who}: {in_channels} and {out_channels} channels cannot be divided among {groups} groups"
            )
        sizes = np.atleast_1d(self.kernel_size).tolist()
        shape = in_channels // groups * math.prod(sizes), out_channels
        values = initial(who, init, shape, generator(rng))
        kernels = np.ascontiguousarray(values.T, dtype).reshape(out_channels, in_channels // groups, *sizes)
        self.weight = Tensor(kernels, requires_grad=True, name="weight")
        self.bias = Tensor(np.zeros(out_channels, dtype), requires_grad=True, name="bias") if bias else None

    def _describe(self) -> str:
        usual = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
        rest = [
            f"{name}={value}"
            for name, value in ((name, getattr(self, name)) for name in usual)
            if np.any(np.not_equal(value, usual[name]))
        ]
        kernel = f"kernel_size={self.kernel_size}"
        more = [kernel, *rest, *([] if self.bias is not None else ["bias=False"])]
        return printable(f"{self.in_channels} → {self.out_channels}") + f", {', '.join(more)}"


class Conv2d(_Convolution):
    """Kernels moved over images: (m, in_channels, h, w) to (m, out_channels, oh, ow), see `functional.conv2d`.

    `kernel_size`, `stride`, `padding` and `dilation` are numbers, or pairs for height and width. The weight has
    PyTorch's shape, (out_channels, in_channels / groups, kh, kw). `init` is the name of an initialiser of `nn` or a
    function `(shape, rng) -> array`, which is given the shape (numbers in a kernel, out_channels); biases start at 0,
    and there are none with `bias=False`.

    Raises `ValueError` for sizes that are not positive whole numbers, for `groups` that do not divide the channels, and
    for an input of another shape. (LeCun et al., "Gradient-based learning applied to document recognition", 1998.)

    >>> layer = tg.Conv2d(1, 6, 5, padding=2, rng=0)
    >>> layer, layer(np.ones((3, 1, 28, 28))).shape
    (Conv2d(1 → 6, kernel_size=(5, 5), padding=(2, 2)), (3, 6, 28, 28))
    """

    _read: ClassVar[Callable[..., Any]] = staticmethod(pair)

    def forward(self, x: Any) -> Any:
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Conv1d(_Convolution):
    """Kernels moved along rows: (m, in_channels, n) to (m, out_channels, on), as `Conv2d` does over images.

    `kernel_size`, `stride`, `padding` and `dilation` are numbers, and the weight is (out_channels, in_channels /
    groups, kernel_size). `groups`, `bias`, `init` and what it raises are as in `Conv2d`.

    >>> tg.Conv1d(2, 3, 5, stride=2, rng=0)(np.ones((4, 2, 15))).shape
    (4, 3, 6)
    """

    _read: ClassVar[Callable[..., Any]] = staticmethod(whole)

    def forward(self, x: Any) -> Any:
        return F.conv1d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class MaxPool2d(Module):
    """The largest number of each window: (m, c, h, w) to (m, c, oh, ow), see `functional.max_pool2d`.

    `kernel_size`, `stride` (that of the window, if it is left out) and `padding` are numbers, or pairs for height and
    width. Raises `ValueError` for sizes that are no whole numbers, and for images into which no window fits.

    >>> tg.MaxPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """

    _pool: ClassVar[Callable[..., Any]] = staticmethod(F.max_pool2d)

    def __init__(self, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0) -> None:
        who = type(self).__name__
        self.kernel_size = pair(f"{who}: kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else pair(f"{who}: stride", stride, 1)
        self.padding = pair(f"{who}: padding", padding, 0)

    def forward(self, x: Any) -> Any:
        return self._pool(x, self.kernel_size, self.stride, self.padding)

    def _describe(self) -> str:
        stride = f", stride={self.stride}" if self.stride != self.kernel_size else ""
        return f"{self.kernel_size}{stride}" + (f", padding={self.padding}" if any(self.padding) else "")


class AvgPool2d(MaxPool2d):
    """The mean of each window: (m, c, h, w) to (m, c, oh, ow), see `functional.avg_pool2d`. `kernel_size`, `stride`,
    `padding` and what it raises are as in `MaxPool2d`.

    >>> tg.AvgPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """

    _pool = staticmethod(F.avg_pool2d)


class GlobalAvgPool2d(Module):
    """The mean of each channel: (m, c, h, w) to (m, c), for images of any size. Raises `ValueError` for an input of
    another number of axes. (Lin, Chen and Yan, "Network in network", ICLR 2014.)

    >>> tg.GlobalAvgPool2d()(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[1.5, 5.5]])
    """

    def forward(self, x: Any) -> Any:
        x = x if hasattr(x, "shape") else as_array(x)
        if len(x.shape) != 4 or 0 in x.shape[2:]:
            raise ValueError(f"GlobalAvgPool2d: x must be images (m, c, h, w), got shape {x.shape}")
        return np.mean(x, axis=(2, 3))
