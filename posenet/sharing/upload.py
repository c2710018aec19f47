"""Upload a packed run to the Hugging Face Hub."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from posenet.errors import PoseNetError
from posenet.io.hub import HubAddress, hub_errors, import_hub
from posenet.run import Run
from posenet.run_files import PACKED_FILES
from posenet.sharing.card import PackOptions
from posenet.sharing.pack import packed_content


def upload_run(
    run: Run, address: HubAddress, options: PackOptions, *, public: bool = False
) -> None:
    """Upload a run to a repository, which is made if it does not exist.

    Files of an earlier run that this one does not have are deleted there; other files stay.

    Args:
        run: the run.
        address: the repository.
        options: what the user chose.
        public: make a new repository public. An existing one stays what it is.

    Raises:
        PoseNetError: there is no token, the upload fails, or the run has no model.
    """
    hub = import_hub(address)
    if address.revision is not None:
        raise PoseNetError(f"a run is uploaded to the main branch, got {address}")
    if hub.get_token() is None:
        raise PoseNetError(f"uploading to {address} requires a token: hf auth login, or HF_TOKEN")
    api = hub.HfApi(library_name="posenet")
    with hub_errors(address):  # before the work starts
        api.create_repo(address.repository, private=not public, exist_ok=True)
    content = packed_content(run, str(address), options)
    with tempfile.TemporaryDirectory(prefix="posenet-") as folder:
        for name, value in content.items():
            target = Path(folder) / name
            target.parent.mkdir(exist_ok=True)
            if isinstance(value, bytes):
                target.write_bytes(value)
            else:
                shutil.copyfile(value, target)
        with hub_errors(address):
            api.upload_folder(
                repo_id=address.repository,
                folder_path=folder,
                commit_message=f"Upload the run {run.scene.name}",
                delete_patterns=sorted(PACKED_FILES),
            )
