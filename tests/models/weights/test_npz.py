"""Our own .npz files read back."""

import zipfile
from functools import partial

import numpy as np

from posenet.models.weights.convert import convert_weights
from posenet.models.weights.load import read_weights
from posenet.models.weights.npz import read_npz
from tests.helpers.errors import refusal

refused = partial(refusal, read_npz)


def test_what_convert_wrote_comes_back(tmp_path):
    kernel = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)
    given = {
        "inception_3a/1x1": {"kernel": kernel, "bias": np.ones(4)},
        "fc": {"kernel": np.eye(3)},
    }
    arrays = {
        f"{layer}/{name}": array for layer, parts in given.items() for name, array in parts.items()
    }
    np.savez(tmp_path / "a.npz", **arrays)
    convert_weights(tmp_path / "a.npz", tmp_path / "b.npz")
    found = read_weights(tmp_path / "b.npz")
    assert {layer: list(parts) for layer, parts in found.items()} == {
        k: list(v) for k, v in given.items()
    }
    np.testing.assert_array_equal(found["inception_3a/1x1"]["kernel"], kernel)


def test_objects_text_and_compressed_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "o.npz", **{"a/kernel": np.array([{"run": 1}], object)})
    assert "must be an .npz file that `posenet weights convert` wrote" in refused(
        tmp_path / "o.npz"
    )
    np.savez(tmp_path / "t.npz", **{"a/kernel": np.array(["text"])})
    assert "a/kernel.npy is no layer's array of numbers" in refused(tmp_path / "t.npz")
    np.savez(tmp_path / "l.npz", kernel=np.ones(3))
    assert "kernel.npy is no layer's array of numbers" in refused(tmp_path / "l.npz")
    np.savez_compressed(tmp_path / "c.npz", **{"a/kernel": np.zeros(10_000_000)})
    assert "its arrays are larger than the file" in refused(tmp_path / "c.npz")


def test_damaged_files_are_refused(tmp_path):
    (tmp_path / "n.npz").write_bytes(b"no zip")
    assert "it cannot be read" in refused(tmp_path / "n.npz")
    with zipfile.ZipFile(tmp_path / "e.npz", "w"):
        pass
    assert "it holds none" in refused(tmp_path / "e.npz")
    promise = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    header = b"\x93NUMPY\x01\x00v\x00" + promise.ljust(117)
    with zipfile.ZipFile(tmp_path / "h.npz", "w") as file:
        file.writestr("a/kernel.npy", header + b"\n" + bytes(80))
    assert "it cannot be read" in refused(tmp_path / "h.npz")
    assert "it cannot be read" in refused(tmp_path / "missing.npz")
    for header in (
        "{[]: 1}",
        "{((",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (10**24,), }",
    ):
        with zipfile.ZipFile(tmp_path / "h.npz", "w") as file:
            file.writestr(
                "a/kernel.npy", b"\x93NUMPY\x01\x00v\x00" + header.encode().ljust(117) + b"\n"
            )
        assert "it cannot be read" in refused(tmp_path / "h.npz"), header
