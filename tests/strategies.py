"""What the property tests draw: arrays of random shapes, and for every primitive a random call of it."""

from __future__ import annotations

import contextlib
import functools
import operator

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.lib.stride_tricks import sliding_window_view

from tests.images import IMAGES
from tinygrad_edu import functional as F
from tinygrad_edu.autograd.primitives import FUNCTIONS, Primitive

# The table as it is shipped: other tests enter functions of their own, and SciPy's are entered when that is imported.
TABLE = {
    function: entry
    for function, entry in FUNCTIONS.items()
    if (module := getattr(function, "__module__", None) or "numpy").startswith(("numpy", "tinygrad_edu", "_operator"))
    and not module.startswith("tinygrad_edu.scipy")
    and (not isinstance(function, np.ufunc) or getattr(np, function.__name__, None) is function)
}
PRIMITIVES = {entry.name: entry for entry in TABLE.values() if isinstance(entry, Primitive)}


@contextlib.contextmanager
def ruled(primitive, vjps, each=None):
    """Inside it, the primitive has other rules."""
    kept = [rule and rule.vjp for rule in primitive.rules], primitive.each, primitive._new
    try:
        primitive.set_rules(tuple(vjps), each, False)
        yield
    finally:
        primitive.set_rules(() if kept[1] else tuple(kept[0]), *kept[1:])


def flipped(vjp):
    """A rule with its sign flipped, which names what the rule names."""
    return vjp and functools.wraps(vjp)(lambda *args, **options: -vjp(*args, **options))


shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
full_shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3)
seeds = st.integers(0, 2**32 - 1)
LAYOUTS = ("C", "F", "strided", "reversed")


@st.composite
def arrays(draw, shape, low=-3.0, high=3.0, apart=False):
    """Floats between the bounds in one of several memory layouts; with `apart` no two are closer than 1e-2."""
    if isinstance(shape, st.SearchStrategy):
        shape = draw(shape)
    rng = np.random.default_rng(draw(seeds))
    values = rng.uniform(low, high, shape)
    if apart:
        size = values.size
        steps = np.arange(size) + rng.uniform(0.2, 0.8, size)
        values = (low + (high - low) * rng.permutation(steps) / max(1, size)).reshape(shape)
    return laid_out(values, draw(st.sampled_from(LAYOUTS)))


def laid_out(values, layout):
    """The same values in another memory layout."""
    values = np.asarray(values)
    if layout == "F" and values.ndim:  # NumPy's makes a number an array of one axis
        return np.asfortranarray(values)
    if layout == "strided" and values.ndim:
        wide = np.repeat(values, 2, axis=-1)
        return wide[..., ::2]
    if layout == "reversed" and values.ndim:
        return values[::-1].copy()[::-1]
    return values


def axes_of(ndim):
    """An axis, several, none or all, also negative."""
    if ndim == 0:
        return st.none()
    one = st.integers(-ndim, ndim - 1)
    several = st.lists(st.integers(0, ndim - 1), min_size=1, max_size=ndim, unique=True).flatmap(
        lambda axes: st.tuples(*(st.sampled_from([a, a - ndim]) for a in axes))
    )
    return st.one_of(st.none(), one, several)


def one(function, low=-3.0, high=3.0, **options):
    """Calls of an elementwise function of one array."""
    return arrays(shapes, low, high, **options).map(lambda x: (function, [x]))


@st.composite
def two(draw, function, low=-3.0, high=3.0, low2=None, high2=None):
    """Calls of an elementwise function of two arrays that broadcast."""
    pair = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=3)).input_shapes
    second = (low if low2 is None else low2, high if high2 is None else high2)
    return function, [draw(arrays(pair[0], low, high)), draw(arrays(pair[1], *second))]


def either(function):
    """Calls of an elementwise function that takes the one or the other, away from where it changes between them."""
    return two(function).filter(lambda call: np.all(abs(np.subtract(*call[1])) > 0.01))


@st.composite
def reduction(draw, function, shape=shapes, low=-3.0, high=3.0, **options):
    x = draw(arrays(shape, low, high, apart=True))
    axis, keepdims = draw(axes_of(x.ndim)), draw(st.booleans())
    return lambda a: function(a, axis=axis, keepdims=keepdims, **options), [x]


@st.composite
def spread(draw, function):
    """var and std, with more elements than ddof."""
    x = draw(arrays(hnp.array_shapes(min_dims=1, max_dims=3, min_side=2, max_side=3), apart=True))
    axis, keepdims, ddof = draw(axes_of(x.ndim)), draw(st.booleans()), draw(st.integers(0, 1))
    return lambda a: function(a, axis=axis, keepdims=keepdims, ddof=ddof), [x]


@st.composite
def products(draw):
    """Products of numbers of which some are exactly 0."""
    call, [x] = draw(reduction(np.prod, low=-2, high=2))
    zero = np.random.default_rng(draw(seeds)).random(x.shape) < draw(st.sampled_from([0.0, 0.3, 0.6]))
    return call, [np.where(zero, 0.0, x)]


@st.composite
def along(draw, function, shape=full_shapes):
    """Calls that take one axis."""
    x = draw(arrays(shape, apart=True))
    axis = draw(st.one_of(st.none(), st.integers(-x.ndim, x.ndim - 1)))
    return lambda a: function(a, axis=axis), [x]


@st.composite
def along_one(draw, function):
    """Calls that take one axis of those that there are."""
    x = draw(arrays(full_shapes, apart=True))
    axis = draw(st.integers(-x.ndim, x.ndim - 1))
    return lambda a: function(a, axis=axis), [x]


@st.composite
def parts(draw):
    x = draw(arrays(full_shapes))
    axis = draw(st.integers(-x.ndim, x.ndim - 1))
    starts = draw(st.lists(st.integers(0, x.shape[axis] - 1), min_size=1, max_size=5))
    return lambda a: np.add.reduceat(a, starts, axis=axis), [x]


@st.composite
def clips(draw):
    x = draw(arrays(shapes, apart=True))
    if draw(st.booleans()):
        low, high = draw(st.sampled_from([(-1.0, 1.0), (None, 0.5), (-0.5, None), (1.0, -1.0)]))
        return lambda a: np.clip(a, low, high), [x]
    bounds = [draw(arrays(x.shape[-1:], -2, 2)) for _ in range(2)]
    return np.clip, [x, *bounds]


@st.composite
def wheres(draw):
    three = draw(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, min_side=0, max_side=3)).input_shapes
    condition = np.random.default_rng(draw(seeds)).random(three[0]) < 0.5
    return lambda a, b: np.where(condition, a, b), [draw(arrays(s)) for s in three[1:]]


@st.composite
def reshapes(draw):
    x = draw(arrays(shapes))
    order = draw(st.sampled_from("CF"))
    kind = draw(st.sampled_from(["flat", "split", "ravel", "expand", "squeeze", "atleast"]))
    if kind == "split" and x.ndim and x.shape[0]:
        return lambda a: np.reshape(a, (a.shape[0], -1) if a.size else a.shape, order=order), [x]
    if kind == "ravel":
        return lambda a: a.ravel(order), [x]
    if kind == "expand":
        axis = draw(st.sampled_from([0, -1, (0, -1)]))
        return lambda a: np.expand_dims(a, axis), [x]
    if kind == "squeeze":
        return lambda a: np.squeeze(np.expand_dims(a, 0), 0), [x]
    return lambda a: np.reshape(a, (x.size,), order=order), [x]


@st.composite
def transposes(draw):
    x = draw(arrays(shapes))
    axes = draw(st.permutations(range(x.ndim)))
    axes = [a - x.ndim if draw(st.booleans()) else a for a in axes]
    swap = draw(st.tuples(*2 * [st.integers(-x.ndim, x.ndim - 1)])) if x.ndim else None
    choices = [lambda a: a.T, lambda a: np.transpose(a, axes), lambda a: a.transpose(*axes)]
    if swap:
        choices += [lambda a: np.swapaxes(a, *swap), lambda a: np.moveaxis(a, *swap)]
    if x.ndim > 1:
        choices.append(lambda a: a.mT)
    return draw(st.sampled_from(choices)), [x]


@st.composite
def broadcasts(draw):
    x = draw(arrays(shapes))
    target = (
        *draw(st.lists(st.integers(0, 3), max_size=2)),
        *(draw(st.integers(0, 3)) if n == 1 else n for n in x.shape),
    )
    return lambda a: np.broadcast_to(a, target), [x]


@st.composite
def indexed(draw):
    """An array, and everything that NumPy takes as an index: slices, integers, masks, arrays with repeats, mixtures."""
    x = draw(arrays(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)))
    kind = draw(st.sampled_from(["basic", "integers", "mask", "mixed", "list"]))
    rng = np.random.default_rng(draw(seeds))
    if kind == "basic":
        index = draw(hnp.basic_indices(x.shape, allow_newaxis=True))
    elif kind == "integers":
        index = draw(hnp.integer_array_indices(x.shape))
    elif kind == "mask":
        index = rng.random(x.shape[: draw(st.integers(1, x.ndim))]) < 0.5
    elif kind == "mixed":
        index = (rng.integers(0, x.shape[0], 3), ..., slice(None, None, -1))[: 1 + 2 * (x.ndim > 1)]
    else:
        index = rng.integers(-x.shape[0], x.shape[0], 4).tolist()
    return x, index


@st.composite
def indices(draw):
    x, index = draw(indexed())
    return lambda a: a[index], [x]


@st.composite
def assignments(draw):
    x, index = draw(indexed())
    shape = list(x[index].shape)
    for axis in range(len(shape)):  # what is assigned is broadcast
        if draw(st.booleans()):
            shape[axis] = 1
    masked = isinstance(index, np.ndarray) and index.dtype == bool
    leading = 0 if masked or not shape else draw(st.integers(0, 2))  # of which NumPy takes no notice elsewhere
    shape = [1] * leading + shape[draw(st.integers(0, len(shape))) :]
    values = draw(arrays(st.just(tuple(shape))))

    def assign(a, v):
        filled = a * 1.5
        filled[index] = v
        return filled

    return assign, [x, values]


@st.composite
def joins(draw):
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        part = list(shape)
        part[axis] = draw(st.integers(0, 3))
        parts.append(draw(arrays(tuple(part))))
    constant = np.ones(shape)
    same = [draw(arrays(shape)) for _ in parts]
    stack_axis = draw(st.integers(-len(shape) - 1, len(shape)))
    return draw(
        st.sampled_from(
            [
                (lambda *a: np.concatenate(a, axis), parts),
                (lambda *a: np.concatenate([constant, *a], axis=axis), parts),
                (lambda *a: np.concatenate(a, axis=None), parts),
                (lambda *a: np.stack([*a, constant], axis=stack_axis), same),
                (lambda *a: np.hstack([*a, constant]), same),
                (lambda *a: np.vstack(a), same),
                (lambda *a: np.column_stack((constant, *a)), same),
            ]
        )
    )


@st.composite
def moves(draw, function):
    """Calls of functions that move blocks along axes."""
    x = draw(arrays(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3)))
    axis = draw(st.one_of(st.none(), st.integers(-x.ndim, x.ndim - 1)))
    n = x.size if axis is None else x.shape[axis]
    if function is np.flip:
        return lambda a: np.flip(a, axis), [x]
    if function is np.roll:
        shift = draw(st.integers(-4, 4))
        return lambda a: np.roll(a, shift, axis), [x]
    if function is np.tile:
        reps = draw(st.one_of(st.integers(0, 3), st.lists(st.integers(0, 2), max_size=4)))
        return lambda a: np.tile(a, reps), [x]
    repeats = draw(st.one_of(st.integers(0, 6), st.lists(st.integers(0, 6), min_size=n, max_size=n)))
    return lambda a: np.repeat(a, repeats, axis), [x]


@st.composite
def diagonals(draw, function):
    """Calls that take or make a diagonal, or a triangle."""
    offset = draw(st.integers(-2, 2))
    if function is np.diag:
        return lambda a: np.diag(a, offset), [draw(arrays(hnp.array_shapes(min_dims=1, max_dims=1, max_side=3)))]
    x = draw(arrays(hnp.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=3)))
    if function is np.diagonal:
        axes = draw(st.permutations(range(-x.ndim, 0)))[:2]
        return lambda a: np.diagonal(a, offset, *axes), [x]
    return lambda a: function(a, offset), [x]


@st.composite
def pads(draw):
    x = draw(arrays(hnp.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=3)))
    mode = draw(st.sampled_from(["constant", "edge", "reflect", "symmetric", "wrap"]))
    widths = [draw(st.tuples(*2 * [st.integers(0, 4)])) for _ in x.shape]
    return lambda a: np.pad(a, widths, mode), [x]


@st.composite
def matmuls(draw, function=operator.matmul):
    signature = draw(
        hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, min_side=0, max_side=3)
    )
    return function, [draw(arrays(s)) for s in signature.input_shapes]


@st.composite
def dots(draw):
    k = draw(st.integers(0, 3))
    a = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    b = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    shape_b = (*b[:-1], k, *b[-1:]) if draw(st.booleans()) else (k,)
    return np.dot, [draw(arrays((*a, k))), draw(arrays(shape_b))]


@st.composite
def inners(draw):
    k = draw(st.integers(0, 3))
    rest = [draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3)) for _ in range(2)]
    if draw(st.booleans()):
        return np.inner, [draw(arrays((*shape, k))) for shape in rest]
    return np.inner, [draw(arrays(rest[0])), draw(arrays(()))]


@st.composite
def tensordots(draw):
    """Sums over some axes of both, in any order."""
    over = draw(st.lists(st.integers(0, 3), max_size=2))
    rest = [draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3)) for _ in range(2)]
    parts, axes = [], []
    for sizes in rest:
        shape, places = list(sizes), []
        for n in over:
            at = draw(st.integers(0, len(shape)))
            shape.insert(at, n)
            places = [p + (p >= at) for p in places] + [at]
        parts.append(draw(arrays(tuple(shape))))
        axes.append([p - len(shape) if draw(st.booleans()) else p for p in places])
    return lambda a, b: np.tensordot(a, b, axes), parts


@st.composite
def gufuncs(draw, function, signature):
    """Calls of products of stacks."""
    shapes = hnp.mutually_broadcastable_shapes(signature=signature, max_dims=2, min_side=0, max_side=3)
    return function, [draw(arrays(s)) for s in draw(shapes).input_shapes]


@st.composite
def slopes(draw):
    x = draw(arrays(hnp.array_shapes(min_dims=1, max_dims=2, min_side=3, max_side=7)))
    axis, order = draw(st.integers(0, x.ndim - 1)), draw(st.integers(1, 2))
    places = np.cumsum(np.random.default_rng(draw(seeds)).uniform(0.5, 1.5, x.shape[axis]))
    spacing = draw(st.sampled_from([1.0, 0.5, places]))
    return lambda a: np.gradient(a, spacing, axis=axis, edge_order=order), [x]


@st.composite
def windows(draw):
    x = draw(arrays(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)))
    axes = draw(st.lists(st.integers(-x.ndim, x.ndim - 1), max_size=3, unique_by=lambda k: k % x.ndim))
    window = [draw(st.integers(1, x.shape[k])) for k in axes]
    if axes and window[0] < x.shape[axes[0]]:  # windows of windows
        axes, window = [*axes, axes[0]], [*window, 2]
    return lambda a: sliding_window_view(a, window, axes), [x]


@st.composite
def chosen_along(draw):
    x = draw(arrays(full_shapes))
    axis = draw(st.integers(-x.ndim, x.ndim - 1))
    shape = list(x.shape)
    shape[axis] = draw(st.integers(0, 4))
    indices = np.random.default_rng(draw(seeds)).integers(-x.shape[axis], x.shape[axis], shape)
    return lambda a: np.take_along_axis(a, indices, axis), [x]


@st.composite
def interpolations(draw):
    n = draw(st.integers(1, 4))
    xp = np.cumsum(np.random.default_rng(draw(seeds)).uniform(0.3, 1.0, n))
    between = draw(arrays(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3), 0.2, 0.8))
    piece = np.random.default_rng(draw(seeds)).integers(-1, n, between.shape)
    ends = np.concatenate(([xp[0] - 1], xp, [xp[-1] + 1]))
    x = ends[piece + 1] + between * (ends[piece + 2] - ends[piece + 1])
    options = draw(st.sampled_from([{}, {"left": 1.0}, {"right": -2.0}]))
    return lambda *a: np.interp(*a, **options), [x, xp, draw(arrays((n,)))]


@st.composite
def counts(draw):
    weights = draw(arrays(hnp.array_shapes(min_dims=1, max_dims=1, min_side=0, max_side=6)))
    places = np.random.default_rng(draw(seeds)).integers(0, 4, weights.size)
    least = draw(st.integers(0, 5))
    return lambda w: np.bincount(places, w, least), [weights]


@st.composite
def traces(draw):
    x = draw(arrays(hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=3)))
    axes = draw(st.permutations(range(-x.ndim, 0)))[:2]
    offset = draw(st.integers(-1, 1))
    return lambda a: np.trace(a, offset, *axes), [x]


@st.composite
def with_holes(draw, function):
    """Reductions of numbers of which some are NaN, but not all of a row."""
    x = draw(arrays(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3), apart=True))
    holes = np.random.default_rng(draw(seeds)).random(x.shape) < draw(st.sampled_from([0.0, 0.5]))
    holes[(0,) * x.ndim] = False
    axis, keepdims = draw(st.one_of(st.none(), st.just(tuple(range(x.ndim))))), draw(st.booleans())
    if draw(st.booleans()):
        axis, holes = draw(axes_of(x.ndim)), False
    return lambda a: function(np.where(holes, np.nan, a), axis=axis, keepdims=keepdims), [x]


def vdots():
    shape = st.shared(full_shapes, key="vdot")
    return st.tuples(arrays(shape), arrays(shape.map(lambda s: (int(np.prod(s)),)))).map(lambda x: (np.vdot, list(x)))


@st.composite
def linears(draw):
    n, k = draw(st.tuples(*2 * [st.integers(1, 3)]))
    batch = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    parts = [draw(arrays((*batch, n))), draw(arrays((n, k))), draw(arrays((k,)))]
    return F.linear, parts if draw(st.booleans()) else parts[:2]


@st.composite
def losses(draw, loss, low=-3.0, high=3.0, target_low=0.0, target_high=1.0, both=False):
    shape = draw(full_shapes)
    reduction = draw(st.sampled_from(["mean", "sum", "batchmean"]))
    target = draw(arrays(shape, target_low, target_high))
    prediction = draw(arrays(shape, low, high))
    if both:
        return lambda p, t: loss(p, t, reduction), [prediction, target]
    return lambda p: loss(p, target, reduction), [prediction]


@st.composite
def classifications(draw):
    m, k = draw(st.integers(1, 4)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(seeds))
    labels = rng.integers(0, k, m)
    rows = rng.dirichlet(np.ones(k), m)
    kind = draw(st.sampled_from([labels, labels.reshape(-1, 1), labels.astype(float), rows, np.eye(k)[labels]]))
    reduction = draw(st.sampled_from(["mean", "sum", "batchmean"]))
    if draw(st.booleans()):  # several labels in each row
        return lambda z: F.cross_entropy(z, np.stack([kind, kind]), reduction), [draw(arrays((2, m, k)))]
    return lambda z: F.cross_entropy(z, kind, reduction), [draw(arrays((m, k)))]


@st.composite
def einsums(draw):
    """Random subscripts over a few letters, with broadcasting, diagonals and dots."""
    sizes = {c: draw(st.integers(1, 3)) for c in "ijkl"}
    words = draw(st.lists(st.text("ijkl", min_size=0, max_size=3), min_size=1, max_size=3))
    letters = sorted(set("".join(words)))
    output = "".join(draw(st.permutations(sorted(draw(st.sets(st.sampled_from(letters)))) if letters else [])))
    dots = draw(st.booleans())
    parts = [draw(arrays(((2,) if dots else ()) + tuple(sizes[c] for c in word))) for word in words]
    prefix = "..." if dots else ""
    text = ",".join(prefix + word for word in words) + "->" + prefix + output
    if draw(st.booleans()) and not dots:
        text = text.partition("->")[0]
    return lambda *a: np.einsum(text, *a), parts


@st.composite
def convolutions(draw):
    n, m = draw(st.tuples(*2 * [st.integers(1, 5)]))
    function, mode = (
        draw(st.sampled_from([np.convolve, np.correlate])),
        draw(st.sampled_from(["full", "same", "valid"])),
    )
    return lambda a, v: function(a, v, mode), [draw(arrays((n,))), draw(arrays((m,)))]


@st.composite
def matrices(draw, function, rows=0, symmetric=False, batched=True):
    """Calls with well-conditioned matrices, also stacks of them; with `rows` more of them than columns."""
    n = draw(st.integers(1, 3))
    batch = draw(hnp.array_shapes(min_dims=0, max_dims=1, min_side=0, max_side=2)) if batched else ()
    rng = np.random.default_rng(draw(seeds))
    q = np.linalg.qr(rng.normal(size=(*batch, n + rows, n)))[0]
    p = np.linalg.qr(rng.normal(size=(*batch, n, n)))[0]
    values = np.arange(1, n + 1) + rng.uniform(-0.2, 0.2, (*batch, n))
    x = (q * values[..., None, :]) @ (q if symmetric else p).mT
    return function, [laid_out(x, draw(st.sampled_from(LAYOUTS)))]


@st.composite
def similar(draw, function):
    """Calls with matrices that are not symmetric, and whose eigenvalues are real and apart."""
    _, [x] = draw(matrices(None, symmetric=True))
    n = x.shape[-1]
    basis = np.eye(n) + np.tril(np.random.default_rng(draw(seeds)).uniform(-1, 1, x.shape), -1)
    return function, [laid_out(np.linalg.solve(basis, x @ basis), draw(st.sampled_from(LAYOUTS)))]


@st.composite
def least_squares(draw):
    """Solutions and residuals of more, fewer or as many equations than there are unknowns."""
    rows = draw(st.integers(-2, 2))
    _, [a] = draw(matrices(None, rows=abs(rows), batched=False))
    a, columns = a.mT if rows < 0 else a, draw(st.integers(0, 2))
    b = draw(arrays((len(a), columns) if columns else (len(a),)))
    return lambda a, b: sum(np.sum(np.sin(x)) for x in np.linalg.lstsq(a, b)[:2]), [a, b]


@st.composite
def of_real_roots(draw):
    """Polynomials whose roots are real and apart."""
    gaps = draw(arrays(st.tuples(st.integers(0, 4)), 0.5, 1.5))
    p = draw(st.sampled_from([-2.0, 0.5])) * np.atleast_1d(np.poly(np.cumsum(gaps) - 2.0))
    return lambda p: np.sort(np.roots(p)), [p]


@st.composite
def solves(draw):
    _, [a] = draw(matrices(None))
    columns = draw(st.integers(0, 2))
    b = draw(arrays((*a.shape[:-1], columns) if columns else a.shape[-1:]))
    return np.linalg.solve, [a, b]


@st.composite
def cumulative_products(draw):
    call, [x] = draw(along(np.cumprod))
    zero = np.random.default_rng(draw(seeds)).random(x.shape) < draw(st.sampled_from([0.0, 0.4]))
    return call, [np.where(zero, 0.0, x)]


@st.composite
def norms(draw):
    x = draw(arrays(hnp.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=3), 0.2, 3.0))
    axis, keepdims = draw(st.sampled_from([None, 0, -1])), draw(st.booleans())
    return lambda a: np.linalg.norm(a, axis=axis, keepdims=keepdims), [x]


@st.composite
def of_some(draw, function, initial=None, holes=False):
    """Reductions with where=, of which something is selected in each row, and initial=; with `holes` of NaNs, too."""
    x = draw(arrays(shapes if initial is not None else full_shapes, apart=True))
    axis, keepdims = draw(axes_of(x.ndim)), draw(st.booleans())
    rng = np.random.default_rng(draw(seeds))
    where = rng.random(x.shape) < draw(st.sampled_from([0.4, 0.8]))
    if initial is None and axis is not None:
        where = where | (np.cumsum(np.ones(x.shape), axis=axis if isinstance(axis, int) else axis[0]) == 1)
    elif initial is None:
        where = where | (np.arange(x.size).reshape(x.shape) == 0)
    options = {"where": where} if initial is None else {"where": where, "initial": initial}
    hole = np.where(where | (not holes), 1.0, np.nan)
    return lambda a: function(np.where(np.isnan(hole), np.nan, a), axis=axis, keepdims=keepdims, **options), [x]


# For every primitive, by its name, random calls of the functions that use it.
CALLS = {
    "add": two(operator.add),
    "subtract": two(operator.sub),
    "multiply": two(operator.mul),
    "divide": two(operator.truediv, low2=0.5, high2=3.0),
    "negative": one(operator.neg),
    "positive": one(operator.pos),
    "reciprocal": one(np.reciprocal, 0.3),
    "remainder": two(operator.mod, low2=0.7, high2=2.0),
    "fmod": two(np.fmod, low2=0.7, high2=2.0),
    "ldexp": one(lambda a: np.ldexp(a, 3)),
    "float_power": two(np.float_power, 0.3, 2.0, -2.0, 2.0),
    "logaddexp": two(np.logaddexp),
    "logaddexp2": two(np.logaddexp2),
    "deg2rad": one(np.deg2rad),
    "rad2deg": one(np.rad2deg),
    "radians": one(np.radians),
    "degrees": one(np.degrees),
    "sinc": one(np.sinc, -4.0, 4.0),
    "angle": one(lambda a: a + np.angle(a), apart=True),
    "fabs": one(np.fabs, apart=True),
    "copysign": two(np.copysign),
    "fmax": either(np.fmax),
    "fmin": either(np.fmin),
    "nan_to_num": one(np.nan_to_num),
    "fix": one(np.fix),
    "round": one(np.round),
    "heaviside": two(np.heaviside),
    "power": two(operator.pow, 0.3, 2.0, -2.0, 2.0),
    "square": one(np.square),
    "sqrt": one(np.sqrt, 0.1),
    "cbrt": one(np.cbrt, 0.1),
    "hypot": two(np.hypot, 0.2, 3.0),
    "exp": one(np.exp),
    "exp2": one(np.exp2),
    "expm1": one(np.expm1),
    "log": one(np.log, 0.1),
    "log2": one(np.log2, 0.1),
    "log10": one(np.log10, 0.1),
    "log1p": one(np.log1p, -0.8),
    "sin": one(np.sin),
    "cos": one(np.cos),
    "tan": one(np.tan, -1.3, 1.3),
    "arcsin": one(np.arcsin, -0.9, 0.9),
    "arccos": one(np.arccos, -0.9, 0.9),
    "arctan": one(np.arctan),
    "arctan2": two(np.arctan2, 0.2, 3.0, -3.0, 3.0),
    "sinh": one(np.sinh),
    "cosh": one(np.cosh),
    "tanh": one(np.tanh),
    "arcsinh": one(np.arcsinh),
    "arccosh": one(np.arccosh, 1.1, 4.0),
    "arctanh": one(np.arctanh, -0.9, 0.9),
    "absolute": one(abs, apart=True),
    "maximum": either(np.maximum),
    "minimum": either(np.minimum),
    "clip": clips(),
    "where": wheres(),
    "sign": one(np.sign),
    "floor": one(np.floor),
    "ceil": one(np.ceil),
    "trunc": one(np.trunc),
    "rint": one(np.rint),
    "floor_divide": two(operator.floordiv, low2=0.7, high2=2.0),
    "divmod": two(lambda a, b: sum(divmod(a, b)), low2=0.7, high2=2.0),
    "modf": one(lambda a: (lambda part, whole: part * 2 + whole)(*np.modf(a))),
    "imag": one(lambda a: a + np.imag(a)),
    "copy": one(np.copy),
    "conjugate": one(np.conj),
    "astype": one(lambda a: a.astype(np.float64)),
    "sum": st.one_of(reduction(np.sum), of_some(np.sum, 2.0)),
    "mean": st.one_of(reduction(np.mean, full_shapes), of_some(np.mean)),
    "var": st.one_of(spread(np.var), of_some(np.var)),
    "std": st.one_of(spread(np.std), spread(lambda a, **o: np.std(a, where=abs(a) < 99, **o))),
    "max": st.one_of(reduction(np.max, full_shapes), of_some(np.max, -0.2)),
    "min": st.one_of(reduction(np.min, full_shapes), of_some(np.min, 0.2)),
    "prod": st.one_of(products(), of_some(np.prod, 0.7)),
    "nansum": st.one_of(with_holes(np.nansum), of_some(np.nansum, 0.5, holes=True)),
    "nanmean": st.one_of(with_holes(np.nanmean), of_some(np.nanmean, holes=True)),
    "nanprod": st.one_of(with_holes(np.nanprod), of_some(np.nanprod, 0.7, holes=True)),
    "nanmax": st.one_of(with_holes(np.nanmax), of_some(np.nanmax, -0.2, holes=True)),
    "nanmin": st.one_of(with_holes(np.nanmin), of_some(np.nanmin, 0.2, holes=True)),
    "sort": along(np.sort),
    "partition": along(lambda a, axis: np.partition(a, 0, axis)),
    "slopes": slopes(),
    "flip": moves(np.flip),
    "sliding_windows": windows(),
    "differences": along(lambda a, axis: np.diff(a, axis=-1 if axis is None else axis)),
    "take_along_axis": chosen_along(),
    "interp": interpolations(),
    "sums_by_place": counts(),
    "unwrap": along(lambda a, axis: np.unwrap(5 * a, axis=-1 if axis is None else axis)),
    "roll": moves(np.roll),
    "repeat": moves(np.repeat),
    "tile": moves(np.tile),
    "tril": diagonals(np.tril),
    "triu": diagonals(np.triu),
    "diagonal": diagonals(np.diagonal),
    "on_diagonal": diagonals(np.diag),
    "pad": pads(),
    "trace": traces(),
    "unique": arrays(full_shapes).map(lambda x: (lambda a: np.unique(np.concatenate((a, a))), [x])),
    "cumsum": along(np.cumsum),
    "cumprod": cumulative_products(),
    "running_max": along_one(np.maximum.accumulate),
    "running_min": along_one(np.minimum.accumulate),
    "sums_of_parts": parts(),
    "reshape": reshapes(),
    "broadcast_to": broadcasts(),
    "transpose": transposes(),
    "getitem": indices(),
    "setitem": assignments(),
    "concatenate": joins(),
    "product": st.one_of(matmuls(), dots()),
    "dot": dots(),
    "inner": inners(),
    "tensordot": tensordots(),
    "vdot": vdots(),
    "vecdot": gufuncs(np.vecdot, "(n),(n)->()"),
    "einsum": einsums(),
    "convolve": convolutions(),
    "inv": matrices(np.linalg.inv),
    "pinv": st.one_of(matrices(np.linalg.pinv), matrices(np.linalg.pinv, rows=1)),
    "solve": solves(),
    "det": matrices(np.linalg.det),
    "log_abs_det": matrices(lambda a: np.linalg.slogdet(a)[1]),
    "cholesky": st.one_of(
        *(matrices(lambda a, up=up: np.linalg.cholesky(a, upper=up), symmetric=True) for up in (False, True))
    ),
    "eigh": st.one_of(
        *(
            matrices(lambda a, part=part: sum(np.sum(np.sin(x) ** 2) for x in np.linalg.eigh(a, part)), symmetric=True)
            for part in "LU"
        )
    ),
    "eigvalsh": st.one_of(
        *(matrices(lambda a, part=part: np.linalg.eigvalsh(a, part), symmetric=True) for part in "LU")
    ),
    "svdvals": st.one_of(*(matrices(np.linalg.svdvals, rows=k) for k in (0, 2))),
    "svd": st.one_of(
        *(
            matrices(lambda a: sum(np.sum(np.sin(x) ** 2) for x in np.linalg.svd(a, full_matrices=False)), rows=k)
            for k in (0, 2)
        ),
        matrices(lambda a: np.linalg.svd(a.mT, compute_uv=False), rows=1),
    ),
    "qr": st.one_of(
        *(matrices(lambda a: sum(np.sum(np.sin(x)) for x in np.linalg.qr(a)), rows=k) for k in (0, 2)),
        matrices(lambda a: sum(np.sum(np.sin(x)) for x in np.linalg.qr(a.mT)), rows=1),
    ),
    "eig": similar(lambda a: sum(np.sum(np.sin(x) ** 2) for x in np.linalg.eig(a))),
    "eigvals": similar(np.linalg.eigvals),
    "lstsq": least_squares(),
    "roots": of_real_roots(),
    "values_of_lstsq": matrices(lambda a: np.linalg.lstsq(a, np.ones(len(a)))[3], rows=1, batched=False),
    "inverse_or_nan": matrices(lambda a: np.linalg.cond(a, "fro")),
    "two_norm": norms(),
    "p_norm": st.one_of(*(one(lambda a, p=p: np.linalg.norm(np.ravel(a), p, axis=0), apart=True) for p in (3, 1.5, 4))),
    "relu": one(F.relu, apart=True),
    "leaky_relu": one(F.leaky_relu, apart=True),
    "elu": one(lambda x: F.elu(x, 0.7), apart=True),
    "hardtanh": one(lambda x: F.hardtanh(x, -1.3707, 0.9137), apart=True),
    "normal_cdf": one(F.gelu),
    "sigmoid": one(F.sigmoid),
    "softplus": one(F.softplus),
    "log_sigmoid": one(F.log_sigmoid),
    "logsumexp": reduction(F.logsumexp, full_shapes),
    "softmax": full_shapes.flatmap(lambda s: arrays(s)).map(lambda x: (F.softmax, [x])),
    "log_softmax": full_shapes.flatmap(lambda s: arrays(s)).map(lambda x: (lambda a: F.log_softmax(a, 0), [x])),
    "linear": linears(),
    "mse_loss": losses(F.mse_loss, target_low=-3.0, target_high=3.0, both=True),
    "binary_cross_entropy": st.one_of(
        losses(F.binary_cross_entropy_with_logits),
        losses(F.binary_cross_entropy_with_logits, target_low=0.01, target_high=0.99, both=True),
        losses(lambda z, y, r: F.binary_cross_entropy(F.sigmoid(z), y, r)),
    ),
    "cross_entropy_of_probabilities": losses(F.binary_cross_entropy, 0.1, 0.9, 0.1, 0.9, both=True),
    "of_each_probability": losses(lambda p, t, _: F.binary_cross_entropy(p, t, "none"), 0.1, 0.9, 0.1, 0.9, both=True),
    "cross_entropy": classifications(),
    **IMAGES,
}
if hasattr(np, "matvec"):  # NumPy 2.2
    CALLS["matvec"] = gufuncs(np.matvec, "(m,n),(n)->(m)")
    CALLS["vecmat"] = gufuncs(np.vecmat, "(n),(n,m)->(m)")
