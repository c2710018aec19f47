"""Uncompressed .npz files: written in blocks, memory-mapped, and refused if damaged."""

import tracemalloc

import numpy as np
import pytest

from posenet.io import stored_arrays
from posenet.io.stored_arrays import DAMAGED, BlockArray, checksum, map_array, save_arrays


@pytest.fixture(params=["loaded", "mapped"])
def kind(request, monkeypatch):
    """Arrays of all sizes are loaded, or mapped."""
    if request.param == "mapped":
        monkeypatch.setattr(stored_arrays, "LOADED_BYTES", -1)
    return request.param


def save(path, **arrays):
    with open(path, "wb") as file:
        save_arrays(file, arrays)
    return path


def test_the_file_is_that_of_numpy(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"stamp": np.array("a stamp"), "rows": np.arange(5), "values": rng.random((70, 3))}
    blocks = BlockArray((70, 3), np.float64, [arrays["values"][:50], arrays["values"][50:]])
    with open(tmp_path / "numpy.npz", "wb") as file:
        np.savez(file, **arrays)
    ours = save(tmp_path / "ours.npz", **(arrays | {"values": blocks}))
    assert ours.read_bytes() == (tmp_path / "numpy.npz").read_bytes()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.int64])
@pytest.mark.parametrize("shape", [(7, 3), (1, 1), (5,)])
def test_an_array_is_the_one_that_was_saved(tmp_path, kind, dtype, shape):
    values = np.random.default_rng(0).integers(-99, 99, shape).astype(dtype)
    np.savez(tmp_path / "file.npz", first=np.array("text of odd length"), values=values)
    found = map_array(tmp_path / "file.npz", "values")
    assert found.dtype == dtype
    assert isinstance(found, np.memmap) == (kind == "mapped")
    np.testing.assert_array_equal(found, values)
    fortran = np.asfortranarray(values)
    np.savez(tmp_path / "fortran.npz", values=fortran)
    np.testing.assert_array_equal(map_array(tmp_path / "fortran.npz", "values"), values)


def test_an_empty_array_is_loaded(tmp_path):
    np.savez(tmp_path / "file.npz", values=np.zeros((0, 4), np.float16))
    assert map_array(tmp_path / "file.npz", "values").shape == (0, 4)


def test_a_compressed_array_is_loaded(tmp_path, kind):
    np.savez_compressed(tmp_path / "file.npz", values=np.arange(9))
    np.testing.assert_array_equal(map_array(tmp_path / "file.npz", "values"), np.arange(9))


def test_a_mapped_array_is_not_in_memory(tmp_path):
    values = np.ones((10_000, 1000), np.float16)
    path = save(tmp_path / "file.npz", values=BlockArray(values.shape, np.float16, [values]))
    tracemalloc.start()
    found = map_array(path, "values")
    assert float(found[2000, 3]) == 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6 < values.nbytes


@pytest.mark.parametrize("damage", ["gone", "empty", "half", "flipped", "other name", "objects"])
def test_damages_raise_one_of_the_listed_errors(tmp_path, damage, kind):
    if (kind, damage) == ("mapped", "flipped"):
        pytest.skip("the checksum of large arrays is not compared")
    path = save(tmp_path / "file.npz", values=np.arange(1000.0))
    content = path.read_bytes()
    name = "values"
    if damage == "gone":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "half":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        path.write_bytes(content[:500] + bytes([content[500] ^ 255]) + content[501:])
    elif damage == "objects":
        np.savez(path, values=np.array([{}], object))
    else:
        name = "other"
    with pytest.raises(DAMAGED):
        map_array(path, name)


def test_blocks_must_have_the_rows_of_the_array(tmp_path):
    blocks = BlockArray((5, 2), np.float32, [np.zeros((3, 2)), np.zeros((3, 2))])
    with pytest.raises(ValueError, match="blocks must have 5 rows in all. Received: 6"):
        save(tmp_path / "file.npz", values=blocks)


def test_the_checksum_tells_arrays_apart(tmp_path):
    first, same, other = (
        checksum(save(tmp_path / f"{row}.npz", values=np.arange(stop)), "values")
        for row, stop in enumerate((9, 9, 10))
    )
    assert first == same != other
