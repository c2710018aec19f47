import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from posenet.cli.main import main
from posenet.datasets.registry import open_scene
from posenet.errors import PoseNetError
from posenet.evaluation.evaluate import evaluate_estimates, evaluate_poses, evaluate_run
from posenet.evaluation.pose_files import write_tum
from posenet.evaluation.report import format_report, write_evaluation
from posenet.geometry.metrics import mean_pose_errors
from posenet.geometry.poses import Poses
from posenet.io.files import fingerprint_content
from posenet.localization.localizer import LocalizationOptions, Localizer
from posenet.localization.refinement import PnPRefiner
from posenet.localization.uncertainty import load_uncertainty
from posenet.mapping.global_descriptors import hog_descriptors, nearest_neighbors
from posenet.run import open_run
from tests.helpers.errors import refusal

pytestmark = pytest.mark.slow


def listed(scene, offset=(0.0, 0.0, 0.0), skip=()):
    """Return the moved true poses as lines `name X Y Z W P Q R` of the Cambridge format."""
    inverse = scene.poses.rotations.inv().as_quat(canonical=True, scalar_first=True)
    rows = zip(scene.names, scene.poses.positions + offset, inverse, strict=True)
    return "".join(f"{n} {' '.join(map(str, (*p, *q)))}\n" for n, p, q in rows if n not in skip)


def test_a_pose_file_by_hand(cambridge, tmp_path):
    test = open_scene(cambridge).split("test")
    (tmp_path / "p.txt").write_text(listed(test, (0.24, 0.32, 0)))
    result = evaluate_poses(tmp_path / "p.txt", cambridge)
    np.testing.assert_allclose(result.errors.position, 0.4, rtol=1e-6)
    np.testing.assert_allclose(result.errors.rotation_deg, 0, atol=1e-5)
    summary = result.summary()
    assert summary["median_position_error"] == pytest.approx(0.4)
    assert summary["recall"] == {"0.25m_2deg": 0.0, "0.5m_5deg": 1.0, "5m_10deg": 1.0}
    assert set(summary["baselines"]) == {"mean_pose", "retrieval"}
    train_poses = open_scene(cambridge).split("train").poses
    by_hand = np.linalg.norm(test.poses.positions - train_poses.positions.mean(axis=0), axis=1)
    assert summary["baselines"]["mean_pose"]["median_position_error"] == pytest.approx(
        np.median(by_hand)
    )


def test_a_missing_prediction_is_infinitely_wrong(cambridge, tmp_path):
    test = open_scene(cambridge).split("test")
    (tmp_path / "p.txt").write_text(listed(test, (0.24, 0.32, 0), skip=test.names[:3]))
    result = evaluate_poses(tmp_path / "p.txt", cambridge)
    assert np.isinf(result.errors.position).sum() == 3
    summary = result.summary()
    assert summary["num_missing"] == 3
    assert summary["median_position_error"] is None  # three of four are infinite
    json.dumps(summary, allow_nan=False)
    assert "3 without an estimate" in format_report(result)
    text = format_report(result)
    assert "only the 1 image with an estimate" in text
    assert summary["predicted_only"]["median_position_error"] == pytest.approx(0.4)
    mean_pose = summary["predicted_only"]["baselines"]["mean_pose"]
    assert mean_pose["median_position_error"] == pytest.approx(
        result.baselines["mean_pose"].position[3]
    )
    verdict = "better than mean training pose in position and rotation"
    assert f"{verdict} (images with an estimate)" in text


def test_the_folder_holds_what_was_measured(cambridge, tmp_path):
    test = open_scene(cambridge).split("test")
    (tmp_path / "p.txt").write_text(listed(test, (0.3, 0.4, 0), skip=test.names[1:2]))
    result = evaluate_poses(tmp_path / "p.txt", cambridge)
    write_evaluation(result, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == result.summary()
    with open(tmp_path / "out" / "errors.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == list(test.names)
    assert float(rows[0]["position_error"]) == pytest.approx(0.5)
    assert (rows[1]["position_error"], rows[1]["x"]) == ("inf", "")
    assert float(rows[1]["gt_x"]) == pytest.approx(test.poses.positions[1, 0])
    estimate = np.loadtxt(tmp_path / "out" / "estimate.tum")
    truth = np.loadtxt(tmp_path / "out" / "groundtruth.tum")
    assert estimate.shape == (3, 8)
    np.testing.assert_allclose(
        estimate[:, 1:4] - truth[[0, 2, 3], 1:4], [[0.3, 0.4, 0]] * 3, atol=1e-6
    )
    for name in ("trajectory.png", "errors.png"):
        assert (tmp_path / "out" / name).stat().st_size > 10_000
    for name in (
        "matches.png",
        "sparsification.png",
        "mine.png",
    ):  # two of an earlier evaluation, one of the user's
        (tmp_path / "out" / name).write_bytes(b"old")
    write_evaluation(result, tmp_path / "out", plot=False)
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["mine.png"]
    assert refusal(write_evaluation, result, tmp_path / "p.txt").endswith(
        f"output folder cannot be made: {tmp_path / 'p.txt'}: File exists"
    )


def test_a_training_image_that_does_not_decode_costs_only_its_baseline(cambridge, tmp_path, caplog):
    scene = open_scene(cambridge)
    (tmp_path / "p.txt").write_text(listed(scene.split("test"), (0.24, 0.32, 0)))
    scene.split("train").paths[0].write_bytes(b"")
    result = evaluate_poses(tmp_path / "p.txt", cambridge)
    np.testing.assert_allclose(result.errors.position, 0.4, rtol=1e-6)
    assert set(result.baselines) == {"mean_pose"}
    assert "no image retrieval baseline: " in caplog.text


def test_the_written_estimate_scores_the_same_again(cambridge, tmp_path):
    test = open_scene(cambridge).split("test")
    write_tum(
        tmp_path / "t.tum",
        Poses(test.poses.positions + [0, 0, 2.0], test.poses.rotations),
        np.arange(4.0),
    )
    np.testing.assert_allclose(
        evaluate_poses(tmp_path / "t.tum", cambridge).errors.position, 2, rtol=1e-6
    )


def test_a_run_is_evaluated_on_its_test_split(cambridge, trained, monkeypatch, caplog):
    caplog.set_level("INFO")
    together, estimate = [], Localizer.estimate
    monkeypatch.setattr(
        Localizer, "estimate", lambda *known: together.append(known[4].tolist()) or estimate(*known)
    )
    run = open_run(trained)
    result = evaluate_run(run)
    assert result.method == "network"  # without intrinsics
    assert [line for line in caplog.messages if "refined" in line] == [
        "poses are not refined: the intrinsics of the training images are unknown"
    ]
    assert result.scene.names == open_scene(cambridge).split("test").names
    assert result.valid.all()
    assert together == [[0, 0, 0, 0]]
    again = evaluate_run(run, scene_path=cambridge)
    np.testing.assert_array_equal(result.errors.position, again.errors.position)
    text = format_report(result)
    for word in (
        "Square, test split: 4 images",
        "network",
        "image retrieval",
        "mean training pose",
        "median",
    ):
        assert word in text


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_an_estimate_without_a_broken_image_scores_the_same_again(
    cambridge, trained, tmp_path, content
):
    broken = open_scene(cambridge).split("test").paths[1]
    broken.write_bytes(content) if content is not None else broken.unlink()
    result = evaluate_run(open_run(trained))
    write_evaluation(result, tmp_path / "out", plot=False)
    assert np.loadtxt(tmp_path / "out" / "estimate.tum")[:, 0].tolist() == [0, 2, 3]
    again = evaluate_poses(tmp_path / "out" / "estimate.tum", cambridge)
    np.testing.assert_allclose(again.errors.position[[0, 2, 3]], result.errors.position, atol=1e-5)


def test_retrieval_finds_the_same_place_under_other_light():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (6, 12, 16, 3), np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    darker = (images * 0.6 + 20).astype(np.uint8)[::-1]
    np.testing.assert_array_equal(
        nearest_neighbors(hog_descriptors(images), hog_descriptors(darker))[:, 0],
        np.arange(6)[::-1],
    )


def test_mean_pose_errors_by_hand():
    training = Poses.from_quaternions([[0, 0, 0], [2, 0, 0]], [[1, 0, 0, 0], [1, 0, 0, 0]])
    truth = Poses.from_quaternions([[1, 3, 4]], [[0, 1, 0, 0]])
    errors, degrees = mean_pose_errors(training, truth)
    np.testing.assert_allclose(errors, [5])
    np.testing.assert_allclose(degrees, [180])


def test_published_predictions(real_data):
    folder = real_data / "cambridge_predictions"
    for scene, meters, degrees in (("KingsCollege", 2.26, 2.58), ("ShopFacade", 3.70, 10.06)):
        file = folder / scene / "dataset_test_predict.txt"
        result = evaluate_poses(file, folder / scene)
        assert round(float(np.median(result.errors.position)), 2) == meters
        assert round(float(np.median(result.errors.rotation_deg)), 2) == degrees
        rows = {line.split()[0]: line.split() for line in file.read_text().splitlines()[3:] if line}
        for name, error, error_deg in zip(
            result.scene.names, result.errors.position, result.errors.rotation_deg, strict=True
        ):
            assert float(rows[name][8]) == pytest.approx(error, abs=1e-3)
            assert float(rows[name][9]) == pytest.approx(
                error_deg, abs=5e-3
            )  # six printed digits of a quaternion


def test_no_pose_file(cambridge, tmp_path):
    with pytest.raises(
        PoseNetError, match=r"p.txt: the file cannot be read \(No such file or directory\)"
    ):
        evaluate_poses(tmp_path / "p.txt", cambridge)


def test_refined_beside_regressed(plane_trained, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("posenet.mapping.landmarks.MAX_KEYPOINTS", 700)
    monkeypatch.setattr("posenet.localization.refinement.MAX_KEYPOINTS", 700)
    excluded, estimate = [], PnPRefiner.estimate

    def record(*known, **options):
        excluded.extend(options.values())
        return estimate(*known, **options)

    monkeypatch.setattr(PnPRefiner, "estimate", record)
    monkeypatch.setattr("posenet.localization.localizer.MIN_VALIDATION_IMAGES", 3)
    run = open_run(plane_trained[0])
    result = evaluate_run(run, options=LocalizationOptions(tta_views=1))
    summary = result.summary()
    assert summary["method"] == "network, refined"
    assert summary["refined"]["fraction"] == 1.0
    assert (
        summary["refined"]["median_position_error"] < 0.02
    )  # the regressed ones, after one epoch, are nowhere
    assert summary["baselines"]["pose_regression"]["median_position_error"] > 0.1
    lines = format_report(result).splitlines()
    names = ["refined", "network", "image retrieval", "mean training pose"]
    assert [line[:18].strip() for line in lines[2:6]] == names
    assert len({len(line) for line in lines[1:6]}) == 1
    total = len(result.scene)
    inliers = f"{summary['refined']['median_inliers']:.0f} inliers (median)"
    assert lines[6] == f"refined: {total} of {total} images (100 %), {inliers}"
    assert lines[7].startswith("recall: ")
    assert lines[8].startswith("median of the most certain 75 %: ")
    assert "better than network in position and rotation" in lines
    write_evaluation(result, tmp_path / "out")
    with open(tmp_path / "out" / "errors.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(int(row["num_inliers"]) >= 12 and 0 < float(row["position_std"]) < 1 for row in rows)
    assert (tmp_path / "out" / "matches.png").stat().st_size > 10_000
    assert (tmp_path / "out" / "sparsification.png").is_file()
    certain = np.argsort([float(row["position_std"]) for row in rows], kind="stable")[
        : len(rows) // 2
    ]
    assert summary["at_coverage"]["50%"]["median_position_error"] == pytest.approx(
        np.median([float(rows[k]["position_error"]) for k in certain])
    )
    again = evaluate_run(run, options=LocalizationOptions(refine=True, tta_views=1))
    np.testing.assert_allclose(again.errors.position, result.errors.position, atol=1e-6)
    (validation_rows,) = excluded  # calibrated once
    assert {run.training_scene().names[row] for row in validation_rows} == set(
        run.validation_images
    )
    measured = load_uncertainty(
        run.folder / "landmarks", fingerprint_content(run.folder / "model.keras")
    )
    assert result.refinement.uncertainty == again.refinement.uncertainty == measured
    arguments = ["predict", str(tmp_path / "run"), str(result.scene.paths[0]), "--tta-views", "1"]
    assert main(arguments) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert header.endswith("then rotation_spread_deg, num_inliers, position_std")
    spread, inliers, std = line.split()[-3:]
    assert (spread, inliers) == ("nan", rows[0]["num_inliers"])
    assert float(std) == pytest.approx(float(rows[0]["position_std"]), rel=1e-3)
    assert main([*arguments, "--no-refine"]) == 0
    header_of_network, line_of_network = capsys.readouterr().out.splitlines()
    assert header_of_network == header
    assert line_of_network.split()[-3:] == ["nan", "0", "nan"]
    position = np.array(line_of_network.split()[1:4], float)
    np.testing.assert_allclose(position, result.regressed.positions[0], atol=1e-4)


def test_no_refine_never_builds_a_map(plane_trained, tmp_path, monkeypatch, capsys):
    def build(*_args):
        raise AssertionError("must not be called")

    monkeypatch.setattr("posenet.localization.localizer.load_or_build_landmarks", build)
    run = plane_trained[0]
    options = ["--no-refine", "--tta-views", "1", "--no-plot", "--json"]
    assert main(["evaluate", str(run), *options, "--output", str(tmp_path / "out")]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["method"] == "network"
    assert set(summary["baselines"]) == {"mean_pose", "retrieval"}
    assert "refined" not in summary


def test_default_is_the_network_if_the_map_cannot_be_built(plane_trained, monkeypatch, caplog):
    def build(*_args):
        raise PoseNetError("hardly any shared 3-D points")

    monkeypatch.setattr("posenet.localization.localizer.load_or_build_landmarks", build)
    run = open_run(plane_trained[0])
    result = evaluate_run(run, options=LocalizationOptions(tta_views=1))
    assert result.method == result.title == "network"
    assert caplog.text.count("poses are not refined: hardly any shared 3-D points") == 1
    insist = LocalizationOptions(tta_views=1, refine=True)
    assert refusal(evaluate_run, run, options=insist) == "hardly any shared 3-D points"


def test_report_of_partly_refined_poses(cambridge):
    scene = open_scene(cambridge)
    test = scene.split("test")
    offsets = [[0.1, 0, 0], [0.1, 0, 0], [0.1, 0, 0], [4.0, 0, 0]]
    moved = Poses(test.poses.positions + offsets, test.poses.rotations)
    result = evaluate_estimates(
        scene, test, moved, np.ones(4, bool), method="network, smoothed, refined", retrieved=moved
    )
    refinement = SimpleNamespace(
        refined=np.array([True, True, True, False]), num_inliers=np.array([40, 60, 50, 0])
    )
    lines = format_report(replace(result, refinement=refinement)).splitlines()
    assert lines[2].startswith("smoothed, refined ")
    median = "the median of these: 0.100 m 0.00 deg"
    assert lines[5] == f"refined: 3 of 4 images (75 %), 50 inliers (median); {median}"
    refinement = SimpleNamespace(refined=np.zeros(4, bool), num_inliers=np.zeros(4, int))
    lines = format_report(replace(result, refinement=refinement)).splitlines()
    assert lines[5] == "refined: 0 of 4 images (0 %)"


def test_inliers_are_those_of_the_refined_images(cambridge):
    scene = open_scene(cambridge)
    test = scene.split("test")
    refinement = SimpleNamespace(
        refined=np.array([True, False, False, False]), num_inliers=np.array([40, 0, 0, 0])
    )
    result = evaluate_estimates(
        scene, test, test.poses, np.ones(4, bool), method="network", retrieved=test.poses
    )
    assert replace(result, refinement=refinement).summary()["refined"]["median_inliers"] == 40
    refinement = SimpleNamespace(refined=np.zeros(4, bool), num_inliers=np.zeros(4, int))
    assert replace(result, refinement=refinement).summary()["refined"] == {
        "fraction": 0.0,
        "median_inliers": 0.0,
    }


def test_small_errors_and_large_coordinates_keep_their_digits(cambridge, tmp_path):
    scene = open_scene(cambridge)
    far = np.array([450_000.0, 5_432_100.1234, 0])
    scene = replace(scene, poses=Poses(scene.poses.positions + far, scene.poses.rotations))
    test = scene.split("test")
    estimate = Poses(test.poses.positions + [0, 0.0003, 0], test.poses.rotations)
    result = evaluate_estimates(
        scene, test, estimate, np.ones(4, bool), method="network", retrieved=test.poses
    )
    assert "0.0003 m    0.00 deg" in format_report(result)
    write_evaluation(result, tmp_path / "out", plot=False)
    with open(tmp_path / "out" / "errors.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_allclose(
        [float(row["y"]) - float(row["gt_y"]) for row in rows], 0.0003, rtol=1e-4
    )


def test_errors_of_the_most_certain_images_are_reported(trained, tmp_path):
    result = evaluate_run(open_run(trained))
    order = np.argsort(result.uncertainty)
    at_coverage = result.summary()["at_coverage"]
    assert at_coverage["50%"]["median_position_error"] == pytest.approx(
        np.median(result.errors.position[order[:2]])
    )
    assert at_coverage["25%"]["median_rotation_error_deg"] == pytest.approx(
        result.errors.rotation_deg[order[0]]
    )
    assert "median of the most certain 75 %: " in format_report(result)
    write_evaluation(result, tmp_path / "out")
    assert (tmp_path / "out" / "sparsification.png").is_file()
    with open(tmp_path / "out" / "errors.csv", newline="") as file:
        assert [float(row["rotation_spread_deg"]) for row in csv.DictReader(file)] == pytest.approx(
            result.uncertainty.tolist()
        )
