"""How rooms are read: camera, floor, what stands on it, doors and windows, each against the render's exact truth.

What stands on the floor is judged by its true footprint in plan and by the line along which it meets the floor in the
picture; free floor by the floor that lies clear of every footprint. Bad photos are made of good ones and have to be
refused; mild damage has to be borne.
"""

import time
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.damage import borne, ruined
from bench.figures import Figure, Section
from bench.scenes import SceneRoom, rooms
from imaging.doubts import FATAL
from imaging.geometry import footprint
from imaging.labels import REGION, is_floor
from imaging.room import Room, read_room

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
STANDING_KINDS, FLOOR_CLASSES, OPENING_CLASSES = ("furniture", "fixture", "curtain"), (1, 2), (6, 7, 11)
# A thing hangs and does not stand when more than this (m) is between it and the floor.
LIFTED_M, CLEAR_M, FAR_M = 0.15, 0.4, 6.0
LEAST_SEEN, FOUND_SHARE = 60, 0.8


@dataclass(frozen=True)
class Reading:
    """One room's reading against the truth; shares 0..1, None where the room has nothing of the kind."""

    room: str
    pitch_deg: float
    roll_deg: float
    horizon: float
    focal: float
    height: float
    floor_iou: float
    wall_iou: float
    taken: float | None
    contact: float | None
    free_kept: float
    door_found: float | None
    window_found: float | None
    opening_true: float | None
    cpu_s: float
    doubts: tuple[str, ...]
    missed: dict[str, float] = field(default_factory=dict)


def measure(title: str) -> Section:
    """One row per room and quality, then the means."""
    readings = [read_one(scene) for scene in rooms()]
    figures = []
    for each in readings:
        figures += [
            Figure(f"{each.room}: pitch error", abs(each.pitch_deg), "°", target=1.0),
            Figure(f"{each.room}: floor missed (1 - IoU)", 100 * (1 - each.floor_iou), "%", target=15.0),
            Figure(f"{each.room}: free floor lost", 100 * (1 - each.free_kept), "%", target=25.0),
        ]
        if each.taken is not None:
            figures.append(Figure(f"{each.room}: footprints taken for free", 100 * (1 - each.taken), "%", target=10.0))
    figures += [
        Figure("Pitch error, mean", _mean([abs(r.pitch_deg) for r in readings]), "°", target=0.5),
        Figure("Roll error, mean", _mean([abs(r.roll_deg) for r in readings]), "°", target=0.5),
        Figure("Horizon error, mean", 100 * _mean([abs(r.horizon) for r in readings]), "% of height", target=1.0),
        Figure("Floor missed (1 - IoU), mean", 100 - 100 * _mean([r.floor_iou for r in readings]), "%", target=10.0),
        Figure("Wall missed (1 - IoU), mean", 100 - 100 * _mean([r.wall_iou for r in readings]), "%"),
        Figure("Footprints taken for free, mean", 100 - 100 * _mean([r.taken for r in readings]), "%", target=5.0),
        Figure("Contact lines not seen, mean", 100 - 100 * _mean([r.contact for r in readings]), "%", target=10.0),
        Figure("Free floor lost, mean", 100 - 100 * _mean([r.free_kept for r in readings]), "%", target=15.0),
        Figure("Doors not found, mean", 100 - 100 * _mean([r.door_found for r in readings]), "%"),
        Figure("Windows not found, mean", 100 - 100 * _mean([r.window_found for r in readings]), "%"),
        Figure("Openings that are none, mean", 100 - 100 * _mean([r.opening_true for r in readings]), "%"),
        Figure("CPU of a reading, mean", _mean([r.cpu_s for r in readings]), "s", target=0.6),
    ]
    photos = [(scene.name, scene.photo.pixels) for scene in rooms()]
    bad, good = ([_is_refused(pixels) for _, pixels in made(photos)] for made in (ruined, borne))
    figures += [
        Figure("Bad photos not refused", 100 - 100 * float(np.mean(bad)), f"% of {len(bad)}", target=10.0),
        Figure("Good and mildly damaged photos refused", 100 * float(np.mean(good)), f"% of {len(good)}", target=2.0),
    ]
    how = f"{len(readings)} rendered rooms, each read once warm. Footprints and free floor are compared in plan."
    return Section(title, how, figures, [_missed(each) for each in readings if each.missed])


def read_one(scene: SceneRoom, room: Room | None = None) -> Reading:
    """Everything that is measured of one room."""
    pixels, f35_mm = scene.photo.pixels, scene.photo.f35_mm
    start = time.process_time()
    room = room or read_room(pixels, f35_mm)
    cost = time.process_time() - start
    camera, size = scene.camera, room.regions.shape[::-1]
    true = np.asarray(cv2.resize(scene.true_room().regions, size, interpolation=cv2.INTER_NEAREST))
    seg = np.asarray(cv2.resize(scene.mask("seg"), size, interpolation=cv2.INTER_NEAREST))
    free = (room.regions == REGION.FLOOR) & ~room.occupied.things & ~room.occupied.doors
    bases = standing_bases(scene)
    shares = {name: float((~free)[area].mean()) for name, area in _areas(scene, bases, size).items()}
    taken = _mean(list(shares.values())) if shares else None
    opening = room.regions == REGION.OPENING
    return Reading(
        room=scene.name,
        pitch_deg=room.pitch_deg - camera.pitch_deg,
        roll_deg=room.roll_deg - camera.roll_deg,
        horizon=room.horizon_y - camera.horizon_at(camera.cx) / (2 * camera.cy),
        focal=room.focal_px / camera.focal_px * (2 * camera.cx / room.width) - 1.0,
        height=room.camera_height_m / camera.height_m - 1.0,
        floor_iou=_iou(is_floor(room.regions), true == REGION.FLOOR),
        wall_iou=_iou(room.regions == REGION.WALL, true == REGION.WALL),
        taken=taken,
        contact=_contact_seen(scene, free, size),
        free_kept=_free_kept(scene, bases, free, np.isin(seg, FLOOR_CLASSES)),
        door_found=_share(opening, seg == 7),
        window_found=_share(opening, (seg == 6) | (seg == 11)),
        opening_true=_share(np.isin(seg, (*OPENING_CLASSES, 5, 8)), opening),
        cpu_s=cost,
        doubts=tuple(room.doubts),
        missed={name: share for name, share in shares.items() if share < FOUND_SHARE},
    )


def standing_bases(scene: SceneRoom) -> dict[str, Float]:
    """The true footprint (4, 3; room frame) of everything that stands on the floor and is seen."""
    yaw = float(scene.numbers["camera"]["yaw_deg"])
    seen = np.bincount(scene.mask("objects").ravel(), minlength=256)
    bases = {}
    for each in scene.numbers["objects"]:
        size, middle = each["size_m"], each["center_world"]
        standing = each["kind"] in STANDING_KINDS and middle[2] - size["height"] / 2 < LIFTED_M
        if not standing or seen[each["id"]] < LEAST_SEEN:
            continue
        x, _, z = scene.local(middle)[0]
        name = f"{each['name']} {each['id']}"
        bases[name] = footprint(float(x), float(z), size["width"], size["depth"], each["yaw_deg"] - yaw)
    return bases


def _areas(scene: SceneRoom, bases: dict[str, Float], size: tuple[int, int]) -> dict[str, Mask]:
    """What each footprint covers of the picture at working size, where any of it lies inside."""
    camera, found = scene.camera, {}
    for name, base in bases.items():
        if camera.to_camera(base)[:, 2].min() < 0.3:
            continue
        canvas = np.zeros(size[::-1], np.uint8)
        corners = camera.project(base) * (size[0] / (2 * camera.cx))
        cv2.fillPoly(canvas, [np.rint(corners).astype(np.int32)], 1)
        if canvas.any():
            found[name] = canvas > 0
    return found


def _contact_seen(scene: SceneRoom, free: Mask, size: tuple[int, int]) -> float | None:
    """Share of the lines along which things meet the floor at which the reading has no free floor."""
    standing = {int(name.rsplit(" ", 1)[1]) for name in standing_bases(scene)}
    objects = np.asarray(cv2.resize(scene.mask("objects"), size, interpolation=cv2.INTER_NEAREST))
    seg = np.asarray(cv2.resize(scene.mask("seg"), size, interpolation=cv2.INTER_NEAREST))
    line = np.isin(objects[:-1], sorted(standing)) & np.isin(seg[1:], FLOOR_CLASSES)
    return float((~free[:-1])[line].mean()) if line.any() else None


def _free_kept(scene: SceneRoom, bases: dict[str, Float], free: Mask, floor: Mask) -> float:
    """Share of the floor (in the picture, up to FAR_M) clear of every footprint that the reading leaves free."""
    camera = scene.camera
    rows, columns = np.nonzero(floor)
    scale = floor.shape[1] / (2 * camera.cx)
    plan = camera.floor_points((np.stack([columns, rows], axis=1) + 0.5) / scale)
    clear = ~np.isnan(plan).any(axis=1) & (plan[:, 1] < FAR_M)
    for base in bases.values():
        polygon = base[:, [0, 2]].astype(np.float32).reshape(-1, 1, 2)
        away = [-cv2.pointPolygonTest(polygon, (float(x), float(z)), True) for x, z in np.nan_to_num(plan)]
        clear &= np.array(away) > CLEAR_M
    return float(free[rows[clear], columns[clear]].mean()) if clear.any() else 1.0


def _missed(reading: Reading) -> str:
    things = ", ".join(f"{name} {100 * share:.0f} %" for name, share in sorted(reading.missed.items()))
    return f"{reading.room}: of these footprints only so much is known to be taken: {things}."


def _is_refused(pixels: NDArray[np.uint8]) -> bool:
    """Whether a photo without EXIF is refused for standing products."""
    return bool(set(read_room(pixels).doubts) & set(FATAL))


def _share(part: Mask, whole: Mask) -> float | None:
    """Share of a part in a whole; None for a whole of nothing to speak of."""
    return float(part[whole].mean()) if whole.mean() > 0.002 else None


def _iou(first: Mask, second: Mask) -> float:
    return float((first & second).sum() / max(1, (first | second).sum()))


def _mean(values: list[float] | list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else 0.0


__all__ = ["Reading", "measure", "read_one", "standing_bases"]
