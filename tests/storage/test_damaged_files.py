"""Files that are damaged, foreign or made to do damage: a clear error, little memory, and the model left as it was."""

from __future__ import annotations

import io
import itertools
import json
import os
import pickle
import struct
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tinygrad_edu as tg


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


def network(seed=0):
    return tg.Sequential(tg.Dense(3, 4, rng=seed), tg.Tanh(), tg.Dense(4, 2, rng=seed + 1))


def bits(net):
    return {name: p.data.tobytes() for name, p in net.named_parameters()}


def refused(path, *said, net=None):
    """Loading raises `ValueError` that names the file and says all that, takes little memory, and changes nothing."""
    net = network(1) if net is None else net
    before = bits(net)
    started = not tracemalloc.is_tracing()
    if started:
        tracemalloc.start()
    tracemalloc.reset_peak()
    held = tracemalloc.get_traced_memory()[0]
    with pytest.raises(ValueError) as raised:
        tg.load(net, path)
    peak = tracemalloc.get_traced_memory()[1] - held
    if started:
        tracemalloc.stop()
    assert all(part in str(raised.value) for part in (path.name, *said)), raised.value
    assert bits(net) == before
    assert peak < 1_000_000


def small(path):
    """A model, and the content of a file of it."""
    net = tg.Dense(2, 1, rng=3)
    net.bias.data = np.array([0.5])
    tg.save(net, path)
    return net, path.read_bytes()


def test_every_truncation(tmp_path, ending):
    path = tmp_path / f"net{ending}"
    _, content = small(path)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        other = tg.Dense(2, 1, rng=9)
        before = bits(other)
        with pytest.raises(ValueError, match=r"net\.(npz|safetensors): .*(save|copy)"):
            tg.load(other, path)
        assert bits(other) == before


def test_no_flipped_bit_gives_other_numbers(tmp_path, ending):
    """Two of each byte, one at a time: the file is refused, or the bit said nothing (one of a time, say)."""
    path = tmp_path / f"net{ending}"
    net, content = small(path)
    for place in range(len(content)):
        for bit in (place % 8, (place + 3) % 8):
            damaged = bytearray(content)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            other = tg.Dense(2, 1, rng=9)
            before = bits(other)
            try:
                tg.load(other, path)
            except ValueError as error:
                assert path.name in str(error) and bits(other) == before
            else:
                assert bits(other) == bits(net)


@given(content=st.binary(max_size=300), begins=st.booleans())
@example(content=b"", begins=False)
def test_random_bytes(folder, ending, content, begins):
    path = folder / f"net{ending}"
    path.write_bytes((b"PK\x03\x04" if ending == ".npz" else struct.pack("<Q", len(content))) * begins + content)
    refused(path)


@given(data=st.data())
def test_pieces_cut_out_doubled_or_exchanged(folder, ending, data):
    path = folder / f"pieces{ending}"
    net, content = small(path)
    places = sorted(data.draw(st.lists(st.integers(0, len(content)), min_size=2, max_size=4)))
    cuts = [0, *places, len(content)]
    pieces = [content[a:b] for a, b in itertools.pairwise(cuts)]
    chosen = data.draw(st.lists(st.sampled_from(pieces), max_size=6))
    path.write_bytes(b"".join(chosen))
    other = tg.Dense(2, 1, rng=9)
    before = bits(other)
    try:
        tg.load(other, path)
    except ValueError as error:
        assert path.name in str(error) and bits(other) == before
    else:
        assert bits(other) == bits(net)


class Trap:
    def __reduce__(self):
        return os._exit, (13,)


def test_pickles_in_disguise(tmp_path):
    for name in ("a.npz", "b.safetensors"):
        (tmp_path / name).write_bytes(pickle.dumps(Trap()))
        if name.endswith("z") or pytest.importorskip("safetensors"):
            refused(tmp_path / name, "damaged")
    objects = np.empty((3, 4), dtype=object)
    objects[:] = Trap()
    np.savez(tmp_path / "c.npz", **{"0.weight": objects})
    refused(tmp_path / "c.npz", "never pickled objects")
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("0.weight.npy", pickle.dumps(Trap()))
    refused(tmp_path / "d.npz")


def header(shape, descr="<f8"):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def write(path, *members, how=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in members:
            archive.writestr(name, content)


NUMBERS = b"\0" * 96
MUCH = b"\0" * 50_000_000


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("0.weight.npy", header((2**40, 2**10)), "0.weight is (1099511627776, 1024), the model wants (3, 4)"),
        ("0.weight.npy", header((3, 4)) + MUCH, "should take 96 bytes, but the file announces 50000000"),
        ("0.weight.npy", b"\x93NUMPY\x02\x00" + struct.pack("<I", len(MUCH)) + MUCH, "damaged"),
        ("0.weight.npy", header((3, 4)) + NUMBERS[:-1], "the file announces 95"),
        ("0.weight.npy", header((3, 4)) + NUMBERS + b"\0", "the file announces 97"),
        ("0.weight.npy", header((-3, -4)) + NUMBERS, "(-3, -4)"),
        ("0.weight.npy", header((3, 4), "<c16") + 2 * NUMBERS, "complex128: only arrays of real numbers"),
        ("0.weight.npy", header((3, 4), [("a", "<f8", (10**6,))]) + NUMBERS, "only arrays of real numbers"),
        ("0.weight.npy", header((3, 4), "<M8[s]") + NUMBERS, "only arrays of real numbers"),
        ("../../0.weight.npy", header((3, 4)) + NUMBERS, "is not in the model"),
        ("/etc/0.weight.npy", header((3, 4)) + NUMBERS, "is not in the model"),
        ("0.weight", header((3, 4)) + NUMBERS, "is not an array"),
        ("0.weight.npy", b"PK\x05\x06" + b"\0" * 18, "damaged"),
        ("0.weight.npy", b"\x93NUMPY\x09\x00" + NUMBERS, "version (9, 0) of the array format is unknown"),
    ],
)
def test_absurd_members_take_no_memory(tmp_path, name, content, said):
    path = tmp_path / "net.npz"
    write(path, (name, content))
    refused(path, said)
    assert os.listdir(tmp_path) == ["net.npz"]


def test_twice_the_same_name(tmp_path):
    path = tmp_path / "net.npz"
    with pytest.warns(UserWarning, match="Duplicate"):
        write(path, *2 * [("0.weight.npy", header((3, 4)) + NUMBERS)])
    refused(path, "is there twice")


@pytest.mark.parametrize("how", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compressions(tmp_path, how):
    path = tmp_path / "net.npz"
    write(path, ("0.weight.npy", header((3, 4)) + NUMBERS), how=how)
    refused(path, "compressed in a way that NumPy does not use")


def test_sizes_that_are_not_true(tmp_path):
    """The directory announces what the header wants, and behind it is more, or less."""
    path = tmp_path / "net.npz"
    whole = header((3, 4)) + NUMBERS
    for really in (header((3, 4)) + MUCH, header((3, 4)) + NUMBERS[:50]):
        write(path, ("0.weight.npy", really))
        with zipfile.ZipFile(path) as archive:
            said = struct.pack("<I", archive.infolist()[0].file_size)
        content = path.read_bytes().replace(said, struct.pack("<I", len(whole)))
        path.write_bytes(content.replace(struct.pack("<I", zlib.crc32(really)), struct.pack("<I", zlib.crc32(whole))))
        refused(path)


def test_thousands_of_members(tmp_path):
    path = tmp_path / "net.npz"
    write(path, *((f"{k}.npy", header((1,)) + NUMBERS[:8]) for k in range(300)), how=zipfile.ZIP_STORED)
    refused(path, "0 is not in the model")


@pytest.mark.parametrize("text", [b"(((", b"'''x", b"{'descr': '<f8'", b"\n  x\n y", b"[" * 5000, b"{" + b"-" * 9000])
def test_crafted_headers(tmp_path, text):
    path = tmp_path / "net.npz"
    write(path, ("0.weight.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text))
    net = network()
    before = bits(net)
    with pytest.raises(ValueError, match=r"net\.npz: damaged, or not a \.npz file .*save the model again"):
        tg.load(net, path)
    assert bits(net) == before


@pytest.mark.parametrize(
    "head",
    [
        {"0.weight": {"dtype": "F64", "shape": [2**40, 2**40], "data_offsets": [0, 8]}},
        {"0.weight": {"dtype": "F64", "shape": [3, 4], "data_offsets": [0, 2**60]}},
        {"0.weight": {"dtype": "F64", "shape": [3, 4], "data_offsets": [2**60, 96]}},
        {"0.weight": {"dtype": "O", "shape": [3, 4], "data_offsets": [0, 96]}},
        {"../0.weight": {"dtype": "F64", "shape": [3, 4], "data_offsets": [0, 96]}, "__metadata__": {"crc32": "0"}},
        {"__metadata__": {"crc32": "0"}},
        {},
        [],
    ],
)
def test_absurd_safetensors(tmp_path, head):
    pytest.importorskip("safetensors", reason="needs the extra examples")
    path = tmp_path / "net.safetensors"
    text = json.dumps(head).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + NUMBERS)
    refused(path)
    path.write_bytes(struct.pack("<Q", 2**62) + text + NUMBERS)
    refused(path)


def test_safetensors_of_others_do_not_say_how_weights_lie(tmp_path):
    numpys = pytest.importorskip("safetensors.numpy", reason="needs the extra examples")
    path = tmp_path / "square.safetensors"
    net = tg.Dense(3, 3)
    numpys.save_file(net.state_dict(), path)  # might as well be PyTorch's, which lie the other way round
    refused(path, "not written by `save`", "from_torch_state_dict", "load_state_dict", net=net)


def test_numbers_that_numpy_does_not_have(tmp_path):
    pytest.importorskip("safetensors", reason="needs the extra examples")
    head = {"__metadata__": {"crc32": "0"}, "weight": {"dtype": "BF16", "shape": [2, 1], "data_offsets": [0, 4]}}
    text = json.dumps(head).encode()
    (tmp_path / "net.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + NUMBERS[:4])
    refused(tmp_path / "net.safetensors", "weight is of dtype BF16: only arrays", net=tg.Dense(2, 1))


def test_numbers_that_do_not_fit(tmp_path):
    for value, said in [
        (np.float64(1e300), "weight has numbers that are too large for float32"),
        (1j, "only arrays of real numbers"),
    ]:
        np.savez(tmp_path / "net.npz", weight=np.full((2, 1), value), bias=np.zeros(1))
        refused(tmp_path / "net.npz", said, net=tg.Dense(2, 1, dtype=np.float32))


def test_whole_numbers_stay_whole(tmp_path):
    class Counting(tg.Module):
        def __init__(self):
            self.count = tg.Tensor([7])

    net = Counting()
    np.savez(tmp_path / "net.npz", count=np.array([0.5]))
    with pytest.raises(ValueError, match="count has dtype float64, which int64 cannot hold"):
        tg.load(net, tmp_path / "net.npz")
    np.savez(tmp_path / "net.npz", count=np.array([8], np.int32))
    tg.load(net, tmp_path / "net.npz")
    assert net.count.tolist() == [8] and net.count.dtype == np.int64


def test_what_is_no_file(tmp_path, ending):
    path = tmp_path / f"net{ending}"
    path.mkdir()
    for act in (tg.load, tg.save):
        with pytest.raises(ValueError, match="is a folder or a device; name"):
            act(network(), path)
    path.rmdir()
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        tg.load(network(), path)
    path.unlink()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)  # would wait for ever
        for act in (tg.load, tg.save):
            with pytest.raises(ValueError, match="is a folder or a device; name"):
                act(network(), path)


def checkpoint(path, seed=0):
    """A short training, and all that a checkpoint at `path` may change."""
    tg.manual_seed(5)
    net, rng = tg.Sequential(tg.Dense(2, 1, rng=seed), tg.Dropout(0.1)), np.random.default_rng(seed)
    optimizer = tg.Adam(net.parameters(), lr=0.1 + seed)
    stopping = tg.EarlyStopping(monitor="loss")
    X = np.arange(6.0).reshape(3, 2)

    def state():
        return (
            bits(net), repr(optimizer.state_dict()), rng.bit_generator.state, repr(stopping.state_dict()),
            tg.random.generator().bit_generator.state,
        )  # fmt: skip

    def go():
        tg.fit(net, X, X[:, :1], loss=tg.mse_loss, optimizer=optimizer, epochs=1, rng=rng, progress=False,
               checkpoint=path, callbacks=[stopping])  # fmt: skip

    return go, state


def test_damaged_checkpoints_change_nothing(tmp_path):
    path = tmp_path / "run.npz"
    checkpoint(path)[0]()
    content = path.read_bytes()
    go, state = checkpoint(path, seed=3)
    before = state()
    for place in range(0, len(content), 17):
        for damaged in (content[:place], content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]):
            path.write_bytes(damaged)
            try:
                go()
            except ValueError as error:
                assert "run.npz" in str(error) and state() == before
            else:  # a bit that says nothing
                assert len(damaged) == len(content)
                go, state = checkpoint(path, seed=3)


def test_checkpoints_of_other_trainings_change_nothing(tmp_path):
    path = tmp_path / "run.npz"
    checkpoint(path)[0]()
    with np.load(path) as file:
        arrays = dict(file)
    states = json.loads(arrays["random/states"].tobytes())
    half = json.dumps([states[0], {}]).encode()  # the first of them could be taken
    go, state = checkpoint(path, seed=3)
    before = state()
    for change, said in [
        ({"random/states": np.frombuffer(half, np.uint8)}, "no checkpoint of this training"),
        ({"model/0.weight": np.zeros((2, 1), np.float32)}, "0.weight is float32, the model's is float64"),
        ({"model/0.weight": np.zeros((1, 2))}, r"0.weight is \(1, 2\), the model wants \(2, 1\)"),
        ({"random/states": np.frombuffer(b"[{}, {}]", np.uint8)}, "no checkpoint of this training"),
        ({"random/states": np.frombuffer(b"[" * 10**5, np.uint8)}, "no checkpoint of this training"),
        ({"random/states": np.frombuffer(b"[1]", np.uint8)}, "states of 1 random generators, this training uses 2"),
        ({"callback0/best": np.zeros(0)}, "no checkpoint of this training"),
        ({"history/accuracy": np.zeros(1)}, "it measured"),
        ({"history/seconds": np.zeros(2)}, "no checkpoint of this training"),
        ({"optimizer/state.0.mean": np.zeros(9)}, "expected shape"),
        ({"optimizer/state.0.mean": None}, "no checkpoint of this training"),
    ]:
        np.savez(path, **{name: v for name, v in (arrays | change).items() if v is not None})
        with pytest.raises(ValueError, match=f"{said}.*Delete it to start anew"):
            go()
        assert state() == before
    np.savez(path, **{"0.weight": np.zeros((2, 1))})
    with pytest.raises(ValueError, match="it has no history, no model, no optimizer, no random"):
        go()
    np.savez_compressed(path, **arrays, **{"optimizer/state.0.none": np.zeros(10**7)})
    with pytest.raises(ValueError, match="its arrays are larger than the file"):
        go()
    assert state() == before
