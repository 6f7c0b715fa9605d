"""The walls as one box, read from edges: at their true distances even where furniture hides where they begin."""

from functools import cache

import numpy as np
import pytest

from imaging.room import Room, read_room
from imaging.walls import nearest_wall
from tests.imaging.scenes import BACK_M, CEILING_M, F35, HEIGHT, SIDE_M, WIDTH, drawn_room, read_drawn_room

# Back, left and right wall: how they face (degrees), and where they stand (m).
TRUE = {6.0: BACK_M, 96.0: SIDE_M, -84.0: SIDE_M}


@cache
def furnished_room() -> Room:
    """The drawn room with a row of dark cupboards all along the back wall, 0.8 m high."""
    drawn = drawn_room()
    camera, pixels = drawn.camera, drawn.pixels.copy()
    c, s = np.cos(np.radians(6.0)), np.sin(np.radians(6.0))
    rays = camera.rays(np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), axis=-1).reshape(-1, 2) + 0.5)
    towards = -s * rays[:, 0] + c * rays[:, 2]
    level = camera.height_m + rays[:, 1] * (BACK_M - 0.6) / np.maximum(towards, 1e-6)
    across = np.abs((c * rays[:, 0] + s * rays[:, 2]) * (BACK_M - 0.6) / np.maximum(towards, 1e-6))
    front = (level > 0) & (level < 0.8) & (across < SIDE_M)
    pixels[front.reshape(HEIGHT, WIDTH)] = [70, 50, 60]
    return read_room(pixels, F35)


def errors(room: Room) -> dict[float, float]:
    """By how much (share) each wall's distance is wrong; a missing wall is far off."""
    found = {}
    for yaw, distance in TRUE.items():
        near = [wall.distance_m for wall in room.walls if abs(wall.yaw_deg - yaw) < 2.0]
        found[yaw] = near[0] / distance - 1.0 if near else float("inf")
    return found


def test_every_wall_in_view_is_found_where_it_stands() -> None:
    assert errors(read_drawn_room()) == {yaw: pytest.approx(0.0, abs=0.04) for yaw in TRUE}
    assert read_drawn_room().ceiling_m == pytest.approx(CEILING_M, rel=0.03)


def test_a_wall_whose_foot_is_hidden_is_told_by_the_other_lines() -> None:
    assert abs(errors(furnished_room())[6.0]) < 0.1


def test_a_hidden_foot_makes_a_wall_less_sure() -> None:
    support = {id(room): max(wall.support for wall in room.walls) for room in (read_drawn_room(), furnished_room())}
    assert 0.0 < support[id(furnished_room())] <= support[id(read_drawn_room())] <= 1.0


def test_walls_survive_json_although_the_region_map_does_not_tell_them() -> None:
    room = read_drawn_room()
    blank = np.zeros_like(room.regions)
    again = Room.from_json(room.to_json(), blank, room.width, room.height)
    assert [wall.to_json() for wall in again.walls] == [wall.to_json() for wall in room.walls]


def test_a_ray_meets_the_wall_that_stands_nearest_in_its_way() -> None:
    room = read_drawn_room()
    right = room.camera().rays(np.array([[0.97 * WIDTH, 0.4 * HEIGHT]]))[0]
    wall, _ = nearest_wall(room.walls, right)
    assert wall.yaw_deg == pytest.approx(-84.0, abs=2.0)
