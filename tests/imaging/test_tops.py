"""Table tops: what stands on a chest has its true size there, however low the chest is."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from imaging.labels import REGION
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


def free_choice(room: Room) -> list[Placement]:
    found = propose(room, VASE, params={"max_candidates": 100})
    return [each for each, verdict in zip(found, judge(room, VASE, found), strict=True) if verdict.accepted]


def test_without_a_tap_a_vase_stands_on_the_chests_top_and_not_on_its_front() -> None:
    u, v = middle_of_top()
    kept = free_choice(room_with_chest())
    assert kept
    for each in kept:
        assert abs(each.contact[1] * HEIGHT - v) < 0.12 * each.px_per_m
        assert abs(each.contact[0] * WIDTH - u) < 0.6 * each.px_per_m


def with_board(low_m: float, high_m: float, before_wall_m: float) -> Room:
    """The drawn room without its chest, with an upright board before the back wall."""
    room = room_with_chest()
    camera, wall = room.camera(), max(room.walls, key=lambda each: each.nz)
    regions = np.where(room.regions == REGION.FURNITURE, REGION.FLOOR, room.regions).astype(np.uint8)
    away = (wall.distance_m - before_wall_m) / wall.nz
    corners = np.array([[x, y, away] for x, y in ((-1.2, low_m), (0.2, high_m))])
    (x0, y1), (x1, y0) = (camera.project(corners) * room.scale).astype(int)
    regions[y0:y1, x0:x1] = REGION.FURNITURE
    return replace(room, regions=regions)


@pytest.mark.parametrize(
    ("low", "high", "before_wall", "found"),
    [(0.0, 0.7, 0.6, True), (0.0, 0.7, 0.05, False), (0.15, 0.7, 0.05, False), (0.0, 1.9, 0.6, False)],
    ids=["sideboard", "panel", "radiator", "bookcase"],
)
def test_only_what_is_deep_and_low_enough_is_a_top(low: float, high: float, before_wall: float, found: bool) -> None:
    assert bool(free_choice(with_board(low, high, before_wall))) == found


def test_a_thing_that_is_not_seen_to_stand_on_the_floor_has_a_tables_height() -> None:
    room = room_with_chest()
    on_wall = 0.5 * WIDTH, 0.35 * HEIGHT
    assert room.top_at(middle_of_top()) == pytest.approx(CHEST_M, abs=0.1)
    assert room.top_at(on_wall) is None
    assert room.level_at("tabletop", on_wall) == TABLE_M
