"""The example scripts, run as a user runs them."""

from __future__ import annotations

import contextlib
import io
import json
import re
import runpy
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow
SCRIPTS = Path(__file__).resolve().parents[2] / "examples"
for needed in ("mlxtend", "matplotlib", "tqdm", "scipy"):
    pytest.importorskip(needed, reason="the examples need the extra examples")


def run(script, *arguments, cwd, code=0):
    done = subprocess.run(
        [sys.executable, "-W", "error", SCRIPTS / script, *map(str, arguments)], cwd=cwd, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    return done.stdout + (done.stderr if code else "")


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """What a script says, as `run` gives it, but in this process, which has imported and read it all before."""
    monkeypatch.chdir(tmp_path)

    def run(script, *arguments, code=0):
        said = io.StringIO()
        with monkeypatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("error")
            patch.setattr(sys, "argv", [script, *map(str, arguments)])
            patch.setattr(sys, "path", [str(SCRIPTS), *sys.path])
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                try:
                    runpy.run_path(str(SCRIPTS / script), run_name="__main__")
                    stopped = 0
                except SystemExit as end:
                    stopped = end.code or 0
        if isinstance(stopped, str):  # a message, which Python prints
            stopped, said = 1, io.StringIO(said.getvalue() + stopped)
        assert stopped == code, said.getvalue()
        return said.getvalue()

    return run


def test_ex4_digits(tmp_path, data_folder):
    out = run(
        "ex4_digits.py", "--iterations", 30, "--holdout", 0.2, "--weights", data_folder / "ex4weights.mat", cwd=tmp_path
    )
    assert "J = 0.287629165161  (λ = 0)" in out and "J = 0.383769859091  (λ = 1)" in out and "accuracy 97.52%" in out
    differences = [float(d) for d in re.findall(r"relative difference (\S+)", out)]
    assert len(differences) == 2 and max(differences) < 1e-9
    assert "Learning from 4000 digits" in out and "on 1000 held-out digits" in out
    written = {p.name for p in (tmp_path / "ex4_output").iterdir()}
    assert written == {
        "digits.png", "cost.png", "hidden_units.png", "predictions.png", "confusion.png", "graph.svg", "draw.html",
    }  # fmt: skip
    assert "94.58 %" not in out and "precision    recall  f1-score" in out
    assert "0.weight" in (tmp_path / "ex4_output" / "graph.svg").read_text()


@pytest.mark.parametrize(
    ("method", "iterations", "least"),
    [("gd", 60, 80), ("sgd", 4, 90), ("cg", 12, 75), ("tnc", 30, 65), ("lbfgs", 30, 85)],
)
def test_ex4_digits_by_every_method(method, iterations, least, tmp_path, quick):
    out = quick("ex4_digits.py", "--method", method, "--iterations", iterations, "--no-plots")
    assert float(re.search(r"training accuracy ([\d.]+)%", out)[1]) > least and "article" not in out
    assert not list(tmp_path.iterdir())


def test_figures_of_others_are_told_of_runs_like_theirs_only(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    import ex4_digits
    import learn_image

    def usual(script, *arguments):
        monkeypatch.setattr(sys, "argv", ["script", *arguments])
        return script.parse_arguments().usual

    for arguments in ((), ("--no-plots", "--out", "a"), ("--method", "cg"), ("--iterations", "800")):
        assert usual(ex4_digits, *arguments)
    for arguments in (
        ("--alpha", "0.7"),
        ("--holdout", "0.1"),
        ("--method", "cg", "--iterations", "51"),
        ("--seed", "1"),
    ):
        assert not usual(ex4_digits, *arguments)
    assert usual(learn_image, "--data", "may_the_fourth.npz")
    for arguments in (
        (),
        ("--data", "cat.png"),
        ("--data", "a.npz", "--method", "lbfgs"),
        ("--data", "a.npz", "--seed", "2"),
    ):
        assert not usual(learn_image, *arguments)


def test_ex4_digits_in_mini_batches_is_repeatable(tmp_path, quick):
    arguments = ("--method", "sgd", "--iterations", 2, "--batch-size", 50, "--alpha", 0.5, "--seed", 3, "--no-plots")
    assert quick("ex4_digits.py", *arguments) == quick("ex4_digits.py", *arguments) and not list(tmp_path.iterdir())


def test_ex4_digits_learns_from_drawings(tmp_path, quick):
    drawn = {
        "kind": "drawings of tinygrad_edu, 1",
        "side": 20,
        "classes": 10,
        "images": [[0] * 400] * 2,
        "labels": [7, 1],
    }
    (tmp_path / "drawings.json").write_text(json.dumps(drawn))
    arguments = ("--iterations", 2, "--no-plots", "--holdout", 0.2, "--more")
    out = quick("ex4_digits.py", *arguments, "drawings.json")
    assert "Learning from 4002 digits (2 of them drawn): 2 steps" in out and "on 1000 held-out digits" in out
    assert re.search(r"of 2 drawn digits [012] are read right now", out)
    (tmp_path / "drawings.json").write_text(json.dumps(drawn | {"side": 28}))
    assert "error: drawings.json: these drawings were made for another network, with images of 28" in quick(
        "ex4_digits.py", *arguments, "drawings.json", code=1
    )
    assert "error: nowhere.json: there is no such file" in quick("ex4_digits.py", *arguments, "nowhere.json", code=1)


def test_ctrl_c_keeps_what_was_learned(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-u", SCRIPTS / "ex4_digits.py", "--iterations", "100000000", "--no-plots"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if line.startswith("Learning"):
            break
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert re.search(r"Stopped after \d+ steps", out) and "training accuracy" in out


def test_help_and_bad_arguments(tmp_path, quick):
    text = quick("ex4_digits.py", "--help")
    for option in (
        "--data",
        "--weights",
        "--more",
        "--iterations",
        "--alpha",
        "--lam",
        "--seed",
        "--method",
        "--batch-size",
        "--holdout",
        "--out",
    ):
        assert option in text
    assert "error: nowhere.mat: there is no such file" in quick("ex4_digits.py", "--data", "nowhere.mat", code=1)
    assert "leaves nothing to learn from" in quick("ex4_digits.py", "--holdout", 0.9999, code=1)
    (tmp_path / "file").touch()
    assert "error: " in quick("ex4_digits.py", "--out", "file", code=1)
    for bad in (
        ("--seed", -1),
        ("--alpha", "inf"),
        ("--holdout", 1.5),
        ("--iterations", 0),
        ("--alpha", -1),
        ("--batch-size", 0),
    ):
        assert f"error: argument {bad[0]}: must be " in quick("ex4_digits.py", *bad, code=2)


def pictures(folder):
    return {path.name for path in folder.iterdir() if path.stat().st_size > 1000}


def test_mnist_zero_one(tmp_path, quick):
    out = quick("mnist_zero_one.py", "--iterations", 60)
    costs = [float(c) for c in re.findall(r"cost in iteration +\d+: (\S+)", out)]
    assert len(costs) == 2 and costs[0] > costs[1] and "800 images to learn from, 200 to test with" in out
    failing = int(re.search(r"(\d+) of 200 test images fail", out)[1])
    assert len(re.findall(r"image \d+: a \d, taken for a \d", out)) == failing < 20
    assert pictures(tmp_path / "zero_one_output") == {"failures.png", "cost.png", "hidden_units.png"}
    assert "error: nowhere: there is no such file or folder" in quick("mnist_zero_one.py", "--data", "nowhere", code=1)


def test_mnist_digits(tmp_path, quick):
    arguments = ("--checkpoint", "run.npz", "--seed", 2)
    quick("mnist_digits.py", "--epochs", 1, *arguments)
    out = quick("mnist_digits.py", "--epochs", 3, *arguments)
    assert "epoch   1" not in out and "epoch   2" in out and "epoch   3" in out
    assert float(re.search(r"test accuracy ([\d.]+)% after 3 epochs", out)[1]) > 88
    assert pictures(tmp_path / "mnist_output") == {"failures.png", "confusion.png", "hidden_units.png", "curves.png"}
    (tmp_path / "run.npz").write_bytes(b"junk")
    assert "damaged" in quick("mnist_digits.py", *arguments, code=1)


def test_linear_regression(tmp_path, quick):
    out = quick("linear_regression.py")
    assert "cost before update    0: 24.6439632689" in out and "f(12) = 25.00000019   (the course: 25.000" in out
    assert pictures(tmp_path / "linear_output") == {"cost.png"}
    assert "the loss became" in quick("linear_regression.py", "--alpha", 1e9, code=1)
    assert "course" not in quick("linear_regression.py", "--seed", 2)


def test_titanic(tmp_path, data_folder, quick):
    out = quick("titanic.py", "--data", data_folder / "titanic.csv", "--iterations", 2001)
    assert "cost before update 2000: 0.482406249793" in out and "course" not in out
    assert pictures(tmp_path / "titanic_output") == {"weights.png", "cost.png", "confusion.png"}


def test_titanic_makes_the_courses_features(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    import titanic

    columns = {
        "sex": ["male", "female", "female"],
        "age": [22, np.nan, 26],
        "fare": [7.25, 71.2833, 7.925],
        "pclass": [3, 1, 3],
        "sibsp": [1, 1, 0],
        "parch": [0, 0, 0],
        "name": ["Braund, Mr. Owen Harris", "Cumings, Mrs. John Bradley", "Heikkinen, Miss. Laina"],
        "embarked": ["S", "C", None],
    }
    X = titanic.features({name: np.array(values, dtype=object) for name, values in columns.items()})
    np.testing.assert_allclose(X[0], [1, 0.275, 0.014151057562208049, 0, 0, 1, 0.1, 1, 0, 0, 0, 0, 0, 1])
    np.testing.assert_allclose(X[1], [0, 24 / 80, 0.13913573538264068, 1, 0, 0, 0.1, 1, 0, 0, 0, 1, 0, 0])
    np.testing.assert_allclose(X[2], [0, 0.325, 0.015468569817999833, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1])


def test_rose(tmp_path, quick):
    out = quick("rose.py", "--iterations", 1001)
    assert (
        "43.02% are of class 1" in out and "1000: 0.0187251104" in out and "0: 0.692773" in out and "course" not in out
    )
    assert pictures(tmp_path / "rose_output") == {"regions.png", "cost.png"}


@pytest.mark.parametrize(
    "arguments",
    [(), ("--color", "--method", "lbfgs"), ("--data", "own.png", "--size", 12)],
    ids=["drawn", "color", "own"],
)
def test_learn_image(arguments, tmp_path, quick):
    Image = pytest.importorskip("PIL.Image")
    Image.new("L", (30, 20), 200).save(tmp_path / "own.png")
    out = quick("learn_image.py", "--iterations", 120, *arguments)
    assert "1973 parameters" in out or "2037 parameters" in out
    written = pictures(tmp_path / "image_output")
    assert written - {"original.png"} == {"enhanced.png", "cost.png", "learning.gif"}
    with Image.open(tmp_path / "image_output" / "learning.gif") as film:
        assert film.n_frames >= (1 if "own.png" in arguments else 10)


def test_learn_image_with_the_articles_data(tmp_path, data_folder, quick):
    out = quick("learn_image.py", "--data", data_folder / "may_the_fourth.npz", "--iterations", 3)
    assert "9400 points of a picture of 100×94 pixels, 1973 parameters" in out and "the article" not in out
    np.savez(tmp_path / "other.npz", X=np.ones((2, 5)), Y=np.ones((1, 5)))
    assert "error: other.npz: expected" in quick("learn_image.py", "--data", "other.npz", code=1)


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.glob("[!_]*.py")))
def test_every_script_says_what_it_does(script, tmp_path, quick):
    if script == "parameter_scan.py":
        pytest.importorskip("optuna", reason="the scan needs the extra scan")
    text = quick(script, "--help")
    assert "--seed" in text and "--out" in text and not list(tmp_path.iterdir())
    assert "error: " in quick(script, "--seed", -1, code=2)


def test_mnist_convolution(tmp_path, quick):
    out = quick("mnist_convolution.py", "--epochs", 1)
    assert float(re.search(r"test accuracy ([\d.]+)% after 1 epochs, [\d.]+ s each", out)[1]) > 85
    assert "Conv2d(8 → 16, kernel_size=(5, 5))" in out
    written = {"kernels.png", "feature_maps.png", "hardest.png", "confusion.png", "curves.png"}
    assert pictures(tmp_path / "mnist_convolution_output") == written | {"draw.html"}


def test_vae(tmp_path, quick):
    out = quick("vae.py", "--epochs", 4)
    assert float(re.search(r"loss of 1000 test images: ([\d.]+)", out)[1]) < 190  # 206 without a look at the image
    written = {"digits_from_noise.png", "plane.png", "again.png", "where_they_lie.png"}
    assert pictures(tmp_path / "vae_output") == written


def test_names(tmp_path, quick):
    (tmp_path / "text").write_text("\n".join(["anna", "hannah", "nina"] * 20), encoding="utf-8")
    out = quick("names.py", "--epochs", 15, "--data", "text")
    losses = dict(re.findall(r"(\w+): ([\d.]+) nats a letter of 6 held-out names", out))
    assert losses.keys() == {"perceptron", "transformer"} and all(float(loss) < 1 for loss in losses.values())
    assert pictures(tmp_path / "names_output") == {"perceptron.png", "transformer.png"}
    assert "error: " in quick("names.py", "--data", "nowhere", code=1)
