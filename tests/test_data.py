"""Batches, one-hot labels, standardisation."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Batches, Standardizer, Tensor, one_hot


def test_an_epoch_is_every_row_once_in_a_new_order():
    X, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    batches = Batches(X, y, batch_size=3, rng=0)
    assert len(batches) == 4
    epochs = [list(batches) for _ in range(2)]
    for epoch in epochs:
        assert [len(yb) for _, yb in epoch] == [3, 3, 3, 1]
        assert sorted(np.concatenate([yb for _, yb in epoch])) == list(range(10))
        assert all(np.array_equal(Xb[:, 0], 2 * yb) for Xb, yb in epoch)
    assert not np.array_equal(*(np.concatenate([yb for _, yb in e]) for e in epochs))


def test_seeds_and_the_last_batch():
    y = np.arange(10)
    first = [b.tolist() for (b,) in Batches(y, batch_size=4, rng=3)]
    assert first == [b.tolist() for (b,) in Batches(y, batch_size=4, rng=3)]
    tg.manual_seed(1)
    seeded = [b.tolist() for (b,) in Batches(y, batch_size=4)]
    tg.manual_seed(1)
    assert seeded == [b.tolist() for (b,) in Batches(y, batch_size=4)]
    dropping = Batches(y, batch_size=4, shuffle=False, drop_last=True)
    assert [b.tolist() for (b,) in dropping] == [[0, 1, 2, 3], [4, 5, 6, 7]] and len(dropping) == 2
    assert len(Batches(y, batch_size=5)) == 2 and len(list(Batches(y[:0], batch_size=2))) == 0


def test_batches_without_shuffling_are_views_and_tensors_work():
    X = np.arange(6.0)
    [(a,), (_b,)] = Batches(X, batch_size=3, shuffle=False)
    assert a.base is X
    [(t,), _] = Batches(Tensor(X, requires_grad=True), batch_size=3, rng=0)
    assert t.requires_grad
    [(listed,)] = Batches([1, 2], batch_size=2, shuffle=False)
    assert listed.tolist() == [1, 2]


def test_batches_misuse():
    with pytest.raises(ValueError, match=r"arrays of \[3, 2\] rows; all must have the same number of rows"):
        Batches(np.ones(3), np.ones(2), batch_size=1)
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        Batches(np.ones(3), batch_size=0)
    with pytest.raises(ValueError, match="leaves no batch of 3 rows"):
        Batches(np.ones(3), batch_size=4, drop_last=True)
    with pytest.raises(TypeError, match="at least one array"):
        Batches(batch_size=1)


def test_one_hot():
    assert one_hot([2, 0], 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert one_hot([[2], [0]], 3, dtype=np.float32).dtype == np.float32
    assert one_hot([], 3).shape == (0, 3)
    with pytest.raises(ValueError, match=r"labels contain 10, but there are 10 classes.*y % 10"):
        one_hot([10], 10)
    for bad in ([-1], [0.5], [3], [np.nan]):
        with pytest.raises(ValueError, match="labels contain"):
            one_hot(bad, 3)
    assert one_hot([[1, 2], [0, 1]], 3).tolist() == [[[0, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 0]]]


def test_standardizer_keeps_the_training_data_s_figures():
    rng = np.random.default_rng(0)
    train, test = rng.normal(3, 2, (100, 2)), rng.normal(0, 1, (5, 2))
    train[:, 1] = 7
    scale = Standardizer().fit(train)
    np.testing.assert_allclose(scale(train)[:, 0].mean(), 0, atol=1e-12)
    np.testing.assert_allclose(scale(train)[:, 0].std(), 1)
    np.testing.assert_array_equal(scale(train)[:, 1], 0)  # a constant column is divided by 1
    np.testing.assert_allclose(scale(test), (test - train.mean(0)) / np.array([train[:, 0].std(), 1]))
    assert isinstance(scale(Tensor(test, requires_grad=True)), Tensor)
    assert Standardizer().fit(np.array([[0, 255]], np.uint8))(np.array([[1, 1]], np.uint8)).dtype == np.float32
    with pytest.raises(RuntimeError, match="fit it on the training data first"):
        Standardizer()(test)
    with pytest.raises(ValueError, match="fitted on 2 features"):
        scale(np.ones((1, 3)))
    for bad in (np.ones(3), np.ones((0, 3))):
        with pytest.raises(ValueError, match="expected rows of samples"):
            Standardizer().fit(bad)


def test_a_standardizer_sums_exactly_in_float32():
    x = (1e4 + np.random.default_rng(0).normal(size=(60000, 2))).astype(np.float32)
    s = Standardizer().fit(x)
    assert s.mean.dtype == np.float32
    np.testing.assert_allclose(s.mean, x.astype(float).mean(0), rtol=1e-7)
    np.testing.assert_allclose(s.deviation, x.astype(float).std(0), rtol=1e-6)
    assert Standardizer().fit(np.full((1000, 1), 0.1, np.float32)).deviation == 1


def test_columns_of_any_size_are_standardised():
    """Squares of 1e200 overflow, those of 1e-300 vanish."""
    X = np.array([[1e200, 1e-300, 0.0, 5.0, 1e-310], [3e200, 3e-300, 0.0, 5.0, 3e-310]])
    normal = Standardizer().fit(X)
    np.testing.assert_allclose(normal.mean, [2e200, 2e-300, 0, 5, 2e-310], rtol=1e-12)
    np.testing.assert_allclose(normal.deviation, [1e200, 1e-300, 1, 1, 1e-310], rtol=1e-12)
    np.testing.assert_allclose(normal(X)[:, :4], [[-1, -1, 0, 0], [1, 1, 0, 0]], atol=1e-12)
    ordinary = np.random.default_rng(0).normal(size=(50, 3))
    assert np.array_equal(Standardizer().fit(ordinary).deviation, ordinary.std(axis=0))  # to the last bit


def test_batches_of_a_size_that_is_no_number():
    for size in (2.5, "2", None):
        with pytest.raises(TypeError, match=r"Batches: batch_size must be a whole number, not"):
            Batches(np.ones(3), batch_size=size)
