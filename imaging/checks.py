"""The checks that a placement has to pass, measured from its box, contact and yaw against camera and region map."""

from dataclasses import dataclass, field
from math import atan2, cos, degrees, hypot, radians, sin

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.geometry import Camera, footprint
from imaging.labels import REGION, is_taken
from imaging.plan import FAR_AWAY_M, around
from imaging.room import Room
from imaging.scene import Placement, Pose, Product, room_box, stand_at, wall_corners, wall_middle
from imaging.tops import COUNTER_M, LEVELS_M, TABLE_M, outline_level
from imaging.walls import nearest_wall

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
INSIDE_SHARE, SUPPORT_SHARE, FURNITURE_SHARE, WINDOW_SHARE, DOOR_SHARE = 0.985, 0.9, 0.03, 0.5, 0.08
HIDDEN_SHARE, OFF_CONTACT_SHARE, RUG_SEEN_SHARE = 0.7, 0.2, 0.62
WISHED_SHARE, WISHED_RIM_SHARE = 0.1, 0.3
# Within its rim (m, at most so much of a side) a base has to be all on the floor, but for the map's coarseness.
RIM_M, RIM_SHARE, CORE_SHARE = 0.1, 0.2, 0.97
# A top is at the height where its thing ends (m), and at least so deep before the wall behind it.
TOP_OFF_M, TOP_DEPTH_M = 0.15, 0.2
NEAR_M, FAR_M = 1.5, 7.5
ABOVE_REACH_M = 0.9
# Merchants photograph from about 10 to 20 degrees above; seen from higher up a cutout looks folded.
GOOD_ELEVATION_DEG, MAX_ELEVATION_DEG = 16.0, 27.0
SCALE_ERROR, MAX_WALL_VIEW_DEG = 0.3, 58.0
# A wall that is surer than this bounds what hangs from the ceiling, and how much of another lamp may lie behind it.
SURE_WALL, LAMP_SHARE = 0.5, 0.02
# How far (m) before a lamp the table below it begins, and how far from walls it hangs.
TABLE_BEFORE_M, FREE_OF_WALLS_M = (0.2, 1.2), 0.8


@dataclass
class Check:
    """The figures of one placement, and the first reason against it."""

    reason: str | None = None
    measures: dict[str, float] = field(default_factory=dict)

    def fail(self, reason: str, when: bool) -> None:
        """Notes a reason unless an earlier one stands."""
        if when and self.reason is None:
            self.reason = reason

    def rounded(self) -> dict[str, float]:
        return {key: round(value, 4) for key, value in self.measures.items()}


def check_placement(
    room: Room, product: Product, placement: Placement, margin_m: float = 0.0, wished: bool = False
) -> Check:
    """Measures one placement; `margin_m` is the clear floor wanted around the product.

    What is `wished`, by a tap on that very spot, may stand close to other things and behind them: no margin, half the
    safety rim (how much of it was needed is the measure `in_rim`), and floor that a thing hides counts as floor.
    """
    check = Check(measures={"inside": inside_share(placement)})
    if placement.mount == "wall":
        _check_wall(check, room, product, placement)
    else:
        _check_standing(check, room, product, placement, None if wished else margin_m)
    return check


def inside_share(placement: Placement) -> float:
    """Share of the box that lies within the photo."""
    x0, y0, x1, y1 = placement.box
    area = max((x1 - x0) * (y1 - y0), 1e-9)
    seen = max(0.0, min(x1, 1.0) - max(x0, 0.0)) * max(0.0, min(y1, 1.0) - max(y0, 0.0))
    return seen / area


def pose_of(room: Room, product: Product, placement: Placement) -> Pose | None:
    """The metric pose that a standing or hanging placement implies, None above the horizon."""
    pixel = placement.contact[0] * room.width, placement.contact[1] * room.height
    level = room.level_at(product.mount, pixel)
    return stand_at(room.camera(), pixel, product, placement.yaw_deg, level)


@dataclass(frozen=True, eq=False)
class Covered:
    """A polygon over the region map: the part of the map, the polygon's pixels in it, and its whole area (px)."""

    part: tuple[slice, slice]
    pixels: Mask
    area: int

    def share(self, mask: Mask) -> float:
        """Share of the polygon that a mask (of the region map's size) fills."""
        return float(np.count_nonzero(mask[self.part] & self.pixels)) / max(self.area, 1)

    def label_share(self, room: Room, label: REGION) -> float:
        """Share of the polygon that pixels of a label fill."""
        return float(np.count_nonzero((room.regions[self.part] == label) & self.pixels)) / max(self.area, 1)

    def taken_share(self, room: Room) -> float:
        """Share of the polygon that things and the floor between their feet fill."""
        return float(np.count_nonzero(is_taken(room.regions[self.part]) & self.pixels)) / max(self.area, 1)


def cover(room: Room, corners: Float) -> Covered:
    """The pixels of the region map in a polygon of photo px (N, 2), which may reach beyond the photo."""
    height, width = room.regions.shape
    points = corners * [width / room.width, height / room.height]
    low = np.floor(points.min(axis=0)).astype(int)
    span = np.minimum(np.ceil(points.max(axis=0)).astype(int) - low + 1, 4 * max(width, height))
    canvas = np.zeros((int(span[1]), int(span[0])), np.uint8)
    cv2.fillPoly(canvas, [np.rint((points - low) * 16).astype(np.int32)], 1, shift=4)
    x0, y0 = (min(max(0, int(low[0])), width), min(max(0, int(low[1])), height))
    x1, y1 = max(x0, min(width, int(low[0] + span[0]))), max(y0, min(height, int(low[1] + span[1])))
    pixels = canvas[y0 - low[1] : y1 - low[1], x0 - low[0] : x1 - low[0]] > 0
    return Covered((slice(y0, y1), slice(x0, x1)), pixels, int(canvas.sum()))


def region_shares(room: Room, corners: Float) -> dict[REGION, float]:
    """Shares of the region labels in a polygon of photo px (N, 2); what lies outside the photo counts as nothing."""
    covered = cover(room, corners)
    counts = np.bincount(room.regions[covered.part][covered.pixels], minlength=len(REGION))
    return {label: float(counts[label]) / max(covered.area, 1) for label in REGION}


def _check_standing(check: Check, room: Room, product: Product, placement: Placement, margin_m: float | None) -> None:
    measures = check.measures
    measures.update(distance_m=placement.distance_m, elevation_deg=0.0)
    if measures["inside"] < INSIDE_SHARE:
        check.fail("out_of_frame", True)
        return
    pose = pose_of(room, product, placement)
    if pose is None:
        measures.update(support=0.0, scale_error=1.0)
        check.fail("not_on_support", True)
        return
    expected = max(pose.box[3] - pose.box[1], 1e-6)
    given = (placement.box[3] - placement.box[1]) * room.height
    measures["distance_m"] = pose.distance_m
    measures["elevation_deg"] = elevation(room.camera(), pose, product)
    measures["scale_error"] = given / expected - 1.0
    measures["off_contact"] = abs(placement.box[3] * room.height - pose.box[3]) / expected
    check.fail("too_near", measures["distance_m"] < NEAR_M or given > 0.92 * room.height)
    check.fail("too_far", measures["distance_m"] > FAR_M)
    if check.reason is None:
        _measure_support(check, room, product, pose, margin_m)
    if check.reason is not None:
        return
    box_shares = region_shares(room, _box_corners(room, placement))
    measures["hides_things"] = box_shares[REGION.FURNITURE] + box_shares[REGION.OPENING]
    check.fail("blocks_window", box_shares[REGION.OPENING] > WINDOW_SHARE and placement.mount != "ceiling")
    wrong = abs(measures["scale_error"]) > SCALE_ERROR or measures["off_contact"] > OFF_CONTACT_SHARE
    check.fail("wrong_scale", wrong and not product.lies_flat)
    check.fail("view_angle", not product.lies_flat and measures["elevation_deg"] > MAX_ELEVATION_DEG)
    check.fail("overlaps_furniture", measures["hides_things"] > HIDDEN_SHARE and placement.mount == "floor")


def _measure_support(check: Check, room: Room, product: Product, pose: Pose, margin_m: float | None) -> None:
    """Share of the product's base on what carries it, and what stands in its way."""
    camera, measures = room.camera(), check.measures
    base = cover(room, camera.project(pose.base))
    if product.lies_flat:
        _measure_rug(check, room, pose, base)
    elif product.mount == "floor":
        _measure_floor(check, room, product, pose, base, margin_m)
    elif product.mount == "ceiling":
        _measure_hanging(check, room, product, pose, base.label_share(room, REGION.CEILING))
    else:
        measures["support"] = base.label_share(room, REGION.FURNITURE)
        check.fail("not_on_support", measures["support"] < SUPPORT_SHARE)
        _measure_top(check, room, pose, wish=margin_m is None)


def _measure_floor(
    check: Check, room: Room, product: Product, pose: Pose, base: Covered, margin_m: float | None
) -> None:
    """Whether a standing product's base (grown by the margin) is on free floor, and what is around it."""
    measures, wish, wide = check.measures, margin_m is None, base
    if margin_m:
        wide = cover(room, room.camera().project(_grown(product, pose, margin_m, margin_m)))
    # Who asks for a place behind a thing gets it, as far as the thing itself does not reach.
    occupied = room.occupied_behind if wish else room.occupied
    measures["support"] = base.label_share(room, REGION.FLOOR) + base.share(occupied.hidden)
    measures["on_furniture"] = base.taken_share(room) - base.share(occupied.hidden) + base.share(occupied.things)
    measures["at_door"] = base.share(occupied.doors)
    crowded = wide.taken_share(room) - wide.share(occupied.hidden)
    check.fail("blocks_door", measures["at_door"] > DOOR_SHARE)
    close = crowded > WISHED_SHARE or measures["on_furniture"] > WISHED_RIM_SHARE
    free = max(measures["on_furniture"], crowded) <= FURNITURE_SHARE
    check.fail("overlaps_furniture", close if wish else not free)
    if wish:
        measures["in_rim"] = max(measures["on_furniture"], crowded)
    check.fail("not_on_support", bool(margin_m) and wide.label_share(room, REGION.FLOOR) < SUPPORT_SHARE - 0.05)
    check.fail("not_on_support", measures["support"] < SUPPORT_SHARE)
    if check.reason is None:
        # What a reading's errors may hide at the base's rim is no floor within it.
        rims = [-min(RIM_M, RIM_SHARE * side) for side in (product.width_m, product.depth_m)]
        core = cover(room, room.camera().project(_grown(product, pose, *rims)))
        measures["core_support"] = core.label_share(room, REGION.FLOOR) + core.share(occupied.hidden)
        check.fail("not_on_support", measures["core_support"] < CORE_SHARE)
    if check.reason is None:
        _measure_around(check, room, pose)


def _measure_top(check: Check, room: Room, pose: Pose, *, wish: bool) -> None:
    """Whether the thing below ends at the height where the product stands, and is as deep as a top.

    A front, a radiator, a sill or a bookcase is not; where a shopper tapped, it is believed to be one.
    """
    camera, measures = room.camera(), check.measures
    x, y = camera.project(np.array([[pose.x, pose.level_m, pose.z]]))[0].tolist()
    outline = outline_level(room.fronts, room.thing_ends, camera, room.scale, (x, y))
    measures["top_told"] = float(room.top_at((x, y)) is not None and outline is not None)
    if outline is None:
        check.fail("not_on_support", not wish and _hangs(room, x, y))
        return
    ray = camera.rays(np.array([[x, y]]))[0]
    reach = nearest_wall([wall for wall in room.walls if wall.support > 0] or room.walls, ray)[1]
    ends = outline[0] if outline[0] > COUNTER_M else min(outline[0], LEVELS_M[1])
    measures["top_off_m"] = abs(ends - pose.level_m)
    measures["top_depth_m"] = min(FAR_AWAY_M, reach * float(np.hypot(ray[0], ray[2]))) - outline[1]
    no_top = measures["top_off_m"] > TOP_OFF_M or measures["top_depth_m"] < TOP_DEPTH_M
    check.fail("not_on_support", no_top and not wish)


def _hangs(room: Room, x: float, y: float) -> bool:
    """Whether there is wall below what is seen at a pixel."""
    below = room.regions[int(y * room.scale) :, int(x * room.scale)]
    ends = np.flatnonzero(~is_taken(below))
    return bool(ends.size) and below[ends[0]] == REGION.WALL


def _grown(product: Product, pose: Pose, sideways_m: float, in_depth_m: float) -> Float:
    """The base's corners (4, 3), each side moved outwards."""
    width, depth = product.width_m + 2 * sideways_m, product.depth_m + 2 * in_depth_m
    return footprint(pose.x, pose.z, width, depth, pose.yaw_deg, pose.level_m)


def _measure_hanging(check: Check, room: Room, product: Product, pose: Pose, ceiling: float) -> None:
    """A lamp hangs from seen ceiling, within the walls, through no other lamp, best over a table."""
    measures = check.measures
    measures["support"] = ceiling
    half = max(product.width_m, product.depth_m) / 2
    beyond = any(pose.x * w.nx + pose.z * w.nz > w.distance_m - half for w in room.walls if w.support > SURE_WALL)
    check.fail("not_on_support", ceiling < 0.5 or beyond)
    x0, y0, x1, y1 = pose.box
    upper = np.array([[x0, y0], [x1, y0], [x1, (y0 + y1) / 2], [x0, (y0 + y1) / 2]])
    lamps = (room.regions == REGION.FURNITURE) & room.overhead
    check.fail("overlaps_furniture", cover(room, upper).share(lamps) > LAMP_SHARE)
    measures["over_table"] = float(_is_over_table(room, pose))


def _is_over_table(room: Room, pose: Pose) -> bool:
    """Whether what is seen below begins a little nearer to the camera, as a table does, and all is free of walls."""
    column, row = (room.camera().project(np.array([[pose.x, TABLE_M, pose.z]]))[0] * room.scale).astype(int).tolist()
    height, width = room.fronts.shape
    if not (0 <= row < height and 0 <= column < width):
        return False
    before = pose.distance_m - float(room.fronts[row, column])
    free = all(pose.x * wall.nx + pose.z * wall.nz < wall.distance_m - FREE_OF_WALLS_M for wall in room.walls)
    return TABLE_BEFORE_M[0] < before < TABLE_BEFORE_M[1] and free


def _measure_rug(check: Check, room: Room, pose: Pose, base: Covered) -> None:
    """A rug may lie under things: these hide part of it, but what is seen of it has to be floor, and most of it."""
    measures = check.measures
    measures["support"] = base.label_share(room, REGION.FLOOR)
    measures["on_furniture"] = base.taken_share(room)
    check.fail("not_on_support", measures["support"] + measures["on_furniture"] < SUPPORT_SHARE)
    check.fail("overlaps_furniture", measures["support"] < RUG_SEEN_SHARE)
    if check.reason is None:
        _measure_around(check, room, pose)


def _measure_around(check: Check, room: Room, pose: Pose) -> None:
    """What is around the base, in metres (imaging.plan)."""
    found = around(room, pose)
    check.measures.update(
        behind_m=found.wall,
        end_m=found.end,
        corner_m=found.corner,
        clearance_m=found.thing,
        seat_m=found.seat,
        window_m=found.window,
        edge_m=found.edge,
        walkway_m=found.walkway,
    )


def elevation(camera: Camera, pose: Pose, product: Product) -> float:
    """How far (degrees) the camera looks down on the product's middle."""
    middle = pose.level_m + product.height_m / 2 * (-1 if product.mount == "ceiling" else 1)
    return degrees(atan2(camera.height_m - middle, max(pose.distance_m, 0.1)))


def _check_wall(check: Check, room: Room, product: Product, placement: Placement) -> None:
    camera, measures = room.camera(), check.measures
    pixel = placement.contact[0] * room.width, placement.contact[1] * room.height
    middle = wall_middle(camera, pixel, placement.px_per_m)
    corners = wall_corners(middle, product.width_m, product.height_m, placement.yaw_deg)
    shares = region_shares(room, camera.project(corners))
    wall, reach = nearest_wall(room.walls, camera.rays(np.array([pixel]))[0])
    box = room_box(camera, corners)
    measures["support"] = shares[REGION.WALL]
    measures["wall_sure"] = wall.support
    measures["distance_m"] = hypot(middle[0], middle[2])
    measures["middle_m"] = float(middle[1])
    measures["view_deg"] = _view_angle(middle, placement.yaw_deg)
    measures["scale_error"] = ((placement.box[3] - placement.box[1]) * room.height) / max(box[3] - box[1], 1e-6) - 1.0
    measures["wall_gap"] = camera.focal_px / placement.px_per_m / max(reach, 1e-6) - 1.0
    grown = wall_corners(middle, product.width_m * 1.8, product.height_m * 1.2, placement.yaw_deg)
    measures["around"] = region_shares(room, camera.project(grown))[REGION.WALL]
    measures["above_m"] = _above_things(room, middle, product, placement.yaw_deg)
    check.fail("out_of_frame", measures["inside"] < 0.99)
    check.fail("blocks_window", shares[REGION.OPENING] > 0.04)
    check.fail("overlaps_furniture", shares[REGION.FURNITURE] > 0.04)
    beyond = corners[0, 1] > room.ceiling_m or corners[2, 1] < 0.0
    round_a_corner = any(nearest_wall(room.walls, ray)[0] is not wall for ray in camera.rays(camera.project(corners)))
    check.fail("not_on_support", measures["support"] < 0.93 or beyond or round_a_corner)
    check.fail("too_near", measures["distance_m"] < 1.0)
    check.fail("too_far", measures["distance_m"] > 9.0)
    check.fail("wrong_scale", max(abs(measures["scale_error"]), abs(measures["wall_gap"])) > SCALE_ERROR)
    check.fail("view_angle", measures["view_deg"] > MAX_WALL_VIEW_DEG)


def _above_things(room: Room, middle: Float, product: Product, yaw_deg: float) -> float:
    """Metres of wall between the piece's lower edge and things below both its sides and its middle; 9 without."""
    camera, (height, width) = room.camera(), room.regions.shape
    across = np.array([cos(radians(yaw_deg)), 0.0, sin(radians(yaw_deg))]) * product.width_m * 0.4
    drops = np.arange(0.05, ABOVE_REACH_M, 0.05)
    gaps = []
    for side in (-1.0, 0.0, 1.0):
        points = middle + side * across - (product.height_m / 2 + drops)[:, None] * np.array([0.0, 1.0, 0.0])
        pixels = (camera.project(points) * room.scale).astype(int)
        inside = (pixels >= 0).all(axis=1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
        labels = np.where(
            inside, room.regions[np.clip(pixels[:, 1], 0, height - 1), np.clip(pixels[:, 0], 0, width - 1)], 0
        )
        found = np.flatnonzero(labels == REGION.FURNITURE)
        gaps.append(float(drops[found[0]]) if found.size else 9.0)
    return max(gaps)


def _view_angle(middle: Float, yaw_deg: float) -> float:
    """Degrees between the piece's front and the line to the camera, in plan."""
    facing = degrees(atan2(-middle[0], middle[2]))
    return abs((yaw_deg - facing + 180.0) % 360.0 - 180.0)


def _box_corners(room: Room, placement: Placement) -> Float:
    x0, y0, x1, y1 = placement.box
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) * [room.width, room.height]


__all__ = ["GOOD_ELEVATION_DEG", "Check", "check_placement", "elevation", "inside_share", "pose_of", "region_shares"]
