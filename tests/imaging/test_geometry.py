"""Camera maths against the closed formulas of a pinhole above a floor."""

from math import atan, cos, radians, tan

import numpy as np
import pytest

from imaging.geometry import camera_for, focal_pixels, footprint, pitch_from_horizon, plane_homography, rounded_boxes

CAMERA = camera_for(1280, 960, 960.0, 11.0, 0.0, 1.5)
ROLLED = camera_for(1280, 960, 960.0, 11.0, 2.5, 1.5)


def test_a_phone_without_exif_counts_as_26_mm_on_the_diagonal() -> None:
    assert focal_pixels(1280, 960, None) == pytest.approx(26 / 43.2666 * 1600)
    assert focal_pixels(1280, 960, 52.0) == pytest.approx(2 * focal_pixels(1280, 960, 26.0))


@pytest.mark.parametrize("camera", [CAMERA, ROLLED])
def test_floor_points_come_back_from_their_pixels(camera) -> None:
    points = np.array([[0.4, 0.0, 3.0], [-1.2, 0.0, 5.5], [2.0, 0.0, 2.2]])
    assert np.allclose(camera.floor_points(camera.project(points)), points[:, [0, 2]])


def test_pixels_per_metre_follow_the_row_of_contact() -> None:
    row = 800.0
    distance = 1.5 / tan(radians(11) + atan((row - 480) / 960))
    expected = (row - CAMERA.horizon_at(640)) * cos(radians(11)) / 1.5
    assert CAMERA.floor_point(640.0, row) == pytest.approx((0.0, distance))
    assert CAMERA.px_per_m(0.0, distance) == pytest.approx(expected)


def test_the_horizon_is_where_far_floor_points_end() -> None:
    far = ROLLED.project(np.array([[-40000.0, 0.0, 80000.0], [40000.0, 0.0, 80000.0]]))
    assert [ROLLED.horizon_at(x) for x, _ in far] == pytest.approx([y for _, y in far], abs=0.1)
    assert pitch_from_horizon(ROLLED.horizon_at(640), 480, 960.0, 2.5) == pytest.approx(11.0)


def test_a_phone_turned_clockwise_sees_the_horizon_rise_to_the_right() -> None:
    assert ROLLED.horizon_at(1280) < ROLLED.horizon_at(0)


def test_there_is_no_floor_at_or_above_the_horizon() -> None:
    assert CAMERA.floor_point(640, CAMERA.horizon_at(640) - 5) is None
    assert CAMERA.floor_point(640, 10, level_m=2.5) is not None


def test_a_turned_footprint_brings_its_left_front_corner_nearer() -> None:
    corners = footprint(0.0, 4.0, 2.0, 1.0, 20.0)
    assert corners[0, 2] == corners[:, 2].min()
    assert np.linalg.norm(corners[1] - corners[0]) == pytest.approx(2.0)


def test_a_cuboid_twice_as_far_looks_half_as_large() -> None:
    level = camera_for(1280, 960, 960.0, 0.0, 0.0, 1.5)
    near, far = (rounded_boxes(level, 0.0, z, (1.0, 0.001, 1.0), np.zeros(1))[0] for z in (3.0, 6.0))
    assert (near[2] - near[0]) == pytest.approx(2 * (far[2] - far[0]), rel=1e-3)


def test_a_plane_homography_agrees_with_projection() -> None:
    origin, across, up = np.array([0.5, 1.2, 4.0]), np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    mapped = plane_homography(ROLLED, origin, across, up) @ np.array([0.3, 0.4, 1.0])
    expected = ROLLED.project((origin + 0.3 * across + 0.4 * up)[None])[0]
    assert mapped[:2] / mapped[2] == pytest.approx(expected)
