"""Table tops: what stands on a chest has its true size there, however low the chest is."""

from functools import cache

import numpy as np
import pytest

from imaging.placement import Placement, Product, judge, propose
from imaging.room import Room, read_room
from imaging.tops import TABLE_M
from tests.imaging.scenes import BOX_HIGH, BOX_LOW, F35, HEIGHT, ROOM_YAW, WIDTH, drawn_room

VASE = Product(0.18, 0.18, 0.32, "tabletop", 0.56)
CHEST_M = 0.42


@cache
def room_with_chest() -> Room:
    return read_room(drawn_room(cupboard_m=CHEST_M).pixels, F35)


def middle_of_top() -> tuple[float, float]:
    """Where (px) the middle of the chest's top is seen."""
    x, z = (BOX_LOW[[0, 2]] + BOX_HIGH[[0, 2]]) / 2
    c, s = np.cos(ROOM_YAW), np.sin(ROOM_YAW)
    u, v = drawn_room().camera.project(np.array([[c * x - s * z, CHEST_M, s * x + c * z]]))[0]
    return float(u), float(v)


def best(tap: tuple[float, float]) -> Placement:
    found = propose(room_with_chest(), VASE, tap=tap)
    verdicts = judge(room_with_chest(), VASE, found, tap=tap)
    _, name = max((each.score, each.placement_id) for each in verdicts if each.accepted)
    return next(each for each in found if each.id == name)


def test_a_vase_on_a_low_chest_has_its_true_size() -> None:
    u, v = middle_of_top()
    place, camera = best((u / WIDTH, v / HEIGHT)), drawn_room().camera
    x, z = camera.floor_point(place.contact[0] * WIDTH, place.contact[1] * HEIGHT, level_m=CHEST_M)
    assert place.px_per_m == pytest.approx(camera.px_per_m(x, z, CHEST_M), rel=0.1)
    assert (place.box[3] - place.box[1]) * HEIGHT == pytest.approx(VASE.height_m * place.px_per_m, rel=0.15)


def test_a_thing_that_is_not_seen_to_stand_on_the_floor_has_a_tables_height() -> None:
    room = room_with_chest()
    on_wall = 0.5 * WIDTH, 0.35 * HEIGHT
    assert room.top_at(middle_of_top()) == pytest.approx(CHEST_M, abs=0.1)
    assert room.top_at(on_wall) is None
    assert room.level_at("tabletop", on_wall) == TABLE_M
