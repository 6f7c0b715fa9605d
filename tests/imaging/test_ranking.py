"""Where each kind of thing goes when nobody says where: as a decorator would put it, and told in words."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from imaging.checks import check_placement
from imaging.labels import REGION
from imaging.placement import Placement, Product, Verdict, judge, propose
from imaging.roles import role_of
from imaging.room import Room
from tests.imaging.scenes import HEIGHT, WIDTH, read_drawn_room


@pytest.mark.parametrize(
    ("kind", "width", "role"),
    [
        ("Sofas", 2.0, "against_wall"),
        ("Lund Open Bookcase", 0.8, "against_wall"),
        ("TV Stand", 1.8, "against_wall"),
        ("Side Tables", 0.5, "beside_seat"),
        ("Floor Lamp", 0.3, "corner"),
        ("Potted plants", 0.5, "window"),
        ("Coffee Tables", 1.1, "before_seat"),
        ("Pouf", 0.5, "before_seat"),
        ("Dining tables", 1.8, "centre"),
        ("Rugs", 2.0, "centre"),
        ("Lounge chair", 0.8, "seat"),
        ("Desk chair", 0.6, "seat"),
        ("", 1.8, "against_wall"),
        ("Sculpture", 0.4, ""),
    ],
)
def test_a_products_kind_says_where_it_belongs(kind: str, width: float, role: str) -> None:
    assert role_of(kind, width) == role


def of_kind(kind: str, width: float, depth: float, height: float) -> Product:
    return Product.of_sides(width, depth, height, mount="floor", aspect=width / (height + 0.2 * depth), kind=kind)


def chosen(room: Room, product: Product) -> tuple[Placement, Verdict]:
    found = propose(room, product)
    best = max(judge(room, product, found), key=lambda verdict: (verdict.accepted, verdict.score))
    assert best.accepted
    return next(each for each in found if each.id == best.placement_id), best


@cache
def with_things(*spots: tuple[float, float, float], label: REGION = REGION.FURNITURE, low: float = 0.0) -> Room:
    """The drawn room with upright boards in it: left and right side (x; m) and distance (z; m), 0.8 m high."""
    room = read_drawn_room()
    regions = room.regions.copy()
    for left, right, z in spots:
        corners = np.array([[left, low, z], [right, low + 0.8, z]])
        (x0, y1), (x1, y0) = (room.camera().project(corners) * room.scale).astype(int)
        regions[y0:y1, x0:x1] = label
    return replace(room, regions=regions)


@pytest.mark.parametrize(
    "product",
    [of_kind("Bookcase", 0.8, 0.3, 1.8), of_kind("Sideboard", 1.4, 0.4, 0.7), of_kind("Sofa", 1.6, 0.8, 0.8)],
)
def test_what_belongs_at_a_wall_stands_with_its_back_to_the_wall(product: Product) -> None:
    place, verdict = chosen(read_drawn_room(), product)
    assert verdict.measures["behind_m"] < 0.45
    assert "wall" in place.why


def test_a_wall_at_an_angle_is_not_behind_a_products_back() -> None:
    room, product = read_drawn_room(), of_kind("Bookcase", 0.8, 0.3, 1.8)
    at_side = [each for each in propose(room, product, params={"max_candidates": 300}) if abs(each.yaw_deg) > 25]
    assert at_side
    for each in at_side:
        assert check_placement(room, product, each).measures.get("behind_m", 9.0) > 0.3


def test_a_coffee_table_stands_before_the_sofa_and_free_of_everything() -> None:
    table = of_kind("Coffee table", 0.9, 0.5, 0.4)
    beside_sofa, with_sofa = chosen(with_things((-1.3, 0.5, 3.9)), table)
    assert 0.1 < with_sofa.measures["seat_m"] < 0.9 and "before the seats" in beside_sofa.why
    _, without = chosen(read_drawn_room(), table)
    assert without.measures["edge_m"] > 0.4


def test_a_side_table_stands_beside_a_seat_and_hides_little_of_it() -> None:
    table = of_kind("Side table", 0.4, 0.4, 0.5)
    _, verdict = chosen(with_things((-1.3, 0.3, 3.9)), table)
    assert verdict.measures["seat_m"] < 0.7
    assert verdict.measures["hides_things"] < 0.4


def test_a_floor_lamp_goes_to_a_corner_or_beside_things() -> None:
    _, verdict = chosen(read_drawn_room(), of_kind("Floor lamp", 0.3, 0.3, 1.5))
    assert min(verdict.measures["corner_m"], verdict.measures["clearance_m"]) < 0.6


def test_a_plant_likes_the_window() -> None:
    room = with_things((-1.3, -0.5, 4.5), label=REGION.OPENING, low=1.1)
    _, verdict = chosen(room, of_kind("Plant", 0.4, 0.4, 0.9))
    assert verdict.measures["window_m"] < 1.2


def test_a_rug_lies_in_the_middle_of_the_floor_and_within_the_photo() -> None:
    place, verdict = chosen(read_drawn_room(), Product.of_sides(1.2, 1.7, 0.01, mount="floor", aspect=0.7, kind="Rug"))
    assert verdict.measures["edge_m"] > 0.4
    assert place.box[3] < 0.98


def test_floor_that_ends_before_the_walls_plane_ends_at_a_thing() -> None:
    room = with_things((-0.8, 0.4, 3.3), label=REGION.WALL)
    product = of_kind("Sideboard", 0.9, 0.4, 0.7)
    camera, where = room.camera(), np.array([[-0.2, 0.0, 3.0]])
    u, v = camera.project(where)[0]
    assert (u, v) < (WIDTH, HEIGHT)
    before = [
        each for each in propose(room, product, params={"max_candidates": 300}) if abs(each.contact[0] * WIDTH - u) < 60
    ]
    near = [check_placement(room, product, each).measures for each in before]
    close = [measures for measures in near if measures.get("end_m", 9.0) < 0.3]
    assert close
    assert all(measures["clearance_m"] < 0.5 for measures in close)


def test_the_middle_of_a_base_is_all_on_the_floor() -> None:
    room, product = read_drawn_room(), of_kind("Sideboard", 1.4, 0.5, 0.7)
    found = propose(room, product, params={"max_candidates": 60})
    place = next(each for each in found if check_placement(room, product, each).measures.get("clearance_m", 0.0) > 0.5)
    column, row = int(place.contact[0] * room.regions.shape[1]), int(place.contact[1] * room.regions.shape[0])
    regions = room.regions.copy()
    regions[row - 1 : row + 2, column - 12 : column + 12] = REGION.WALL
    holed = check_placement(replace(room, regions=regions), product, place, wished=True)
    assert check_placement(room, product, place, wished=True).reason is None
    assert holed.measures["support"] > 0.9
    assert holed.reason == "not_on_support"
