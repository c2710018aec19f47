"""Arrays in uncompressed .npz files: written in blocks, and memory-mapped instead of loaded.

The files are those of `np.savez`, which reads them too.
"""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, NamedTuple

import numpy as np

# Bytes up to which an array is loaded, which compares its checksum. A file with larger ones must
# not be written to while it is mapped, only replaced.
LOADED_BYTES = 2**24
# Errors of files that are missing, damaged or of another kind. NumPy parses headers as Python.
DAMAGED = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    MemoryError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    SyntaxError,
    tokenize.TokenError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
# Bytes that the arrays of a compressed file may have: these, and this many times its own.
EXPANDED_BYTES = 2**26
EXPANSION = 50
# Bytes of a zip entry before its name, and where the lengths of name and extra field are in them.
ENTRY_BYTES = 30
LENGTHS = slice(26, 30)
ENCRYPTED = 1


class BlockArray(NamedTuple):
    """An array that is written block by block.

    Attributes:
        shape: shape of the whole array.
        dtype: type of its values.
        blocks: consecutive rows of it.
    """

    shape: tuple[int, ...]
    dtype: type[np.generic]
    blocks: Iterable[np.ndarray]


def save_arrays(file: IO[bytes], arrays: dict[str, np.ndarray | BlockArray]) -> None:
    """Write arrays into an uncompressed .npz file, as `np.savez` does.

    Args:
        file: the file, opened for writing.
        arrays: the arrays by name. Those in blocks are never in memory as a whole.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                if isinstance(array, BlockArray):
                    _write_blocks(entry, array)
                else:
                    np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)


@contextmanager
def open_arrays(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """Open an .npz file whose arrays do not take much more memory than the file has bytes.

    Args:
        path: the file.

    Yields:
        The arrays by name, each of which is loaded when it is asked for.

    Raises:
        ValueError: they would. Damages raise one of `DAMAGED`, here or when an array is loaded.
    """
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > EXPANDED_BYTES + EXPANSION * path.stat().st_size:
        raise ValueError(f"the arrays of {path} would take {size / 1e6:.0f} MB")
    with np.load(path, allow_pickle=False) as saved:
        yield saved


def map_array(path: Path, name: str) -> np.ndarray:
    """Memory-map an array of an uncompressed .npz file; load it if it is small or compressed.

    Args:
        path: the file.
        name: name of the array.

    Returns:
        The array, read-only if it is mapped.

    Raises:
        ValueError: the file is damaged. Other damages raise one of `DAMAGED`.
    """
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(f"{name}.npy")
        is_plain = entry.compress_type == zipfile.ZIP_STORED and not entry.flag_bits & ENCRYPTED
    if entry.file_size <= LOADED_BYTES or not is_plain:
        with open_arrays(path) as saved:
            return np.asarray(saved[name])
    with open(path, "rb") as file:
        file.seek(entry.header_offset)
        lengths = np.frombuffer(file.read(ENTRY_BYTES)[LENGTHS], "<u2")
        start = entry.header_offset + ENTRY_BYTES + int(lengths.sum())
        file.seek(start)
        shape, fortran_order, dtype = _read_header(file)
        offset = file.tell()
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if dtype.hasobject or offset + size != start + entry.file_size:
        raise ValueError(f"{path} does not contain the array {name} as a whole")
    order: Literal["F", "C"] = "F" if fortran_order else "C"
    return np.memmap(path, dtype, mode="r", offset=offset, shape=shape, order=order)


def checksum(path: Path, name: str) -> int:
    """Return the checksum of an array in an .npz file, without reading the array.

    Args:
        path: the file.
        name: name of the array.

    Returns:
        The CRC-32 that the file states.
    """
    with zipfile.ZipFile(path) as archive:
        return archive.getinfo(f"{name}.npy").CRC


def _write_blocks(entry: IO[bytes], array: BlockArray) -> None:
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(array.dtype)),
        "fortran_order": False,
        "shape": array.shape,
    }
    np.lib.format.write_array_header_1_0(entry, header)
    rows = 0
    for block in array.blocks:
        entry.write(np.ascontiguousarray(block, array.dtype).tobytes())
        rows += len(block)
    if rows != array.shape[0]:
        raise ValueError(f"blocks must have {array.shape[0]} rows in all. Received: {rows}")


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)
