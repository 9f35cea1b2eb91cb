"""What goes wrong without anybody noticing elsewhere: here each is an error or a warning that says what to do.

In the order in which people stumble; below, that nothing is said about programs that are right.
"""

from __future__ import annotations

import inspect
import operator
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import SGD, Adam, Dense, Dropout, RMSprop, Sequential, Sigmoid, Softmax, Tensor, no_grad
from tinygrad_edu import functional as F

X = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
LABELS = np.array([0, 1, 1, 0])


def parameter(*values, dtype=np.float64, name=None):
    return Tensor(np.array(values, dtype), requires_grad=True, name=name)


def network(*last):
    return Sequential(Dense(2, 3, rng=0), np.tanh, Dense(3, 2, rng=1), *last)


def here(warning, offset=0):
    """Whether it points at the line of the caller."""
    frame = inspect.currentframe().f_back
    return warning.filename == __file__ and warning.lineno == frame.f_lineno + offset


# The list


def test_data_changed_in_place_under_a_live_graph():
    x = parameter(1, 2, name="x")
    y = (x * x).sum()
    x.data -= 1
    message = (
        r"the data 'x' of shape \(2,\) that 'multiply' used was changed in place after it was recorded, so its "
        r"gradient would be wrong\. Change it after backward\(\), or make a new array: t\.data = t\.data - step"
    )
    with pytest.raises(RuntimeError, match=message):
        y.backward()
    with pytest.raises(
        TypeError, match=r"assigning into a tensor that requires grad.* Assign into a copy, c = t\.copy\(\)"
    ):
        x[0] = 5


def test_data_changed_in_place_through_another_array():
    memory = np.array([1.0, 2.0])
    x = Tensor(memory, requires_grad=True)
    with tg.detect_anomaly():
        y = (x * x).sum()
        with pytest.raises(ValueError, match="read-only"):
            memory[0] = 100
        y.backward()
    assert x.grad.tolist() == [2, 4]


def test_backward_over_a_released_graph():
    x = parameter(3.0)
    h = x * x
    first, second = (h * 1).sum(), (h * 2).sum()
    first.backward()
    message = (
        r"backward\(\) already ran through '\w+' \(shape .*\) and released what it needs\. Compute the loss "
        r"again before each backward\(\), detach\(\) what is made outside the loop, or pass retain_graph=True"
    )
    for loss in (first, second):
        with pytest.raises(RuntimeError, match=message):
            loss.backward()


def test_step_before_any_backward():
    net = network()
    message = r"Adam\.step\(\): no parameter has a gradient; call loss\.backward\(\) first"
    with pytest.raises(RuntimeError, match=message):
        Adam(net.parameters()).step()


def test_parameters_that_no_gradient_reached():
    w, unused, frozen, b = parameter(1, 2, name="w"), parameter(1, 2, 3, name="u"), parameter(1), parameter([1.0])
    optimizer = SGD([w, unused, frozen, b], lr=0.1)
    frozen.requires_grad = False
    message = (
        r"SGD\.step\(\): no gradient reached 2 of 4 parameters: number 1, 'u' of shape \(3,\); number 3, of shape "
        r"\(1, 1\)\. Is a layer left out of forward\(\), .*Freeze parameters that should not be trained \(p\.req"
    )
    (w * 2).sum().backward()
    with pytest.warns(UserWarning, match=message) as caught:
        optimizer.step()
        assert here(caught[0], -1)
    for _ in range(2):  # said once
        optimizer.zero_grad()
        (w * 2).sum().backward()
        optimizer.step()


def test_parameters_that_no_gradient_reaches_in_a_compiled_step():
    w, unused = parameter(1, 2), parameter(1, 2, 3)
    step = tg.compile_step(lambda x: (w * x).sum(), SGD([w, unused], lr=0.1))
    with pytest.warns(UserWarning, match=r"no gradient reached 1 of 2 parameters: number 1, of shape \(3,\)") as caught:
        step(np.ones(2))
        assert here(caught[0], -1)
    step(np.ones(2))
    step(np.ones((3, 2)))  # another program


@pytest.mark.parametrize("backwards", [1, 2])
def test_a_forgotten_zero_grad(backwards):
    net = network()
    optimizer = SGD(net.parameters(), lr=0.1)

    def backward():
        for _ in range(backwards):
            F.cross_entropy(net(X), LABELS).backward()

    backward()
    optimizer.step()
    backward()
    message = (
        r"SGD\.step\(\): the gradients were added to those that the last step\(\) had used already\. Call "
        r"optimizer\.zero_grad\(\) before backward\(\) in each step; to sum several backward\(\), call it "
        "before the first"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        optimizer.step()
        assert here(caught[0], -1)
    backward()
    optimizer.step()  # said once


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 2, 1, 0], r"labels contain 2, but there are 2 classes \(0 to 1\)\. If they count from 1, use labels - 1"),
        ([0, -1, 1, 0], r"labels contain -1, .*Number the classes from 0: np\.unique\(labels, return_inverse=True\)"),
        ([0, 7, 1, 0], r"labels contain 7, .*Number the classes from 0"),
    ],
)
def test_labels_out_of_range(labels, message):
    for reading in (lambda: F.cross_entropy(network()(X), labels), lambda: tg.one_hot(labels, 2)):
        with pytest.raises(ValueError, match=message):
            reading()
    with pytest.raises(ValueError, match=r"accuracy: labels contain .*classes"):
        tg.accuracy(np.zeros((4, 2)), labels)


def test_the_digit_0_as_10():
    with pytest.raises(ValueError, match=r"labels contain 10, .* ex4's files store the digit 0 as 10: use y % 10"):
        F.cross_entropy(np.zeros((2, 10)), [10, 1])


def test_labels_of_the_wrong_kind():
    scores = network()(X)
    with pytest.raises(ValueError, match=r"labels contain 0\.5, .* Labels must be whole numbers"):
        F.cross_entropy(scores, [0, 0.5, 1, 1])
    with pytest.raises(ValueError, match=r"labels contain nan, .* Labels must be whole numbers"):
        F.cross_entropy(scores, [0, np.nan, 1, 1])
    with pytest.raises(TypeError, match=r"targets must be real numbers; got list of dtype <U3: .*np\.unique\(names"):
        F.cross_entropy(scores, ["cat", "dog", "dog", "cat"])
    with pytest.raises(ValueError, match=r"\[0, 1\], got -1 to 1; turn labels -1 and 1 into \(y \+ 1\) / 2"):
        F.binary_cross_entropy_with_logits(scores[:, 0], [-1, 1, 1, -1])
    with pytest.raises(ValueError, match=r"\[0, 1\], got 0 to 2; use cross_entropy for class labels"):
        F.binary_cross_entropy_with_logits(scores[:, 0], [0, 1, 2, 1])
    with pytest.raises(ValueError, match=r"got \(1, 4\); use labels\.reshape\(4\)"):
        F.cross_entropy(scores, [LABELS])
    message = "but there are 1 classes .* For two classes and one score use binary_cross_entropy_with_logits"
    with pytest.raises(ValueError, match=message):
        F.cross_entropy(scores[:, :1], LABELS)
    with pytest.raises(ValueError, match=r"got shape \(4,\)\. For one score .* use binary_cross_entropy_with_logits"):
        F.cross_entropy(scores[:, 0], LABELS)


def test_one_hot_where_integers_are_expected_and_the_reverse():
    scores = network()(X)
    rows = tg.one_hot(LABELS, 2)
    assert F.cross_entropy(scores, rows).item() == F.cross_entropy(scores, LABELS).item()
    assert tg.accuracy(scores.numpy(), rows) == tg.accuracy(scores.numpy(), LABELS)
    message = r"of shape \(4, 2\) are one-hot already, their labels are labels\.argmax\(axis=-1\)"
    with pytest.raises(ValueError, match=message):
        tg.one_hot(rows, 2)
    with pytest.raises(ValueError, match=r"got \(4, 3\); one-hot rows need one column for each of the model's 2 o"):
        F.cross_entropy(scores, tg.one_hot(LABELS, 3))
    with pytest.raises(ValueError, match=r"accuracy: one-hot rows of shape \(4, 3\) for predictions of shape \(4, 2\)"):
        tg.accuracy(scores.numpy(), tg.one_hot(LABELS, 3))
    for loss in (F.mse_loss, F.binary_cross_entropy_with_logits):
        with pytest.raises(ValueError, match=r"if these are labels, use one_hot\(target, 2\) or cross_entropy"):
            loss(scores, LABELS)


def test_probabilities_given_to_a_loss_of_logits():
    z = network()(X)
    message = (
        r"binary_cross_entropy_with_logits got the output of sigmoid, and would apply it a second time\. Pass "
        r"the logits: leave the Sigmoid layer out of the model during training, or use binary_cross_entropy$"
    )
    h = F.sigmoid(z)
    with pytest.raises(ValueError, match=message):
        F.binary_cross_entropy_with_logits(h[:, 0], LABELS)  # moved, it is still one
    with no_grad(), pytest.raises(ValueError, match=message):
        F.binary_cross_entropy_with_logits(F.sigmoid(z), np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"with_logits got the output of softmax, and would"):
        F.binary_cross_entropy_with_logits(F.softmax(z), np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"cross_entropy got the output of sigmoid, .*use binary_cross_entropy, if cl"):
        F.cross_entropy(h, LABELS)
    with pytest.raises(ValueError, match=r"binary_cross_entropy: probabilities must lie in .*_with_logits"):
        F.binary_cross_entropy(z * 10, np.ones((4, 2)))
    assert F.cross_entropy(h * 1.0, LABELS).item()  # what is computed from probabilities may be anything


@pytest.mark.parametrize("compiled", [False, True])
def test_a_softmax_before_cross_entropy(compiled):
    net = network(Softmax())
    message = (
        r"cross_entropy got the output of softmax, and would apply it a second time\. Pass the logits: leave the "
        "Softmax layer out of the model during training$"
    )
    with pytest.raises(ValueError, match=message):
        tg.fit(
            net,
            X,
            LABELS,
            loss=F.cross_entropy,
            optimizer=SGD(net.parameters(), 0.1),
            epochs=1,
            compiled=compiled,
        )


@pytest.mark.parametrize("loss", [F.mse_loss, F.binary_cross_entropy, F.binary_cross_entropy_with_logits])
def test_broadcasting_a_column_against_a_row(loss):
    prediction = Dense(2, 1, rng=0)(X)
    prediction = prediction.sigmoid() if loss is F.binary_cross_entropy else prediction
    message = (
        rf"{loss.__name__}: prediction \(4, 1\) and target \(4,\) must have the same shape; use target\.reshape\(4, 1\)"
    )
    with pytest.raises(ValueError, match=message):
        loss(prediction, LABELS)
    assert loss(prediction, LABELS.reshape(4, 1)).shape == ()


def test_dropout_left_on_in_evaluation():
    net = network(Dropout(0.5, rng=0))
    message = (
        r"Dropout\(p=0\.5\) drops values at random although nothing is recorded: call model\.eval\(\) before "
        r"evaluating \(and model\.train\(\) afterwards\), or use predict\(model, X\), which does"
    )
    with no_grad(), pytest.warns(UserWarning, match=message) as caught:
        net(X)
        assert here(caught[0], -1)
    with no_grad():
        net.eval()(X)
        Dropout(0)(X)
    net.train()(X)
    with no_grad(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            net(X)
    assert len(caught) == 1  # as Python shows warnings: once for each line


def test_dropout_is_off_where_we_evaluate():
    net = network(Dropout(0.5, rng=0))
    np.testing.assert_array_equal(tg.predict(net, X), tg.predict(net, X))
    net.summary()
    tg.fit(
        net,
        X,
        LABELS,
        loss=F.cross_entropy,
        optimizer=SGD(net.parameters(), 0.1),
        epochs=1,
        metrics=[tg.accuracy],
        validation=(X, LABELS),
    )


def test_an_optimiser_made_before_a_layer_was_replaced():
    net = network()
    optimizer = SGD(net.parameters(), lr=0.1)
    net.layers[2] = Dense(3, 2)
    message = (
        r"fit: the optimiser lacks 2\.weight, 2\.bias of the model, and holds 2 parameters that are not the model's\. "
        r"Was a layer replaced after the optimiser was made\? Make the optimiser from the finished model: SGD\(model\."
    )
    with pytest.raises(ValueError, match=message):
        tg.fit(net, X, LABELS, loss=F.cross_entropy, optimizer=optimizer, epochs=1)
    F.cross_entropy(net(X), LABELS).backward()
    message = (
        r"no gradient reached 2 of 4 parameters: number 2, 'weight' of shape \(3, 2\); number 3, 'bias' .*replaced"
    )
    with pytest.warns(UserWarning, match=message):
        optimizer.step()
    net.layers[0] = Dense(2, 3)
    optimizer.zero_grad()
    F.cross_entropy(net(X), LABELS).backward()
    message = "does not depend on these parameters: make the optimiser from the model's current parameters"
    with pytest.raises(RuntimeError, match=message):
        optimizer.step()


def test_object_and_string_arrays():
    objects, text = np.array([[1.0, None]], dtype=object), np.array([["1.5", "2"]])
    for use in (Tensor, Dense(2, 1), lambda a: parameter(1.0) * a, lambda a: F.mse_loss(parameter(1.0), a)):
        with pytest.raises(
            TypeError, match=r"real numbers; got ndarray of dtype object: convert objects with \.astype"
        ):
            use(objects)
        with pytest.raises(TypeError, match=r"got ndarray of dtype <U3: numbers written as text are read by \.astype"):
            use(text)
        with pytest.raises(TypeError, match=r"of dtype complex128: pass the \.real and the \.imag part"):
            use(np.array([[1j, 2]]))
    with pytest.raises(TypeError, match=r"of dtype datetime64\[D\]: convert them to floats"):
        Tensor(np.array(["2020-01-01"], "datetime64[D]"))
    with pytest.raises(ValueError, match=r"real numbers, in rows of the same length; got list: .*inhomogeneous"):
        Tensor([[1.0, 2.0], [3.0]])


def test_masked_arrays():
    masked = np.ma.array(np.ones((4, 2)), mask=X > 0)
    z = network()(X)
    uses = [
        lambda: Tensor(masked),
        lambda: z * masked,
        lambda: network()(masked),
        lambda: F.mse_loss(z, masked),
        lambda: F.cross_entropy(z, np.ma.array(LABELS, mask=[0, 0, 0, 1])),
        lambda: tg.accuracy(masked, LABELS),
        lambda: tg.Standardizer().fit(masked),
        lambda: tg.predict(network(), masked),
    ]
    for use in uses:
        with pytest.raises(
            TypeError, match=r"a masked array would lose its mask .*; fill it first \(\.filled\(value\)\)"
        ):
            use()
    for use in (lambda t: masked * t, lambda t: np.ma.add(masked, t), np.ma.array):
        with pytest.raises(TypeError, match=r"would drop its gradient\. .* for the values \.numpy\(\) or \.detach\(\)"):
            use(z)
    np.testing.assert_array_equal(np.ma.add(masked, z.detach()), np.ma.add(masked, z.numpy()))
    net = network()
    with pytest.raises(TypeError, match="a masked array would lose its mask"):
        tg.fit(net, masked, LABELS, loss=F.cross_entropy, optimizer=SGD(net.parameters(), 0.1), epochs=1)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_matrices():
    matrix = np.matrix(np.ones((2, 2)))
    z = parameter([1.0, 2.0], [3.0, 4.0])
    message = r"a np\.matrix takes \* for the matrix product, .* pass np\.asarray\(m\), and write @ for matrix products"
    for use in (Tensor, lambda m: z * m, lambda m: m * z, lambda m: z @ m, lambda m: m @ z, lambda m: F.mse_loss(z, m)):
        with pytest.raises(TypeError, match=message):
            use(matrix)


def test_half_precision_does_not_overflow():
    m = 70_000  # more than float16 can count
    ones = np.ones((m, 2), np.float16)
    losses = [
        (F.mse_loss, ones * 2, np.zeros((m, 2)), 4),
        (F.cross_entropy, ones, np.zeros(m, int), np.log(2)),
        (F.binary_cross_entropy_with_logits, ones * 0, ones, np.log(2)),
        (lambda p, t: F.binary_cross_entropy(F.sigmoid(p), t), ones * 0, ones, np.log(2)),
        (F.binary_cross_entropy, ones / 2, ones, np.log(2)),
    ]
    for loss, prediction, target, expected in losses:
        z = Tensor(prediction, requires_grad=True)
        J = loss(z, target, "sum") if loss is F.mse_loss else loss(z, target)
        assert J.dtype == np.float32
        J.backward()
        assert z.grad.dtype == np.float16 and np.any(z.grad != 0)
        assert J.item() == pytest.approx(expected * (2 * m if loss is F.mse_loss else 1), rel=1e-3)


@pytest.mark.parametrize("make", [Adam, RMSprop])
def test_an_eps_that_is_0_in_half_precision(make):
    p = parameter(1.0, 2.0, dtype=np.float16)
    message = rf"{make.__name__}: eps=1e-08 is 0 in float16, .* Use eps=1e-4, or parameters in float32"
    with pytest.raises(ValueError, match=message):
        make([p])
    make([p], eps=0)  # this one is meant
    optimizer = make([p], lr=0.01, eps=1e-4)
    (p * np.array([1.0, 0.0], np.float16)).sum().backward()
    optimizer.step()
    assert np.isfinite(p.data).all()


def test_batches_of_no_samples():
    empty, none = np.zeros((0, 2)), np.zeros(0, int)
    net = network()
    for loss, target in [(F.mse_loss, empty), (F.binary_cross_entropy_with_logits, empty), (F.cross_entropy, none)]:
        with pytest.raises(ValueError, match=rf"{loss.__name__}: the batch is empty \(shape .*\), so it has no mean"):
            loss(net(empty), target)
    with pytest.raises(ValueError, match="accuracy: there are no samples"):
        tg.accuracy(empty, none)
    with pytest.raises(ValueError, match="predict: there are no samples"):
        tg.predict(net, empty)
    fit = {"loss": F.cross_entropy, "optimizer": SGD(net.parameters(), 0.1), "epochs": 1}
    with pytest.raises(ValueError, match=r"fit: there are no samples$"):
        tg.fit(net, empty, none, **fit)
    with pytest.raises(ValueError, match="fit: there are no samples for validation"):
        tg.fit(net, X, LABELS, validation=(empty, none), **fit)


@pytest.mark.parametrize("lr", [-0.1, np.nan, np.inf])
def test_a_learning_rate_that_is_negative_or_nan(lr):
    net = network()
    message = "lr must be a finite number of at least 0, not "
    for make in (SGD, Adam, RMSprop):
        with pytest.raises(ValueError, match=f"{make.__name__}: {message}{lr}"):
            make(net.parameters(), lr=lr)
    optimizer = SGD(net.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=message):
        optimizer.lr = lr
    with pytest.raises(ValueError, match=message):
        tg.fit(net, X, LABELS, loss=F.cross_entropy, optimizer=optimizer, epochs=1, schedule=lambda t: lr)


def test_shapes_that_do_not_fit_in_a_model():
    net = Sequential(Dense(2, 3), Sigmoid(), Sequential(Dense(4, 2), Sigmoid()))
    with pytest.raises(
        ValueError, match=r"Dense\(4 → 2\) got an input of shape \(4, 3\): expected \(\.+, 4\)"
    ) as error:
        net(X)
    assert error.value.__notes__ == [
        "in layer 0 of Sequential, Dense(4 → 2)",
        "in layer 2 of Sequential, Sequential",
    ]
    with pytest.raises(ValueError, match=r"Dense adds its own bias: leave out the column of ones"):
        net(np.ones((5, 3)))
    with pytest.raises(ValueError, match=r"Samples are rows: pass x\.T"):
        net(np.ones((2, 5)))
    w = parameter([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    message = r"matmul: shapes \(2, 3\) and \(2, 3\) do not fit: 3 columns on the left meet 2 rows on the right"
    with pytest.raises(ValueError, match=message):
        w @ w
    with pytest.raises(ValueError, match=r"matmul: shapes \(5,\) and \(2, 3\) do not fit: 5 columns .* meet 2 rows"):
        np.ones(5) @ w
    with pytest.raises(ValueError, match=r"matmul: shapes \(2, 3\) and \(2,\) do not fit: 3 columns .* meet 2 rows"):
        w @ np.ones(2)
    with pytest.raises(ValueError, match=r"matmul: shapes \(2, 3\) and \(2, 3\) do not fit"):
        F.linear(w, w, np.ones(3))
    with pytest.raises(ValueError, match=r"could not be broadcast .*\(2,3,4\).*\(5,4,2\)"):
        np.ones((2, 3, 4)) @ Tensor(np.ones((5, 4, 2)), requires_grad=True)


# Programs that are right


def test_gradients_summed_on_purpose():
    net = network()
    optimizer = SGD(net.parameters(), lr=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(20):
            optimizer.zero_grad()
            for rows in (slice(0, 2), slice(2, 4), slice(0, 4)):
                F.cross_entropy(net(X[rows]), LABELS[rows]).backward()
            optimizer.step()
        for _ in range(20):  # then without
            net.zero_grad()
            F.cross_entropy(net(X), LABELS).backward()
            optimizer.step()


def test_gradients_looked_at_between_steps():
    p = parameter(1, 2)
    optimizer = SGD([p], lr=0.1)
    for _ in range(20):
        optimizer.zero_grad()
        (p * p).sum().backward()
        optimizer.step()
        (p * p).sum().backward()  # added, looked at, and forgotten
        assert p.grad.shape == (2,)
        p.grad = None if optimizer.lr else p.grad
    (p * p).sum().backward()
    optimizer.step()
    optimizer.step()  # twice on one gradient


def clear(p):
    p.grad.fill(0)


def scale(p):
    p.grad = p.grad * 0.5


@pytest.mark.parametrize(("how", "after", "warns"), [(clear, True, False), (scale, False, True)])
def test_gradients_zeroed_or_scaled_by_hand(how, after, warns):
    w = Tensor([1.0, 2.0], requires_grad=True)
    optimizer = tg.SGD([w], lr=0.1)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(3):
            np.sum(w * w).backward()
            if not after:
                how(w)
            optimizer.step()
            if after:
                how(w)
    assert [("added to those" in str(t.message)) for t in told] == [True] * warns


@pytest.mark.parametrize("operate", [operator.iadd, operator.isub, operator.imul])
def test_a_parameter_updated_without_data(operate):
    w = Tensor([1.0, 2.0], requires_grad=True)
    with tg.no_grad(), pytest.raises(TypeError, match=r"would not change the parameter .* Write t\.data [-+*]= \.\.\."):
        operate(w, np.ones(2))
    assert operate(w, np.ones(2)).requires_grad  # recorded, it is a new tensor as any other
    with tg.no_grad():
        assert operate(w.detach(), np.ones(2)).shape == (2,)


def test_an_optimiser_of_a_model_instead_of_its_parameters():
    layer = tg.Dense(2, 1)
    for given in (layer, layer.parameters):
        with pytest.raises(TypeError, match=r"takes a list of parameters, not \w+; pass model\.parameters\(\)"):
            tg.SGD(given, lr=0.1)
    with pytest.raises(TypeError, match=r"pass \[tensor\]"):
        tg.SGD(layer.weight, lr=0.1)


@pytest.mark.parametrize(
    "begin",
    [
        lambda p: p.grad.__setitem__(slice(None), 0),
        lambda p: setattr(p, "grad", np.zeros_like(p.data)),
        lambda p: setattr(p, "grad", np.full_like(p.data, 0.5)),
        lambda p: setattr(p, "data", p.data.astype(np.float32 if p.dtype == np.float64 else np.float64)),
    ],
)
def test_gradients_that_begin_anew_in_another_way(begin):
    """Nothing is said, though two backward() are summed."""
    p = parameter(1, 2)
    optimizer = SGD([p], lr=0.1)
    for _ in range(3):
        (p * p).sum().backward()
        (p * p).sum().backward()
        optimizer.step()
        begin(p)


def test_two_optimisers_of_the_same_gradients():
    p, q = parameter(1, 2), parameter(3, 4)
    both, one = SGD([p, q], lr=0.1), Adam([q])
    for _ in range(3):
        both.zero_grad()
        (p * q).sum().backward()
        both.step()
        one.step()


def test_parts_of_a_model_trained_on_purpose():
    net = network()
    optimizer = SGD(net[2].parameters(), lr=0.1)
    tg.fit(net, X, LABELS, loss=F.cross_entropy, optimizer=optimizer, epochs=2)
    optimizer = SGD(net.parameters(), lr=0.1)
    for p in net[0].parameters():
        p.requires_grad = False
    tg.fit(net, X, LABELS, loss=F.cross_entropy, optimizer=optimizer, epochs=2)
    for p in net[0].parameters():
        p.requires_grad = True
    scale = parameter(1.0)  # learned by the loss alone
    own = SGD([*net.parameters(), scale], lr=0.1)
    tg.fit(net, X, LABELS, loss=lambda z, y: F.cross_entropy(z * scale, y), optimizer=own, epochs=2)
    assert scale.item() != 1


# The other messages of a learner's first week


def test_a_loss_that_nothing_leads_to():
    net = network()
    with no_grad():
        loss = F.cross_entropy(net(X), LABELS)
    with pytest.raises(RuntimeError, match=r"nothing recorded: none of what .* requires grad .* under no_grad\(\)"):
        loss.backward()
    with pytest.raises(
        ValueError, match=r"only a single number has a gradient\. Reduce it with \.sum\(\) or \.mean\(\)"
    ):
        net(X).backward()


def test_integers_have_no_gradient():
    with pytest.raises(
        TypeError, match=r"int64: only real floats have a gradient\. Write floats .* or pass dtype=float"
    ):
        Tensor([1, 2, 3], requires_grad=True)


def test_functions_that_would_drop_the_gradient():
    z = parameter([1.0, 2.0], [3.0, 4.0])
    with pytest.raises(TypeError, match=r"would drop its gradient\. To join tensors use np\.stack, .* \.detach\(\)"):
        np.asarray(z)
    with pytest.raises(TypeError, match=r"numpy\.i0 got a Tensor and has no derivative rule; .* t\.detach\(\)"):
        np.i0(z[0])
    array = np.ones((2, 2))
    with pytest.raises(TypeError, match=r"Write a = a \+ t instead of a \+= t"):
        array += z


def test_a_loss_that_is_not_finite_stops_the_training():
    net = network()
    net[0].weight.data = net[0].weight.data * np.nan
    with pytest.raises(
        FloatingPointError, match=r"the loss became nan in epoch 1, step 1\. .*Run it inside detect_anomaly\(\)"
    ):
        tg.fit(net, X, LABELS, loss=F.cross_entropy, optimizer=SGD(net.parameters(), 0.1), epochs=1)
    with (
        tg.detect_anomaly(),
        pytest.raises(FloatingPointError, match=r"'linear' .*in Sequential\.0\.Dense gave 12 NaN"),
    ):
        tg.fit(net, X, LABELS, loss=F.cross_entropy, optimizer=SGD(net.parameters(), 0.1), epochs=1)


def test_single_numbers_where_rows_are_expected():
    net, X, Y = tg.Dense(2, 1), np.ones((4, 2)), np.ones((4, 1))
    optimizer = tg.SGD(net.parameters(), lr=0.1)
    fit = lambda X, y, **options: tg.fit(net, X, y, loss=F.mse_loss, optimizer=optimizer, epochs=1, **options)
    with pytest.raises(TypeError, match="fit: X must be an array with a row for each sample, got array"):
        fit(3.0, Y)
    with pytest.raises(TypeError, match="fit: y must be an array with a row for each sample, got"):
        fit(X, None)
    with pytest.raises(TypeError, match=r"fit: validation\[1\] must be an array with a row for each sample, got"):
        fit(X, Y, validation=(X, 1))
    with pytest.raises(TypeError, match="Batches: arrays must have a row for each sample"):
        tg.Batches(X, 1.0, batch_size=2)
    for p in net.parameters():
        p.requires_grad = False
    with pytest.raises(TypeError, match=r"nothing to differentiate\. Are all of them frozen\?"):
        fit(X, Y, compiled=True)


def test_no_classes():
    for m in (0, 3):
        with pytest.raises(ValueError, match=rf"logits must be rows of class scores \(m, k\), got shape \({m}, 0\)"):
            F.cross_entropy(np.zeros((m, 0)), np.zeros(m, int), "sum")
