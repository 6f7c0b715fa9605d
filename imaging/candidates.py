"""Spots to try: a grid over the floor in metres, along the walls, over the walls in view, and the shopper's tap."""

from collections.abc import Iterator
from math import hypot

import numpy as np
from numpy.typing import NDArray

from imaging.checks import FURNITURE_SHARE, check_placement
from imaging.geometry import Camera
from imaging.labels import REGION
from imaging.plan import plan_of
from imaging.room import Room
from imaging.scene import (
    Placement,
    Pose,
    Product,
    facing_yaw,
    room_box,
    standing_pose,
    support_level,
    turn_for_aspect,
    wall_corners,
)
from imaging.tops import tops_in_view
from imaging.walls import nearest_wall

Float = NDArray[np.float64]
Point = tuple[float, float]
Spot = tuple[float, float, float, float, str]
# The grid of the plan (m), and how near to a wall a back stands that stands against it; farther before skirting boards.
ROWS_M = (1.3, 1.7, 2.1, 2.5, 2.9, 3.3, 3.8, 4.3, 4.9, 5.6, 6.6)
COLUMN_M, MOST_SIDEWAYS_M, ALONG_WALL_M = 0.4, 3.6, 0.4
WALL_GAPS_M = (0.08, 0.26)
MOST_ENDS, END_GAP_M = 30, 0.12
# Around a tap: steps (m) sideways and in depth that are tried to make a product fit, if it does not fit there.
TAP_STEPS_M = (0.0, -0.15, 0.15, -0.35, 0.35, -0.7, 0.7)
# What is tried, nearest first, to stand clear of things' rims, and how much of the photo's width that may move it.
NUDGES_M = [(0.0, 0.0)] + [
    (reach * float(np.cos(turn)), reach * float(np.sin(turn)))
    for reach in (0.05, 0.1, 0.15)
    for turn in np.arange(8) * np.pi / 4
]
NUDGE_SHARE = 0.03
# How far (m, measured at the support) a tap may be from what carries the product: on a thing the shopper means the
# floor right beside it; on the wall behind, the product's body may have been meant.
BESIDE_M, BODY_M = 0.45, 1.3
WALL_LEVELS_M = (1.25, 1.45, 1.55, 1.7, 1.95)
WALL_COLUMNS = 25
# A piece of furniture is turned to a wall's direction where its cutout is seen from nearly that side.
SQUARE_DEG = 25.0


def floor_candidates(room: Room, product: Product, tap: Point | None, aim: Point | None = None) -> list[Placement]:
    """Placements of a standing (or, from a ceiling, hanging) product wherever the photo shows its support.

    aim is where (x, z; m) the tap is taken to mean, if not the very spot.
    """
    camera = room.camera()
    placements = []
    for x, z, level, yaw, why in _spots(room, camera, product, tap, aim):
        pose = standing_pose(camera, x, z, product, yaw, level)
        if pose.box[2] - pose.box[0] < 8 or pose.box[3] - pose.box[1] < 4:
            continue
        placements.append(_standing(room, camera, product, pose, why))
    return placements


def _spots(room: Room, camera: Camera, product: Product, tap: Point | None, aim: Point | None) -> Iterator[Spot]:
    """Middles (x, z, level), yaw and a word on the place; beside a tap the rest of the room is only sampled."""
    tapped = _tap_spots(room, product, tap, aim)
    for x, z, level, why in tapped:
        yield x, z, level, _turns(room, product, x, z)[0], why
    for x, z, level, why in list(_grid_spots(room, camera, product))[:: 4 if tapped else 1]:
        yield from ((x, z, level, yaw, why) for yaw in _turns(room, product, x, z)[: 1 if tapped else 2])
    if product.mount == "tabletop":
        yield from _top_spots(room)
    if product.mount == "floor" and not product.lies_flat:
        yield from list(_spots_along_walls(room, product))[:: 3 if tapped else 1]


def _turns(room: Room, product: Product, x: float, z: float) -> list[float]:
    """Yaws to try at a spot: as its photo shows it, and square to the room where that looks nearly the same."""
    shown = facing_yaw(x, z) + turn_for_aspect(product)
    square = [wall.yaw_deg for wall in room.walls if abs(_apart(wall.yaw_deg, facing_yaw(x, z))) < SQUARE_DEG]
    if product.lies_flat:
        along = room.yaw_deg or 0.0
        return [along, along + 90.0]
    if product.role in ("against_wall", "centre") and square:
        return [min(square, key=lambda yaw: abs(_apart(yaw, facing_yaw(x, z)))), shown]
    return [shown]


def _apart(first: float, second: float) -> float:
    return (first - second + 180.0) % 360.0 - 180.0


def _grid_spots(room: Room, camera: Camera, product: Product) -> Iterator[tuple[float, float, float, str]]:
    """Rows of spots (x, z, level) at growing distance, each row as wide as the photo shows at that distance."""
    level = support_level(camera, product.mount)
    for z in ROWS_M:
        row = camera.project(np.array([[0.0, level, z]]))[0]
        if not -0.25 * room.height < row[1] < 1.15 * room.height:
            continue
        half = min(0.95 * room.width / 2 / max(camera.px_per_m(0.0, z, level), 1e-6), MOST_SIDEWAYS_M)
        steps = max(3, min(13, int(2 * half / COLUMN_M)))
        for x in np.linspace(-half, half, steps):
            spot = _lifted(room, product, float(x), z, level)
            yield *spot, f"{_where(float(x) / half)}, {spot[1]:.1f} m away"


def _top_spots(room: Room) -> Iterator[Spot]:
    """Spots in the middle of the tops in view."""
    camera = room.camera()
    for pixel in tops_in_view(room.fronts, room.thing_ends, camera, room.scale):
        level = room.level_at("tabletop", pixel)
        point = camera.floor_point(*pixel, level_m=level)
        if point is not None:
            yield *point, level, facing_yaw(*point), f"on a top {level:.2f} m high, {point[1]:.1f} m away"


def _lifted(room: Room, product: Product, x: float, z: float, level: float) -> tuple[float, float, float]:
    """The spot (x, z, level) of the support that is seen where a spot of a plane would be: tables differ in height."""
    if product.mount != "tabletop":
        return x, z, level
    camera = room.camera()
    u, v = camera.project(np.array([[x, level, z]]))[0].tolist()
    top = room.level_at(product.mount, (u, v))
    point = camera.floor_point(u, v, level_m=top)
    return (x, z, level) if point is None else (*point, top)


def _where(share: float) -> str:
    return "left" if share < -0.33 else "right" if share > 0.33 else "middle"


def _spots_along_walls(room: Room, product: Product) -> Iterator[Spot]:
    """Spots with the back to a wall that is seen well enough from the front."""
    yield from _spots_at_ends(room, product)
    for wall in room.walls:
        if wall.support == 0 or abs(wall.yaw_deg) > 60.0:
            continue
        for gap in WALL_GAPS_M:
            away = wall.distance_m - gap - product.depth_m / 2
            for along in np.arange(-4.0, 4.01, ALONG_WALL_M):
                x, z = wall.nx * away + wall.nz * along, wall.nz * away - wall.nx * along
                if z > 1.0:
                    yield float(x), float(z), 0.0, wall.yaw_deg, "against the wall"


def _spots_at_ends(room: Room, product: Product) -> Iterator[Spot]:
    """Spots with the back, square to the room, where the floor is seen to end at a wall."""
    yaw = room.yaw_deg or 0.0
    back = np.array([-np.sin(np.radians(yaw)), np.cos(np.radians(yaw))])
    ends = plan_of(room).walls
    for x, z in ends[:: max(1, len(ends) // MOST_ENDS)] - back * (END_GAP_M + product.depth_m / 2):
        if z > 1.0:
            yield float(x), float(z), 0.0, yaw, "against the wall"


CARRIERS = {"wall": REGION.WALL, "tabletop": REGION.FURNITURE, "ceiling": REGION.CEILING}


def tapped_point(room: Room, product: Product, tap: Point) -> Point | None:
    """Where (x, z; m) on its support the shopper wants the product: the tap, or the support nearest to it."""
    camera = room.camera()
    pixel = snapped(room, tap, CARRIERS.get(product.mount, REGION.FLOOR))
    point = camera.floor_point(*pixel, level_m=room.level_at(product.mount, pixel))
    return None if point is None or hypot(*point) > 12.0 else point


def tap_refusal(room: Room, product: Product, tap: Point) -> str | None:
    """Why a tap asks for no place: `tap_on_furniture`, `tap_off_support`; None where its support is near enough."""
    carrier = CARRIERS.get(product.mount, REGION.FLOOR)
    if not (room.regions == carrier).any():
        return "tap_off_support"
    pixel, px_per_m = snapped(room, tap, carrier), _scale_at(room, product, snapped(room, tap, carrier))
    away_m = hypot(pixel[0] - tap[0] * room.width, pixel[1] - tap[1] * room.height) / max(px_per_m, 1e-6)
    label = _label(room, tap)
    if label in (REGION.FURNITURE, REGION.UNDER):
        return "tap_on_furniture" if away_m > BESIDE_M else None
    body = min(BODY_M, product.height_m + BESIDE_M) if product.mount == "floor" else BESIDE_M
    return "tap_off_support" if away_m > body else None


def _scale_at(room: Room, product: Product, pixel: Point) -> float:
    """Pixels per metre where a pixel's ray meets the product's support; 0 where it never does."""
    camera = room.camera()
    if product.mount == "wall":
        return camera.focal_px / nearest_wall(room.walls, camera.rays(np.array([pixel]))[0])[1]
    level = room.level_at(product.mount, pixel)
    point = camera.floor_point(*pixel, level_m=level)
    return 0.0 if point is None else camera.px_per_m(*point, level)


def _label(room: Room, at: Point) -> int:
    return int(room.regions[_working(room, at)])


def _working(room: Room, at: Point) -> tuple[int, int]:
    """Row and column of the region map at a point of the photo (fractions)."""
    height, width = room.regions.shape
    return min(int(at[1] * height), height - 1), min(int(at[0] * width), width - 1)


def _carries(room: Room, at: Point, carrier: REGION) -> bool:
    label = _label(room, at)
    if carrier == REGION.FLOOR and label in (REGION.FURNITURE, REGION.UNDER):
        return bool(room.occupied_behind.hidden[_working(room, at)])
    return label == carrier


def clear_aim(room: Room, product: Product, tap: Point) -> Point | None:
    """Where (x, z; m) a standing product is put for a tap: the nearest place clear of other things' rims, or the tap.

    A shopper does not tap to the centimetre: so little is not noticed, and an error of the reading may not matter then.
    """
    point = tapped_point(room, product, tap)
    if point is None or product.mount != "floor" or product.lies_flat:
        return point
    camera = room.camera()
    start = camera.project(np.array([[point[0], 0.0, point[1]]]))[0]
    for dx, dz in NUDGES_M:
        x, z = point[0] + dx, max(0.5, point[1] + dz)
        if hypot(*(camera.project(np.array([[x, 0.0, z]]))[0] - start)) > NUDGE_SHARE * room.width:
            continue
        pose = standing_pose(camera, x, z, product, _turns(room, product, x, z)[0])
        check = check_placement(room, product, _standing(room, camera, product, pose, ""), wished=True)
        if check.reason is None and check.measures["in_rim"] <= FURNITURE_SHARE:
            return x, z
    return point


def _tap_spots(
    room: Room, product: Product, tap: Point | None, aim: Point | None
) -> list[tuple[float, float, float, str]]:
    """Spots (x, z, level) at and around the tap, on the support nearest to it."""
    point = aim or (tapped_point(room, product, tap) if tap is not None else None)
    if tap is None or point is None:
        return []
    x, z = point
    level = room.level_at(product.mount, snapped(room, tap, CARRIERS.get(product.mount, REGION.FLOOR)))
    return [
        (
            *_lifted(room, product, x + dx, max(0.5, z + dz), level),
            "where the shopper tapped" if dx == dz == 0 else "next to the shopper's tap",
        )
        for dz in TAP_STEPS_M
        for dx in TAP_STEPS_M
    ]


def snapped(room: Room, tap: Point, carrier: REGION) -> Point:
    """The tap (px), or the nearest pixel of its support; what hides floor behind it is floor to a tap."""
    if _carries(room, tap, carrier) or not (room.regions == carrier).any():
        return tap[0] * room.width, tap[1] * room.height
    height, width = room.regions.shape
    column, row = int(tap[0] * width), int(tap[1] * height)
    rows, columns = np.nonzero(room.regions == carrier)
    nearest = int(np.argmin((rows - row) ** 2 + (columns - column) ** 2))
    return (columns[nearest] + 0.5) / width * room.width, (rows[nearest] + 0.5) / height * room.height


def _standing(room: Room, camera: Camera, product: Product, pose: Pose, why: str) -> Placement:
    x0, y0, x1, y1 = pose.box
    contact = camera.project(np.array([[pose.x, pose.level_m, pose.z]]))[0]
    return Placement(
        id="",
        mount=product.mount,
        box=(x0 / room.width, y0 / room.height, x1 / room.width, y1 / room.height),
        contact=(float(contact[0]) / room.width, float(contact[1]) / room.height),
        px_per_m=camera.px_per_m(pose.x, pose.z, pose.level_m),
        distance_m=pose.distance_m,
        yaw_deg=_apart(pose.yaw_deg, 0.0),
        confidence=0.0,
        why=why,
    )


def wall_candidates(room: Room, product: Product, tap: Point | None) -> list[Placement]:
    """Placements of a flat piece over the walls in view, at several heights."""
    camera = room.camera()
    pixels: list[tuple[float, float, str]] = []
    if tap is not None:
        near = snapped(room, tap, REGION.WALL)
        steps = (0.0, -0.04, 0.04, -0.08, 0.08, -0.12, 0.12)
        pixels += [
            (
                near[0] + dx * room.width,
                near[1] + dy * room.height,
                "where the shopper tapped" if dx == dy == 0 else "next to the shopper's tap",
            )
            for dy in steps
            for dx in steps
        ]
    for column in np.linspace(0.04, 0.96, WALL_COLUMNS) * room.width:
        ray = camera.rays(np.array([[column, camera.horizon_at(column)]]))[0]
        _, reach = nearest_wall(room.walls, ray)
        if not np.isfinite(reach):
            continue
        for level in (*WALL_LEVELS_M, *_level_above(room, ray * reach, product)):
            row = camera.project(np.array([[ray[0] * reach, level, ray[2] * reach]]))[0]
            pixels.append((float(row[0]), float(row[1]), f"on the wall, {level:.2f} m up"))
    found = (_hanging(room, camera, product, (x, y), why) for x, y, why in pixels)
    return [each for each in found if each is not None]


def _level_above(room: Room, foot: Float, product: Product) -> list[float]:
    """The height (m) of the middle of a piece a hand above the things that stand before this column of the wall."""
    camera, (height, width) = room.camera(), room.regions.shape
    levels = np.arange(0.5, 1.3, 0.05)
    points = np.stack([np.full(len(levels), foot[0]), levels, np.full(len(levels), foot[2])], axis=1)
    pixels = (camera.project(points) * room.scale).astype(int)
    inside = (pixels >= 0).all(axis=1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
    rows, columns = pixels[inside, 1], pixels[inside, 0]
    taken = levels[inside][room.regions[rows, columns] == REGION.FURNITURE]
    return [float(taken[-1]) + 0.25 + product.height_m / 2] if taken.size else []


def _hanging(room: Room, camera: Camera, product: Product, pixel: Point, why: str) -> Placement | None:
    ray = camera.rays(np.array([pixel]))[0]
    wall, reach = nearest_wall(room.walls, ray)
    if not 0.5 < reach < 12.0:
        return None
    middle = ray * reach + [0.0, camera.height_m, 0.0]
    corners = wall_corners(middle, product.width_m, product.height_m, wall.yaw_deg)
    if camera.to_camera(corners)[:, 2].min() < 0.3:
        return None
    x0, y0, x1, y1 = room_box(camera, corners)
    return Placement(
        id="",
        mount="wall",
        box=(x0 / room.width, y0 / room.height, x1 / room.width, y1 / room.height),
        contact=(pixel[0] / room.width, pixel[1] / room.height),
        px_per_m=camera.focal_px / reach,
        distance_m=hypot(middle[0], middle[2]),
        yaw_deg=wall.yaw_deg,
        confidence=0.0,
        why=why,
    )


__all__ = ["clear_aim", "floor_candidates", "snapped", "tap_refusal", "tapped_point", "wall_candidates"]
