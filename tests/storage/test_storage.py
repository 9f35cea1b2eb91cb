"""Saving and loading: what comes back, what is refused, and that a file is whole or not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.storage.files import save_arrays


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


def test_names_and_places(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        tg.load(network(), tmp_path / "nowhere.npz")
    for act in (tg.save, tg.load):
        with pytest.raises(ValueError, match=r"must end in \.npz or \.safetensors"):
            act(network(), tmp_path / "net.pkl")
    with pytest.raises(
        FileNotFoundError, match=r"no.folder\.npz cannot be written: there is no folder '.*no'; make it$"
    ):
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


@pytest.mark.parametrize("letter", ["n", "ñ"])
def test_names_as_long_as_they_may_be(tmp_path, ending, letter):
    """The temporary file's name is no longer than names may be, and no error says it."""
    longest = tmp_path / (letter * ((255 - len(ending)) // len(letter.encode())) + ending)
    net, other = network(), network(7)
    tg.save(net, longest)
    tg.load(other, longest)
    assert np.array_equal(other[0].weight.data, net[0].weight.data) and list(tmp_path.iterdir()) == [longest]
    too_long = tmp_path / (letter * 255 + ending)
    with pytest.raises(OSError) as caught:
        tg.save(net, too_long)
    assert caught.value.filename == str(too_long) and ".tmp" not in str(caught.value)


def test_an_error_names_the_path_and_not_the_temporary_file(tmp_path, monkeypatch):
    def refused(source, target):
        raise PermissionError(13, "Permission denied", source, None, target)

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(PermissionError, match="Permission denied") as caught:
        tg.save(network(), tmp_path / "net.npz")
    assert str(caught.value).endswith(f"{str(tmp_path / 'net.npz')!r}") and ".tmp" not in str(caught.value)
    assert "which is as it was before" in caught.value.__notes__[0] and not os.listdir(tmp_path)


SAVER = """
import os, signal, sys, numpy as np, tinygrad_edu as tg, zipfile
path, place, moment = sys.argv[1], sys.argv[2], int(sys.argv[3])
module, function = place.rsplit(".", 1)
module = sys.modules[module]
real = getattr(module, function)

def deadly(*args, **options):
    global moment
    moment -= 1
    if moment < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **options)

net = tg.Dense(600, 600, init="zeros")
setattr(module, function, deadly)
tg.save(net, path)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize(
    ("place", "moment"),
    [("numpy.lib.format.write_array", 0), ("numpy.lib.format.write_array", 1), ("zipfile.crc32", 2), ("os.fsync", 0),
     ("shutil.copymode", 0), ("os.replace", 0), ("os.fsync", 1)],
)  # fmt: skip
def test_a_killed_save_leaves_the_old_file(tmp_path, ending, place, moment):
    if place.startswith(("numpy", "zipfile")) and ending == ".safetensors":
        pytest.skip("written in one piece")
    path = tmp_path / f"net{ending}"
    tg.save(tg.Dense(600, 600, rng=0), path)
    old = path.read_bytes()
    killed = subprocess.run([sys.executable, "-c", SAVER, path, place, str(moment)])
    assert killed.returncode == -signal.SIGKILL
    net = tg.Dense(600, 600, rng=1)
    tg.load(net, path)
    replaced = (place, moment) == ("os.fsync", 1)  # that of the folder
    assert not net.weight.data.any() if replaced else path.read_bytes() == old
    (left,) = [name for name in os.listdir(tmp_path) if name != path.name] or [None]
    assert (left is None) == replaced
    if left is not None:
        assert left.startswith(f".{path.name}.") and left.endswith(".tmp")
        with pytest.raises(ValueError, match="must end in"):
            tg.load(net, tmp_path / left)


FULL = """
import os, resource, sys, tinygrad_edu as tg
path = sys.argv[1]
net = tg.Sequential(tg.Dense(30, 20, rng=7), tg.Dense(20, 1, rng=8))
whole, old = int(sys.argv[2]), open(path, "rb").read()
for limit in range(0, whole, 97):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        tg.save(net, path)
    except OSError as error:
        assert "which is as it was before" in error.__notes__[0], error.__notes__
    else:
        raise AssertionError(f"saved in {limit} bytes")
    assert open(path, "rb").read() == old and os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
resource.setrlimit(resource.RLIMIT_FSIZE, (whole, resource.RLIM_INFINITY))
tg.save(net, path)
"""


def test_a_full_disk_leaves_the_old_file(tmp_path, ending):
    """A limit on the size of files fails the same calls as a disk without room."""
    pytest.importorskip("resource", reason="needs a limit on the size of files")
    path = tmp_path / f"net{ending}"
    tg.save(tg.Sequential(tg.Dense(30, 20, rng=7), tg.Dense(20, 1, rng=8)), path)
    whole = path.stat().st_size
    tg.save(network(), path)
    subprocess.run([sys.executable, "-W", "error", "-c", FULL, path, str(whole)], check=True)
    assert path.stat().st_size == whole


def test_the_layout_in_memory_comes_back(tmp_path):
    """Products of arrays by columns may be rounded otherwise: what goes on from a file must find the same."""
    net = network()
    net[0].weight.data = np.asfortranarray(net[0].weight.data)
    tg.save(net, tmp_path / "net.npz")
    other = network(5)
    tg.load(other, tmp_path / "net.npz")
    for a, b in zip(net.parameters(), other.parameters(), strict=True):
        assert a.data.strides == b.data.strides and a.data.tobytes("A") == b.data.tobytes("A")
    other.load_state_dict(net.state_dict())
    assert other[0].weight.data.strides == net[0].weight.data.strides


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


def test_the_other_order_of_bytes(tmp_path, ending):
    net, other = network(), network(7)
    for p in net.parameters():
        p.data = p.data.astype(">f8")
    tg.save(net, tmp_path / f"net{ending}")
    tg.load(other, tmp_path / f"net{ending}")
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        assert np.array_equal(p.data, q.data)


@pytest.mark.skipif(np.longdouble(0).itemsize <= 8, reason="longdouble is float64 here")
def test_a_precision_that_only_npz_holds(tmp_path, ending):
    net, other = network(dtype=np.longdouble), network(7, dtype=np.longdouble)
    net[0].weight.data = net[0].weight.data / 3
    if ending == ".safetensors":
        with pytest.raises(ValueError, match=r"0.weight is of dtype .*, which .safetensors cannot hold; save as .npz"):
            tg.save(net, tmp_path / "net.safetensors")
        assert not os.listdir(tmp_path)
    else:
        tg.save(net, tmp_path / "net.npz")
        tg.load(other, tmp_path / "net.npz")
        assert np.array_equal(net[0].weight.data, other[0].weight.data)


def test_arguments_in_the_wrong_order(tmp_path):
    for call in (tg.save, tg.load):
        with pytest.raises(TypeError, match=r"\(model, path\): the model comes first, got str"):
            call("net.npz", network())
