"""Floor that is seen but not free, doors and ceilings, in rooms whose geometry is known exactly."""

import cv2
import numpy as np
import pytest

from imaging.checks import check_placement
from imaging.geometry import footprint
from imaging.labels import REGION, is_floor, is_taken
from imaging.occupied import occupied_floor
from imaging.placement import Placement, Product, judge, propose
from imaging.room import Room, read_room
from imaging.scene import facing_yaw, standing_pose, turn_for_aspect
from imaging.walls import Wall
from tests.imaging.scenes import BACK_M, CEILING_M, F35, HEIGHT, ROOM_YAW, WIDTH, drawn_room, read_drawn_room

STOOL = Product(0.4, 0.4, 0.45, "floor", 0.9)
TABLE_X, TABLE_Z, TABLE_M = -0.9, 3.0, 0.9


def in_room(x: float, y: float, z: float) -> list[float]:
    """A point of the drawn room's own axes in the camera's frame."""
    c, s = np.cos(ROOM_YAW), np.sin(ROOM_YAW)
    return [c * x - s * z, y, s * x + c * z]


def with_table() -> Room:
    """The drawn room, read with a table of the floor's colours on thin legs standing in it."""
    drawn = drawn_room()
    pixels, camera, half = drawn.pixels.copy(), drawn.camera, TABLE_M / 2
    corners = [(-half, -half), (half, -half), (half, half), (-half, half)]
    for dx, dz in corners:
        foot, top = camera.project(np.array([[TABLE_X + dx, y, TABLE_Z + dz] for y in (0.0, 0.45)]))
        cv2.line(pixels, tuple(np.rint(foot).astype(int)), tuple(np.rint(top).astype(int)), (40, 26, 18), 7)
    board = camera.project(np.array([[TABLE_X + dx, 0.47, TABLE_Z + dz] for dx, dz in corners]))
    cv2.fillConvexPoly(pixels, np.rint(board).astype(np.int32), (60, 40, 30))
    return read_room(pixels, F35)


def with_door() -> Room:
    """The drawn room, read with a white door of 0.9 x 2.05 m in its back wall, away from the cupboard."""
    drawn = drawn_room()
    pixels, camera = drawn.pixels.copy(), drawn.camera
    for inset, colour in ((0.0, (120, 118, 116)), (0.05, (246, 246, 244))):
        flat = [(-0.2 + inset, 0.0), (0.7 - inset, 0.0), (0.7 - inset, 2.05 - inset), (-0.2 + inset, 2.05 - inset)]
        door = camera.project(np.array([in_room(x, y, BACK_M) for x, y in flat]))
        cv2.fillConvexPoly(pixels, np.rint(door).astype(np.int32), colour)
    return read_room(pixels, F35)


def stool_at(room: Room, x: float, z: float) -> Placement:
    camera = room.camera()
    pose = standing_pose(camera, x, z, STOOL, facing_yaw(x, z))
    (u, v), (x0, y0, x1, y1) = camera.project(np.array([[x, 0.0, z]]))[0], pose.box
    box = x0 / WIDTH, y0 / HEIGHT, x1 / WIDTH, y1 / HEIGHT
    return Placement(
        "c1", "floor", box, (u / WIDTH, v / HEIGHT), camera.px_per_m(x, z), pose.distance_m, pose.yaw_deg, 0.9, ""
    )


def test_nothing_stands_under_a_table_although_its_floor_is_seen() -> None:
    room = with_table()
    assert check_placement(room, STOOL, stool_at(room, TABLE_X, TABLE_Z)).reason == "overlaps_furniture"
    assert check_placement(read_drawn_room(), STOOL, stool_at(read_drawn_room(), TABLE_X, TABLE_Z)).reason is None


def test_floor_between_a_tables_legs_is_floor_to_light_and_taken_for_placements() -> None:
    room = with_table()
    (x, y), *_ = room.camera().project(np.array([[TABLE_X, 0.0, TABLE_Z - 0.3]])) * room.scale
    assert room.regions[int(y), int(x)] == REGION.UNDER
    assert is_floor(room.regions)[int(y), int(x)]
    assert is_taken(room.regions)[int(y), int(x)]


def test_a_front_of_the_floors_colours_before_a_wall_is_no_floor() -> None:
    drawn = drawn_room()
    pixels, camera = drawn.pixels.copy(), drawn.camera
    front = [(-1.9, 0.0), (-1.9, 0.5), (-0.8, 0.5), (-0.8, 0.0)]
    corners = camera.project(np.array([in_room(x, y, BACK_M) for x, y in front]))
    cv2.fillConvexPoly(pixels, np.rint(corners).astype(np.int32), (150, 105, 66))
    room = read_room(pixels, F35)
    (x, y), *_ = camera.project(np.array([in_room(-1.3, 0.35, BACK_M)])) * room.scale
    assert room.regions[int(y), int(x)] not in (REGION.FLOOR, REGION.UNDER)


@pytest.mark.parametrize(("lift_m", "taken"), [(0.12, True), (0.6, False)])
def test_floor_below_what_hangs_a_hand_above_it_is_taken(lift_m: float, taken: bool) -> None:
    camera, (height, width) = read_drawn_room().camera(), read_drawn_room().regions.shape
    scale = read_drawn_room().scale
    regions = np.full((height, width), REGION.WALL, np.uint8)
    (x, foot), (_, low), (_, high) = camera.project(np.array([[0.0, y, 4.0] for y in (0.0, lift_m, 1.2)])) * scale
    regions[int(foot) :] = REGION.FLOOR
    regions[int(high) : int(low), int(x) - 20 : int(x) + 20] = REGION.FURNITURE
    assert occupied_floor(regions, camera, scale).things[int(foot) + 1, int(x)] == taken


@pytest.mark.parametrize(("head_m", "taken"), [(0.35, True), (0.12, False)])
def test_floor_below_leaves_is_taken_although_they_run_into_a_shelf_in_the_picture(head_m: float, taken: bool) -> None:
    camera, (height, width) = read_drawn_room().camera(), read_drawn_room().regions.shape
    scale, z = read_drawn_room().scale, 3.0

    def at(x: float, y: float, z: float) -> list[int]:
        return [int(v) for v in camera.project(np.array([[x, y, z]]))[0] * scale]

    regions = np.full((height, width), REGION.WALL, np.uint8)
    regions[at(0.0, 0.0, 4.6)[1] :] = REGION.FLOOR
    for low, high, left, right in ((0.0, 0.6, -0.12, 0.12), (0.5, 1.0, -head_m, head_m), (0.7, 0.9, 0.0, 1.5)):
        (x0, y0), (x1, y1) = at(left, high, z), at(right, low, z)
        regions[y0:y1, x0:x1] = REGION.FURNITURE
    column, row = at(-0.3, 0.0, z)
    assert occupied_floor(regions, camera, scale).things[row, column] == taken


@pytest.mark.parametrize(("support", "taken"), [(0.9, True), (0.1, False)])
def test_what_ends_the_floor_far_before_a_sure_wall_stands_there_though_it_looks_like_wall(
    support: float, taken: bool
) -> None:
    camera, (height, width) = read_drawn_room().camera(), read_drawn_room().regions.shape
    scale = read_drawn_room().scale
    regions = np.full((height, width), REGION.WALL, np.uint8)
    (x, far), (_, near) = camera.project(np.array([[0.0, 0.0, z] for z in (4.6, 3.6)])) * scale
    regions[int(far) :] = REGION.FLOOR
    regions[: int(near), int(x) - 20 : int(x) + 20] = REGION.WALL
    things = occupied_floor(regions, camera, scale, [Wall(0.0, 1.0, 4.6, support)]).things
    assert things[int(near) + 1, int(x)] == taken
    assert not things[int(far) + 1, int(x) - 60]


def test_no_proposal_touches_the_true_footprint_of_the_table() -> None:
    room = with_table()
    table = footprint(TABLE_X, TABLE_Z, TABLE_M, TABLE_M, 0.0)[:, [0, 2]].astype(np.float32)
    found = propose(room, STOOL, params={"max_candidates": 200})
    kept = [each for each, verdict in zip(found, judge(room, STOOL, found), strict=True) if verdict.accepted]
    assert kept
    for each in kept:
        x, z = drawn_room().camera.floor_point(each.contact[0] * WIDTH, each.contact[1] * HEIGHT)
        assert cv2.pointPolygonTest(table.reshape(-1, 1, 2), (float(x), float(z)), True) < -0.15


def test_the_swing_of_a_door_is_kept_free() -> None:
    room = with_door()
    x, _, z = in_room(0.25, 0.0, BACK_M - 0.45)
    assert check_placement(room, STOOL, stool_at(room, x, z)).reason == "blocks_door"
    assert check_placement(read_drawn_room(), STOOL, stool_at(read_drawn_room(), x, z)).reason != "blocks_door"


def test_the_way_from_a_door_is_kept_free_where_there_is_another_place() -> None:
    rooms = with_door(), read_drawn_room()
    x, _, z = in_room(0.2, 0.0, BACK_M - 1.3)
    before_door, elsewhere = (judge(room, STOOL, [stool_at(room, x, z)])[0] for room in rooms)
    assert before_door.measures["walkway_m"] < 0.1 and elsewhere.measures["walkway_m"] == 9.0
    assert before_door.score < elsewhere.score - 0.08
    found = propose(rooms[0], STOOL)
    best = max(judge(rooms[0], STOOL, found), key=lambda verdict: (verdict.accepted, verdict.score))
    assert best.measures["walkway_m"] > 0.2


def test_a_door_is_an_opening_and_a_plain_wall_has_none_there() -> None:
    middle = drawn_room().camera.project(np.array([in_room(0.25, 1.0, BACK_M)]))[0]
    for room, opening in ((with_door(), True), (read_drawn_room(), False)):
        column, row = (int(v * room.scale) for v in middle)
        assert (room.regions[row, column] == REGION.OPENING) is np.bool_(opening)


def test_the_walls_stand_as_the_edges_say() -> None:
    room = read_drawn_room()
    assert room.yaw_deg == pytest.approx(6.0, abs=1.0)
    assert any(wall.yaw_deg == pytest.approx(6.0, abs=1.0) for wall in room.walls)


def test_the_ceilings_height_is_read_from_where_the_walls_end() -> None:
    assert read_drawn_room().ceiling_m == pytest.approx(CEILING_M, rel=0.06)


def test_a_cutout_wider_than_the_front_is_turned() -> None:
    frontal, turned = (Product(0.8, 0.8, 0.8, "floor", aspect) for aspect in (0.95, 1.25))
    assert turn_for_aspect(frontal) < 10 < turn_for_aspect(turned)


@pytest.mark.parametrize("tap", [(0.35, 0.8), (0.45, 0.85)])
def test_a_tap_where_it_fits_is_met_exactly(tap: tuple[float, float]) -> None:
    room = read_drawn_room()
    found = propose(room, STOOL, tap=tap)
    best = max(judge(room, STOOL, found, tap=tap), key=lambda verdict: (verdict.accepted, verdict.score))
    chosen = next(each for each in found if each.id == best.placement_id)
    assert best.accepted
    assert chosen.contact == pytest.approx(tap, abs=1e-6)


def test_a_tap_where_nothing_fits_is_refused_and_not_answered_elsewhere() -> None:
    room = read_drawn_room()
    tap, wide = (0.99, 0.97), Product(2.8, 1.0, 0.8, "floor", 2.6, "against_wall")
    verdicts = judge(room, wide, propose(room, wide, tap=tap), tap=tap)
    assert not any(verdict.accepted for verdict in verdicts)
    assert {"out_of_frame", "far_from_tap"} & {verdict.reason for verdict in verdicts}


@pytest.mark.parametrize(("prefer", "sign"), [("front", -1), ("back", 1)])
def test_nearer_and_farther_are_followed(prefer: str, sign: int) -> None:
    room = read_drawn_room()
    plain, moved = (propose(room, STOOL, params=params)[0] for params in ({"prefer": "center"}, {"prefer": prefer}))
    assert sign * (moved.distance_m - plain.distance_m) > 0.1


def test_a_wish_for_the_wall_brings_even_a_stool_to_it() -> None:
    room = read_drawn_room()
    found = propose(room, STOOL, params={"prefer": "wall"})
    best = max(
        judge(room, STOOL, found, params={"prefer": "wall"}), key=lambda verdict: (verdict.accepted, verdict.score)
    )
    assert best.accepted and best.measures["behind_m"] < 0.45
