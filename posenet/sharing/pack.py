"""Pack a run: one archive with everything that localization needs, and no paths of the machine."""

from __future__ import annotations

import json
import logging
import os
import zipfile
from dataclasses import replace
from pathlib import Path

from posenet.datasets.splits import TEST_LIST
from posenet.errors import PoseNetError
from posenet.io.files import atomic_path
from posenet.localization.localizer import Localizer
from posenet.mapping.landmarks import LANDMARKS, landmarks_folder
from posenet.run import CONFIG, Run
from posenet.run_config import format_config
from posenet.run_files import CARD, EVALUATION_FILES, FILES_WITH_IMAGES, MAP_FILES, REQUIRED
from posenet.sharing.card import PackOptions, format_card

log = logging.getLogger("posenet")

EVALUATION = "evaluation"
GALLERY_FILES = ("training_scene.npz", "gallery.npz", "blending.json")
# Files whose content is compressed already, or does not become smaller.
STORED_SUFFIXES = (".keras", ".npz", ".png")
# The earliest time that zip archives can contain, so that the same run gives the same archive.
TIME = (1980, 1, 1, 0, 0, 0)
UNIX = 3
READABLE = 0o100644

PackedContent = dict[str, bytes | Path]


def pack_run(run: Run, target: Path, options: PackOptions, *, overwrite: bool = False) -> None:
    """Write a run into a zip archive. The same run gives the same bytes.

    Descriptors, landmark map and calibration are made first if they are missing and can be made.

    Args:
        run: the run.
        target: the .zip file to write.
        options: what the user chose.
        overwrite: replace the file if it exists.

    Raises:
        PoseNetError: the file exists or cannot be written, or the run has no model.
    """
    if target.exists() and not overwrite:
        raise PoseNetError(f"output file already exists: {target} (use --overwrite to replace it)")
    if not target.parent.is_dir():
        raise PoseNetError(f"output folder not found: {target.parent}")
    content = packed_content(run, target.name, options)
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in sorted(content):
            value = content[name]
            entry = zipfile.ZipInfo(name, TIME)
            entry.create_system = UNIX
            entry.external_attr = READABLE << 16
            if not name.endswith(STORED_SUFFIXES):
                entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, value if isinstance(value, bytes) else value.read_bytes())


def packed_content(run: Run, address: str, options: PackOptions) -> PackedContent:
    """Return the files of a packed run, after making those that are missing and can be made.

    Args:
        run: the run.
        address: the name of the archive, or hf://user/name, for the model card.
        options: what the user chose.

    Returns:
        Bytes, or the file that contains them, by the name in the archive.

    Raises:
        PoseNetError: the run has no model.
    """
    content: PackedContent = {}
    folders = {"": run.folder, f"{EVALUATION}/": run.folder / EVALUATION}
    shown = [name for name in EVALUATION_FILES if options.figures or not _is_figure(name)]
    names = {"": [*REQUIRED, "history.csv"], f"{EVALUATION}/": shown}
    for prefix, made in _make_missing(run).items():
        folders.setdefault(prefix, landmarks_folder(run.folder))
        names[prefix] = [*names.get(prefix, ()), *made]
    for prefix, folder in folders.items():
        files = {f"{prefix}{name}": folder / name for name in names[prefix]}
        content |= {name: path for name, path in files.items() if os.path.isfile(path)}
    if os.path.isabs(run.split) and os.path.isfile(run.split):
        content[TEST_LIST] = Path(run.split)
    if with_images := sorted(FILES_WITH_IMAGES & content.keys()):
        log.info("%s show images of the scene (--no-figures)", ", ".join(with_images))
    content[CONFIG] = json.dumps(portable_config(run), indent=2).encode() + b"\n"
    content[CARD] = format_card(run, content, address, options).encode()
    return content


def _make_missing(run: Run) -> dict[str, tuple[str, ...]]:
    """Return the valid files for retrieval and refinement, by their folder in the archive."""
    localizer = Localizer(run)
    try:
        _ = localizer.gallery
    except PoseNetError as error:
        log.warning("packed without retrieval and refinement: %s", error)
        return {}
    _ = localizer.blending
    if not localizer.refines:
        return {"": GALLERY_FILES}
    _ = localizer.uncertainty
    return {"": GALLERY_FILES, f"{LANDMARKS}/": MAP_FILES}


def portable_config(run: Run) -> dict[str, object]:
    """Return the contents of config.json with names in place of paths.

    Args:
        run: the run.

    Returns:
        Values that JSON can store.
    """
    scene = Path(run.scene.name)
    has_list = os.path.isabs(run.split)
    settings = replace(
        run.config,
        scene=scene,
        output=None,
        weights=Path(run.config.weights).name,
        split=TEST_LIST if has_list else run.config.split,
    )
    split = TEST_LIST if has_list else run.split
    added = [
        replace(each, scene=Path(each.name), split=Path(each.split).name) for each in run.added
    ]
    portable = replace(run, config=settings, scene=scene, split=split, added=tuple(added))
    values = format_config(portable)
    for entry in (values, *values["added"]):
        entry.pop("scene_from_run", None)
    return values


def _is_figure(name: str) -> bool:
    return name.endswith((".png", ".html"))
