"""Pickled weights, and pickles that are not."""

import contextlib
import io
import os
import pickle
import pickletools
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posenet.errors import PoseNetError
from posenet.models.weights.npy import read_npy
from tests.helpers.errors import refusal

WEIGHTS = {
    "conv1": {"weights": np.arange(24.0).reshape(2, 3, 2, 2), "biases": np.ones(2, np.float32)}
}


def refused(path, content):
    path.write_bytes(content)
    return refusal(read_npy, path)


def python2(content):
    """A pickle as Python 2 wrote it: protocol 2, raw strings, numpy.core."""
    return pickle.dumps(content, 2).replace(b"numpy._core", b"numpy.core")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_npy_of_every_protocol(tmp_path, protocol):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
    held = np.array(WEIGHTS, object)
    (tmp_path / "w.npy").write_bytes(file.getvalue() + pickle.dumps(held, protocol))
    if protocol == 5:
        np.save(tmp_path / "w.npy", held, allow_pickle=True)
    found = read_npy(tmp_path / "w.npy")
    np.testing.assert_array_equal(found["conv1"]["kernel"], WEIGHTS["conv1"]["weights"])
    np.testing.assert_array_equal(found["conv1"]["bias"], [1, 1])
    assert found["conv1"]["bias"].dtype == np.float32


def test_bytes_keys_big_endian_and_fortran_order(tmp_path):
    array = np.asfortranarray(np.arange(6, dtype=">f4").reshape(2, 3))
    (tmp_path / "w").write_bytes(python2({b"fc": {b"weights": array}}))
    found = read_npy(tmp_path / "w")["fc"]["kernel"]
    np.testing.assert_array_equal(found, np.arange(6).reshape(2, 3))
    assert found.dtype == np.float32
    assert found.dtype.isnative


def test_flat_pickle_of_googlenet(tmp_path):
    kernel = np.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    (tmp_path / "g.pickle").write_bytes(
        python2({b"conv1/7x7_s2_0": kernel, b"conv1/7x7_s2_1": np.ones(2)})
    )
    found = read_npy(tmp_path / "g.pickle")["conv1/7x7_s2"]
    np.testing.assert_array_equal(found["kernel"], kernel.transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(found["bias"], [1, 1])


def test_rows_of_a_flat_pickles_dense_layer_go_to_keras_order(tmp_path):
    # one output; channel c, row y, column x of the map has weight 100 c + 10 y + x
    rows = np.array(
        [[100 * c + 10 * y + x for c in range(2) for y in range(3) for x in range(4)]], "f4"
    )
    content = {
        b"loss1/conv_0": np.zeros((2, 5, 1, 1), "f4"),
        b"loss1/fc_0": rows,
        b"other/fc_0": rows,
    }
    (tmp_path / "g.pickle").write_bytes(python2(content))
    found = read_npy(tmp_path / "g.pickle")
    expected = [100 * c + 10 * y + x for y in range(3) for x in range(4) for c in range(2)]
    np.testing.assert_array_equal(found["loss1/fc"]["kernel"][:, 0], expected)
    np.testing.assert_array_equal(found["other/fc"]["kernel"], rows.T)


class Evil:
    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return open, (self.marker, "w")


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_code_is_never_run(tmp_path, protocol):
    marker = tmp_path / "ran"
    message = refused(tmp_path / "w.npy", pickle.dumps({"conv1": Evil(marker)}, protocol))
    assert "is refused: it names" in message
    assert "open, only arrays and plain containers are read" in message
    assert not marker.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'touch ran'\ntR.",
        b"(ios\nsystem\nS'touch ran'\n.".replace(b"(ios", b"(S'touch ran'\nios"),
        b"\x80\x02cposix\nsystem\n.",
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93.",
        b"\x80\x04\x8c\x06system\x94\x8c\x05posix\x94h\x01h\x00\x93.",  # names out of the memo
        b"cnumpy\nload\n.",
        b"\x82\x01.",
        b"Pid\n.",
    ],
)
def test_hostile_opcodes(tmp_path, content, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refused(tmp_path / "w.npy", content)
    assert "refused" in message or "must be a pickle of arrays" in message
    assert sorted(os.listdir(tmp_path)) == ["w.npy"]


def array_pickle(shape, data, code="f4"):
    """The pickle of an array that says a shape and holds other bytes."""
    good = python2({"l": {"weights": np.zeros(3, code)}})
    ops = [op.name for op, _, _ in pickletools.genops(good)]
    assert "BUILD" in ops
    state = pickle.dumps((1, shape, None, False, data), 2)[2:-1]
    head = b"\x80\x02}X\x01\x00\x00\x00l}X\x07\x00\x00\x00weightscnumpy.core.multiarray\n_reconstruct\n"
    head += b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    dtype = (
        b"cnumpy\ndtype\nU\x02"
        + code.encode()
        + b"K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    return head + state.replace(b"N", dtype, 1) + b"bss."


def test_array_that_promises_more_than_it_holds(tmp_path):
    message = refused(tmp_path / "w.npy", array_pickle((10**12,), b"\0" * 12))
    assert "promises 4000000000000 bytes and has another number of them" in message
    assert "impossible shape" in refused(tmp_path / "w.npy", array_pickle((-3,), b"\0" * 12))
    (tmp_path / "w.npy").write_bytes(array_pickle((3,), b"\0" * 12))
    np.testing.assert_array_equal(read_npy(tmp_path / "w.npy")["l"]["kernel"], [0, 0, 0])


def test_headers_that_lie(tmp_path):
    head = b"\x93NUMPY\x01\x00"
    for text in (
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}",
        b"{" * 500,
        b"__import__('os')",
    ):
        content = head + struct.pack("<H", len(text)) + text
        assert "w.npy must" in refused(tmp_path / "w.npy", content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x02]..", "1 bytes follow its end"),
        (b"\x80\x02]", "it is no whole pickle"),
        (b"(ios\nsystem\n.", "it uses INST, which could run code"),
        (b"\x80\x04\x8f.", "it uses EMPTY_SET, only lists, tuples and dicts are read"),
        (b"\x80\x02c_codecs\nencode\nK\x01\x85R.", "it encodes what is no text"),
    ],
)
def test_what_is_no_pickle_of_arrays_is_named(tmp_path, content, message):
    assert f"is refused: {message}" in refused(tmp_path / "w.npy", content)


def test_huge_memo_and_truncation(tmp_path):
    assert "its memo is larger than itself" in refused(
        tmp_path / "w.npy", b"\x80\x02]r\xff\xff\xff\xff."
    )
    whole = python2(WEIGHTS)
    for length in range(0, len(whole) - 1, 5):
        assert "w.npy" in refused(tmp_path / "w.npy", whole[:length])


def test_other_contents(tmp_path):
    for content, message in (
        ([1, 2], "must be a dict of layers, each a dict of arrays, received list"),
        ({"a": {"weights": "text"}}, "received str"),
        ({3: {}}, "received a layer whose name is of type int"),
        ({"a": np.zeros(3)}, "received an array called 'a'"),
        ({"a": {"weights": np.array(["x"])}}, "holds an array of type"),
    ):
        assert message in refused(tmp_path / "w.npy", python2(content))


def test_cyclic_nesting_ends(tmp_path):
    cyclic: dict = {}
    cyclic["a"] = cyclic
    assert "received dict" in refused(tmp_path / "w.npy", python2(cyclic))
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    assert "w.npy" in refused(
        tmp_path / "w.npy", b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
    )


KEY_BOMB = b"K\x00K\x00\x86" + b"".join(b"q%ch%c\x86" % (level, level) for level in range(60))
TEXT_BOMB = b"]K\x00a" + b"".join(b"q%c0]h%cah%ca" % (level, level, level) for level in range(60))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"}(" + b")" + b"\x85" * 300_000 + b"K\x01u.",
            "a tuple for a key",
        ),  # hashing it overflows C's stack
        (b"}" + KEY_BOMB + b"K\x01s.", "a tuple for a key"),  # hashing it lasts for ever
        (b"(" + KEY_BOMB + b"K\x01d.", "a tuple for a key"),
        (b"}" + KEY_BOMB + b"q\x500h\x50NbK\x01s.", "a tuple for a key"),
        (b"(" + KEY_BOMB + b"\x91.", "it uses FROZENSET"),
        (
            b"cnumpy\ndtype\n" + TEXT_BOMB + b"\x85R.",
            "received _DType",
        ),  # as text it would fill the memory
        (b"}\x8b\x88\x13\x00\x00" + b"\x7f" * 5000 + b"K\x01s.", "whose name is of type int"),
        (
            b"c_codecs\nencode\nN}X\x0c\x00\x00\x00__defaults__K\x01\x85s\x86b.",
            "it changes what it names",
        ),
    ],
)
def test_small_pickles_that_would_take_all(tmp_path, content, message):
    assert message in refused(tmp_path / "w.npy", b"\x80\x04" + content)


def test_texts_that_are_encoded_again_and_again(tmp_path):
    text = b"X" + (10_000).to_bytes(4, "little") + b"x" * 10_000
    content = (
        b"\x80\x02]c_codecs\nencode\nq\x010" + text + b"q\x000" + b"h\x01h\x00\x85Ra" * 50 + b"."
    )
    assert "together larger than the file" in refused(tmp_path / "w.npy", content)
    kind = b"\x80\x02cnumpy\ndtype\n" + text + b"\x85R."
    assert "it holds an array of an unknown kind" in refused(tmp_path / "w.npy", kind)


def test_arrays_that_share_their_bytes(tmp_path):
    shared = np.zeros(1000, np.float32)
    content = python2({f"layer{number}": {"weights": shared.copy()} for number in range(50)})
    numbers = pickle.dumps("\0" * 4000, 2)[2:-3]  # as protocol 2 has bytes: text, to be encoded
    first = content.index(numbers)
    head, memo, tail = content[: first + len(numbers)], b"q\x00", content[first + len(numbers) :]
    content = head + memo + tail.replace(numbers, b"h\x00")
    assert len(content) < 30_000
    assert "together larger than the file" in refused(tmp_path / "w.npy", content)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_mutations_are_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "mutated.npy"
    content = bytearray(python2(WEIGHTS))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    with contextlib.suppress(PoseNetError):  # any other exception is a bug
        read_npy(path)
