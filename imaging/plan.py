"""The room in plan, as a decorator sees it: where the visible floor ends, and at what."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.labels import REGION, is_taken
from imaging.room import Room
from imaging.scene import Pose
from imaging.walls import nearest_wall

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
# Nothing is looked for beyond this (m), which also stands for "none".
FAR_AWAY_M = 9.0
# The floor's end at a wall lies this near (m) to one of the walls' planes; nearer to the camera it is a thing of the
# wall's colour.
AT_PLANE_M = 0.35
# What one sits on, or what stands low along a wall: as wide, and as high where it is seen to end (m).
SEAT_WIDTH_M, SEAT_LEVELS_M = 1.2, (0.4, 1.2)
SKIRTING_M, LEAST_DOOR_PX, WINDOW_STEP_PX = 0.2, 5, 4


@dataclass(frozen=True, eq=False)
class Plan:
    """Points (N, 2: x, z; m) where the visible floor ends: at anything, things, wide low things, walls; windows."""

    ends: Float
    things: Float
    seats: Float
    walls: Float
    windows: Float
    doors: Float


@dataclass(frozen=True)
class Around:
    """Metres from a product's base: behind its back, and to what is nearest; FAR_AWAY_M where there is none.

    wall and end are behind the back (a wall, anything); the others in any direction. corner is the second of the room's
    sides, so that 0 is in a corner; walkway is the straight way from a door to the camera.
    """

    wall: float
    end: float
    corner: float
    thing: float
    seat: float
    window: float
    edge: float
    walkway: float


@lru_cache(maxsize=4)
def plan_of(room: Room) -> Plan:
    """The plan of what the photo shows."""
    regions = room.regions
    floor = regions == REGION.FLOOR
    rows, columns, beyond = _floor_ends(regions, floor)
    points = room.camera().floor_points(np.stack([columns + 0.5, rows + 0.5], axis=1) / room.scale)
    near = ~np.isnan(points).any(axis=1) & (np.hypot(points[:, 0], points[:, 1]) < FAR_AWAY_M)
    points, rows, columns, beyond = points[near], rows[near], columns[near], beyond[near]
    levels, skirting = _levels(room, points, rows, columns)
    thing = is_taken(beyond.astype(np.uint8)) & ~skirting
    wall, at_planes = (beyond == REGION.WALL) | skirting, _at_planes(room, points)
    return Plan(
        ends=points,
        things=points[thing | (wall & ~at_planes)],
        seats=_seats(room, points, rows, columns, levels),
        walls=points[wall & at_planes],
        windows=_windows(room),
        doors=_door_feet(room),
    )


def around(room: Room, pose: Pose) -> Around:
    """What surrounds a standing product."""
    plan = plan_of(room)
    across, along = pose.base[1, [0, 2]] - pose.base[0, [0, 2]], pose.base[3, [0, 2]] - pose.base[0, [0, 2]]
    size = float(np.linalg.norm(across)), float(np.linalg.norm(along))
    axes, middle = np.stack([across / size[0], along / size[1]], axis=1), np.array([pose.x, pose.z])

    def seen(points: Float) -> Float:
        return np.asarray((points - middle) @ axes)

    sides = _wall_gaps(room, pose, seen(plan.walls), size)
    return Around(
        wall=min(_behind(seen(plan.walls), size), _plane_behind(room, pose)),
        end=_behind(seen(plan.ends), size),
        corner=sides[1],
        thing=_gap(seen(plan.things), size),
        seat=_gap(seen(plan.seats), size),
        window=_gap(seen(plan.windows), size),
        edge=min(_gap(seen(plan.ends), size), sides[0]),
        walkway=_beside_walkway(plan.doors, pose),
    )


def _floor_ends(regions: NDArray[np.uint8], floor: Mask) -> tuple[NDArray[np.int64], ...]:
    """Rows and columns of floor pixels beside or below something else, and its label; the photo's border is none."""
    beyond = np.zeros_like(regions)
    for label in (np.roll(regions, -1, axis=1), np.roll(regions, 1, axis=1), np.roll(regions, 1, axis=0)):
        beyond = np.where(label != REGION.FLOOR, label, beyond)
    inner = np.zeros_like(floor)
    inner[1:, 1:-1] = True
    rows, columns = np.nonzero(floor & inner & (beyond != REGION.FLOOR) & (beyond != REGION.OTHER))
    return rows, columns, beyond[rows, columns].astype(np.int64)


def _levels(room: Room, points: Float, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> tuple[Float, Mask]:
    """How high (m) the thing right above each point is seen to end, 0 where none is, and which are skirting boards."""
    under = is_taken(room.regions)[rows - 1, columns]
    ends = room.thing_ends[rows - 1, columns]
    camera = room.camera()
    flat = np.stack([points[:, 0], np.zeros(len(points)), points[:, 1]], axis=1)
    base, high = camera.to_camera(flat), camera.to_camera(flat + np.array([0.0, 1.0, 0.0]))
    step, slope = high - base, (ends / room.scale - camera.cy) / camera.focal_px
    levels = np.where(under, (slope * base[:, 2] - base[:, 1]) / (step[:, 1] - slope * step[:, 2]), 0.0)
    below_wall = room.regions[np.maximum(ends - 1, 0), columns] == REGION.WALL
    return levels, under & below_wall & (levels < SKIRTING_M)


def _seats(room: Room, points: Float, rows: NDArray[np.int64], columns: NDArray[np.int64], levels: Float) -> Float:
    """Those of the points that are before wide things of a seat's height."""
    labels, count = ndimage.label(is_taken(room.regions))
    at = np.where((levels >= SEAT_LEVELS_M[0]) & (levels <= SEAT_LEVELS_M[1]), labels[rows - 1, columns], 0)
    kept = np.zeros(len(points), bool)
    for label in range(1, count + 1):
        of = at == label
        kept |= of & (of.sum() > 3 and float(np.hypot(*np.ptp(points[of], axis=0))) >= SEAT_WIDTH_M)
    return points[kept]


def _at_planes(room: Room, points: Float) -> Mask:
    """Which ends of the floor lie at a wall's plane; all of them where no plane is known."""
    planes = [wall for wall in room.walls if wall.support > 0]
    if not planes or not len(points):
        return np.ones(len(points), bool)
    off = [np.abs(points @ np.array([wall.nx, wall.nz]) - wall.distance_m) for wall in planes]
    return np.asarray(np.min(off, axis=0) < AT_PLANE_M)


def _windows(room: Room) -> Float:
    """Points of the walls below the openings that do not reach the floor."""
    opening = room.regions == REGION.OPENING
    labels, _ = ndimage.label(opening)
    doors = np.unique(labels[:-1][opening[:-1] & (room.regions[1:] == REGION.FLOOR)])
    columns = np.flatnonzero((opening & ~np.isin(labels, doors)).sum(axis=0) >= LEAST_DOOR_PX)[::WINDOW_STEP_PX]
    camera, found = room.camera(), []
    for column in ((columns + 0.5) / room.scale).tolist():
        ray = camera.rays(np.array([[column, camera.horizon_at(column)]]))[0]
        _, reach = nearest_wall(room.walls, ray)
        if reach < FAR_AWAY_M:
            found.append((ray[0] * reach, ray[2] * reach))
    return np.array(found, np.float64).reshape(-1, 2)


def _door_feet(room: Room) -> Float:
    """Where (N, 2) the doors in view stand on the floor."""
    under = np.zeros(room.regions.shape, np.uint8)
    under[1:] = (room.regions[1:] == REGION.FLOOR) & (room.regions[:-1] == REGION.OPENING)
    count, labels = cv2.connectedComponents(cv2.dilate(under, np.ones((3, 3), np.uint8)))
    feet = []
    for label in range(1, count):
        rows, columns = np.nonzero((labels == label) & (under > 0))
        point = room.camera().floor_points(np.array([[columns.mean() + 0.5, rows.mean()]]) / room.scale)[0]
        if len(rows) >= LEAST_DOOR_PX and not np.isnan(point).any():
            feet.append(point)
    return np.array(feet, np.float64).reshape(-1, 2)


def _gap(points: Float, size: tuple[float, float]) -> float:
    """Metres between a rectangle (width, depth) around the origin and the nearest point."""
    if not len(points):
        return FAR_AWAY_M
    apart = np.maximum(np.abs(points) - np.array(size) / 2, 0.0)
    return min(FAR_AWAY_M, float(np.hypot(apart[:, 0], apart[:, 1]).min()))


def _behind(points: Float, size: tuple[float, float]) -> float:
    """Metres from the rectangle's back to points straight behind it, by the farther of both halves of its width.

    So a wall at an angle is as far away as its farther part, and one of which less is seen counts as none.
    """
    strip = points[(np.abs(points[:, 0]) < 0.45 * size[0]) & (points[:, 1] > 0.0)]
    halves = strip[strip[:, 0] < 0.0, 1], strip[strip[:, 0] >= 0.0, 1]
    if not all(len(half) for half in halves):
        return FAR_AWAY_M
    return min(FAR_AWAY_M, max(0.0, max(float(half.min()) for half in halves) - size[1] / 2))


def _plane_behind(room: Room, pose: Pose) -> float:
    """Metres from the back to the nearest wall's plane in that direction, of walls that are seen."""
    reach = FAR_AWAY_M
    for wall in room.walls:
        facing = abs((pose.yaw_deg - wall.yaw_deg + 180.0) % 360.0 - 180.0)
        if facing < 20.0 and wall.support > 0:
            along = pose.base[:, [0, 2]] @ np.array([wall.nx, wall.nz])
            reach = min(reach, wall.distance_m - float(along.max()))
    return reach


def _wall_gaps(room: Room, pose: Pose, ends: Float, size: tuple[float, float]) -> tuple[float, float]:
    """Metres to the nearest two of the room's sides: the walls' planes, or one of them by the floor's end at it."""
    gaps = sorted(
        max(0.0, wall.distance_m - float((pose.base[:, [0, 2]] @ np.array([wall.nx, wall.nz])).max()))
        for wall in room.walls
        if wall.support > 0
    )
    gaps = gaps or [_gap(ends, size)]
    return gaps[0], gaps[1] if len(gaps) > 1 else FAR_AWAY_M


def _beside_walkway(doors: Float, pose: Pose) -> float:
    """Metres between the base and the nearest straight way from a door to the camera; FAR_AWAY_M without doors."""
    base, nearest = pose.base[:, [0, 2]], FAR_AWAY_M
    for door in doors:
        length = float(np.linalg.norm(door))
        across = base @ np.array([door[1], -door[0]]) / length
        if length > 1.0 and float((base @ door).min()) / length < length:
            crossed = float(across.min()) <= 0.0 <= float(across.max())
            nearest = min(nearest, 0.0 if crossed else float(np.abs(across).min()))
    return nearest


__all__ = ["FAR_AWAY_M", "Around", "Plan", "around", "plan_of"]
