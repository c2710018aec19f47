"""Names and contents of files cannot control the terminal."""

import json
import logging

import numpy as np

import posenet
from posenet.cli import predict
from posenet.cli.main import main
from posenet.cli.options import PredictConfig
from posenet.cli.terminal import EscapingFormatter, escape, escaped_stdout
from posenet.localization.estimates import PoseEstimate
from tests.helpers.errors import refusal

ESTIMATE = PoseEstimate(
    position=np.array([1.0, 2, 3]),
    quaternion_wxyz=np.array([1.0, 0, 0, 0]),
    rotation_spread_deg=0.5,
    position_std=float("nan"),
    rotation_std_deg=float("nan"),
    num_inliers=0,
    refined=False,
    valid=True,
)


def test_controls_are_escaped_and_other_text_is_not():
    assert escape("a\x1b[2J\nb\x9b\u202e") == "a\\x1b[2J\\nb\\x9b\\u202e"
    assert escape("caf\u00e9 \u3042 \U0001f600 a b") == "caf\u00e9 \u3042 \U0001f600 a b"


def test_output_keeps_lines_and_tabs(capsys):
    with escaped_stdout():
        print("a\tb\x07\nc\r")
    print("\x07")
    assert capsys.readouterr().out == "a\tb\\x07\nc\\r\n\x07\n"


def test_messages_are_one_line():
    record = logging.LogRecord("posenet", logging.INFO, "", 0, "%s", ("a\nb\x1b",), None)
    assert EscapingFormatter("%(message)s").format(record) == "a\\nb\\x1b"


def test_errors_are_one_line(tmp_path, capsys):
    assert main(["scene", "info", str(tmp_path / "a\x1b[31m\nb")]) == 1
    error = capsys.readouterr().err
    assert error == f"error: scene folder not found: {tmp_path}/a\\x1b[31m\\nb\n"


def test_estimates_as_json(capsys):
    invalid = PoseEstimate(
        np.full(3, np.nan), np.full(4, np.nan), np.nan, np.nan, np.nan, 0, False, False
    )
    predict.print_estimates(["a b\n.png", "c.png"], [ESTIMATE, invalid], None, as_json=True)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {
        "image": "a b\n.png",
        "position": [1, 2, 3],
        "quaternion_wxyz": [1, 0, 0, 0],
        "rotation_spread_deg": 0.5,
        "position_std": None,
        "rotation_std_deg": None,
        "num_inliers": 0,
        "refined": False,
    }
    predict.print_estimates(["a.png"], [ESTIMATE], ["b.png"], as_json=True)
    assert json.loads(capsys.readouterr().out)["retrieved_image"] == "b.png"


def test_json_and_a_stream_exclude_each_other(one_epoch):
    config = PredictConfig(one_epoch / "run", ("0",), json=True)
    assert refusal(predict.predict, config) == "--json cannot be used with a stream"


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"posenet {posenet.__version__}\n"
