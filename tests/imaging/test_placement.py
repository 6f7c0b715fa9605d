"""Proposals over a drawn room, and the judge's reasons for spots that are wrong in one known way."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from imaging.candidates import floor_candidates
from imaging.geometry import rounded_boxes
from imaging.placement import Placement, Product, Verdict, box_iou, judge, propose
from imaging.scene import facing_yaw, stand_at, standing_pose
from tests.imaging.scenes import HEIGHT, SOFA, WIDTH, drawn_room, read_drawn_room

PRINT = Product(0.6, 0.8, 0.8, "wall", 0.75)
CHAIR = Product(0.7, 0.7, 0.8, "floor", 0.95)


def standing(x: float, z: float, product: Product = CHAIR, **changes: object) -> Placement:
    """A placement at a floor point in metres, as the camera of the drawn room sees it."""
    room = read_drawn_room()
    camera = room.camera()
    pose = standing_pose(camera, x, z, product, facing_yaw(x, z))
    x0, y0, x1, y1 = pose.box
    contact = camera.project(np.array([[x, 0.0, z]]))[0]
    placement = Placement(
        id="c1",
        mount=product.mount,
        box=(x0 / WIDTH, y0 / HEIGHT, x1 / WIDTH, y1 / HEIGHT),
        contact=(float(contact[0]) / WIDTH, float(contact[1]) / HEIGHT),
        px_per_m=camera.px_per_m(x, z),
        distance_m=pose.distance_m,
        yaw_deg=pose.yaw_deg,
        confidence=0.9,
        why="by hand",
    )
    return replace(placement, **changes)


def verdict_on(placement: Placement, product: Product = CHAIR, **options: object) -> Verdict:
    return judge(read_drawn_room(), product, [placement], **options)[0]


def test_proposals_are_many_diverse_and_mostly_turned_down_for_named_reasons() -> None:
    found = propose(read_drawn_room(), SOFA, params={"max_candidates": 80})
    verdicts = judge(read_drawn_room(), SOFA, found)
    reasons = Counter(verdict.reason for verdict in verdicts)
    assert len(found) == 80
    assert 1 <= reasons[None] <= 3
    assert {"out_of_frame", "overlaps_furniture", "too_similar"} <= set(reasons)
    assert len({each.id for each in found}) == 80


def test_the_default_limit_holds() -> None:
    assert len(propose(read_drawn_room(), CHAIR)) == 24


def test_accepted_spots_stand_on_the_true_floor_in_the_true_size() -> None:
    room, drawn = read_drawn_room(), drawn_room()
    found = propose(room, CHAIR, params={"max_candidates": 80})
    kept = [each for each, verdict in zip(found, judge(room, CHAIR, found), strict=True) if verdict.accepted]
    assert kept
    for each in kept:
        contact = each.contact[0] * WIDTH, each.contact[1] * HEIGHT
        assert drawn.floor[min(int(contact[1]) - 1, HEIGHT - 1), int(contact[0])]
        pose = stand_at(drawn.camera, contact, CHAIR, each.yaw_deg)
        assert pose is not None
        assert (each.box[3] - each.box[1]) * HEIGHT == pytest.approx(pose.box[3] - pose.box[1], rel=0.05)


def test_proposing_twice_gives_the_same_answer() -> None:
    first, second = (propose(read_drawn_room(), CHAIR, tap=(0.4, 0.8)) for _ in range(2))
    assert first == second


def test_accepted_spots_differ_from_each_other() -> None:
    found = propose(read_drawn_room(), CHAIR, params={"max_candidates": 80})
    verdicts = judge(read_drawn_room(), CHAIR, found)
    kept = [each for each, verdict in zip(found, verdicts, strict=True) if verdict.accepted]
    assert all(box_iou(a.box, b.box) <= 0.45 for a in kept for b in kept if a.id != b.id)


@pytest.mark.parametrize(
    ("placement", "reason"),
    [
        (standing(-0.5, 3.0), None),
        (standing(-2.0, 2.6), "out_of_frame"),
        (standing(0.0, 5.6), "not_on_support"),
        (standing(1.2, 3.4), "overlaps_furniture"),
        (standing(0.0, 1.4), "out_of_frame"),
    ],
)
def test_each_spot_gets_its_reason(placement: Placement, reason: str | None) -> None:
    assert verdict_on(placement).reason == reason


def test_a_product_seen_from_too_steeply_has_the_wrong_view_angle() -> None:
    stool = Product(0.3, 0.3, 0.1, "floor", 2.0)
    assert verdict_on(standing(-0.3, 2.4, stool), stool).reason == "view_angle"


def test_a_box_twice_too_large_is_the_wrong_scale() -> None:
    good = standing(-0.5, 3.2)
    x0, y0, x1, y1 = good.box
    large = replace(good, box=(x0 - (x1 - x0) / 2, y0 - (y1 - y0), x1 + (x1 - x0) / 2, y1))
    assert verdict_on(good).reason is None
    assert verdict_on(large).reason == "wrong_scale"
    assert verdict_on(large).measures["scale_error"] == pytest.approx(1.0, abs=0.05)


def test_a_contact_above_the_horizon_has_no_support() -> None:
    assert verdict_on(standing(-0.5, 3.0, contact=(0.4, 0.1))).reason == "not_on_support"


def test_the_same_spot_twice_is_too_similar_and_the_fourth_ranks_too_low() -> None:
    narrow = Product(0.25, 0.25, 0.5, "floor", 0.5)
    spots = [standing(x, 3.0, narrow, id=f"c{i}") for i, x in enumerate((-1.2, -0.7, -0.2, 0.3))]
    again = replace(spots[0], id="again")
    reasons = Counter(verdict.reason for verdict in judge(read_drawn_room(), narrow, [*spots, again]))
    assert reasons == {None: 3, "low_rank": 1, "too_similar": 1}


def test_a_margin_keeps_products_off_the_wall() -> None:
    near_wall = standing(-0.5, 4.0)
    assert verdict_on(near_wall).reason is None
    assert verdict_on(near_wall, params={"margin": 0.5}).reason in ("not_on_support", "overlaps_furniture")


def test_the_shoppers_tap_decides_the_spot() -> None:
    tap = (0.35, 0.75)
    room = read_drawn_room()
    found = propose(room, CHAIR, tap=tap)
    verdicts = judge(room, CHAIR, found, tap=tap)
    best = max((verdict for verdict in verdicts if verdict.accepted), key=lambda verdict: verdict.score)
    chosen = next(each for each in found if each.id == best.placement_id)
    assert abs(chosen.contact[0] - tap[0]) < 0.06
    assert abs(chosen.contact[1] - tap[1]) < 0.12


def test_a_tap_on_the_wall_is_snapped_to_the_floor() -> None:
    found = propose(read_drawn_room(), CHAIR, tap=(0.3, 0.3))
    assert any("tap" in each.why for each in found)


@pytest.mark.parametrize(("prefer", "sign"), [("left", -1), ("right", 1)])
def test_a_preferred_side_is_followed(prefer: str, sign: int) -> None:
    room = read_drawn_room()
    plain, moved = (propose(room, CHAIR, params=params)[0] for params in ({}, {"prefer": prefer}))
    assert sign * (moved.contact[0] - plain.contact[0]) > 0.02


def test_scale_makes_the_product_larger() -> None:
    room = read_drawn_room()
    spot = next(each for each in floor_candidates(room, CHAIR, None) if each.distance_m > 2.8)
    grown = next(each for each in floor_candidates(room, CHAIR.scaled(1.3), None) if each.why == spot.why)
    assert (grown.box[3] - grown.box[1]) / (spot.box[3] - spot.box[1]) == pytest.approx(1.3, rel=0.05)


def test_wall_art_hangs_on_the_wall_in_the_true_size() -> None:
    room, drawn = read_drawn_room(), drawn_room()
    found = propose(room, PRINT, params={"max_candidates": 60})
    verdicts = judge(room, PRINT, found)
    kept = [each for each, verdict in zip(found, verdicts, strict=True) if verdict.accepted]
    assert kept
    for each in kept:
        x, y = each.contact[0] * WIDTH, each.contact[1] * HEIGHT
        assert drawn.wall[int(y), int(x)]
        assert (each.box[3] - each.box[1]) * HEIGHT == pytest.approx(0.8 * each.px_per_m, rel=0.15)


def test_wall_art_over_the_window_blocks_it() -> None:
    found = propose(read_drawn_room(), PRINT, params={"max_candidates": 200})
    reasons = {verdict.reason for verdict in judge(read_drawn_room(), PRINT, found)}
    assert {"blocks_window", "overlaps_furniture"} & reasons


def test_pendants_hang_from_the_ceiling() -> None:
    pendant = Product(0.4, 0.4, 0.6, "ceiling", 0.66)
    found = propose(read_drawn_room(), pendant)
    assert found
    assert all(each.box[1] - 1e-6 <= each.contact[1] < (each.box[1] + each.box[3]) / 2 for each in found)


def test_a_placement_has_the_public_shape_and_survives_json() -> None:
    placement = propose(read_drawn_room(), CHAIR)[0]
    shape = placement.to_json()
    assert set(shape) == {"id", "mount", "box", "contact", "px_per_m", "distance_m", "yaw_deg", "confidence", "why"}
    assert set(shape["box"]) == {"x0", "y0", "x1", "y1"} and set(shape["contact"]) == {"x", "y"}
    again = Placement.from_json(json.loads(json.dumps(shape)))
    assert again.to_json() == shape


def test_a_turned_product_has_a_wider_box() -> None:
    camera = drawn_room().camera
    straight, turned = rounded_boxes(camera, 0.0, 3.0, (0.8, 0.8, 0.8), np.array([0.0, 40.0]))
    assert np.diff([straight[0], straight[2]])[0] < np.diff([turned[0], turned[2]])[0]


def test_the_box_is_the_same_to_whichever_side_a_product_is_turned() -> None:
    camera = drawn_room().camera
    left, right = (standing_pose(camera, 0.4, 3.0, CHAIR, facing_yaw(0.4, 3.0) + turn).box for turn in (-25.0, 25.0))
    assert left == pytest.approx(right)
    x, y = camera.project(np.array([[0.4, 0.0, 3.0]]))[0]
    assert left[0] < x < left[2] and left[1] < y < left[3]
