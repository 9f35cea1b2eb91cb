"""What a record keeps: its rules find the arguments as they were, whatever becomes of the arrays that held them."""

from __future__ import annotations

import sys
import threading

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
import tinygrad_edu.numpy as np
from tinygrad_edu.graph.computation import computation

W = numpy.array([1.0, 2.0, 3.0])
READS = {  # of a variable and a constant
    "product": lambda w, c: w * c,
    "quotient": lambda w, c: w / (c + 1),
    "power": lambda w, c: w**c,
    "a truth": lambda w, c: w * (c > 1),
    "a dot": lambda w, c: np.dot(w, c),
    "einsum": lambda w, c: np.einsum("i,i->", w, c),
    "the larger": lambda w, c: np.maximum(w, c),
    "bounds": lambda w, c: np.clip(w, c, 2.5),
    "a choice": lambda w, c: np.where(c > 1, w**2, w),
    "interpolation": lambda w, c: np.interp(w, c, numpy.array([0.0, 1.0, 4.0])),
    "a system": lambda w, c: np.linalg.solve(numpy.eye(3) + c, w),
    "a convolution": lambda w, c: np.convolve(w, c),
    "a part": lambda w, c: w[:2] * c[:2],
    "a mean": lambda w, c: np.average(w, weights=c),
    "some of a sum": lambda w, c: np.sum(w**2, where=c > 1),
    "an index": lambda w, c: w[c.astype(int) % 3] ** 2,
    "a loss": lambda w, c: tg.mse_loss(w, c),
    "the slope of a curve": lambda w, c: np.gradient(w**2, c) * [1.0, 2.0, 4.0],
}


@pytest.mark.parametrize("make", [numpy.array, lambda values: np.zeros(3) + values], ids=["array", "tensor"])
@pytest.mark.parametrize("read", READS)
def test_a_constant_that_changes_after_it_was_used(read, make):
    def loss(w, copied):
        c, total = make([0.5, 1.0, 2.0]), 0.0
        for k in range(3):
            total = total + np.sum(READS[read](w, c.copy() if copied else c))
            c += k + 1.0
        return total

    for derivative in (tg.grad, tg.hessian):
        found, wanted = (derivative(lambda w, copied=copied: loss(w, copied))(W) for copied in (False, True))
        numpy.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("zeros", [numpy.zeros, np.zeros], ids=["arrays", "tensors"])
@pytest.mark.parametrize("dtype", [float, int, bool])
def test_one_element_after_the_other(zeros, dtype):
    """Σ (w · eₖ)² of unit vectors that are one array, filled anew: 2 w."""

    def loss(w):
        unit, total = zeros(3, dtype=dtype), 0.0
        for k in range(3):
            unit[:] = 0
            unit[k] = 1
            total = total + np.dot(w, unit) ** 2
        return total

    assert tg.grad(loss)(W).tolist() == [2, 4, 6]


@given(st.lists(st.tuples(st.sampled_from(["row", "element", "all", "use", "view"]), st.integers(0, 3)), max_size=12))
def test_a_buffer_that_is_filled_while_it_is_read(steps):
    """Small and large ones, and views that were taken before: the values are NumPy's, the gradient by what was read is
    that of copies."""

    def run(xp, w, width, copied):
        buffer, total = xp.zeros((4, width)), 0.0 * w
        row = buffer[1]
        for number, (step, k) in enumerate(steps, start=1):
            if step == "row":
                buffer[k] = xp.arange(width) + number
            elif step == "element":
                buffer[k, k] += number
            elif step == "all":
                buffer += 0.5
            elif step == "view":
                row[k] = number
            else:
                for part in (buffer, buffer[k], row[::2], buffer.T):
                    total = total + xp.sum(w * (part.copy() if copied else part)) * number
        return total, buffer, row

    for width in (5, 2000):
        expected, buffer, row = run(numpy, 1.5, width, True)
        w = tg.Tensor(1.5, requires_grad=True)
        total, found, found_row = run(np, w, width, False)
        numpy.testing.assert_allclose(total.item(), expected, rtol=1e-12)
        numpy.testing.assert_array_equal(found.numpy(), buffer)
        numpy.testing.assert_array_equal(found_row.numpy(), row)
        total.backward()
        numpy.testing.assert_allclose(w.grad, expected / 1.5, rtol=1e-12)


def test_a_large_tensor_is_changed_itself_and_records_get_copies():
    """So whoever shares its array sees the change."""
    for make in (tg.Tensor, lambda a: tg.Tensor(a).detach(), lambda a: tg.Tensor(a).reshape(100, 100)[::2].T):
        array, w = numpy.ones(10000), tg.Tensor(2.0, requires_grad=True)
        t = make(array)
        losses = [(w * t).sum(), (w * t * t).sum()]
        t[...] = 3
        losses.append((w * t).sum())
        t += 1
        assert array.max() == 4 and np.may_share_memory(t.numpy(), array)
        for loss, wanted in zip(losses, (1, 1, 3), strict=True):
            w.grad = None
            loss.backward()
            assert w.grad == wanted * t.size
    t, w = np.zeros(5000), tg.Tensor(2.0, requires_grad=True)
    y = (w * t).sum()
    t.data[:] = 1  # which nobody is told
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()
    _ = w * t
    t.data.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        t[0] = 1


def test_what_no_record_needs_any_more_is_not_noted_for_ever():
    t, w = np.ones((5, 1000)), tg.Tensor(2.0, requires_grad=True)
    for _ in range(100):
        (w * t).sum().backward()
    assert len(t._ties.kept) <= 17


def test_rows_of_a_large_table_are_kept_alone():
    table, w = np.zeros((20, 2000)), tg.Tensor(np.ones(2000), requires_grad=True)
    array = table.numpy()
    total = 0.0
    for k in range(19):
        total = total + np.sum(w * table[k])
        table[k + 1] = float(k + 1)
    assert np.may_share_memory(table.numpy(), array)  # no copy of it was made
    total.backward()
    assert w.grad[0] == sum(range(19))


def test_threads_that_write_lose_nothing():
    base = np.zeros((4, 2000))

    def work(k):
        w, row = tg.Tensor(1.0, requires_grad=True), base[k]
        for number in range(100):
            y = np.sum(w * base) if number % 10 == 0 else None
            row += 1.0
            del y

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert (base.numpy() == 100).all()


def test_an_option_that_changes_after_it_was_used():
    for make in (numpy.array, tg.Tensor):
        w, mask = tg.Tensor(W, requires_grad=True), make([1.0, 0.0, 1.0]) > 0
        y = np.sum(w * w, where=mask) + np.max(w, where=mask, initial=-1.0)
        mask[...] = False
        y.backward()
        assert w.grad.tolist() == [2, 0, 7]


def test_a_large_array_of_the_user_s_is_not_copied():
    x, w = numpy.ones((100, 100)), tg.Tensor(2.0, requires_grad=True)
    assert (w * x).record.saved[2] is x
    assert (w * x[:50]).record.saved[2].base is x


CHANGES = {
    "added to": lambda x: x.__iadd__(1.0),
    "filled": lambda x: x.fill(7.0),
    "the other way round": lambda x: x.__setitem__(..., x[::-1].copy()),
    "shuffled": lambda x: numpy.random.default_rng(0).shuffle(x),
}


@pytest.mark.parametrize("shape", [(2000,), (40, 60), (3, 50, 20), (7, 6, 5, 4, 3, 2), (5000, 1)])
@pytest.mark.parametrize("change", CHANGES)
def test_a_large_array_of_the_user_s_that_is_changed_is_noticed(shape, change):
    """Before a wrong gradient is computed of what it holds now: also transposed, in parts, and for drawings."""
    for part in (lambda x: x, lambda x: x.T, lambda x: x[::-1], lambda x: x.reshape(-1)[:-1]):
        x, w = numpy.random.default_rng(1).normal(size=shape), tg.Tensor(2.0, requires_grad=True)
        y = np.sum(w * part(x))
        y.backward(retain_graph=True)
        numpy.testing.assert_allclose(w.grad, part(x).sum(), rtol=1e-12)
        CHANGES[change](x)
        assert any("was changed in place" in note for note in computation(y, gradients=True).notes)
        with pytest.raises(RuntimeError, match=r"changed in place after it was recorded.*of an array, use x\.copy\(\)"):
            y.backward()


@pytest.mark.parametrize("write", [lambda H, k, row: H.__setitem__(k, row), lambda H, k, row: H[k].__iadd__(row)])
def test_a_table_that_is_filled_row_by_row_keeps_rows(write):
    """Rather than a table for each row."""

    def table(x, n=20):
        H = np.zeros((n, 3))
        H[0] = x
        for k in range(1, n):
            write(H, k, H[k - 1] - 0.1 * H[k - 1] ** 2)
        return H

    x = tg.Tensor(W / 4, requires_grad=True)
    waiting, seen = [table(x).record], set()
    while waiting:
        record = waiting.pop()
        for value in record.saved or ():
            assert not isinstance(value, numpy.ndarray) or (value if value.base is None else value.base).size <= 60 / 8
        waiting += [n for n in record.nodes if n is not None and n not in seen and hasattr(n, "saved")]
        seen |= set(waiting)
    assert len(seen) > 20

    def by_a_list(x):
        rows = [x]
        for _ in range(19):
            rows.append(rows[-1] - 0.1 * rows[-1] ** 2)
        return rows[-1]

    numpy.testing.assert_allclose(tg.jacobian(lambda x: table(x)[-1])(W / 4), tg.jacobian(by_a_list)(W / 4), rtol=1e-14)
