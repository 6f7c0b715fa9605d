"""Rooms of known camera and floor, read back from their pictures alone."""

import json

import numpy as np
import pytest
from PIL import Image

from imaging.labels import REGION
from imaging.room import Room, read_room
from tests.imaging.scenes import BACK_M, F35, HEIGHT, WIDTH, drawn_room, read_drawn_room


@pytest.mark.parametrize(("pitch", "roll"), [(9.0, 1.0), (4.0, -2.0), (18.0, 0.0)])
def test_pitch_roll_and_horizon_are_read_from_straight_edges(pitch: float, roll: float) -> None:
    drawn = drawn_room(pitch, roll)
    room = read_room(drawn.pixels, F35)
    assert room.pitch_deg == pytest.approx(pitch, abs=0.5)
    assert room.roll_deg == pytest.approx(roll, abs=0.5)
    assert room.horizon_y == pytest.approx(drawn.camera.horizon_at(WIDTH / 2) / HEIGHT, abs=0.01)
    assert room.confidence > 0.7


def test_floor_and_wall_are_found_and_the_cupboard_is_neither() -> None:
    room, drawn = read_drawn_room(), drawn_room()
    size = room.regions.shape[1], room.regions.shape[0]
    floor, wall = (
        np.asarray(Image.fromarray(m).resize(size, Image.Resampling.NEAREST)) for m in (drawn.floor, drawn.wall)
    )
    found = room.regions == REGION.FLOOR
    assert (found & floor).sum() / (found | floor).sum() > 0.9
    assert wall[room.regions == REGION.WALL].mean() > 0.9
    things = ~(floor | wall)
    things[: size[1] // 3] = False
    assert (room.regions[things] == REGION.FURNITURE).mean() > 0.8


def test_the_window_is_no_wall_although_its_frame_is_as_calm() -> None:
    room, drawn = read_drawn_room(), drawn_room()
    glass = drawn.pixels.min(axis=2) > 245
    small = np.asarray(Image.fromarray(glass).resize(room.regions.shape[::-1], Image.Resampling.NEAREST))
    assert small.sum() > 200
    assert (room.regions[small] == REGION.WALL).mean() < 0.1


def test_walls_are_planes_at_their_true_distance_and_angle() -> None:
    back = min(read_drawn_room().walls, key=lambda wall: abs(wall.yaw_deg))
    assert back.distance_m == pytest.approx(BACK_M, abs=0.3)
    assert abs(back.yaw_deg) == pytest.approx(6.0, abs=3.0)


def test_a_room_survives_json_with_its_region_map() -> None:
    room = read_drawn_room()
    again = Room.from_json(json.loads(json.dumps(room.to_json())), room.regions, room.width, room.height)
    assert again.to_json() == room.to_json()
    assert again.camera().horizon_at(WIDTH / 2) == pytest.approx(room.camera().horizon_at(WIDTH / 2), abs=0.2)


def test_a_model_that_knows_only_the_horizon_gets_the_pitch_that_fits() -> None:
    room = Room.from_json({"horizon_y": 0.3}, read_drawn_room().regions, WIDTH, HEIGHT)
    assert room.camera().horizon_at(WIDTH / 2) == pytest.approx(0.3 * HEIGHT)


def test_a_picture_without_a_room_is_read_with_little_confidence() -> None:
    noise = np.random.default_rng(0).integers(90, 160, (480, 640, 3), dtype=np.uint8)
    room = read_room(noise)
    assert room.confidence < 0.6
    assert room.notes


def test_a_plain_grey_picture_does_not_fail() -> None:
    room = read_room(np.full((300, 400, 3), 128, np.uint8))
    assert room.regions.shape == (300, 400)
    assert 0.0 < room.confidence < 0.5
