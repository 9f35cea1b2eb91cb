"""Saving and loading: what comes back, what is refused, and that a file is whole or not there."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.storage import save_arrays

ENDINGS = [".npz", ".safetensors"]


@pytest.fixture(params=ENDINGS)
def ending(request):
    if request.param == ".safetensors":
        pytest.importorskip("safetensors", reason="needs the extra examples")
    return request.param


def network(seed=0, hidden=4, dtype=np.float64):
    return tg.Sequential(tg.Dense(3, hidden, rng=seed, dtype=dtype), tg.Tanh(), tg.Dense(hidden, 2, rng=seed + 1))


def test_comes_back_to_the_bit(tmp_path, ending):
    net, other = network(), network(7)
    tg.save(net, tmp_path / f"net{ending}")
    tg.load(other, tmp_path / f"net{ending}")
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        assert p.data.tobytes() == q.data.tobytes() and q.data.flags.writeable
    assert os.listdir(tmp_path) == [f"net{ending}"]
    low = network(3, dtype=np.float32)
    tg.load(low, str(tmp_path / f"net{ending}"))
    assert low[0].weight.dtype == np.float32


def test_numpys_own_files_are_read(tmp_path):
    net = network()
    state = {k: np.asfortranarray(v).astype(">f8") for k, v in net.state_dict().items()}
    np.savez_compressed(tmp_path / "net.npz", **state)
    other = network(5)
    tg.load(other, tmp_path / "net.npz")
    assert np.array_equal(other[0].weight.data, net[0].weight.data) and other[0].weight.data.dtype.isnative


def refused(path, *said, net=None):
    net = network(1) if net is None else net
    before = {name: p.data.tobytes() for name, p in net.named_parameters()}
    with pytest.raises(ValueError) as raised:
        tg.load(net, path)
    assert all(part in str(raised.value) for part in (path.name, *said)), raised.value
    assert {name: p.data.tobytes() for name, p in net.named_parameters()} == before


def test_other_models(tmp_path, ending):
    path = tmp_path / f"net{ending}"
    tg.save(network(hidden=5), path)
    refused(path, "0.weight is (3, 5), the model wants (3, 4)" if ending == ".npz" else "the model wants")
    tg.save(tg.Sequential(tg.Dense(3, 4)), path)
    refused(path, "missing: 2.bias, 2.weight")
    tg.save(tg.Sequential(*network(), tg.Dense(2, 2)), path)
    refused(path, "is not in the model")


def test_every_truncation(tmp_path, ending):
    whole = tmp_path / f"whole{ending}"
    tg.save(network(), whole)
    content = whole.read_bytes()
    path = tmp_path / f"net{ending}"
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        refused(path)


def test_flipped_bits_are_refused_or_harmless(tmp_path):
    whole = tmp_path / "whole.npz"
    net = network()
    tg.save(net, whole)
    content = bytearray(whole.read_bytes())
    state = {name: p.data.tobytes() for name, p in net.named_parameters()}
    path = tmp_path / "net.npz"
    rng = np.random.default_rng(0)
    for place in rng.choice(len(content), 400, replace=False):
        content[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        other = network(9)
        untouched = {name: p.data.tobytes() for name, p in other.named_parameters()}
        try:
            tg.load(other, path)
        except ValueError as error:
            assert "net.npz" in str(error)
            assert {name: p.data.tobytes() for name, p in other.named_parameters()} == untouched
        else:  # a bit that says nothing, such as one of a time
            assert {name: p.data.tobytes() for name, p in other.named_parameters()} == state
        content = bytearray(whole.read_bytes())


class Trap:
    def __reduce__(self):
        return os._exit, (13,)


def test_pickles_in_disguise(tmp_path):
    for name, content in [("a.npz", pickle.dumps(Trap())), ("b.safetensors", pickle.dumps(Trap()))]:
        (tmp_path / name).write_bytes(content)
        if name.endswith("z") or pytest.importorskip("safetensors"):
            refused(tmp_path / name, "damaged")
    objects = np.empty((3, 4), dtype=object)
    objects[:] = Trap()
    np.savez(tmp_path / "c.npz", **{"0.weight": objects})
    refused(tmp_path / "c.npz", "never pickled objects")
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("0.weight.npy", pickle.dumps(Trap()))
    refused(tmp_path / "d.npz")


def header(shape):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def test_absurd_files_take_no_memory(tmp_path):
    path = tmp_path / "net.npz"

    def write(name, content):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)

    write("0.weight.npy", header((2**40, 2**10)))
    refused(path, "the model wants (3, 4)")
    write("0.weight.npy", header((3, 4)) + b"\0" * 50_000_000)  # a bomb: 50 kB that become 50 MB
    refused(path, "should hold 12 numbers")
    write("0.weight.npy", header((3, 4)) + b"\0" * 95)
    refused(path, "its numbers are not all there")
    write("0.weight.npy", header((-3, -4)) + b"\0" * 96)
    refused(path, "(-3, -4)")
    write("../../0.weight.npy", header((3, 4)) + b"\0" * 96)
    refused(path, "is not in the model")
    write("0.weight", header((3, 4)) + b"\0" * 96)
    refused(path, "is not an array")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "w") as archive:
        for _ in range(2):
            archive.writestr("0.weight.npy", header((3, 4)) + b"\0" * 96)
    refused(path, "is there twice")


def test_names_and_places(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        tg.load(network(), tmp_path / "nowhere.npz")
    for act in (tg.save, tg.load):
        with pytest.raises(ValueError, match=r"must end in \.npz or \.safetensors"):
            act(network(), tmp_path / "net.pkl")
    with pytest.raises(OSError):
        tg.save(network(), tmp_path / "no" / "folder.npz")
    with pytest.raises(TypeError, match="only arrays of real numbers"):
        save_arrays({"a": np.array(["x"])}, tmp_path / "a.npz")
    assert not list(tmp_path.iterdir())


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.npz"
    tg.save(network(), path)
    content = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        tg.save(network(2), path)
    assert path.read_bytes() == content and os.listdir(tmp_path) == ["net.npz"]


SAVER = """
import sys, itertools, numpy as np, tinygrad_edu as tg
net = tg.Sequential(tg.Dense(600, 600))
for i in itertools.count():
    net[0].weight.data = np.full((600, 600), float(i))
    net[0].bias.data = np.full(600, float(i))
    tg.save(net, sys.argv[1])
    print(i, flush=True)
"""


def test_a_killed_save_leaves_the_old_file(tmp_path, ending):
    path = tmp_path / f"net{ending}"
    rng = np.random.default_rng(0)
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", SAVER, path], stdout=subprocess.PIPE, text=True)
        for _ in range(2):
            process.stdout.readline()
        time.sleep(rng.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        net = tg.Sequential(tg.Dense(600, 600))
        tg.load(net, path)
        assert len(np.unique(np.concatenate([p.data.ravel() for p in net.parameters()]))) == 1


def test_a_link_stays_a_link_and_permissions_stay(tmp_path):
    real, link = tmp_path / "real.npz", tmp_path / "link.npz"
    tg.save(network(), real)
    real.chmod(0o640)
    link.symlink_to(real)
    tg.save(network(3), link)
    assert link.is_symlink() and real.stat().st_mode & 0o777 == 0o640
    other = network()
    tg.load(other, real)
    assert np.array_equal(other[0].weight.data, network(3)[0].weight.data)


def test_frozen_parameters_are_kept(tmp_path, ending):
    net = network()
    net[0].weight.requires_grad = False
    tg.save(net, tmp_path / f"net{ending}")
    other = network(5)
    tg.load(other, tmp_path / f"net{ending}")
    assert np.array_equal(other[0].weight.data, net[0].weight.data)


def test_names_of_every_kind(tmp_path):
    class Odd(tg.Module):
        def __init__(self, value):
            self.file = tg.Tensor(np.full(2, value), requires_grad=True)

    tg.save(Odd(3.0), tmp_path / "odd.npz")
    odd = Odd(1.0)
    tg.load(odd, tmp_path / "odd.npz")
    assert odd.file.data.tolist() == [3, 3]


def test_flipped_bits_in_safetensors(tmp_path):
    pytest.importorskip("safetensors", reason="needs the extra examples")
    whole, path, net = tmp_path / "whole.safetensors", tmp_path / "net.safetensors", network()
    tg.save(net, whole)
    content = bytearray(whole.read_bytes())
    state = {name: p.data.tobytes() for name, p in net.named_parameters()}
    rng = np.random.default_rng(0)
    for place in rng.choice(len(content), 200, replace=False):
        content[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        other = network(9)
        with contextlib.suppress(ValueError):
            tg.load(other, path)
            assert {name: p.data.tobytes() for name, p in other.named_parameters()} == state
        content = bytearray(whole.read_bytes())


@pytest.mark.parametrize("text", [b"(((", b"'''x", b"{'descr': '<f8'", b"\n  x\n y"])
def test_crafted_headers(tmp_path, text):
    with zipfile.ZipFile(tmp_path / "net.npz", "w") as archive:
        archive.writestr("0.weight.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
    refused(tmp_path / "net.npz")
