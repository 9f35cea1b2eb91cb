"""Several labels in each row: one_hot, the losses of classes and accuracy, with the classes on the last axis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu import functional as F

SHAPES = st.lists(st.integers(1, 4), min_size=2, max_size=3).map(tuple)
REDUCTIONS = st.sampled_from(["mean", "sum", "batchmean", "none"])


@st.composite
def cases(draw):
    """Logits (…, k), labels (…), in one of the shapes that they may have, and options."""
    shape, k = draw(SHAPES), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    labels = rng.integers(0, k, shape)
    options = {"reduction": draw(REDUCTIONS)}
    if draw(st.booleans()):
        options["weight"] = rng.uniform(0.5, 2, k)
    if draw(st.booleans()):
        options["ignore_index"] = -100
        labels[tuple(np.argwhere(rng.uniform(size=shape) < 0.3)[1:].T)] = -100
        labels.flat[0] = 0
    smoothing = draw(st.sampled_from([0.0, 0.1, 1.0]))
    return rng.normal(size=(*shape, k)), labels, options, smoothing


def by_hand(q, labels, reduction, weight=None, ignore_index=None, smoothing=0.0):
    """Label by label."""
    k = q.shape[-1]
    each, factors = np.zeros(labels.shape), np.zeros(labels.shape)
    for place in np.ndindex(labels.shape):
        if labels[place] == ignore_index:
            continue
        w = np.ones(k) if weight is None else weight
        factors[place] = w[labels[place]]
        t = smoothing / k + (1 - smoothing) * (np.arange(k) == labels[place])
        each[place] = -np.sum(w * t * q[place])
    if reduction == "none":
        return each
    mean = each.sum() / factors.sum()
    return {"sum": each.sum(), "mean": mean, "batchmean": mean * labels[0].size}[reduction]


@given(cases(), st.booleans(), st.booleans())
def test_losses_are_those_of_each_label(case, column, as_list):
    z, labels, options, smoothing = case
    y = labels[..., None] if column else labels
    y = y.tolist() if as_list else y
    q = F.log_softmax(z)
    expected = by_hand(q, labels, smoothing=smoothing, **options)
    got = F.cross_entropy(z, y, label_smoothing=smoothing, **options)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)
    got = F.nll_loss(q, y, **options)
    np.testing.assert_allclose(got, by_hand(q, labels, **options), rtol=1e-12, atol=1e-14)
    assert np.shape(got) == (labels.shape if options["reduction"] == "none" else ())


@settings(max_examples=15)
@given(cases())
def test_their_gradients_are_right_to_second_order(case):
    z, labels, options, smoothing = case
    assume(z.shape[-1] > 1)  # of one class nothing is learned
    z = z[:2, :2]
    labels = labels[:2, :2]
    tg.gradcheck(lambda z: F.cross_entropy(z, labels, label_smoothing=smoothing, **options), z, order=2)
    tg.gradcheck(lambda z: F.nll_loss(F.log_softmax(z), labels, **options), z, order=2)


@given(SHAPES, st.integers(2, 4), REDUCTIONS, st.booleans())
def test_rows_of_probabilities(shape, k, reduction, one_hot):
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(*shape, k)), rng.dirichlet(np.ones(k), shape)
    labels = rng.integers(0, k, shape)
    t = tg.one_hot(labels.reshape(-1), k).reshape(t.shape) if one_hot else t
    expected = -(t * F.log_softmax(z)).sum(axis=-1)
    divisor = {"mean": labels.size, "batchmean": shape[0], "sum": 1}
    got = F.cross_entropy(z, t, reduction)
    np.testing.assert_allclose(
        got, expected if reduction == "none" else expected.sum() / divisor[reduction], rtol=1e-12
    )


@given(cases())
def test_pytorch_gives_the_same(case):
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    z, labels, options, smoothing = case
    if options["reduction"] == "batchmean":
        return
    settings = {**options, "ignore_index": options.get("ignore_index", -1000)}
    if "weight" in settings:
        settings["weight"] = torch.tensor(settings["weight"])
    theirs = torch.tensor(z, requires_grad=True)
    y = torch.tensor(labels)
    loss = torch.nn.functional.cross_entropy(theirs.movedim(-1, 1), y, label_smoothing=smoothing, **settings)
    loss.sum().backward()
    ours = Tensor(z, requires_grad=True)
    mine = F.cross_entropy(ours, labels, label_smoothing=smoothing, **options)
    mine.sum().backward()
    np.testing.assert_allclose(mine.numpy(), loss.detach().numpy(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), rtol=1e-10, atol=1e-12)


@given(SHAPES, st.integers(1, 4), st.sampled_from([np.int64, np.uint8, np.float64]), st.booleans())
def test_one_hot_of_any_number_of_axes(shape, k, dtype, tensor):
    labels = np.random.default_rng(0).integers(0, k, shape)
    given = labels.astype(dtype)
    if dtype is np.float64 and shape[-1] == k:
        return  # which might be one-hot rows
    rows = tg.one_hot(Tensor(given) if tensor else given, k, np.float32)
    batch = shape[:1] if len(shape) == 2 and shape[1] == 1 else shape
    assert rows.shape == (*batch, k) and rows.dtype == np.float32
    assert np.array_equal(rows.argmax(axis=-1), labels.reshape(batch)) and np.all(rows.sum(axis=-1) == 1)


def test_accuracy_of_several_labels_in_each_row():
    scores = np.array([[[0.1, 0.9], [0.8, 0.2]], [[0.6, 0.4], [0.3, 0.7]]])
    labels = np.array([[1, 1], [0, 1]])
    for y in (labels, labels[..., None], tg.one_hot(labels, 2), labels.tolist()):
        assert tg.accuracy(scores, y) == 0.75
    assert tg.accuracy(scores[..., 1:], labels) == tg.accuracy(scores[..., 1:], labels[..., None]) == 0.75
    for y, said in [
        (
            labels.reshape(-1),
            r"predictions of shape \(2, 2, 2\) need labels of shape \(2, 2\).*; use labels.reshape\(2, 2\)",
        ),
        (labels[:1], r"got \(1, 2\)$"),
        (labels + 1, "accuracy: labels contain 2, but there are 2 classes"),
    ]:
        with pytest.raises(ValueError, match=said):
            tg.accuracy(scores, y)
    with pytest.raises(ValueError, match=r"np\.moveaxis\(predictions, 1, -1\)"):
        tg.accuracy(np.zeros((2, 3, 5)), np.zeros((2, 5), int))


# Compiled, derived


def loss_of(options):
    net = tg.Sequential(tg.Dense(3, 4, rng=0))

    def loss(X, y):
        return F.cross_entropy(net(X), y, **options)

    return net, loss


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"reduction": "sum"},
        {"reduction": "batchmean", "label_smoothing": 0.1},
        {"weight": np.array([1.0, 2.0, 0.5, 1.5]), "ignore_index": -100},
        {"reduction": "batchmean", "ignore_index": 0},
    ],
)
def test_derived_and_compiled_for_other_numbers_of_rows(options):
    rng = np.random.default_rng(0)
    net, loss = loss_of(options)
    data = [(rng.normal(size=(m, 5, 3)), rng.integers(0, 4, (m, 5))) for m in (6, 9, 1)]
    if options.get("ignore_index") == -100:
        data[0][1][0] = -100
    derived = tg.derive(loss, *data[0], parameters=net)
    step = tg.compile_step(loss, tg.SGD(net.parameters(), lr=0.1))
    names: dict[str, object] = {}
    exec(compile(derived.source, "<source>", "exec"), names)
    for X, y in data:
        value = loss(X, y)
        net.zero_grad()
        value.backward()
        wanted = [value.item(), *(p.grad for p in net.parameters())]
        J, gradients = derived(X, y)
        for a, b in zip([J, *gradients], wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)
        J, gradients = names["value_and_gradients"](X, y, *(p.data for p in net.parameters()))  # as it is printed
        for a, b in zip([J, *gradients], wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)
        assert step(X, y) == pytest.approx(wanted[0], rel=1e-10)


def test_a_model_of_sequences_is_trained_and_shown():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, (40, 5))
    X = np.eye(3)[y] + 0.1 * rng.normal(size=(40, 5, 3))
    histories = []
    for compiled in (False, True):
        net = tg.Sequential(tg.Dense(3, 3, rng=0))
        histories.append(
            tg.fit(net, X, y, loss=F.cross_entropy, optimizer=tg.Adam(net.parameters(), lr=0.1), epochs=5, rng=0,
                   metrics={"accuracy": tg.accuracy}, compiled=compiled)
        )  # fmt: skip
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-9)
    assert histories[0]["accuracy"][-1] == histories[1]["accuracy"][-1] == 1
    assert "cross_entropy" in tg.explain(F.cross_entropy(net(X), y), model=net)
    with tg.detect_anomaly():
        F.cross_entropy(net(X), y, "none").sum().backward()


# Refusals


def test_a_target_that_requires_grad_is_refused():
    scores, t = np.zeros((3, 2)), Tensor([1.0, 1.0, 1.0], requires_grad=True)
    for loss in (
        lambda: F.hinge_loss(scores, t),
        lambda: F.cosine_embedding_loss(scores, scores, t),
        lambda: F.cross_entropy(scores[:, None], t.reshape(3, 1)),
        lambda: F.nll_loss(scores[:, None] - 1, t.reshape(3, 1)),
    ):
        with pytest.raises(TypeError, match=r"_\w+: the target requires grad, .*; use .detach\(\)"):
            loss()


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_labels_of_the_wrong_shape_or_value(loss):
    called = "logits" if loss is F.cross_entropy else "log_probability"
    z = np.full((2, 5, 4), -np.log(4))
    for labels, said in [
        (np.zeros((2, 6), int), rf"{called} of shape \(2, 5, 4\) need labels of shape \(2, 5\), .* got \(2, 6\)$"),
        (np.zeros((10, 4), int), r"got \(10, 4\); use labels\.reshape\(2, 5, 4\)"),
        (np.zeros((5, 2), int), r"got \(5, 2\); use labels\.reshape\(2, 5\)"),
        (np.full((2, 5), 4), "labels contain 4, but there are 4 classes"),
        (z, rf"labels of the same shape as the {called} must be rows of probabilities"),
    ]:
        with pytest.raises(ValueError, match=said):
            loss(z, labels)
    with pytest.raises(ValueError, match=rf"np\.moveaxis\({called}, 1, -1\)"):
        loss(np.moveaxis(z, -1, 1), np.zeros((2, 5), int))
    with pytest.raises(ValueError, match=r"the batch is empty \(shape \(3, 0\)\)"):
        loss(np.zeros((3, 0, 4)), np.zeros((3, 0), int))
    with pytest.raises(ValueError, match="all labels are ignored"):
        loss(z, np.zeros((2, 5), int), ignore_index=0)
    with pytest.raises(ValueError, match="ignore_index is for labels that are numbers"):
        loss(z, np.full((2, 5, 4), 0.25), ignore_index=0)
    assert loss(np.zeros((0, 5, 4)), np.zeros((0, 5), int), "sum") == 0


def test_the_output_of_a_softmax_is_refused():
    z = Tensor(np.zeros((2, 5, 4)), requires_grad=True)
    with pytest.raises(ValueError, match="cross_entropy got the output of softmax"):
        F.cross_entropy(F.softmax(z), np.zeros((2, 5), int))


def test_labels_are_told_from_rows_that_are_one_hot_already():
    assert tg.one_hot([1.0, 0.0], 2).tolist() == [[0, 1], [1, 0]]
    assert tg.one_hot(np.array([[0.0, 1.0], [1.0, 1.0]]), 2).shape == (2, 2, 2)  # labels, since not all rows sum to 1
    for labels, classes, said in (([[0.0, 1.0], [0.5, 0.5]], 2, "contain 0.5"), ([[1.0]], 1, r"contain 1\.0, but"),
                                  ([[0.0, 1.0], [1.0, 0.0]], 2, "one-hot already")):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            tg.one_hot(np.array(labels), classes)
