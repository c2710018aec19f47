"""Refined poses of images of a painted plane, whose poses are known exactly."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from scipy.spatial.transform import Rotation

from posenet.geometry.metrics import position_errors, rotation_errors_deg
from posenet.geometry.poses import Poses
from posenet.localization import refinement
from posenet.localization.refinement import PnPRefiner
from posenet.localization.retrieval import Gallery
from posenet.localization.uncertainty import UncertaintyModel
from posenet.mapping import landmarks
from posenet.mapping.landmarks import load_or_build_landmarks
from posenet.mapping.vlad import load_or_build_vlad
from posenet.viz.matches import QueryMatches, TrainingView, matches_figure, plot_matches
from tests.helpers.planes import (
    CAMERA,
    image_of_plane,
    painting,
    plane_scene,
    plane_to_pixels,
    towards_plane,
)

pytestmark = pytest.mark.slow

UNCERTAINTY = UncertaintyModel(0.1, 3.0, 1.0)
RIGHT = np.array([1.5, 0, 0])


@pytest.fixture(scope="module")
def refiner(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landmarks, "MAX_KEYPOINTS", 700)
        folder = tmp_path_factory.mktemp("plane")
        scene = plane_scene(folder / "scene", 14)
        gallery = Gallery(scene, np.eye(14, dtype=np.float32))
        observed = load_or_build_landmarks(folder, scene)
        return PnPRefiner(gallery, observed, load_or_build_vlad(observed, folder))


def queries(folder, paintings):
    """New images of paintings by seed, their paths and true poses."""
    rng, poses, paths = np.random.default_rng(77), [], []
    for number, seed in enumerate(paintings):
        poses.append(towards_plane(rng, 0.3))
        paths.append(folder / f"{number}.png")
        cv2.imwrite(str(paths[-1]), image_of_plane(painting(seed), CAMERA, *poses[-1])[..., ::-1])
    return paths, Poses(
        np.array([p for p, _ in poses]), Rotation.concatenate([r for _, r in poses])
    )


def off(poses, meters=0.1, degrees=3.0):
    """Return poses with errors of this size, like those of a network."""
    rng = np.random.default_rng(1)
    step = rng.normal(size=(len(poses), 3))
    turn = Rotation.from_rotvec(
        np.radians(degrees) * step / np.linalg.norm(step, axis=1, keepdims=True)
    )
    return Poses(
        poses.positions + meters * step / np.linalg.norm(step, axis=1, keepdims=True),
        poses.rotations * turn,
    )


def test_regressed_poses_become_exact_and_other_places_stay_as_they_were(refiner, tmp_path):
    paths, truth = queries(tmp_path, [0, 0, 9, 0])  # the third is of another painting
    first = off(truth)
    found = refiner.refine(
        paths, [CAMERA] * 4, first, np.full((4, 14), 0.1, np.float32), UNCERTAINTY
    )
    assert found.refined.tolist() == [True, True, False, True]
    errors, degrees = position_errors(found.poses, truth), rotation_errors_deg(found.poses, truth)
    assert errors[found.refined].max() < 0.01
    assert degrees[found.refined].max() < 0.2
    np.testing.assert_allclose(found.poses.positions[2], first.positions[2])
    assert found.num_inliers[2] == 0
    assert found.num_inliers[found.refined].min() > 40
    np.testing.assert_allclose(
        [found.position_std[2], found.rotation_std_deg[2]], [0.1, 3.0]
    )  # the regressed pose's
    assert found.position_std[found.refined].max() < 0.02


def add_rivals(monkeypatch):
    """Let every estimated pose have an equally supported rival, 1.5 m right of it."""
    estimate = PnPRefiner.estimate

    def with_rivals(*known, **options):
        poses = estimate(*known, **options)
        return [
            replace(pose, rival=replace(pose, position=pose.position + RIGHT)) for pose in poses
        ]

    monkeypatch.setattr(PnPRefiner, "estimate", with_rivals)


def test_the_regressed_pose_decides_between_equally_supported_poses(refiner, tmp_path, monkeypatch):
    paths, truth = queries(tmp_path, [0, 0])
    answers = np.full((2, 14), 0.1, np.float32), UNCERTAINTY
    add_rivals(monkeypatch)
    found = refiner.refine(paths, [CAMERA] * 2, off(truth), *answers)
    assert found.refined.all()
    assert position_errors(found.poses, truth).max() < 0.01
    beside = Poses(truth.positions + RIGHT, truth.rotations)
    found = refiner.refine(paths, [CAMERA] * 2, off(beside), *answers)
    assert found.refined.all()
    assert position_errors(found.poses, beside).max() < 0.01
    for elsewhere in (off(truth, meters=0.75), off(truth, degrees=40.0)):
        found = refiner.refine(paths, [CAMERA] * 2, elsewhere, *answers)
        assert not found.refined.any()
        np.testing.assert_allclose(found.poses.positions, elsewhere.positions)


def test_a_well_supported_pose_need_not_agree_with_the_regressed_one(refiner, tmp_path):
    paths, truth = queries(tmp_path, [0, 0])
    descriptors = np.full((2, 14), 0.1, np.float32)
    for wrong in (off(truth, meters=1.5), off(truth, degrees=40.0)):
        found = refiner.refine(paths, [CAMERA] * 2, wrong, descriptors, UNCERTAINTY)
        assert found.refined.all()
        assert position_errors(found.poses, truth).max() < 0.01


def test_a_pose_with_little_support_is_not_accepted(refiner, tmp_path):
    paths, truth = queries(tmp_path, [0, 0])
    image = cv2.imread(str(paths[0]))
    covered = np.full_like(image, 128)
    covered[90:150, 120:200] = image[90:150, 120:200]  # a quarter of the width and height
    cv2.imwrite(str(paths[0]), covered)
    answers = off(truth), np.full((2, 14), 0.1, np.float32)
    estimated = refiner.estimate(paths, [CAMERA] * 2, *answers)
    assert estimated[0].num_inliers > 20  # many, but near each other
    found = refiner.refine(paths, [CAMERA] * 2, *answers, UNCERTAINTY)
    assert found.refined.tolist() == [False, True]
    np.testing.assert_allclose(found.poses.positions[0], answers[0].positions[0])


def record_candidates(monkeypatch):
    """Return a list that collects the training images that are matched; no pose is found."""
    asked = []
    monkeypatch.setattr(
        refinement, "estimate_absolute_pose", lambda _m, images, *_a, **_k: asked.append(images)
    )
    monkeypatch.setattr(refinement, "RETRY_SCALES", ())
    return asked


def test_candidates_come_from_local_features_the_network_and_the_regressed_pose_in_turns(
    refiner, monkeypatch
):
    asked = record_candidates(monkeypatch)
    monkeypatch.setattr(refinement, "MAX_NEIGHBORS", 1)
    scene = refiner.gallery.scene
    for similar, nearest in ((7, 11), (3, 3)):
        descriptor = np.eye(14, dtype=np.float32)[[similar]]
        refiner.estimate([scene.paths[3]], [CAMERA], scene.poses[[nearest]], descriptor)
    assert asked == [[3, 7, 11], [3]]  # each once, as there are no more candidates


def test_excluded_training_images_are_not_matched_with(refiner, tmp_path, monkeypatch):
    paths, truth = queries(tmp_path, [0])
    asked = record_candidates(monkeypatch)
    descriptors = np.full((1, 14), 0.1, np.float32)
    refiner.estimate(paths, [CAMERA], off(truth), descriptors)
    refiner.estimate(paths, [CAMERA], off(truth), descriptors, excluded=np.array([0, 5]))
    assert [len(images) for images in asked] == [10, 14, 10, 12]
    assert set(asked[1]) == set(range(14))
    assert set(asked[3]) == set(range(14)) - {0, 5}


def test_images_without_a_pose_are_searched_for_fainter_keypoints(refiner, tmp_path, monkeypatch):
    paths, truth = queries(tmp_path, [0])
    counts = []
    estimate_one = PnPRefiner._estimate_one

    def count(self, matcher, *args):
        counts.append(len(matcher.keypoints))
        return estimate_one(self, matcher, *args) if len(counts) > 1 else None

    monkeypatch.setattr(PnPRefiner, "_estimate_one", count)
    found = refiner.estimate(paths, [CAMERA], truth, np.full((1, 14), 0.1, np.float32))
    assert len(counts) == 2  # the second try finds the pose
    assert counts[1] > counts[0]
    assert np.linalg.norm(found[0].position - truth.positions[0]) < 0.02


def test_where_the_network_has_no_answer_a_refined_pose_stands_alone(
    refiner, tmp_path, monkeypatch
):
    paths, truth = queries(tmp_path, [0, 0])
    answers = off(truth), np.full((2, 14), 0.1, np.float32), UNCERTAINTY
    valid = {"regressed_valid": np.array([True, False])}
    assert refiner.refine(paths, [CAMERA] * 2, *answers, **valid).refined.tolist() == [True, True]
    located = refiner.estimate(paths, [CAMERA] * 2, *answers[:2])
    found = refiner.refine(paths, [CAMERA] * 2, *answers, **valid)
    np.testing.assert_allclose(found.poses.positions, [each.position for each in located])
    add_rivals(monkeypatch)
    assert refiner.refine(paths, [CAMERA] * 2, *answers, **valid).refined.tolist() == [True, False]


def test_images_without_a_camera_or_that_do_not_decode_keep_the_regressed_pose(
    refiner, tmp_path, caplog
):
    paths, truth = queries(tmp_path, [0, 0])
    paths[1].write_bytes(b"no image")
    found = refiner.refine(
        paths, [None, CAMERA], off(truth), np.full((2, 14), 0.1, np.float32), UNCERTAINTY
    )
    assert not found.refined.any()
    assert caplog.text.count("not a valid image (could not decode 8 bytes)") == 1
    np.testing.assert_allclose(found.poses.positions, off(truth).positions)


def test_an_assumed_focal_length_is_found_with_the_pose(refiner, tmp_path, caplog):
    position, rotation = (
        np.array([1.0, 0.1, -1.7]),
        Rotation.from_euler("y", -30, degrees=True),
    )  # the plane slants
    cv2.imwrite(
        str(tmp_path / "a.png"), image_of_plane(painting(), CAMERA, position, rotation)[..., ::-1]
    )
    truth = Poses(position[None], Rotation.concatenate([rotation]))
    camera = replace(CAMERA, fx=1.3 * CAMERA.fx, fy=1.3 * CAMERA.fy, source="assumed")
    found = refiner.refine(
        [tmp_path / "a.png"], [camera], off(truth), np.full((1, 14), 0.1, np.float32), UNCERTAINTY
    )
    assert found.refined.all()
    assert found.absolute_poses[0].focal_factor == pytest.approx(1 / 1.3, rel=0.02)
    assert position_errors(found.poses, truth)[0] < 0.03
    assert (
        "the focal length of 1 image is unknown and estimated together with the pose" in caplog.text
    )


def test_the_nearest_see_the_same_first(refiner):
    scene = refiner.gallery.scene
    for row in range(len(scene)):
        assert refiner.nearest_views(scene.poses, row, 1)[0] == row
    assert refiner.depth == pytest.approx(2.0, rel=0.15)  # the plane is two meters away


def test_matches_are_drawn_between_the_same_spots(refiner, tmp_path):
    paths, truth = queries(tmp_path, [0, 9])
    found = refiner.refine(
        paths, [CAMERA] * 2, off(truth), np.full((2, 14), 0.1, np.float32), UNCERTAINTY
    )
    pair = Figure().subplots(1, 2)
    neighbor = refiner.gallery.scene.subset([int(found.neighbors[0])])
    pose = found.absolute_poses[0]
    query = QueryMatches(
        path=paths[0], camera=CAMERA, rays=pose.rays, points=pose.points, title="query"
    )
    view = TrainingView(
        path=neighbor.paths[0],
        camera=CAMERA,
        position=neighbor.poses.positions[0],
        rotation=neighbor.poses.rotations[0],
        title="training image",
    )
    plot_matches(pair, query, view)
    lines = [each for each in pair[1].patches if isinstance(each, ConnectionPatch)]
    assert len(lines) > 30
    poses = neighbor.poses.positions[0], neighbor.poses.rotations[0]
    for line in lines[:20]:  # both ends lie on one spot of the painting
        spots = []
        for end, pose in ((line.xy2, (truth.positions[0], truth.rotations[0])), (line.xy1, poses)):
            spot = np.linalg.inv(plane_to_pixels(CAMERA, *pose)) @ [*end, 1.0]
            spots.append(spot[:2] / spot[2])
        assert np.linalg.norm(spots[0] - spots[1]) < 0.04  # meters
    assert [ax.get_title() for ax in pair] == ["query", "training image"]
    figure = matches_figure([(query, view), (query, view)], "matches")
    assert len(figure.axes) == 4
    assert figure.get_suptitle() == "matches"
