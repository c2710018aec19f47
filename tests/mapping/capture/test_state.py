"""The state of a reconstruction."""

from posenet.mapping.capture.state import prepare_folder
from tests.helpers.errors import refusal


def test_a_folder_with_system_files_only_is_new(tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / ".DS_Store").write_bytes(b"x")
    prepare_folder(output, [tmp_path / "in"])
    (tmp_path / "full").mkdir()
    (tmp_path / "full/a.jpg").write_bytes(b"x")
    assert refusal(prepare_folder, tmp_path / "full", [tmp_path / "in"]) == (
        f"{tmp_path}/full must be a new folder or an unfinished reconstruction"
    )
