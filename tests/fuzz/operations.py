"""What a program can be made of: for every function of the table, random calls of it as text."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np


class Unfit(Exception):
    """No variable of the program fits the operation."""


class Draw:
    """Random choices among a program's values."""

    def __init__(self, rng: random.Random, values: dict[str, Any], constants: dict[str, Any]) -> None:
        self.rng, self.values, self.constants = rng, values, constants
        self.names = list(values)
        self.chance, self.choice = rng.random, rng.choice

    def any(self, fits: Callable[[Any], bool] | None = None) -> str:
        """A variable; the newer the likelier."""
        names = self.names if fits is None else [n for n in self.names if fits(self.values[n])]
        if not names:
            raise Unfit
        return names[-1 - int(len(names) * self.chance() ** 2)]

    def array(self, least: int = 1, size: int = 0) -> str:
        return self.any(lambda v: v.ndim >= least and v.size >= size)

    def exactly(self, ndim: int, size: int = 1) -> str:
        return self.any(lambda v: v.ndim == ndim and v.size >= size)

    def square(self) -> str:
        return self.any(lambda v: v.ndim >= 2 and v.shape[-1] == v.shape[-2] > 0)

    def shape(self, name: str) -> tuple[int, ...]:
        return np.shape(self.values[name])

    def pair(self, fits: Callable[[tuple[int, ...], tuple[int, ...]], bool]) -> tuple[str, str]:
        names = [(a, b) for a in self.names for b in self.names if fits(self.shape(a), self.shape(b))]
        if not names:
            raise Unfit
        return names[-1 - int(len(names) * self.chance() ** 2)]

    def like(self, name: str) -> str:
        """A variable of the same shape; the same one if there is no other."""
        shape = self.shape(name)
        return self.any(lambda v: v.shape == shape)

    def operand(self, name: str) -> str:
        """Something that broadcasts with the variable: another one, a number of some kind, a constant."""
        kind = self.chance()
        if kind < 0.2:
            return self.choice(
                ["2", "0.7", "-1.5", "np.float64(0.6)", "np.float32(0.5)", "np.int64(3)", "np.int8(2)", "0"]
            )
        shape = self.shape(name)
        fitting = [n for n, v in (self.constants if kind < 0.35 else self.values).items() if _fits(shape, v.shape)]
        return self.choice(fitting) if fitting else "1.25"

    def axis(self, name: str) -> int:
        ndim = len(self.shape(name))
        return self.rng.randrange(-ndim, ndim) if ndim else 0

    def axes(self, name: str) -> Any:
        ndim = len(self.shape(name))
        kind = self.chance()
        if kind < 0.3 or not ndim:
            return None
        if kind < 0.8:
            return self.axis(name)
        return tuple(self.choice([k, k - ndim]) for k in self.rng.sample(range(ndim), self.rng.randint(1, ndim)))

    def indices(self, length: int, count: int) -> list[int]:
        if not length:
            raise Unfit
        return [self.rng.randrange(-length, length) for _ in range(count)]

    def mask(self, shape: tuple[int, ...]) -> str:
        values = np.array(self.rng.choices([True, False], k=int(np.prod(shape))), bool).reshape(shape)
        return f"np.array({values.tolist()}, dtype=bool).reshape({shape})"


def _fits(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(n == m or 1 in (n, m) for n, m in zip(reversed(a), reversed(b), strict=False))


OPERATIONS: dict[str, Callable[[Draw], str]] = {}


def operations(**kinds: Callable[[Draw], str]) -> None:
    for name, draw in kinds.items():
        assert name not in OPERATIONS, name
        if hasattr(np, name) or name not in ("matvec", "vecmat"):  # NumPy 2.2 brought these
            OPERATIONS[name] = draw


def each(names: str, draw: Callable[[Draw, str], str]) -> None:
    """The same kind of call for several functions."""
    for name in names.split():
        operations(**{name: lambda d, name=name: draw(d, name)})


# One argument, brought into the function's domain

each(
    "np.sin np.cos np.tanh np.arctan np.arcsinh np.square np.absolute np.fabs np.negative np.positive np.sinc "
    "np.deg2rad np.rad2deg np.radians np.degrees np.sign np.floor np.ceil np.trunc np.rint np.fix np.nan_to_num "
    "np.copy np.real np.conjugate np.real_if_close F.relu F.leaky_relu F.sigmoid F.softplus F.log_sigmoid - + abs "
    "F.silu F.elu F.gelu F.hardtanh F.softsign",
    lambda d, f: f"{f}({d.any()})",
)
each("np.exp np.exp2 np.expm1 np.sinh np.cosh np.tan", lambda d, f: f"{f}(1.3 * np.tanh({d.any()}))")
each("np.sqrt np.cbrt np.log np.log2 np.log10 np.log1p np.reciprocal", lambda d, f: f"{f}(abs({d.any()}) + 0.5)")
each("np.arcsin np.arccos np.arctanh", lambda d, f: f"{f}(0.9 * np.tanh({d.any()}))")
each("np.modf np.frexp", lambda d, f: f"{f}({d.any()})[0]")
each("np.round np.around", lambda d, f: f"{f}({d.any()}, 1)")
operations(
    arccosh=lambda d: f"np.arccosh(abs({d.any()}) + 1.5)",
    imag=lambda d: f"{(x := d.any())} + np.imag({x})",
    ldexp=lambda d: f"np.ldexp({d.any()}, {d.choice([-1, 2])})",
    astype=lambda d: f"{d.any()}.astype(np.float64)",
    np_astype=lambda d: f"np.astype({d.any()}, np.float64)",
    copy=lambda d: f"{d.any()}.copy()",
    flatten=lambda d: f"{d.array()}.flatten()",
    whole_power=lambda d: f"{d.any()} ** {d.choice([2, 3, 1, 0, 2.0, 'np.int8(3)', 'np.uint8(2)'])}",
    negative_power=lambda d: f"(abs({d.any()}) + 0.7) ** {d.choice(['np.int8(-3)', 'np.int16(-1)', 'np.int64(-2)'])}",
    # infinities, which are no values of these programs but may be between them
    bounded=lambda d: f"np.{d.choice(['maximum', 'fmax', 'logaddexp', 'logaddexp2'])}({d.any()}, -np.inf)",
    bounded_above=lambda d: f"np.{d.choice(['minimum', 'fmin'])}(np.inf, {d.any()})",
    clip_one_side=lambda d: f"np.clip({d.any()}, {d.choice(['-np.inf, 0.3', '-0.4, np.inf', '-np.inf, np.inf'])})",
    masked=lambda d: (
        f"F.{d.choice(['softmax', 'logsumexp'])}"
        f"(np.where({(x := d.array(size=2))} > np.min({x}) + 1e-6, {x}, -np.inf), -1)"
    ),
    finite=lambda d: f"np.nan_to_num(np.where({(x := d.any())} > 0, {x}, np.inf), posinf={d.choice(['0.0', '2.5'])})",
    of_infinity=lambda d: f"np.{d.choice(['tanh', 'exp'])}(np.where({(x := d.any())} < 0, {x}, -np.inf))",
    nan_max=lambda d: (
        f"np.{d.choice(['nanmax', 'nansum'])}(np.where({(x := d.array(size=2))} >= np.max({x}), {x}, np.nan))"
    ),
    dropout=lambda d: f"F.dropout({d.any()}, 0.4, rng={d.rng.randrange(99)})",
)

# Two arguments that broadcast


def _two(d: Draw, text: str) -> str:
    a = d.any()
    b = d.operand(a)
    if d.chance() < 0.3:
        a, b = b, a
    return text.format(a=a, b=b)


for _sign in "+-*":
    operations(**{_sign + "two": lambda d, s=_sign: _two(d, f"{{a}} {s} {{b}}")})
each(
    "np.add np.subtract np.multiply np.maximum np.minimum np.fmax np.fmin np.copysign np.logaddexp np.logaddexp2 "
    "np.heaviside",
    lambda d, f: _two(d, f + "({a}, {b})"),
)
each("np.divide np.remainder np.fmod np.floor_divide", lambda d, f: _two(d, f + "({a}, abs({b}) + 0.5)"))
each("np.hypot np.arctan2", lambda d, f: _two(d, f + "({a}, abs({b}) + 0.3)"))
each("np.power np.float_power", lambda d, f: _two(d, f + "(abs({a}) + 0.5, np.tanh(1.0 * {b}))"))
for _sign in ("/", "%", "//"):
    operations(**{_sign: lambda d, s=_sign: _two(d, f"{{a}} {s} (abs({{b}}) + 0.5)")})
operations(
    **{"**": lambda d: _two(d, "(abs({a}) + 0.5) ** np.tanh(1.0 * {b})")},
    divmod=lambda d: _two(d, f"np.divmod({{a}}, abs({{b}}) + 0.5)[{d.choice([0, 1])}]"),
    where=lambda d: _two(d, f"np.where({{a}} > {d.choice([0.1, -0.5])}, {{a}}, {{b}})"),
    where_mask=lambda d: f"np.where({d.mask(d.shape(a := d.any()))}, {a}, {d.operand(a)})",
    clip=lambda d: f"np.clip({d.any()}, {d.choice(['-0.5', 'None'])}, 0.8)",
    clip_between=lambda d: f"np.clip({(a := d.any())}, {d.operand(a)}, {d.operand(a)})",
    clip_method=lambda d: f"{d.any()}.clip(-0.5, 0.8)",
    subtract_outer=lambda d: f"np.subtract.outer({d.any()}, {d.any()})",
)

# Reductions and running sums

NAN = "np.where({x} > 0.8, np.nan, {x})"


def _reduced(d: Draw, text: str, axis: Any = "") -> str:
    x = d.array()
    axis = d.axes(x) if axis == "" else axis
    return text.format(x=x, nan=NAN.format(x=x)) + f", axis={axis}, keepdims={d.chance() < 0.4})"


each(
    "np.sum np.mean np.max np.min np.prod np.amax np.amin np.var np.std np.median np.ptp F.logsumexp",
    lambda d, f: _reduced(d, f + "({x}"),
)
each("np.nansum np.nanprod np.nanmax np.nanmin np.nanmean", lambda d, f: _reduced(d, f + "({nan}"))
each(".sum .mean .max .min .prod .var .std", lambda d, f: _reduced(d, "{x}" + f + "(").replace("(, ", "("))
each("np.nancumsum np.nancumprod", lambda d, f: f"{f}({NAN.format(x=(x := d.array()))}, axis={d.axis(x)})")
each("np.cumulative_sum np.cumulative_prod",
     lambda d, f: f"{f}({(x := d.array())}, axis={d.axis(x)}, include_initial={d.chance() < 0.5})")  # fmt: skip
each("np.cumsum np.cumprod", lambda d, f: f"{f}({(x := d.array())}, axis={d.choice([None, d.axis(x)])})")
each("np.mean np.var np.std np.nansum np.nanmean np.nanvar np.nanprod".replace(" ", "_where ") + "_where",
     lambda d, f: f"{f[:-6]}({(x := d.array())}, axis={d.axes(x)}, where={x} > -0.5)")  # fmt: skip
each("np.max np.min np.prod np.nanmax np.nanmin".replace(" ", "_initial ") + "_initial",
     lambda d, f: f"{f[:-8]}({(x := d.array())}, {d.axes(x)}, initial=0.4, where={d.mask(d.shape(x))})")  # fmt: skip
each("np.add.reduce np.multiply.reduce np.maximum.reduce np.minimum.reduce np.add.accumulate np.multiply.accumulate "
     "np.maximum.accumulate np.minimum.accumulate np.logaddexp.accumulate np.subtract.accumulate np.logical_or.reduce",
     lambda d, f: f"{f}({(x := d.array())}, axis={d.axis(x)})")  # fmt: skip


def _starts(d: Draw) -> str:
    x = d.array()
    axis = d.axis(x)
    return f"{x}, {[k % d.shape(x)[axis] for k in d.indices(d.shape(x)[axis], 3)]}, axis={axis}"


each("F.softmax F.log_softmax", lambda d, f: f"{f}({(x := d.array())}, {d.axis(x)})")
operations(
    var_ddof=lambda d: f"np.var({(x := d.array(size=2))}, axis={d.axes(x)}, ddof=1)",
    std_ddof=lambda d: f"np.std({(x := d.array(size=2))}, axis={d.axes(x)}, ddof=1)",
    sum_where=lambda d: f"np.sum({(x := d.array())}, axis={d.axes(x)}, where={d.mask(d.shape(x))}, initial=2.0)",
    var_about=lambda d: f"np.{d.choice(['var', 'std'])}({(x := d.array(size=2))} + 0.1, mean=0.3 * np.mean({x}))",
    fold=lambda d: f"np.{d.choice(['hypot', 'logaddexp'])}.reduce({(x := d.array(size=1))} + 0.1, axis={d.axes(x)})",
    logical_and=lambda d: f"np.sum({(x := d.array())}) * np.logical_and.reduce({x} > 0, axis=None)",
    reduceat=lambda d: f"np.{d.choice(['add', 'maximum'])}.reduceat({_starts(d)})",
    nanspread=lambda d: f"np.nan{d.choice(['var', 'std'])}({NAN.format(x=(x := d.array()))}, axis={d.axes(x)})",
    nanmedian=lambda d: f"np.nanmedian(np.where({(x := d.array(size=2))} >= np.max({x}), np.nan, {x}))",
    nanquantile=lambda d: (
        f"np.{d.choice(['nanquantile', 'nanpercentile'])}"
        f"(np.where({(x := d.array(size=2))} <= np.min({x}), np.nan, {x}), 0.4)"
    ),
    masked_divide=lambda d: (
        f"np.divide({d.like(x := d.any())}, {x} * ({x} > 0.1), out=np.zeros({d.shape(x)}), where={x} > 0.1)"
    ),
    angle=lambda d: f"{(x := d.any())} + np.angle({x})",
    quantile=lambda d: _reduced(d, f"np.quantile({{x}}, {d.choice(['0.3', '[0.2, 0.5]', '1.0'])}"),
    percentile=lambda d: _reduced(d, "np.percentile({x}, 35"),
    average=lambda d: f"np.average({(x := d.array())}, axis={d.axes(x)}, weights=np.exp(0.3 * {d.like(x)}))",
    diff=lambda d: f"np.diff({(x := d.array())}, {d.choice([1, 2])}, axis={d.axis(x)})",
    trapezoid=lambda d: f"np.trapezoid({(x := d.array())}, dx=0.3, axis={d.axis(x)})",
    gradient=lambda d: f"np.gradient({(x := d.array(size=2))}, 0.5, axis={d.axis(x)})",
    norm=lambda d: (
        f"np.linalg.norm({(x := d.array(size=1))} + 0.1, {d.choice(['None', 2, 1, 'np.inf', '-np.inf', 3])}"
        f", axis={d.axis(x)}, keepdims={d.chance() < 0.4})"
    ),
    vector_norm=lambda d: (
        f"np.linalg.vector_norm({(x := d.array(size=1))} + 0.1, axis={d.axes(x)}, keepdims={d.chance() < 0.4}"
        f", ord={d.choice([2, 1, 3, 'np.inf'])})"
    ),
    linalg_matrix_norm=lambda d: (
        f"np.linalg.matrix_norm({d.array(2, 1)} + 0.1, keepdims={d.chance() < 0.4}, ord={d.choice([1, repr('fro')])})"
    ),
    frobenius=lambda d: f"np.linalg.norm({d.array(size=1)} + 0.1)",
    matrix_norm=lambda d: f"np.linalg.norm({d.exactly(2)}, {d.choice([1, -1, 'np.inf', '-np.inf', repr('fro')])})",
)

# Shapes and axes


def _reshaped(d: Draw, text: str) -> str:
    x = d.any()
    size, shape = d.values[x].size, d.shape(x)
    shapes = [(size,), (1, size), (size, 1), (*shape, 1), shape[::-1], -1]
    shapes += [(n, -1) for n in (2, 3) if size and not size % n]
    return text.format(x=x, s=d.choice(shapes), o=d.choice("CF"))


def _wider(d: Draw) -> str:
    x = d.any()
    shape = [d.choice([n, 2, 3]) if n == 1 else n for n in d.shape(x)]
    return f"np.broadcast_to({x}, {tuple([2] * (d.chance() < 0.4) + shape)})"


def _index(d: Draw) -> str:
    x = d.array()
    shape, parts = d.shape(x), []
    for n in shape[: d.rng.randint(1, len(shape))]:
        kind = d.choice(["slice", "slice", "whole", "integer", "list", "mask", "new"])
        if kind == "slice":
            parts.append(d.choice(["1:", ":-1", "::-1", "::2", ":2", "5:", "-2:"]))
        elif kind == "integer" and n:
            parts.append(str(d.indices(n, 1)[0]))
        elif kind == "list" and n:
            parts.append(str(d.indices(n, d.rng.randint(1, 4))))
        elif kind == "mask":
            parts.append(d.mask((n,)))
        else:
            parts.append(":" if kind != "new" else "None, :")
    if len(parts) < len(shape) and d.chance() < 0.3:
        parts = ["...", *parts]
    return f"{x}[{', '.join(parts)}]"


def _assign(d: Draw) -> str:
    """A copy of a variable, some elements of which are others."""
    x, _, index = _index(d).removesuffix("]").partition("[")
    try:
        size = np.asarray(eval(f"x[{index}]", {"x": np.broadcast_to(0, d.shape(x)), "np": np})).shape
    except IndexError as error:  # ellipses and masks may not go together
        raise Unfit from error
    fitting = [name for name in d.names if _fits(size, d.shape(name))]
    one = f"np.max({d.any(lambda v: v.size > 0)})"
    value = d.choice([one, "0.5", *fitting, *fitting])
    beside = one if value == "0.5" else f"np.sum({value})"  # a tensor if the value is one
    return f"[copy := np.where(False, {beside}, {x}), copy.__setitem__(np.s_[{index}], {value})][0]"


each("np.atleast_1d np.atleast_2d np.atleast_3d", lambda d, f: f"{f}({d.any()})")
each("np.ravel np.squeeze np.transpose", lambda d, f: f"{f}({d.array()})")
each("np.swapaxes np.moveaxis", lambda d, f: f"{f}({(x := d.array())}, {d.axis(x)}, {d.axis(x)})")
operations(
    reshape=lambda d: _reshaped(d, "np.reshape({x}, {s}, order='{o}')"),
    reshape_method=lambda d: _reshaped(d, "{x}.reshape({s})"),
    ravel_order=lambda d: f"{d.array()}.ravel('{d.choice('CF')}')",
    expand_dims=lambda d: f"np.expand_dims({d.any()}, {d.choice([0, -1, (0, -1)])})",
    broadcast_to=_wider,
    broadcast_arrays=lambda d: f"np.broadcast_arrays({(x := d.any())}, {d.operand(x)})[0]",
    full_like=lambda d: f"np.full_like({d.any()}, {d.exactly(0)})",
    T=lambda d: f"{d.array()}.T",
    mT=lambda d: f"{d.array(2)}.mT",
    matrix_transpose=lambda d: f"np.matrix_transpose({d.array(2)})",
    linalg_matrix_transpose=lambda d: f"np.linalg.matrix_transpose({d.array(2)})",
    rollaxis=lambda d: f"np.rollaxis({(x := d.array())}, {d.axis(x)})",
    permuted=lambda d: f"{(x := d.array())}.transpose({tuple(d.rng.sample(range(n := len(d.shape(x))), n))})",
    getitem=_index,
    getitem_again=_index,
    setitem=_assign,
    getitem_mask=lambda d: f"{(x := d.array())}[{d.mask(d.shape(x))}]",
    getitem_compared=lambda d: f"{(x := d.array())}[{x} > 0.1]",
    repeated_index=lambda d: f"{(x := d.array())}[np.array({d.indices(d.shape(x)[0], 5)})]",
)

# Joining, repeating, choosing, ordering

each("np.hstack np.vstack np.dstack np.column_stack", lambda d, f: f"{f}(({(x := d.array())}, {d.like(x)}))")
each("np.fliplr np.rot90 np.tril np.triu", lambda d, f: f"{f}({d.array(2)})")
each("np.hsplit np.vsplit np.dsplit", lambda d, f: f"{f}({d.array(1)}, {d.choice([2, 3, [1]])})[{d.choice([0, -1])}]")
each("np.split np.array_split", lambda d, f: f"{f}({(x := d.array())}, {d.choice([2, [1]])}, axis={d.axis(x)})[-1]")
operations(
    flipud=lambda d: f"np.flipud({d.array()})",
    flip=lambda d: f"np.flip({(x := d.array())}, {d.axes(x)})",
    roll=lambda d: f"np.roll({(x := d.array())}, {d.choice([1, -2])}, {d.choice([None, d.axis(x)])})",
    repeat=lambda d: f"np.repeat({(x := d.array())}, 2, axis={d.choice([None, d.axis(x)])})",
    tile=lambda d: f"np.tile({d.any()}, {d.choice([2, (2, 1)])})",
    resize=lambda d: f"np.resize({d.array()}, {d.choice([(2, 3), 5])})",
    diag=lambda d: f"np.diag({d.choice([d.array(), d.array(2)])}, {d.choice([0, 1, -1])})",
    diagflat=lambda d: f"np.diagflat({d.any()})",
    diagonal=lambda d: f"np.diagonal({d.array(2)}, {d.choice([0, 1])})",
    linalg_diagonal=lambda d: f"np.linalg.diagonal({d.array(2)})",
    concatenate=lambda d: f"np.concatenate([{(x := d.array())}, {d.like(x)}, {x}], axis={d.choice([None, d.axis(x)])})",
    stack=lambda d: f"np.stack([{(x := d.any())}, {d.like(x)}], axis={d.choice([0, -1])})",
    append=lambda d: f"np.append({d.any()}, {d.any()})",
    block=lambda d: f"np.block([[{(x := d.exactly(2, 0))}, {d.like(x)}], [{d.like(x)}, {x}]])",
    insert=lambda d: f"np.insert({(x := d.array())}, 0, {d.exactly(0)}, axis={d.axis(x)})",
    delete=lambda d: f"np.delete({(x := d.array(size=1))}, 0, axis={d.axis(x)})",
    take=lambda d: f"np.take({(x := d.array())}, {d.indices(d.values[x].size, 3)})",
    take_axis=lambda d: f"np.take({(x := d.array())}, {d.indices(d.shape(x)[0], 3)}, axis=0)",
    take_along_axis=lambda d: f"np.take_along_axis({(x := d.array(size=1))}, np.argsort({x}, axis=-1), -1)",
    compress=lambda d: f"np.compress({d.rng.choices([True, False], k=d.shape(x := d.array())[0])}, {x}, axis=0)",
    extract=lambda d: f"np.extract({d.mask(d.shape(x := d.array()))}, {x})",
    choose=lambda d: f"np.choose({d.rng.choices([0, 1], k=d.shape(x := d.array())[-1])}, [{x}, {d.like(x)}])",
    select=lambda d: f"np.select([{d.mask(d.shape(x := d.array()))}, {d.mask(d.shape(x))}], [{x}, {d.like(x)}], 0.5)",
    pad=lambda d: f"np.pad({d.array(size=1)}, 1, '{d.choice(['constant', 'edge', 'reflect', 'symmetric', 'wrap'])}')",
    meshgrid=lambda d: f"np.meshgrid({d.exactly(1, 0)}, {d.exactly(1, 0)})[{d.choice([0, 1])}]",
    sort=lambda d: f"np.sort({(x := d.array())}, axis={d.choice([None, d.axis(x)])})",
    partition=lambda d: f"np.partition({d.array(size=1)}, 0)",
    unique=lambda d: f"np.unique({d.any(lambda v: v.ndim and np.all(np.diff(np.sort(v, axis=None)) > 1e-2))})",
)

# Windows, counts, points and lines, polynomials, pieces, and what is written into a copy

WINDOWS = "np.lib.stride_tricks.sliding_window_view"


def _windows(d: Draw) -> str:
    shape = d.shape(x := d.array(size=1))
    axes = d.rng.sample(range(len(shape)), d.rng.randint(1, len(shape)))
    return f"{WINDOWS}({x}, {tuple(d.rng.randint(1, shape[k]) for k in axes)}, {tuple(axes)})"


def _written(d: Draw, text: str) -> str:
    x = d.array(size=1)
    indices = d.indices(d.values[x].size, 2)
    v, one = d.array(size=1), d.exactly(0)
    call = text.format(v=v, one=one, indices=indices, mask=d.mask(d.shape(x)))
    # A tensor, if one is written; in C's order, on which it depends what is a view of it.
    return f"[copy := np.where(False, np.sum({v}) + {one}, {x}).copy(), {call}][0]"


each("np.polyval np.polyadd np.polysub np.polymul", lambda d, f: f"{f}({d.exactly(1)}, {d.exactly(1)})")
each("np.polydiv", lambda d, f: f"{f}({d.exactly(1)}, np.append(2.0, np.tanh({d.exactly(1)})))[0]")
each("np.polyfit", lambda d, f: f"{f}(np.arange({d.shape(x := d.exactly(1))[0]}.0) + np.tanh({x}) / 3, np.sin({x}), 1)")
each("np.roots", lambda d, f: f"{f}(np.poly(np.cumsum(np.exp(np.tanh({d.exactly(1)}[:4])))))")
each("np.polyder np.polyint np.vander np.poly", lambda d, f: f"{f}(np.tanh({d.exactly(1)}))")
each("np.cov np.corrcoef", lambda d, f: f"{f}(np.diag([1.0, 2.0, 3.0]) + {d.any(lambda v: v.shape in {(3, 3), (3,)})})")
each("np.linspace np.logspace", lambda d, f: f"{f}({(x := d.any())}, {d.operand(x)}, 3, axis={d.choice([0, -1])})")
operations(
    windows=_windows,
    bincount=lambda d: f"np.bincount({d.rng.choices(range(4), k=d.shape(x := d.exactly(1))[0])}, {x}, 2)",
    histogram=lambda d: f"np.histogram({d.mask(d.shape(x := d.exactly(1)))} * 1.5, 3, (0, 2), weights={x})[0]",
    interp=lambda d: (
        f"np.interp({d.any()}, np.cumsum(np.exp({(x := d.any(lambda v: v.ndim == 1 and v.size))})) - 1, {d.like(x)})"
    ),
    interp_period=lambda d: f"np.interp({d.any()}, [0.1, 0.5, 1.2], {d.any(lambda v: v.shape == (3,))}, period=1.5)",
    cov_weights=lambda d: f"np.cov({(x := d.any(lambda v: v.ndim == 1 and v.size > 1))}, aweights=np.exp({d.like(x)}))",
    geomspace=lambda d: f"np.geomspace(np.exp(np.tanh({(x := d.any())})), np.exp(np.tanh({d.like(x)})), 4)",
    ediff1d=lambda d: f"np.ediff1d({d.array()}, {d.exactly(0)})",
    unwrap=lambda d: f"np.unwrap(3 * {(x := d.array())}, axis={d.axis(x)})",
    unstack=lambda d: f"np.unstack({(x := d.array(size=1))}, axis={d.axis(x)})[-1]",
    trim_zeros=lambda d: f"np.trim_zeros({d.exactly(1)})",
    apply_along_axis=lambda d: (
        f"np.apply_along_axis({d.choice(['np.cumsum', 'np.max', 'lambda r: r * r[:1]'])}, "
        f"{d.axis(x := d.array(size=1))}, {x})"
    ),
    apply_over_axes=lambda d: f"np.apply_over_axes(np.sum, {(x := d.array())}, {[d.axis(x)]})",
    piecewise=lambda d: (
        f"np.piecewise({(x := d.array())}, [{x} < -0.2, {x} > 0.4], [np.sin, np.square, {d.exactly(0)}])"
    ),
    copyto=lambda d: _written(d, "np.copyto(copy, {one}, where={mask})"),
    view=lambda d: _written(d, "(view := copy.T.reshape(-1)[::2]).__imul__({one})"),
    row=lambda d: _written(d, "(row := copy[-1:]).__iadd__({v}[0] if {v}.ndim == 1 else {one})"),
    fill_diagonal=lambda d: (
        f"[copy := np.where(False, np.sum({(v := d.exactly(1))}), {d.exactly(2)}), np.fill_diagonal(copy, {v})][0]"
    ),
    put=lambda d: _written(d, "np.put(copy, {indices}, {v})"),
    place=lambda d: _written(d, "np.place(copy, {mask}, {v})"),
    putmask=lambda d: _written(d, "np.putmask(copy, {mask}, {v})"),
    put_along_axis=lambda d: _written(d, "np.put_along_axis(copy, np.array({indices}), {one}, None)"),
)

# Products

each(
    "np.inner np.vecdot np.linalg.vecdot",
    lambda d, f: "{}({}, {})".format(f, *d.pair(lambda a, b: len(a) and a[-1:] == b[-1:])),
)
each("np.outer np.linalg.outer np.convolve np.correlate", lambda d, f: f"{f}({d.exactly(1)}, {d.exactly(1)})")
each("np.cross np.linalg.cross", lambda d, f: f"{f}({(x := d.any(lambda v: v.shape[-1:] == (3,)))}, {d.like(x)})")
_INNER: Callable[[Any, Any], bool] = lambda a, b: bool(a and b and a[-1] == (b[-2] if len(b) > 1 else b[0]))
each("np.matmul np.dot", lambda d, f: "{}({}, {})".format(f, *d.pair(_INNER)))
operations(
    at=lambda d: "{} @ {}".format(*d.pair(_INNER)),
    gram=lambda d: f"{(x := d.array(2))} @ {x}.mT",
    linalg_matmul=lambda d: f"np.linalg.matmul({(x := d.array(2))}.mT, {x})",
    dot_number=lambda d: f"np.dot({d.array()}, {d.exactly(0)})",
    vdot=lambda d: f"np.vdot({(x := d.array())}, {d.like(x)})",
    matvec=lambda d: "np.matvec({}, {})".format(*d.pair(lambda a, b: len(a) > 1 and len(b) == 1 and a[-1] == b[0])),
    vecmat=lambda d: "np.vecmat({}, {})".format(*d.pair(lambda a, b: len(a) == 1 and len(b) > 1 and a[0] == b[-2])),
    tensordot=lambda d: f"np.tensordot({(x := d.array())}, {d.like(x)}, axes={d.choice([0, 1, ([0], [0])])})",
    linalg_tensordot=lambda d: f"np.linalg.tensordot({(x := d.array())}, {d.like(x)}, axes=([-1], [-1]))",
    kron=lambda d: f"np.kron({d.array()}, {d.array()})",
    trace=lambda d: f"np.trace({d.array(2)}, {d.choice([0, 1])})",
    linalg_trace=lambda d: f"np.linalg.trace({d.array(2)})",
    einsum=lambda d: "np.einsum('ij,jk->{}', {}, {})".format(
        d.choice(["ik", "ki", "i", "ijk", ""]), *d.pair(lambda a, b: len(a) == len(b) == 2 and a[1] == b[0])
    ),
    einsum_own=lambda d: f"np.einsum('...i,...i->{d.choice(['...', '...i'])}', {(x := d.array())}, {d.like(x)})",
    einsum_diagonal=lambda d: (
        f"np.einsum('{d.choice(['...ii->...i', '...ii', '...ij->...j', '...ij->...ji'])}', {d.square()})"
    ),
)

# Linear algebra, of matrices that are well conditioned

SAFE, GRAM = "(np.tanh({x}) + 3 * np.eye({n}))", "(np.tanh({x}) @ np.tanh({x}).mT + np.diag(np.arange(1.0, {n} + 1)))"


def _matrix(d: Draw, text: str) -> str:
    x = d.square()
    n = d.shape(x)[-1]
    return text.format(m=SAFE.format(x=x, n=n), s=GRAM.format(x=x, n=n), x=x, b=d.like(x))


for _name, _text in {
    "inv": "np.linalg.inv({m})", "det": "np.linalg.det({x})", "slogdet": "np.linalg.slogdet({m})[1]",
    "solve": "np.linalg.solve({m}, {b})", "solve_vector": "np.linalg.solve({m}, np.sum({b}, axis=-1))",
    "cholesky": "np.linalg.cholesky({s})", "eigvalsh": "np.linalg.eigvalsh({s})", "eigh": "np.linalg.eigh({s})[0]",
    "eigh_upper": "np.linalg.eigh({s}, 'U')[0]", "eigvalsh_upper": "np.linalg.eigvalsh({s}, UPLO='U')",
    "cholesky_upper": "np.linalg.cholesky({s}, upper=True)", "svd_thin": "np.linalg.svd({s}, full_matrices=False)[1]",
    "eigenvectors_upper": "np.square(np.linalg.eigh({s}, 'U')[1])",
    "eigenvectors": "np.square(np.linalg.eigh({s})[1])", "svdvals": "np.linalg.svdvals({s})",
    "svd": "np.square(np.linalg.svd({s})[0])", "pinv": "np.linalg.pinv({m})",
    "matrix_power": "np.linalg.matrix_power(np.tanh({x}), 3)",
    "multi_dot": "np.linalg.multi_dot([np.tanh({x}), {m}, np.tanh({b})])",
    "qr": "np.linalg.qr({m})[0]", "qr_tall": "np.linalg.qr(np.concatenate([{m}, {b}], axis=-2), mode='r')",
    "qr_wide": "np.linalg.qr(np.concatenate([{m}, {b}], axis=-1), mode='complete')[1]",
    "eig": "np.sum(np.square(np.linalg.eig(np.linalg.solve({m}, {s} @ {m}))[1]), axis=-1)",
    "eigvals": "np.sort(np.linalg.eigvals(np.linalg.solve({m}, {s} @ {m})))",
    "lstsq": "np.linalg.lstsq({m}, {b})[0]", "lstsq_values": "np.linalg.lstsq({m}, {b})[3]",
    "lstsq_tall": "np.linalg.lstsq(np.concatenate([{m}, {b}]), np.concatenate([{b}, {x}]))[0]",
    "lstsq_residuals": "np.linalg.lstsq(np.concatenate([{m}, {b}]), np.concatenate([{x}, {b}]))[1]",
    "lstsq_wide": "np.linalg.lstsq(np.concatenate([{m}, {b}], axis=-1), {b})[0]",
    "tensorsolve": "np.linalg.tensorsolve({m}, {b}[0])", "tensorinv": "np.linalg.tensorinv({m}, ind=1)",
    "cond": "np.linalg.cond({s})", "cond_frobenius": "np.linalg.cond({m}, 'fro')", "cond_1": "np.linalg.cond({m}, 1)",
    "pinv_symmetric": "np.linalg.pinv({s}, hermitian=True)",
    "svd_symmetric": "np.square(np.linalg.svd({s}, hermitian=True)[2])",
    "nuclear": "np.linalg.norm({s}, 'nuc')", "pinv_tall": "np.linalg.pinv(np.concatenate([{m}, {b}], axis=-2))",
}.items():  # fmt: skip
    operations(**{_name: lambda d, text=_text: _matrix(d, text)})

# Layers and losses


def _network(d: Draw) -> str:
    fits = lambda a, b: len(a) > 1 and len(b) == 2 and a[-1] == b[0] and b[0] and b[1]
    x, weight = d.pair(fits)
    bias = d.any(lambda v: v.shape == d.shape(weight)[1:])
    layers = [f"dense({weight}, {bias})", d.choice(["tg.Tanh()", "tg.Sigmoid()", "tg.ReLU()", "tg.LeakyReLU()",
              "tg.Softmax()", "tg.Flatten()", "tg.Dropout(0.3, rng=5)", "tg.Identity()"])]  # fmt: skip
    return f"tg.Sequential({', '.join(layers)})({x})"


def _loss(d: Draw, text: str, option: str = "") -> str:
    x = d.array(1, 1)
    end = f", {option})" if option else ")"
    return text.format(x=x, y=d.like(x)) + f", '{d.choice(['mean', 'sum', 'batchmean'])}'" + end


def _labelled(d: Draw, text: str, rows: bool = True) -> str:
    x = d.any(lambda v: v.ndim == 2 and v.shape[0] and v.shape[1] > 1)
    m, k = d.shape(x)
    labels = [d.rng.randrange(k) for _ in range(m)]
    kinds = [str(labels), f"np.array({labels}).reshape(-1, 1)"] + [f"F.one_hot({labels}, {k})"] * rows
    kind = d.choice(kinds)
    return text.format(x=x, labels=kind) + f", '{d.choice(['mean', 'sum'])}')"


def _images(d: Draw) -> str:
    """A variable as images of at least 2 × 2."""
    x = d.any(lambda v: v.size >= 4 and v.size % 4 == 0)
    return f"np.reshape({x}, (-1, {d.choice([1, 2]) if np.size(d.values[x]) % 8 == 0 else 1}, 2, 2))"


def _conv2d(d: Draw) -> str:
    x = d.any(lambda v: v.size >= 4 and v.size % 4 == 0)
    kernels = d.any(lambda v: v.ndim >= 1 and 1 <= v.size <= 8)
    wide = d.choice([1, 2]) if np.size(d.values[kernels]) % 2 == 0 else 1
    how = f"stride={d.choice([1, '(1, 2)'])}, padding={d.choice([0, 1])}, dilation={d.choice([1, '(2, 1)'])}"
    return f"F.conv2d(np.reshape({x}, (-1, 1, 2, 2)), np.reshape({kernels}, (-1, 1, 1, {wide})), {how})"


_LINEAR: Callable[[Any, Any], bool] = lambda a, b: len(a) > 0 and len(b) == 2 and a[-1] == b[0]
operations(
    network=_network,
    linear=lambda d: "F.linear({}, {})".format(*d.pair(_LINEAR)),
    linear_bias=lambda d: (
        f"F.linear({(p := d.pair(_LINEAR))[0]}, {p[1]}, {d.any(lambda v: v.shape == d.shape(p[1])[1:])})"
    ),
    mse_loss=lambda d: _loss(d, "F.mse_loss({x}, {y}"),
    bce=lambda d: _loss(d, "F.binary_cross_entropy(F.sigmoid(3.0 * np.tanh({x})), F.sigmoid({y})"),
    bce_plain=lambda d: _loss(d, "F.binary_cross_entropy(0.5 + 0.4 * np.tanh({x}), F.sigmoid({y})"),
    bce_logits=lambda d: _loss(d, "F.binary_cross_entropy_with_logits({x}, F.sigmoid({y})"),
    cross_entropy=lambda d: _labelled(d, "F.cross_entropy({x}, {labels}"),
    sequences=lambda d: _labelled(d, "F.cross_entropy({x}[np.newaxis], np.asarray({labels})[np.newaxis]"),
    l1_loss=lambda d: _loss(d, "F.l1_loss({x}, {y}"),
    huber_loss=lambda d: _loss(d, "F.huber_loss({x}, {y}", "delta=0.7"),
    smooth_l1_loss=lambda d: _loss(d, "F.smooth_l1_loss({x}, {y}", "beta=0.7"),
    hinge_loss=lambda d: _labelled(d, "F.hinge_loss({x}, {labels}", rows=False),
    nll_loss=lambda d: _labelled(d, "F.nll_loss(F.log_softmax({x}, axis=1), {labels}"),
    kl_div=lambda d: _loss(d, "F.kl_div(F.log_sigmoid({x}), F.sigmoid({y})"),
    kl_div_logarithms=lambda d: _loss(d, "F.kl_div(F.log_sigmoid({x}), F.log_sigmoid({y})", "log_target=True"),
    gaussian_nll_loss=lambda d: _loss(d, "F.gaussian_nll_loss({x}, {y}, F.softplus({x})", "full=True"),
    cosine_similarity=lambda d: f"F.cosine_similarity({(x := d.array(1, 1))}, {d.like(x)}, axis=0)",
    conv2d=_conv2d,
    conv1d=lambda d: (
        f"F.conv1d({(x := d.exactly(3))}, np.cos(np.arange({2 * (c := d.shape(x)[1])}.0)).reshape(2, {c}, 1), stride=2)"
    ),
    max_pool2d=lambda d: f"F.max_pool2d({_images(d)}, {d.choice([1, '(2, 1)', 2])}, stride=1)",
    avg_pool2d=lambda d: f"F.avg_pool2d({_images(d)}, {d.choice([1, '(1, 2)', 2])}, stride={d.choice([1, 2])})",
    adaptive_avg_pool2d=lambda d: f"F.adaptive_avg_pool2d({_images(d)}, {d.choice([1, '(1, 2)', 3])})",
    batch_norm=lambda d: f"F.batch_norm({d.any(lambda v: v.ndim > 1 and v.size)}, None, None, training=True, eps=0.1)",
    attention=lambda d: (
        f"F.scaled_dot_product_attention({(q := d.array(2, 1))}, np.cos({q}), {d.like(q)}, causal={d.choice([0, 1])})"
    ),
    layer_norm=lambda d: f"F.layer_norm({(x := d.array(1, 1))}, {d.shape(x)[-1]}, eps=0.1)",
    embedding=lambda d: f"F.embedding([[0, {d.shape(x := d.exactly(2))[0] - 1}], [0, 0]], {x})",
    l2_penalty=lambda d: f"F.l2_penalty([{d.array()}, {d.array()}], 0.7, 3)",
)

# Derivatives inside the program

INSIDE = ("np.sin({x})", "np.square({x})", "{x} * np.tanh({x})", "np.exp(0.3 * np.tanh({x}))", "F.sigmoid({x}) * {x}",
          "np.cumsum({x}) ** 2", "F.softplus({x})", "np.log1p(np.square({x}))", "F.logsumexp({x})")  # fmt: skip


def _inner(d: Draw) -> tuple[str, str]:
    """A function of x that gives a number, and what to call it with."""
    x = d.any(lambda v: 1 <= v.size <= 6)
    return f"lambda x: np.sum({d.choice(INSIDE).format(x='x')} * {d.operand(x)})", x


operations(
    grad=lambda d: "tg.grad({})({})".format(*_inner(d)),
    value_and_grad=lambda d: "tg.value_and_grad({})({})[{k}]".format(*_inner(d), k=d.choice([0, 1])),
    jacobian=lambda d: f"tg.jacobian(lambda x: {d.choice(INSIDE).format(x='x')})({d.any(lambda v: 1 <= v.size <= 4)})",
    hessian=lambda d: "tg.hessian({})({})".format(*_inner(d)),
    hvp=lambda d: f"tg.hvp({(p := _inner(d))[0]}, {p[1]}, {d.like(p[1])})",
    jvp=lambda d: (
        f"tg.jvp(lambda x: {d.choice(INSIDE).format(x='x')} * {(x := d.any(lambda v: v.size <= 6))}, ({x},), "
        f"({d.like(x)},))[{d.choice([0, 1])}]"
    ),
    elementwise_grad=lambda d: (
        f"tg.elementwise_grad(lambda x: {d.choice(INSIDE[:5]).format(x='x')}, 'x')({d.any(lambda v: v.size <= 6)})"
    ),
    grad_at_a_number=lambda d: (
        f"tg.grad(lambda x: np.sum({d.choice(INSIDE).format(x='x')} * {d.any(lambda v: v.size <= 6)}))"
        f"({d.choice(['0.7', 'np.float64(-1.2)', 'np.array(0.4)'])})"
    ),
    grads_at_a_number=lambda d: (
        f"tg.grad(lambda z: tg.grad(lambda x: np.sum({d.any(lambda v: v.size <= 6)} * x ** 3 * z))(0.8) * z)(1.5)"
    ),
    grad_of_grad=lambda d: "tg.grad(lambda z: np.sum(tg.grad({})(z) ** 2))({})".format(*_inner(d)),
)
