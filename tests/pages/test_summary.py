"""What a page says of an array."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_edu.pages.arrays import BINS, IN_FULL, SIDE, number, summary

ARRAYS = hnp.arrays(
    st.sampled_from([np.float16, np.float32, np.float64, np.int64, np.bool_, np.complex128]),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=7),
)


@given(ARRAYS)
@example(np.array([-1.79765e308, np.finfo(float).max]))
def test_any_array_has_a_summary_that_json_holds(array):
    before = array.copy()
    shown = json.loads(json.dumps(summary(array), allow_nan=False))
    assert np.array_equal(array, before, equal_nan=array.dtype.kind in "fc")
    values = np.abs(array) if array.dtype.kind == "c" else array
    finite = values[np.isfinite(values)].astype(float)
    assert (shown["size"], shown["size"] - shown["nan"] - shown["infinite"]) == (array.size, finite.size)
    assert ("values" in shown) == (array.size <= IN_FULL)
    if finite.size:
        assert (shown["min"], shown["max"]) == (number(finite.min()), number(finite.max()))
        assert shown["zeros"] == number(np.mean(finite == 0))
        if array.size > 1:
            assert sum(shown["histogram"]) == finite.size and len(shown["histogram"]) == BINS
            assert len(base64.b64decode(shown["pixels"])) == shown["rows"] * shown["columns"] <= SIDE**2


@given(hnp.arrays(np.float64, st.integers(1, 50), elements=st.integers(-(10**6), 10**6).map(lambda n: n / 1000)))
def test_statistics_are_numpys(array):
    shown = summary(array)
    size = np.abs(array).max()
    for name, value in (("mean", array.mean()), ("std", array.std()), ("norm", np.linalg.norm(array))):
        assert shown[name] == pytest.approx(value, rel=1e-4, abs=1e-12 * size)


def test_statistics_do_not_overflow():
    shown = summary(np.array([1.5e308, -1.5e308, 1.5e308]))
    assert shown["mean"] == pytest.approx(5e307) and shown["std"] == pytest.approx(1.4142e308)
    assert shown["norm"] == "∞" and sum(shown["histogram"]) == 3


def test_the_image_holds_the_means_of_blocks():
    matrix = np.random.default_rng(0).normal(size=(70, 90))
    shown = summary(matrix)
    assert (shown["rows"], shown["columns"]) == (SIDE, SIDE)
    pixels = np.frombuffer(base64.b64decode(shown["pixels"]), np.uint8).reshape(SIDE, SIDE)
    rows, columns = (np.arange(SIDE + 1) * n // SIDE for n in matrix.shape)
    for i, j in ((0, 0), (7, 30), (31, 31)):
        mean = matrix[rows[i] : rows[i + 1], columns[j] : columns[j + 1]].mean()
        assert (float(pixels[i, j]) - 127) / 127 * shown["limit"] == pytest.approx(mean, abs=shown["limit"] / 250)


def test_the_image_marks_what_is_not_finite_and_keeps_axes():
    cube = np.zeros((2, 3, 4))
    cube[0, 1, 2], cube[1, 2, 3], cube[0, 0, 0] = np.nan, np.inf, -2.0
    shown = summary(cube)
    pixels = np.frombuffer(base64.b64decode(shown["pixels"]), np.uint8).reshape(6, 4)
    assert pixels[1, 2] == pixels[5, 3] == 255 and pixels[0, 0] == 0 and np.sum(pixels == 127) == 21
    assert (shown["nan"], shown["infinite"], shown["limit"]) == (1, 1, 2.0)


def test_numbers():
    assert [number(v) for v in (1.23456789, np.float32(0), np.nan, np.inf, -np.inf)] == [1.2346, 0, "NaN", "∞", "−∞"]
    assert type(number(np.float64(2))) is float
