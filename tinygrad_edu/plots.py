"""Pictures of data and of what was learned. Every function returns a matplotlib `Figure`, which a notebook shows and
`figure.savefig(path)` writes to a file; no display is needed, and pyplot is not used.

Colours are Okabe and Ito's, which the colour-blind tell apart; what differs in colour differs in its mark, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .autograd.conversion import values_of
from .autograd.tensor import Tensor
from .datasets import grid_points
from .nn.evaluation import predict
from .nn.module import Module

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .figure import Figure

Model = Module | Callable[[Any], Any]
Order = Literal["C", "F"]
COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"]
MARKS = ["o", "s", "^", "D", "v", "P", "X", "*"]  # as many as no number of colours, so that both together tell apart


def _figure(width: float, height: float) -> Figure:
    try:
        from .figure import Figure
    except ImportError:
        raise ImportError("plots need matplotlib: python -m pip install 'tinygrad-edu[examples]'") from None
    return Figure(figsize=(width, height), layout="constrained")


def image_grid(
    images: ArrayLike,
    *,
    columns: int | None = None,
    title: str = "",
    titles: Sequence[str] | None = None,
    wrong: Sequence[bool] | None = None,
    order: Order = "C",
    symmetric: bool = False,
) -> Figure:
    """Images (n, height, width), or square ones unrolled (n, pixels), in a grid.

    `columns` is the width of the grid, about square if it is left out. Use `order="F"` for images that are unrolled
    column by column (ex4's). `titles` are written above the images, bold
    and red where `wrong`, and `title` above all. With `symmetric`, for weights, 0 is mid grey and all images have the
    same scale. Raises `ValueError` for other shapes, and for another number of titles.

    >>> figure = tg.plots.image_grid(np.zeros((4, 8, 8)), columns=2, titles=list("abcd"))
    >>> figure.savefig("images.png")
    """
    shown = _squares(values_of(images), order)
    n = len(shown)
    for what, given in (("titles", titles), ("wrong", wrong)):
        if given is not None and len(given) != n:
            raise ValueError(f"image_grid: {what} must have one entry for each of the {n} images, not {len(given)}")
    if columns is not None and columns < 1:
        raise ValueError(f"image_grid: columns must be at least 1, not {columns}")
    columns = columns or int(np.ceil(np.sqrt(n)))
    rows = -(-n // columns)
    limit = float(np.abs(shown).max()) if symmetric else None
    height, width = shown.shape[1:]
    gap = 0.1 * width
    # An image and its gap are 0.8 inches wide, a line of a title 0.17 high, a letter 0.08 wide, a bold one 0.095.
    inch = (width + gap) / 0.8
    names = [str(title) for title in (values_of(titles) if isinstance(titles, Tensor) else titles or ())]
    lines = [name.split("\n") for name in names]
    above = 0.17 * inch * max(map(len, lines), default=0)
    letter = 0.08 if wrong is None or not any(wrong) else 0.095
    across = max(width + gap, letter * inch * max((len(line) for each in lines for line in each), default=0))
    down = height + gap + above
    figure = _figure(max(columns * across / inch, 0.1 * len(title)), rows * down / inch + 0.35 * bool(title))
    figure.suptitle(title, fontsize=11)
    axes = figure.add_subplot()  # one for all, since making one takes longer than drawing an image
    for i, image in enumerate(shown):
        left, top = i % columns * across + (across - gap - width) / 2, i // columns * down + above
        place = (left, left + width, top + height, top)
        axes.imshow(image, cmap="gray", vmin=None if limit is None else -limit, vmax=limit, extent=place)
        if names:
            color, weight = ("#c00000", "bold") if wrong is not None and wrong[i] else ("black", "normal")
            axes.text(left + width / 2, top - gap / 4, names[i], fontsize=9, color=color, weight=weight, ha="center",
                      va="bottom")  # fmt: skip
    axes.axis("off")
    axes.set(xlim=(-gap, columns * across), ylim=(rows * down, -gap))
    return figure


def _squares(images: NDArray[Any], order: Order) -> NDArray[Any]:
    if images.ndim == 2 and images.size:
        side = round(np.sqrt(images.shape[1]))
        if side * side == images.shape[1]:
            images = images.reshape(-1, side, side)
            return images.transpose(0, 2, 1) if order == "F" else images
    if images.ndim != 3 or not len(images):
        raise ValueError(f"expected images (n, height, width) or square ones (n, pixels), got shape {images.shape}")
    return images


def digit_grid(X: ArrayLike, *, columns: int = 10, order: Order = "C") -> Figure:
    """Digits `X` (n, pixels) side by side: the picture with which the exercises begin. `columns` and `order` are as in
    `image_grid`.

    >>> figure = tg.plots.digit_grid(np.zeros((20, 784)))
    """
    return image_grid(X, columns=columns, order=order)


def hidden_units(model: Module, *, columns: int | None = None, order: Order = "C") -> Figure:
    """What each unit of the first layer of `model` looks for: its weights as an image (black −, white +, mid grey 0).
    `columns` and `order` are as in `image_grid`. Raises `ValueError` if no layer has weights.

    >>> figure = tg.plots.hidden_units(tg.Sequential(tg.Dense(784, 6), tg.Sigmoid()))
    """
    weight = next((p for p in model.parameters() if p.ndim == 2), None)
    if weight is None:
        raise ValueError("hidden_units: the model has no layer with weights")
    return image_grid(weight.numpy().T, columns=columns, order=order, symmetric=True)


def predictions(
    X: ArrayLike, truth: ArrayLike, guess: ArrayLike, *, columns: int = 10, order: Order = "C", most: int = 100
) -> Figure:
    """Images `X` (n, pixels) with their label, `truth` (n,), and what was predicted, `guess` (n,): "4 → 9". The wrong
    ones are bold and red, and the first `most` are shown. `columns` and `order` are as in `image_grid`.

    >>> figure = tg.plots.predictions(np.zeros((2, 784)), truth=[4, 9], guess=[4, 4])
    """
    t, g = values_of(truth).reshape(-1)[:most], values_of(guess).reshape(-1)[:most]
    titles = [f"{a} → {b}" for a, b in zip(t, g, strict=True)]
    return image_grid(values_of(X)[:most], columns=columns, titles=titles, wrong=list(t != g), order=order)


def misclassified(
    X: ArrayLike, truth: ArrayLike, guess: ArrayLike, *, columns: int = 10, order: Order = "C", most: int = 100
) -> Figure:
    """The samples of `X` (n, pixels) that were predicted wrongly, each with its position, its label, `truth` (n,), and
    the prediction, `guess` (n,); the title says how many of how many. If they are more than `most`, about equally many
    of each label are shown, the first of each. `columns` and `order` are as in `image_grid`. Raises `ValueError` for
    other numbers of labels or predictions than of samples.

    >>> figure = tg.plots.misclassified(np.zeros((2, 784)), truth=[4, 9], guess=[4, 4])
    """
    t, g = values_of(truth).reshape(-1), values_of(guess).reshape(-1)
    if not len(t) == len(g) == len(values_of(X)):
        raise ValueError(
            f"misclassified: {len(values_of(X))} samples, but {len(t)} labels and {len(g)} predictions; of outputs for "
            "each class pass the labels, np.argmax(outputs, 1)"
        )
    wrong = np.flatnonzero(t != g)
    if not len(wrong):
        figure = _figure(4, 1)
        figure.text(0.5, 0.5, f"none of {len(t):,} samples is misclassified", ha="center", va="center")
        return figure
    places = _of_each(t[wrong], wrong, most)
    title = f"{len(wrong):,} of {len(t):,} misclassified" + f", {len(places)} of them shown" * (
        len(places) < len(wrong)
    )
    titles = [f"#{i}\n{t[i]} → {g[i]}" for i in places]
    columns = min(columns, len(places))
    return image_grid(values_of(X)[places], columns=columns, title=title, titles=titles, order=order)


def _of_each(labels: NDArray[Any], places: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """At most so many places, in turns the next one of each label; in their order."""
    turns = np.empty(len(labels), int)
    for label in np.unique(labels):
        turns[labels == label] = np.arange(np.sum(labels == label))
    return np.sort(places[np.argsort(turns, kind="stable")[:most]])


def curves(history: Mapping[str, Sequence[float]], *, xlabel: str = "epoch", title: str = "") -> Figure:
    """Curves over epochs or iterations: the costs in one panel, and everything else that was measured below.

    `history` is what `fit` returns, or lists of numbers by name. "loss" and "val_loss" share colour and mark, as do
    others that differ only in "val_"; validation is dashed. Below stands `xlabel`, above `title`. Raises `ValueError`
    if there is nothing to draw.

    >>> figure = tg.plots.curves({"loss": [2.0, 1.0], "val_loss": [2.5, 1.5], "accuracy": [0.5, 0.9]})
    """
    costs = [name for name in history if name.endswith(("loss", "cost"))]
    others = [name for name in history if name not in costs]
    panels = [names for names in (costs, others) if names]
    if not panels:
        raise ValueError("curves: there is nothing to draw yet")
    figure = _figure(6, 0.6 + 3.2 * len(panels))
    for axes, names in zip(figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0], panels, strict=True):
        kinds = list(dict.fromkeys(name.removeprefix("val_") for name in names))
        for name in names:
            k = kinds.index(name.removeprefix("val_"))
            values = [values_of(value).item() for value in _values(history[name])]
            axes.plot(
                range(1, len(values) + 1),
                values,
                label=name,
                color=COLORS[k % len(COLORS)],
                linestyle="--" if name.startswith("val_") else "-",
                marker=MARKS[k % len(MARKS)] if len(kinds) > 1 or len(values) < 2 else None,
                markevery=max(1, len(values) // 8),
                markersize=5,
            )
        axes.grid(alpha=0.3)
        axes.legend()
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.set_xlabel(xlabel)
    figure.suptitle(title)
    return figure


def _predicted(who: str, model: Model, points: NDArray[Any]) -> NDArray[Any]:
    scores = predict(model, points, batch_size=20_000)
    if not isinstance(scores, np.ndarray) or scores.ndim != 2:
        what = f"shape {scores.shape}" if isinstance(scores, np.ndarray) else f"a {type(scores).__name__} of outputs"
        raise ValueError(
            f"{who}: the model must give rows of numbers (m, k), it gives {what}; pass a function that does, such as "
            "lambda X: model(X)[0] or lambda X: model(X).reshape(-1, 1)"
        )
    return scores


def _values(values: Any) -> Any:
    """The values of a tensor; anything else as it is."""
    return values_of(values) if isinstance(values, Tensor) else values


def decision_regions(model: Model, X: ArrayLike, y: ArrayLike, *, axes: Axes | None = None, title: str = "") -> Figure:
    """Points `X` (m, 2) with their labels `y` (m,) over the regions in which the model predicts each class, with lines
    between them.

    The model's output is the probability of class 1 (m, 1), or a score for each class (m, k). Draws into `axes`, if
    given, and returns its figure; `title` stands above. Raises `ValueError` for points that are not in a plane.

    >>> figure = tg.plots.decision_regions(tg.Sequential(tg.Dense(2, 1), tg.Sigmoid()), *tg.datasets.rose())
    """
    points, labels = values_of(X), values_of(y).reshape(-1)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"decision_regions: expected points (m, 2), got shape {points.shape}")
    if labels.size and (np.any(labels < 0) or np.any(labels != np.floor(labels))):
        raise ValueError(f"decision_regions: labels must be the integers 0, 1, ..., got {np.unique(labels)[:10]}")
    axes = _figure(5, 5).subplots() if axes is None else axes
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.08 * np.maximum(high - low, 1e-9)
    x, z = (np.linspace(low[k] - margin[k], high[k] + margin[k], 300) for k in range(2))
    scores = _predicted("decision_regions", model, np.stack(np.meshgrid(x, z), axis=-1).reshape(-1, 2))
    regions = (scores[:, 0] > 0.5).astype(int) if scores.shape[1] == 1 else scores.argmax(axis=1)
    classes = max(int(regions.max()), int(labels.max())) + 1
    for k in range(classes):
        color, mark, chosen = COLORS[k % len(COLORS)], MARKS[k % len(MARKS)], points[labels == k]
        region = (regions == k).reshape(300, 300).astype(float)  # by itself: between 0 and 2 there is no 1
        axes.contourf(x, z, region, levels=[0.5, 1.5], colors=[color], alpha=0.25)
        if region.any() and not region.all():
            axes.contour(x, z, region, levels=[0.5], colors="0.35", linewidths=0.8)
        axes.scatter(
            chosen[:, 0], chosen[:, 1], s=16, color=color, marker=mark, linewidth=0, zorder=3, label=f"class {k}"
        )
    axes.set(aspect="equal", title=title)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=min(classes, 5), frameon=False, fontsize=9,
                columnspacing=1, handletextpad=0.1, markerscale=1.4)  # fmt: skip
    figure: Figure = cast(Any, axes.figure)  # or a part of one, with the same methods
    return figure


def confusion_matrix(truth: ArrayLike, guess: ArrayLike, *, normalize: bool = False) -> Figure:
    """How often each label of `truth` (m,), the rows, was predicted as each class in `guess` (m,), the columns; with
    `normalize`, as a share of the row. Raises `ImportError` without scikit-learn (extra `examples`).

    >>> figure = tg.plots.confusion_matrix([0, 1, 1], [0, 1, 0])
    """
    try:
        from sklearn.metrics import confusion_matrix as count
    except ImportError:
        raise ImportError("confusion_matrix needs scikit-learn: pip install 'tinygrad-edu[examples]'") from None
    matrix = count(values_of(truth).reshape(-1), values_of(guess).reshape(-1))
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    n = len(matrix)
    figure = _figure(1.6 + 0.45 * n, 1.3 + 0.45 * n)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(n, n):
        text = f"{shares[i, j]:.2f}" if normalize else str(matrix[i, j])
        axes.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if shares[i, j] > 0.5 else "black")
    names = np.unique(np.concatenate((np.ravel(truth), np.ravel(guess))))
    axes.set(xlabel="predicted", ylabel="label")
    axes.set_xticks(range(n), names)
    if max(len(str(name)) for name in names) > 4:
        axes.tick_params(axis="x", rotation=90)
    axes.set_yticks(range(n), names)
    return figure


def drawn(model: Model, height: int, width: int) -> NDArray[Any]:
    """The picture (height, width) or, in colour, (height, width, 3) that a model of coordinates paints, at any
    resolution: values from 0 to 1 at the points of `datasets.grid_points`. Raises `ValueError` for another number of
    values at a point.

    >>> tg.plots.drawn(tg.Sequential(tg.Dense(2, 3), tg.Sigmoid()), 4, 5).shape
    (4, 5, 3)
    """
    values: NDArray[Any] = np.clip(_predicted("drawn", model, grid_points(height, width)), 0, 1)
    if values.shape[1] not in (1, 3):
        raise ValueError(f"drawn: the model must give 1 or 3 values for a point, it gives {values.shape[1]}")
    return values.reshape(height, width) if values.shape[1] == 1 else values.reshape(height, width, 3)


def pictures(images: Mapping[str, ArrayLike], *, height: float = 3.0) -> Figure:
    """Pictures side by side under their titles, the names of `images`: grey (h, w), or in colour (h, w, 3), of any
    size. `height` is that of the figure in inches.

    >>> figure = tg.plots.pictures({"black": np.zeros((4, 4)), "white": np.ones((4, 4))})
    """
    arrays = {name: values_of(image) for name, image in images.items()}
    widths = [max(height * a.shape[1] / a.shape[0], 0.09 * len(name)) for name, a in arrays.items()]
    figure = _figure(sum(widths) + 0.2 * len(widths), height + 0.4)
    row = figure.subplots(1, len(arrays), squeeze=False, width_ratios=widths)[0]
    for axes, (name, array) in zip(row, arrays.items(), strict=True):
        axes.imshow(array, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(name, fontsize=10)
        axes.axis("off")
    return figure
