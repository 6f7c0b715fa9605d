"""Taps, hints and mounts: each obeyed where it can be, and refused for a named reason where it cannot."""

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from imaging.labels import REGION
from imaging.placement import Placement, Product, Verdict, judge, propose
from imaging.room import Room, read_room
from tests.imaging.scenes import BOX_HIGH, BOX_LOW, F35, HEIGHT, ROOM_YAW, WIDTH, drawn_room, read_drawn_room

STOOL = Product(0.4, 0.4, 0.45, "floor", 0.9)
RUG = Product(1.4, 2.0, 0.01, "floor", 0.7, "centre")
PENDANT = Product(0.4, 0.4, 0.6, "ceiling", 0.66)


@cache
def low_room() -> Room:
    """The drawn room seen from lower down, and from another side."""
    return read_room(drawn_room(12.0, -0.5, 1.45).pixels, F35)


def on_cupboard(share: float) -> tuple[float, float]:
    """A tap on the front of the drawn room's cupboard, at a share of its height."""
    c, s = np.cos(ROOM_YAW), np.sin(ROOM_YAW)
    x, y, z = (BOX_LOW[0] + BOX_HIGH[0]) / 2, BOX_HIGH[1] * share, BOX_LOW[2]
    u, v = drawn_room().camera.project(np.array([[c * x - s * z, y, s * x + c * z]]))[0]
    return float(u) / WIDTH, float(v) / HEIGHT


def best_of(room: Room, product: Product, **asked: object) -> tuple[Placement | None, set[str | None]]:
    """The chosen place, and the reasons against the others."""
    before = asked.pop("moved_from", None)
    found = propose(room, product, **asked)
    verdicts: list[Verdict] = judge(room, product, found, moved_from=before, **asked)
    best = max((each for each in verdicts if each.accepted), key=lambda each: each.score, default=None)
    return next((each for each in found if best and each.id == best.placement_id), None), {v.reason for v in verdicts}


def test_a_tap_on_a_cupboard_is_refused_by_name() -> None:
    assert best_of(read_drawn_room(), STOOL, tap=on_cupboard(0.9)) == (None, {"tap_on_furniture"})


def test_a_tap_on_the_foot_of_a_cupboard_means_the_floor_beside_it() -> None:
    tap = on_cupboard(0.15)
    place, _ = best_of(read_drawn_room(), STOOL, tap=tap)
    assert place is not None
    assert abs(place.contact[0] - tap[0]) < 0.2


@pytest.mark.parametrize(("row", "reason"), [(0.05, "tap_off_support"), (0.52, None)])
def test_a_tap_on_the_wall_means_the_floor_below_if_that_is_near(row: float, reason: str | None) -> None:
    place, reasons = best_of(read_drawn_room(), STOOL, tap=(0.35, row))
    assert (place is None) == (reason is not None)
    assert reason in reasons


@pytest.mark.parametrize("room", [read_drawn_room, low_room])
@pytest.mark.parametrize(("prefer", "opposite"), [("left", "right"), ("back", "front")])
def test_opposite_wishes_move_the_product_opposite_ways(room, prefer: str, opposite: str) -> None:
    start, _ = best_of(room(), STOOL, params={"prefer": "center"})
    one, other = (best_of(room(), STOOL, params={"prefer": p}, moved_from=start)[0] for p in (prefer, opposite))
    assert one is not None and other is not None
    if prefer == "left":
        assert one.contact[0] < start.contact[0] - 0.02 < start.contact[0] + 0.02 < other.contact[0]
    else:
        assert one.distance_m > start.distance_m + 0.15 > start.distance_m - 0.15 > other.distance_m


@pytest.mark.parametrize(("prefer", "contact", "distance"), [("left", (0.01, 0.8), 2.0), ("back", (0.5, 0.6), 9.0)])
def test_what_cannot_go_any_farther_is_refused_and_not_left_in_place(prefer, contact, distance) -> None:
    start, _ = best_of(read_drawn_room(), STOOL)
    before = replace(start, contact=contact, distance_m=distance)
    place, reasons = best_of(read_drawn_room(), STOOL, params={"prefer": prefer}, moved_from=before)
    assert place is None and "not_as_wished" in reasons


@pytest.mark.parametrize("planes", [True, False])
def test_who_asks_for_the_wall_gets_it_or_is_told_that_it_cannot_be(planes: bool) -> None:
    room = read_drawn_room()
    if not planes:
        band = np.where(room.regions == REGION.WALL, REGION.FURNITURE, room.regions).astype(np.uint8)
        room = replace(room, regions=band, read_walls=[replace(wall, support=0.0) for wall in room.walls])
    start, _ = best_of(read_drawn_room(), STOOL, params={"prefer": "center"})
    place, reasons = best_of(room, STOOL, params={"prefer": "wall"}, moved_from=start)
    assert (place is not None) == planes
    assert ("not_as_wished" in reasons) or planes


def test_a_picture_hangs_above_a_low_cupboard_and_not_far_from_it() -> None:
    room, piece = read_drawn_room(), Product(0.5, 0.03, 0.4, "wall", 1.25)
    camera, scale = room.camera(), room.scale
    wall = max(room.walls, key=lambda each: each.nz)
    corners = [wall.nx * wall.distance_m + dx * wall.nz for dx in (-0.1, 1.2)]
    points = np.array([[x, y, wall.nz * wall.distance_m] for x in corners for y in (0.0, 1.0)])
    (x0, y0), (x1, y1) = ((camera.project(points) * scale).astype(int)[i] for i in (0, 3))
    regions = room.regions.copy()
    regions[min(y0, y1) : max(y0, y1), x0:x1] = REGION.FURNITURE
    place, _ = best_of(replace(room, regions=regions), piece)
    assert place is not None
    assert x0 / scale / WIDTH < place.contact[0] < x1 / scale / WIDTH
    assert place.box[3] * HEIGHT < min(y0, y1) / scale < place.box[3] * HEIGHT + 0.5 * place.px_per_m


def test_a_lamp_does_not_hang_from_a_ceiling_that_is_not_seen() -> None:
    room = read_drawn_room()
    regions = np.where(room.regions == REGION.CEILING, REGION.WALL, room.regions).astype(np.uint8)
    assert best_of(room, PENDANT)[0] is not None
    assert best_of(replace(room, regions=regions), PENDANT) == (None, {"no_ceiling"})


def test_a_rug_lies_along_the_walls_and_its_box_is_that_of_its_corners() -> None:
    room = read_drawn_room()
    place, _ = best_of(room, RUG)
    assert place is not None
    assert (place.yaw_deg - room.yaw_deg) % 90.0 == pytest.approx(0.0, abs=0.01)
    assert (place.box[2] - place.box[0]) * WIDTH > 1.3 * place.px_per_m


def test_a_rug_may_lie_partly_under_things_and_a_stool_may_not() -> None:
    room, tap = read_drawn_room(), (0.45, 0.78)
    regions = room.regions.copy()
    column, row = int(tap[0] * regions.shape[1]), int(tap[1] * regions.shape[0])
    regions[row - 14 : row - 2, column - 14 : column + 14] = REGION.FURNITURE
    crowded = replace(room, regions=regions)
    assert best_of(crowded, RUG, tap=tap)[0].contact == pytest.approx(tap, abs=1e-6)
    assert best_of(room, STOOL, tap=tap)[0].contact == pytest.approx(tap, abs=1e-6)
    assert best_of(crowded, STOOL, tap=tap)[0].contact != pytest.approx(tap, abs=1e-6)


def with_pouf(front_m: float, depth_m: float, height_m: float = 0.4) -> Room:
    """The drawn room with a pouf on the floor before the camera: the region map shows nothing but its outline."""
    room = read_drawn_room()
    regions, camera = room.regions.copy(), room.camera()
    corners = [(x, y, z) for x in (-0.65, -0.05) for y in (0.0, height_m) for z in (front_m, front_m + depth_m)]
    outline = cv2.convexHull(np.rint(camera.project(np.array(corners)) * room.scale).astype(np.int32))
    cv2.fillConvexPoly(regions, outline, int(REGION.FURNITURE))
    return replace(room, regions=regions)


def tap_at(room: Room, x: float, z: float) -> tuple[float, float]:
    u, v = room.camera().project(np.array([[x, 0.0, z]]))[0]
    return float(u) / WIDTH, float(v) / HEIGHT


def test_a_tap_behind_a_thing_is_obeyed_though_the_thing_hides_the_floor_there() -> None:
    room = with_pouf(2.2, 0.6)
    tap = tap_at(room, -0.35, 3.55)
    column, row = (int(share * side) for share, side in zip(tap, room.regions.shape[::-1], strict=True))
    assert room.regions[row, column] == REGION.FURNITURE
    place, _ = best_of(room, STOOL, tap=tap)
    assert place is not None and place.contact == pytest.approx(tap, abs=0.03)
    assert not any(each.reason is None and each.measures["hides_things"] > 0.6 for each in judge(room, STOOL, [place]))


@pytest.mark.parametrize("height_m", [0.3, 0.4, 0.8])
def test_what_a_thing_itself_stands_on_never_counts_as_free(height_m: float) -> None:
    room = with_pouf(2.2, 0.6, height_m)
    rows, columns = np.nonzero(room.occupied_behind.hidden)
    across, along = room.camera().floor_points(np.stack([columns + 0.5, rows + 0.5], axis=1) / room.scale).T
    assert rows.size
    assert not ((np.abs(across + 0.35) < 0.28) & (along < 2.77)).any()
    tap = tap_at(room, -0.35, 2.6)
    place, _ = best_of(room, STOOL, tap=tap)
    assert place is None or place.contact != pytest.approx(tap, abs=0.03)


def test_a_tap_just_beside_a_thing_is_moved_clear_of_it_by_centimetres() -> None:
    room = with_pouf(2.2, 0.6)
    moved = []
    for x in (0.27, 0.6):
        tap = tap_at(room, x, 2.5)
        place, _ = best_of(room, STOOL, tap=tap)
        assert place is not None
        moved.append(place.contact[0] - tap[0])
    assert 0.0 < moved[0] <= 0.03
    assert moved[1] == pytest.approx(0.0, abs=1e-6)
