"""A command that is killed, or whose disk fails, at any change of a file loses nothing.

Each file is absent, old or new and whole; the same command then works, and leaves no litter.

    POSENET_FAULT_STEP=1 python -m pytest tests/faults/test_faults.py

tries every change of converted scenes, not one in some.
"""

import os
import shutil
import signal

import pytest

from posenet.datasets.convert import WRITERS, convert
from posenet.datasets.saved_scene import load_scene, save_scene
from posenet.io.files import staged_files, write_text
from tests.helpers.faults import DONE, ERRORS, KILL, REFUSED, run_with_fault
from tests.helpers.scenes import make_scene

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="requires fork"),
]
KINDS = (KILL, *ERRORS)
STEP = int(os.environ.get("POSENET_FAULT_STEP", "40"))


def content(folder):
    """Return the content of all files below a folder by their names."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def check_end(code, kind):
    if kind == KILL:
        assert code == -signal.SIGKILL
    else:
        # A failure while litter is removed costs nothing.
        assert code in (REFUSED, DONE)


@pytest.mark.parametrize("form", sorted(WRITERS))
def test_a_converted_scene_is_absent_or_whole(form, tmp_path):
    scene = make_scene(tmp_path / "in")
    out = tmp_path / "out"

    def work():
        convert(scene, out / "scene", form, copy=True)

    code, total = run_with_fault(work, out)
    assert code == DONE
    expected = content(out / "scene")
    for kind in KINDS:
        for at in range(1 + KINDS.index(kind) % STEP, total + 1, STEP):
            shutil.rmtree(out)
            check_end(run_with_fault(work, out, at, kind)[0], kind)
            if not (out / "scene").exists():
                assert run_with_fault(work, out)[0] == DONE
            assert content(out / "scene") == expected
            if kind == KILL and at == total:
                continue  # killed after the last change
            assert [path.name for path in out.iterdir()] == ["scene"], (kind, at)


@pytest.mark.parametrize("kind", KINDS)
def test_a_replaced_file_is_old_or_new(kind, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    old, new = (make_scene(tmp_path / name, seed) for seed, name in enumerate(("a", "b")))
    path = folder / "training_scene.npz"

    def work():
        save_scene(path, new)
        write_text(folder / "config.json", "new")

    total = run_with_fault(work, folder)[1]
    for at in range(1, total + 1):
        save_scene(path, old)
        write_text(folder / "config.json", "old")
        check_end(run_with_fault(work, folder, at, kind)[0], kind)
        assert load_scene(path, folder).digest() in (old.digest(), new.digest())
        assert (folder / "config.json").read_text() in ("old", "new")
        assert run_with_fault(work, folder)[0] == DONE
        assert sorted(content(folder)) == ["config.json", "training_scene.npz"]
        assert load_scene(path, folder).digest() == new.digest()


@pytest.mark.parametrize("kind", [KILL, "ENOSPC"])
def test_a_set_of_files_is_written_again_without_litter(kind, tmp_path):
    folder = tmp_path / "evaluation"
    names = ("summary.json", "errors.csv", "view.html")

    def work():
        folder.mkdir(exist_ok=True)
        with staged_files(folder) as staged:
            for name in names:
                write_text(staged / name, "new")

    total = run_with_fault(work, tmp_path)[1]
    for at in range(1, total + 1):
        for name in names:
            write_text(folder / name, "old")
        check_end(run_with_fault(work, tmp_path, at, kind)[0], kind)
        assert set(content(folder).values()) <= {b"old", b"new"}
        assert run_with_fault(work, tmp_path)[0] == DONE
        assert set(content(folder).values()) == {b"new"}
        assert sorted(path.name for path in folder.iterdir()) == sorted(names)
