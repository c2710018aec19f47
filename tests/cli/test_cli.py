import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from posenet.cli import main as cli
from posenet.cli.main import main
from posenet.cli.options import EvaluateConfig, PredictConfig
from posenet.config import TrainConfig
from posenet.datasets.registry import open_scene
from posenet.run import open_run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def failure(capsys, *arguments, code=1):
    """Run a command that must fail, and return its one line on stderr."""
    assert main([str(argument) for argument in arguments]) == code
    lines = [
        line for line in capsys.readouterr().err.strip().splitlines() if line.startswith("error: ")
    ]
    assert len(lines) == 1
    return lines[0]


def rewrite(path, change):
    path.write_text(change(path.read_text()))


@pytest.mark.parametrize(
    "program", [["-m", "posenet"], ["train.py"], ["evaluate.py"], ["-m", "posenet", "scene"]]
)
def test_help_needs_no_heavy_import(program):
    check = (
        "import runpy, sys; sys.argv = sys.argv[1:] + ['-h']\n"
        "try:\n"
        "    if sys.argv[0] == '-m': sys.argv.pop(0); runpy.run_module(sys.argv[0], run_name='__main__')\n"
        "    else: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'cv2', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", check, *program], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout


def test_wrong_use_is_exit_code_2():
    for arguments in (
        [],
        ["fly"],
        ["train", "--minutes", "soon"],
        ["evaluate"],
        ["train", "--precison", "float32"],
    ):
        with pytest.raises(SystemExit) as error:
            main(arguments)
        assert error.value.code == 2


def test_a_folder_without_rights_is_one_line(monkeypatch, capsys):
    def refused(config):
        raise PermissionError(13, "Permission denied", "/private/scene")

    monkeypatch.setitem(cli.COMMANDS, EvaluateConfig, refused)
    assert failure(capsys, "evaluate", "run") == "error: /private/scene: Permission denied"

    def broken(config):
        raise OSError(5, "Input/output error")

    monkeypatch.setitem(cli.COMMANDS, EvaluateConfig, broken)
    with pytest.raises(OSError, match="Input/output"):  # of no file: nothing that a user could mend
        main(["evaluate", "run"])


def test_a_process_that_is_ended_ends_as_if_interrupted():
    program = (
        "import os, signal, sys, time\n"
        "from posenet.cli import main as cli\n"
        "from posenet.config import TrainConfig\n"
        "cli.COMMANDS[TrainConfig] = lambda config: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(20))\n"
        "sys.exit(cli.main(['train', 'scene']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 130
    assert done.stderr == "interrupted; resume from the last finished epoch with --resume\n"


@pytest.mark.parametrize(
    ("given", "hint"),
    [([], "; an unfinished landmark map is resumed by the same command"), (["--no-refine"], "")],
)
def test_an_interrupted_evaluation_names_how_its_map_is_resumed(given, hint, monkeypatch, capsys):
    def interrupt(config):
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, EvaluateConfig, interrupt)
    assert main(["evaluate", "run", *given]) == 130
    assert capsys.readouterr().err == f"interrupted{hint}\n"


def test_names_that_are_not_utf8_can_be_printed():
    program = (
        "import os, sys\n"
        "from posenet.cli import main as cli\n"
        "from posenet.cli.options import EvaluateConfig\n"
        "cli.COMMANDS[EvaluateConfig] = lambda config: print(os.fsdecode(b'K\\xfcche.jpg'))\n"
        "sys.exit(cli.main(['evaluate', 'run']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, b"K\xfcche.jpg\n"), done.stderr


def run_with(command, **variables):
    """Run a program as the command `evaluate run`, with other environment variables."""
    program = (
        "import os, sys, warnings\n"
        "from posenet.cli import main as cli\n"
        "from posenet.cli.options import EvaluateConfig\n"
        f"cli.COMMANDS[EvaluateConfig] = lambda config: {command}\n"
        "sys.exit(cli.main(['evaluate', 'run']))"
    )
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, cwd=ROOT, env=os.environ | variables
    )


def test_names_are_printed_in_utf8_if_the_output_has_another_encoding():
    command = r"print('K\xfcche \u6d77', os.fsdecode(b'K\xfcche.jpg'))"
    done = run_with(command, PYTHONIOENCODING="ascii", PYTHONUTF8="1")
    assert done.stdout == "K\xfcche \u6d77 ".encode() + b"K\xfcche.jpg\n", done.stderr


def test_a_name_that_the_locale_cannot_express_is_one_line():
    variables = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = run_with("os.stat('s\\xe9q')", **variables)
    assert done.returncode == 1
    assert done.stderr.decode() == (
        "error: 's\\xe9q' must be a file name in the locale's encoding, ascii: set PYTHONUTF8=1\n"
    )


def test_libraries_do_not_log_every_damaged_part():
    names = "'OPENCV_LOG_LEVEL', 'OPENCV_FFMPEG_LOGLEVEL'"
    done = run_with(f"print([os.environ[name] for name in ({names})])", OPENCV_LOG_LEVEL="INFO")
    assert done.stdout.decode() == "['INFO', '-8']\n", done.stderr


def test_warnings_of_libraries_are_not_errors():
    done = run_with("warnings.warn('deprecated', DeprecationWarning)", PYTHONWARNINGS="error")
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_that_has_had_enough_is_no_error():
    program = (
        "import sys\n"
        "from posenet.cli import main as cli\n"
        "from posenet.cli.options import EvaluateConfig\n"
        "cli.COMMANDS[EvaluateConfig] = lambda config: print('pose\\n' * 100_000)\n"
        "sys.exit(cli.main(['evaluate', 'run']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as running:
        assert running.stdout.readline() == "pose\n"
        running.stdout.close()
        assert running.stderr.read() == ""
    assert running.returncode == 1


def test_both_spellings_of_options(monkeypatch):
    seen = []
    monkeypatch.setitem(cli.COMMANDS, TrainConfig, seen.append)
    assert main(["train", "A", "--batch_size", "7", "--no-augment"]) == 0
    assert main(["A", "--batch-size", "7"], command=TrainConfig) == 0
    assert [config.batch_size for config in seen] == [7, 7]
    assert not seen[0].augment
    monkeypatch.setitem(cli.COMMANDS, EvaluateConfig, seen.append)
    assert main(["evaluate", "R", "S", "--tta_views", "2"]) == 0
    assert (seen[-1].run, seen[-1].scene, seen[-1].tta_views) == (Path("R"), Path("S"), 2)


def test_train_alone_makes_the_courtyard_and_trains_on_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    made, given = [], []
    monkeypatch.setattr(
        "posenet.datasets.courtyard.generate.make_courtyard",
        lambda path: made.append(path) or path.mkdir(parents=True),
    )
    monkeypatch.setattr(
        "posenet.training.train.train",
        lambda config: given.append(config) or SimpleNamespace(folder=config.output),
    )
    for options in ([], ["--epochs", "2"], ["--backbone", "efficientnet_lite0", "--minutes", "3"]):
        assert main(["train", "--no-evaluate", *options]) == 0
    assert made == [Path("scenes/courtyard")]
    assert {(config.scene, config.output) for config in given} == {
        (Path("scenes/courtyard"), Path("runs/courtyard"))
    }
    assert [(config.backbone, config.minutes, config.epochs) for config in given] == [
        ("auto", 4.0, None),
        ("auto", None, 2),
        ("efficientnet_lite0", 3.0, None),
    ]
    assert capsys.readouterr().out == "trained: runs/courtyard\n" * 3


def test_training_is_evaluated_refined_by_default(tmp_path, monkeypatch):
    evaluated = []
    run = SimpleNamespace(folder=tmp_path / "run")
    monkeypatch.setattr("posenet.training.train.train", lambda config: run)
    monkeypatch.setattr("posenet.cli.train.evaluate", evaluated.append)
    assert main(["train", str(tmp_path)]) == 0
    assert evaluated == [EvaluateConfig(tmp_path / "run", refine=None)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [([], None), (["--refine"], True), (["--no-refine"], False)],
)
def test_neither_flag_of_a_pair_is_the_default(given, expected, monkeypatch):
    seen = []
    monkeypatch.setitem(cli.COMMANDS, EvaluateConfig, seen.append)
    monkeypatch.setitem(cli.COMMANDS, PredictConfig, seen.append)
    assert main(["evaluate", "R", *given]) == 0
    assert main(["predict", "R", "a.png", *given]) == 0
    assert [config.refine for config in seen] == [expected, expected]


def test_help_of_refine_names_its_default(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "-h"])
    printed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "--refine, --no-refine Refine each pose" in printed
    assert "evaluates the network alone. (default: if possible)" in printed


def test_options_of_predict_reach_the_localizer(monkeypatch):
    class Called(Exception):
        pass

    def localizer(run, **options):
        raise Called(options)

    monkeypatch.setattr("posenet.run.open_run", lambda folder: None)
    monkeypatch.setattr("posenet.localization.query_images.image_files", lambda images: images)
    monkeypatch.setattr("posenet.localization.localizer.Localizer", localizer)
    for given, expected in (
        ([], {"refine": None, "smooth": False, "tta_views": None, "network": None}),
        (
            ["--smooth", "--tta-views", "3"],
            {"refine": None, "smooth": True, "tta_views": 3, "network": None},
        ),
        (
            ["--refine", "--show-retrieved"],
            {"refine": True, "smooth": False, "tta_views": None, "network": None},
        ),
        (["--no-refine"], {"refine": False, "smooth": False, "tta_views": None, "network": None}),
    ):
        with pytest.raises(Called) as called:
            main(["predict", "run", "a.png", *given])
        assert called.value.args == (expected,)


def test_strict_training_refuses_what_is_only_reported_otherwise(capsys, cambridge, tmp_path):
    (cambridge / "seq1/frame00002.png").write_bytes(b"")
    line = failure(
        capsys,
        "train",
        cambridge,
        "--strict",
        "--output",
        tmp_path / "run",
        "--backbone",
        "googlenet",
    )
    assert "empty image file" in line
    line = failure(
        capsys, "scene", "convert", cambridge, tmp_path / "out", "--to", "csv", "--strict"
    )
    assert "empty image file" in line


def test_a_scene_without_test_images_is_trained_on_and_not_evaluated(
    cambridge, trained, tmp_path, capsys, caplog, monkeypatch
):
    (cambridge / "dataset_test.txt").unlink()
    monkeypatch.setattr("posenet.training.train.train", lambda config: open_run(config.output))
    assert main(["train", str(cambridge), "--output", str(trained)]) == 0
    assert capsys.readouterr().out == f"trained: {tmp_path / 'run'}\n"
    assert (
        f"not evaluated: the test split of {cambridge} must contain at least one usable image"
        in caplog.text
    )
    # Converted to another format it still has none.
    assert main(["scene", "convert", str(cambridge), str(tmp_path / "tum"), "--to", "tum"]) == 0
    assert (open_scene(tmp_path / "tum").splits == "train").all()


def test_missing_folder_and_unknown_format(capsys, tmp_path):
    assert "scene folder not found" in failure(
        capsys, "train", tmp_path / "nowhere", "--output", tmp_path / "r"
    )
    (tmp_path / "empty").mkdir()
    line = failure(capsys, "train", tmp_path / "empty", "--output", tmp_path / "r2")
    assert "dataset_train.txt" in line
    assert "TrainSplit.txt" in line


def test_malformed_line(capsys, cambridge):
    rewrite(
        cambridge / "dataset_train.txt",
        lambda text: text.replace("seq1/frame00002.png ", "seq1/frame00002.png oops ", 1),
    )
    assert "dataset_train.txt:5: " in failure(capsys, "scene", "info", cambridge)


def test_empty_split(capsys, cambridge, tmp_path):
    header = "Visual Landmark Dataset V1\nImageFile, Camera Position [X Y Z W P Q R]\n\n"
    (cambridge / "dataset_train.txt").write_text(header)
    line = failure(capsys, "train", cambridge, "--output", tmp_path / "r")
    assert "the train split of" in line


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (
            lambda f: rewrite(f / "dataset_train.txt", lambda t: _numbers(t, "nan 0 0 1 0 0 0")),
            "pose that is missing or not finite",
        ),
        (
            lambda f: rewrite(f / "dataset_train.txt", lambda t: _numbers(t, "0 0 0 0 0 0 0")),
            "quaternion of length zero",
        ),
        (lambda f: (f / "seq1/frame00001.png").unlink(), "missing image"),
        (lambda f: (f / "seq1/frame00001.png").write_bytes(b""), "empty image file"),
        (lambda f: (f / "seq1/frame00001.png").write_text("hello"), "file that is not an image"),
        (lambda f: _cut(f / "seq1/frame00001.png"), "truncated image"),
        (
            lambda f: rewrite(f / "dataset_train.txt", lambda t: t + t.splitlines()[3] + "\n"),
            "image listed more than once",
        ),
    ],
)
def test_faults_are_reported_dropped_and_refused_with_strict(capsys, cambridge, break_it, message):
    break_it(cambridge)
    line = failure(capsys, "scene", "info", cambridge, "--strict")
    assert f"1 x {message}" in line
    assert "dataset_train.txt:" in line
    assert main(["scene", "info", str(cambridge), "--no-plot"]) == 0
    printed = capsys.readouterr().out
    assert message in printed
    kept = 12 if "more than once" in message else 11
    assert f"train        {kept} images" in printed


def _numbers(text, numbers):
    lines = text.splitlines()
    lines[3] = f"{lines[3].split()[0]} {numbers}"
    return "\n".join(lines) + "\n"


def _cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def test_names_that_leave_the_folder(capsys, cambridge):
    rewrite(
        cambridge / "dataset_train.txt",
        lambda text: text.replace("seq1/frame00001.png", "../../secret.png", 1),
    )
    assert "must stay inside the scene folder, received '../../secret.png'" in failure(
        capsys, "scene", "info", cambridge
    )


def test_the_whole_path(capsys, cambridge, tmp_path):
    run = tmp_path / "run"
    options = [
        "--epochs",
        "1",
        "--short-side",
        "64",
        "--batch-size",
        "4",
        "--precision",
        "float32",
        "--backbone",
        "googlenet",
    ]
    assert main(["train", str(cambridge), "--output", str(run), *options]) == 0
    out = capsys.readouterr().out
    assert "Square, test split: 4 images" in out
    written = {path.name for path in (run / "evaluation").iterdir()}
    assert written >= {
        "summary.json",
        "errors.csv",
        "estimate.tum",
        "groundtruth.tum",
        "trajectory.png",
        "errors.png",
    }
    assert "run (use --resume to continue it" in failure(
        capsys, "train", cambridge, "--output", run, *options
    )
    other = tmp_path / "elsewhere"
    assert main(["evaluate", str(run), "--json", "--no-plot", "--output", str(other)]) == 0
    assert (other / "summary.json").read_text() == (run / "evaluation" / "summary.json").read_text()
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((run / "evaluation" / "summary.json").read_text())
    assert (
        main(["predict", str(run), str(cambridge / "seq3"), "--plot", str(tmp_path / "path.png")])
        == 0
    )
    assert (tmp_path / "path.png").stat().st_size > 10_000
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 4
    assert (
        main(
            [
                "predict",
                str(run),
                str(cambridge / "seq3"),
                "--plot",
                str(tmp_path / "nowhere/path.png"),
            ]
        )
        == 1
    )
    assert capsys.readouterr().out.splitlines() == lines  # no pose is lost with the figure
    assert lines[0].endswith("; then rotation_spread_deg, num_inliers, position_std")
    assert all(len(line.split()) == 11 for line in lines[1:])
    # The scene has no intrinsics.
    assert {tuple(line.split()[-2:]) for line in lines[1:]} == {("0", "nan")}
    # The printed poses have the errors of the run, although Cambridge lists are camera_from_world.
    (tmp_path / "p.txt").write_text(
        " seq1/nearest.png\n".join(lines) + "\n"
    )  # as with --show-retrieved
    assert main(["evaluate-poses", str(tmp_path / "p.txt"), str(cambridge), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["median_rotation_error_deg"] == pytest.approx(
        printed["median_rotation_error_deg"], abs=1e-3
    )
    assert again["median_position_error"] == pytest.approx(
        printed["median_position_error"], abs=1e-4
    )
    assert (
        main(
            [
                "predict",
                str(run),
                str(cambridge / "seq1"),
                "--show-retrieved",
                "--tta-views",
                "1",
                "--smooth",
            ]
        )
        == 0
    )
    nearest = [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:]]
    assert nearest == [
        f"seq1/frame{number:05d}.png" for number in range(1, 7)
    ]  # they are training images
    assert (
        main(["evaluate-poses", str(tmp_path / "p.txt"), str(cambridge), "--split", "every:4"]) == 0
    )
    assert (
        "4 images, 3 without an estimate" in capsys.readouterr().out
    )  # of each sixth, one was predicted
    assert "--tta-views must be from 1 to 11, received 12" in failure(
        capsys, "evaluate", run, "--tta-views", "12"
    )
    assert "error: --refine requires the intrinsics of the training images, " in failure(
        capsys, "evaluate", run, "--refine"
    )
    assert main(["evaluate", str(run), "--smooth", "--no-plot", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["method"] == "network, smoothed"
    (run / "model.keras").write_bytes(b"broken")
    assert "must be a model written by posenet" in failure(capsys, "evaluate", run)
    (run / "config.json").write_text("{")
    assert "must be the configuration written by training" in failure(capsys, "evaluate", run)


def test_predicting_nothing(capsys, tmp_path, cambridge):
    from posenet.errors import PoseNetError
    from posenet.localization.query_images import image_files

    (tmp_path / "none").mkdir()
    with pytest.raises(PoseNetError, match="none must contain images"):
        image_files([tmp_path / "none"])
    with pytest.raises(PoseNetError, match="image or folder not found: .*gone"):
        image_files([tmp_path / "gone"])
    assert len(image_files([cambridge / "seq3", cambridge / "seq1" / "frame00001.png"])) == 5


def test_a_full_disk_while_writing_a_run(capsys, cambridge, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.savez", full)
    options = (
        "--epochs",
        "1",
        "--short-side",
        "32",
        "--backbone",
        "googlenet",
        "--validation-split",
        "0",
    )
    line = failure(capsys, "train", cambridge, "--output", tmp_path / "r", *options)
    assert "state.npz cannot be written: No space left on device" in line
    assert list((tmp_path / "r" / "checkpoint").iterdir()) == []


def test_courtyard_is_refused_where_something_is(capsys, tmp_path):
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((2, 2, 3)))
    assert "error: " in failure(capsys, "scene", "courtyard", tmp_path)


def test_a_figure_has_one_of_three_suffixes(capsys, cambridge):
    line = failure(capsys, "predict", "run", cambridge, "--plot", "path.jpg")
    assert line == "error: --plot must be a .png, .pdf or .svg file, received path.jpg"
    line = failure(capsys, "scene", "info", cambridge, "--plot-file", "map.tif")
    assert line == "error: --plot-file must be a .png, .pdf or .svg file, received map.tif"


def test_evaluate_poses_writes_the_chosen_figures(cambridge, tmp_path):
    lines = [f"{row} 0 0 0 0 0 0 1" for row in range(4)]
    (tmp_path / "poses.txt").write_text("\n".join(lines) + "\n")
    out = tmp_path / "out"
    command = ["evaluate-poses", str(tmp_path / "poses.txt"), str(cambridge), "--output", str(out)]
    assert main([*command, "--figures", "svg", "pdf"]) == 0
    assert {"trajectory.svg", "trajectory.pdf"} <= {path.name for path in out.iterdir()}
    assert not list(out.glob("*.png"))
