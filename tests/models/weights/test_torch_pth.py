"""PyTorch's state dicts, written by hand in both forms: PyTorch is not needed."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from functools import partial

import numpy as np
import pytest

from posenet.models.weights.convert import convert_weights
from posenet.models.weights.load import read_weights
from posenet.models.weights.torch_pth import read_pth
from tests.helpers.errors import refusal

ARRAYS = {
    "module.conv.weight": np.arange(2 * 3 * 4 * 5, dtype="f4").reshape(2, 3, 4, 5),
    "module.bn.weight": np.array([1, 2], "f4"),
    "module.bn.bias": np.array([3, 4], "f4"),
    "module.bn.running_mean": np.array([5, 6], "f4"),
    "module.bn.running_var": np.array([7, 8], "f4"),
    "module.bn.num_batches_tracked": np.array(9, "i8"),
    "module.depthwise.weight": np.arange(12, dtype="f4").reshape(3, 1, 2, 2),
    "module.fc.weight": np.arange(6, dtype="f4").reshape(2, 3),
    "module.fc.bias": np.array([1, 2], "f4"),
}
KINDS = {"float32": "FloatStorage", "int64": "LongStorage"}


class Global:
    """Pickles as a name, without the module being there."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Rebuild:
    def __init__(self, *arguments):
        self.arguments = arguments

    def __reduce__(self):
        return rebuild, self.arguments


def rebuild(*_):
    """Stands for torch._utils._rebuild_tensor_v2 while pickling."""


class Writer(pickle._Pickler):
    """Writes Global objects and `rebuild` as torch's names, storages as persistent ids."""

    def persistent_id(self, item):
        return item.key if isinstance(item, Storage) else None

    def save(self, item, save_persistent_id=True):
        if isinstance(item, Global):
            self.write(f"c{item.module}\n{item.name}\n".encode())
        elif item is rebuild:
            self.write(b"ctorch._utils\n_rebuild_tensor_v2\n")
        else:
            super().save(item, save_persistent_id)


class Storage:
    def __init__(self, number, array):
        self.array = array
        self.key = (
            "storage",
            Global("torch", KINDS[str(array.dtype)]),
            str(number),
            "cpu",
            array.size,
        )


def pickled(content):
    file = io.BytesIO()
    Writer(file, 2).dump(content)
    return file.getvalue()


def tensors(arrays):
    """The state dict's pickle, and its storages."""
    storages = [Storage(number, array) for number, array in enumerate(arrays.values())]
    entries = OrderedDict()
    for name, storage in zip(arrays, storages, strict=True):
        strides = tuple(step // storage.array.itemsize for step in storage.array.strides)
        entries[name] = Rebuild(storage, 0, storage.array.shape, strides, False, OrderedDict())
    entries._metadata = OrderedDict({"": {"version": 1}})  # as torch's state dicts have it
    return entries, storages


def write_zip(path, content, storages, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("archive/data.pkl", pickled(content))
        file.writestr("archive/byteorder", "little")
        for number, storage in enumerate(storages):
            file.writestr(f"archive/data/{number}", storage.array.tobytes())
    return path


def write_legacy(path, content, storages):
    parts = [
        pickled(0x1950A86A20F9469CFC6C),
        pickled(1001),
        pickled({"little_endian": True}),
        pickled(content),
    ]
    parts.append(pickled([str(number) for number in range(len(storages))]))
    parts += [
        struct.pack("<q", storage.array.size) + storage.array.tobytes() for storage in storages
    ]
    path.write_bytes(b"".join(parts))
    return path


refused = partial(refusal, read_pth)


@pytest.mark.parametrize("write", [write_zip, write_legacy])
@pytest.mark.parametrize("wrapped", [False, True])
def test_both_forms(tmp_path, write, wrapped):
    entries, storages = tensors(ARRAYS)
    found = read_pth(
        write(
            tmp_path / "w.pth",
            {"state_dict": entries, "epoch": 3} if wrapped else entries,
            storages,
        )
    )
    assert list(found) == ["conv", "bn", "depthwise", "fc"]
    np.testing.assert_array_equal(
        found["conv"]["kernel"], ARRAYS["module.conv.weight"].transpose(2, 3, 1, 0)
    )
    np.testing.assert_array_equal(
        found["depthwise"]["kernel"][:, :, 1, 0], ARRAYS["module.depthwise.weight"][1, 0]
    )
    np.testing.assert_array_equal(found["fc"]["kernel"], ARRAYS["module.fc.weight"].T)
    assert {name: array.tolist() for name, array in found["bn"].items()} == {
        "moving_mean": [5, 6],
        "moving_variance": [7, 8],
        "gamma": [1, 2],
        "beta": [3, 4],
    }


def test_views_share_a_storage(tmp_path):
    storage = Storage(0, np.arange(12, dtype="f4"))
    content = {"a.weight": Rebuild(storage, 2, (3, 2), (1, 3), False, OrderedDict())}
    found = read_pth(write_zip(tmp_path / "w.pth", content, [storage]))
    np.testing.assert_array_equal(found["a"]["kernel"], [[2, 3, 4], [5, 6, 7]])


@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_hostile_tensors(tmp_path, write):
    for offset, size, stride, message in (
        (0, (13,), (1,), "reaches beyond its storage"),
        (11, (2,), (1,), "reaches beyond its storage"),
        (0, (10**12,), (0,), "larger than its storage"),
        (-4, (2,), (1,), "impossible shape"),
        (0, (2,), (-1,), "impossible shape"),
        (0, (2, 2), (1,), "impossible shape"),
        (0, (2.0,), (1,), "impossible shape"),
        (0, [2], (1,), "impossible shape"),
    ):
        storage = Storage(0, np.arange(12, dtype="f4"))
        content = {"a.weight": Rebuild(storage, offset, size, stride, False, OrderedDict())}
        message_found = refused(write(tmp_path / "w.pth", content, [storage]))
        assert message in message_found


class Changed:
    """A storage that the pickle alters once it is made."""

    def __init__(self, storage, state):
        self.storage, self.state = storage, state


class ChangingWriter(Writer):
    def save(self, item, save_persistent_id=True):
        if isinstance(item, Changed):
            super().save(item.storage)
            super().save(item.state)
            self.write(pickle.BUILD)
        else:
            super().save(item, save_persistent_id)


def test_a_storage_cannot_be_enlarged(tmp_path, monkeypatch):
    storage = Storage(0, np.zeros(4, "f4"))
    monkeypatch.setitem(globals(), "Writer", ChangingWriter)
    content = {
        "a.weight": Rebuild(
            Changed(storage, {"count": 10**9}), 0, (10**8,), (1,), False, OrderedDict()
        )
    }
    assert "changes a storage" in refused(write_zip(tmp_path / "w.pth", content, [storage]))


def test_a_tensor_cannot_be_altered(tmp_path, monkeypatch):
    storage = Storage(0, np.zeros(4, "f4"))
    monkeypatch.setitem(globals(), "Writer", ChangingWriter)
    content = {
        "a.weight": Changed(
            Rebuild(storage, 0, (4,), (1,), False, OrderedDict()), {"size": (10**8,)}
        )
    }
    assert "changes a tensor" in refused(write_zip(tmp_path / "w.pth", content, [storage]))


def test_storages_of_no_known_kind(tmp_path):
    storage = Storage(0, np.zeros(4, "f4"))
    for key, message in (
        (("storage", "ComplexStorage", "0", "cpu", 4), "it refers to a storage of an unknown kind"),
        (
            ("storage", Global("torch", "FloatStorage"), "0", "cpu", -4),
            "it refers to a storage of an unknown kind",
        ),
        (("module", "nn.py", "0", "cpu", 4), "it refers to something that is no storage"),
    ):
        storage.key = key
        content = {"a.weight": Rebuild(storage, 0, (4,), (1,), False, OrderedDict())}
        assert message in refused(write_zip(tmp_path / "w.pth", content, [storage]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"ctorch._utils\n_rebuild_parameter\nK\x03\x85R.",
            "it holds a parameter without a tensor",
        ),
        (b"ctorch._utils\n_rebuild_tensor_v2\nK\x03\x85R.", "it holds a tensor without a storage"),
        (
            b"ccollections\nOrderedDict\n](K\x01\x85K\x02\x86e\x85R.",
            "it has a dict whose keys are no names",
        ),
    ],
)
def test_calls_with_the_wrong_things(tmp_path, content, message):
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as file:
        file.writestr("archive/data.pkl", b"\x80\x02" + content)
    assert f"is refused: {message}" in refused(tmp_path / "w.pth")


def test_numbers_of_numpy_beside_the_weights_are_passed_over(tmp_path):
    entries, storages = tensors(ARRAYS)
    content = {"state_dict": entries, "abs_err": (np.float64(1.5), np.float32(2)), "last_epoch": 3}
    expected = read_pth(write_zip(tmp_path / "plain.pth", *tensors(ARRAYS)))
    for write in (write_zip, write_legacy):
        found = read_pth(write(tmp_path / "w.pth", content, storages))
        np.testing.assert_array_equal(found["fc"]["kernel"], expected["fc"]["kernel"])
        assert list(found) == list(expected)


def test_dicts_made_of_one_list_again_and_again(tmp_path):
    pairs = b"](" + b"X\x01\0\0\0aK\x01\x86" * 1000 + b"e"
    again = b"h\x00h\x01\x85Ra" * 50
    content = b"\x80\x02]ccollections\nOrderedDict\nq\x000" + pairs + b"q\x010" + again + b"."
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as file:
        file.writestr("archive/data.pkl", content)
    assert "its dicts are together larger than the file" in refused(tmp_path / "w.pth")


def test_numbers_without_a_layer_have_one_of_their_own_name(tmp_path):
    arrays = {"sx": np.array([2], "f4"), "conv.bias": np.array([1, 2], "f4")}
    convert_weights(write_zip(tmp_path / "w.pth", *tensors(arrays)), tmp_path / "w.npz")
    assert {name: list(parts) for name, parts in read_weights(tmp_path / "w.npz").items()} == {
        "sx": ["sx"],
        "conv": ["bias"],
    }


def test_many_tensors_of_one_storage(tmp_path):
    storage = Storage(0, np.zeros(10_000, "f4"))
    content = {
        f"l{n}.weight": Rebuild(storage, 0, (10_000,), (1,), False, OrderedDict())
        for n in range(50)
    }
    assert "much larger than the file" in refused(write_zip(tmp_path / "w.pth", content, [storage]))


@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_numbers_beyond_the_machines(tmp_path, write):
    storage = Storage(0, np.zeros(2, "f4"))
    content = {"a.weight": Rebuild(storage, 0, (0,), (2**70,), False, OrderedDict())}
    assert "must be a .pth file" in refused(write(tmp_path / "w.pth", content, [storage]))


def test_a_legacy_storage_of_more_bytes_than_an_index_can_tell(tmp_path):
    storage = Storage(0, np.zeros(2, "f4"))
    storage.key = (*storage.key[:4], 2**62)
    path = write_legacy(
        tmp_path / "w.pth", {"a.weight": Rebuild(storage, 0, (2,), (1,), False)}, [storage]
    )
    content = path.read_bytes()
    path.write_bytes(content[:-16] + struct.pack("<Q", 2**62) + content[-8:])
    assert "must be a .pth file" in refused(path)


def test_damaged_compression(tmp_path):
    entries, storages = tensors(ARRAYS)
    path = write_zip(tmp_path / "w.pth", entries, storages, zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    content[60:80] = b"\xff" * 20
    path.write_bytes(content)
    assert "must be a .pth file" in refused(path)


def test_storages_that_lie(tmp_path):
    entries, storages = tensors({"a.weight": np.ones(4, "f4")})
    storages[0].key = (*storages[0].key[:4], 10**12)
    assert "its storage 0 is not of the size it says" in refused(
        write_zip(tmp_path / "w.pth", entries, storages)
    )
    message = refused(write_legacy(tmp_path / "l.pth", entries, storages))
    assert "its storages are not those that its tensors name" in message
    entries, storages = tensors({"a.weight": np.zeros(100000, "f4")})
    assert "not of the size" in refused(
        write_zip(tmp_path / "c.pth", entries, storages, zipfile.ZIP_DEFLATED)
    )


def test_code_is_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evil = b"cos\nsystem\n(S'touch ran'\ntR."
    with zipfile.ZipFile(tmp_path / "z.pth", "w") as file:
        file.writestr("archive/data.pkl", evil)
    (tmp_path / "l.pth").write_bytes(pickled(0x1950A86A20F9469CFC6C) + evil)
    for name in ("z.pth", "l.pth"):
        assert "is refused: it names os.system" in refused(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_other_files(tmp_path):
    (tmp_path / "w.pth").write_bytes(pickled(3))
    assert "neither the zip's nor the old form's mark is there" in refused(tmp_path / "w.pth")
    with zipfile.ZipFile(tmp_path / "z.pth", "w") as file:
        file.writestr("readme.txt", "x")
    assert "its zip holds no data.pkl" in refused(tmp_path / "z.pth")
    assert "must be a state dict of tensors" in refused(write_zip(tmp_path / "s.pth", {"a": 1}, []))
    assert "the file cannot be read" in refused(tmp_path / "none.pth")
    whole = write_legacy(tmp_path / "t.pth", *tensors(ARRAYS)).read_bytes()
    for length in range(0, len(whole), 37):
        (tmp_path / "t.pth").write_bytes(whole[:length])
        assert "t.pth" in refused(tmp_path / "t.pth")
