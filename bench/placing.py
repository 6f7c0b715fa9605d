"""Where products are placed in rendered rooms, judged by the rooms' exact truth: camera, floor and furniture.

Every product in every room, without a tap and with several taps: the chosen place is measured against the true camera,
masks and footprints, never against what the engine itself believed.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.figures import Figure, Section
from bench.scenes import SceneProduct, SceneRoom, pairs, products, rooms
from imaging.geometry import footprint
from imaging.labels import REGION
from imaging.placement import Placement, Product, Verdict, box_iou, judge, propose
from imaging.room import Room, read_room
from imaging.scene import standing_pose

Float = NDArray[np.float64]
FLOOR_CLASSES, SOLID_KINDS = (1, 2), ("furniture", "fixture", "curtain")
TAPS = ((0.3, 0.8), (0.5, 0.75), (0.7, 0.8), (0.5, 0.92))


@dataclass
class Placed:
    """What the truth says of one chosen place; None where it does not apply."""

    room: str
    product: str
    mount: str
    tap: tuple[float, float] | None
    proposed: int
    kept: int
    reason: str = ""
    place: Placement | None = None
    on_support: bool | None = None
    support_share: float | None = None
    scale_error: float | None = None
    overlap: float | None = None
    collision_m: float = 0.0
    collides_with: str = ""
    tap_gap: float | None = None
    cpu_s: float = 0.0
    reasons: dict[str, int] = field(default_factory=dict)


def measure(title: str) -> Section:
    """The benchmark's section."""
    placed, readings = list(place_all()), [read_errors(room) for room in rooms()]
    standing = [each for each in placed if each.place is not None and each.mount == "floor"]
    every = [each for each in placed if each.place is not None]
    scale = [abs(each.scale_error) for each in every if each.scale_error is not None]
    hits = sum(each.collision_m > 0.03 for each in standing)
    on = [each.on_support for each in every if each.on_support is not None]
    gaps = [each.tap_gap for each in every if each.tap_gap is not None]
    figures = [
        Figure("Pitch error, mean", _mean(abs(r["pitch_deg"]) for r in readings), "°", target=0.5),
        Figure("Horizon error, mean", _mean(abs(r["horizon"]) for r in readings) * 100, "% of height", target=1.0),
        Figure("Floor missed (1 - IoU), mean", 100 - _mean(r["floor_iou"] for r in readings) * 100, "%"),
        Figure("Places off their support", 100 - 100 * _mean(on), "%", target=2.0),
        Figure("Scale error, mean", 100 * _mean(scale), "%", target=6.0),
        Figure("Scale error, largest", 100 * max(scale, default=0.0), "%", target=18.0),
        Figure("Footprints in furniture", 100 * hits / max(1, len(standing)), "%", target=2.0),
        Figure("Furniture in front of the box, mean", 100 * _mean(e.overlap or 0.0 for e in every), "%", target=2.0),
        Figure("Tapped, and placed elsewhere, mean", 100 * _mean(gaps), "% of width", target=3.0),
        Figure("Asked for, and no place found", 100 * (1 - len(every) / max(1, len(placed))), "%"),
        Figure("CPU for a room and a placement, mean", _mean(e.cpu_s for e in placed), "s", target=0.8),
    ]
    for pair in pair_errors():
        figures.append(Figure(f"{pair[0]}: 1 - box IoU at the true tap", 1 - pair[1], "", target=0.15))
    how = f"{len(placed)} placements of {len(products())} products in {len(rooms())} rendered rooms."
    return Section(title, how, figures)


def place_all(taps: Iterable[tuple[float, float]] = TAPS) -> Iterator[Placed]:
    """Every product in every room: where the engine likes it best, and at the taps."""
    for scene in rooms():
        start = time.process_time()
        room = read_room(scene.photo.pixels, scene.photo.f35_mm)
        reading = time.process_time() - start
        for item in products():
            product = sized(item)
            for tap in (None, *taps):
                start = time.process_time()
                found = propose(room, product, tap=tap)
                verdicts = judge(room, product, found, tap=tap)
                cost = reading + time.process_time() - start
                yield score(scene, item.name, product, tap, found, verdicts, cost)


def sized(item: SceneProduct) -> Product:
    """The product in its true size, with its true outline's aspect."""
    rows, columns = np.nonzero(item.alpha > 127)
    return item.sized((columns.max() - columns.min() + 1) / (rows.max() - rows.min() + 1))


def read_errors(scene: SceneRoom, room: Room | None = None) -> dict[str, float]:
    """How a reading differs from the truth: degrees, share of the height, IoU."""
    room = room or read_room(scene.photo.pixels, scene.photo.f35_mm)
    camera = scene.camera
    seen, true = room.regions, scene.true_room().regions
    true = np.asarray(cv2.resize(true, seen.shape[::-1], interpolation=cv2.INTER_NEAREST))
    return {
        "pitch_deg": room.pitch_deg - camera.pitch_deg,
        "roll_deg": room.roll_deg - camera.roll_deg,
        "horizon": room.horizon_y - camera.horizon_at(camera.cx) / (2 * camera.cy),
        "floor_iou": _iou(seen == REGION.FLOOR, true == REGION.FLOOR),
        "wall_iou": _iou(seen == REGION.WALL, true == REGION.WALL),
    }


def pair_errors() -> Iterator[tuple[str, float, float]]:
    """For each pair its name, the IoU of our box at the true tap with the true one, and the contacts' distance."""
    for pair in pairs():
        room = read_room(pair.room.photo.pixels, pair.room.photo.f35_mm)
        product = sized(pair.product)
        best = chosen(found := propose(room, product, tap=pair.tap), judge(room, product, found, tap=pair.tap))
        if best is None:
            yield pair.name, 0.0, 1.0
            continue
        width, height = room.width, room.height
        x0, y0, x1, y1 = pair.numbers["box"]
        away = (best.contact[0] - pair.tap[0]), (best.contact[1] - pair.tap[1]) * height / width
        yield pair.name, box_iou(best.box, (x0 / width, y0 / height, x1 / width, y1 / height)), hypot(*away)


def chosen(found: list[Placement], verdicts: list[Verdict]) -> Placement | None:
    """The accepted placement of the highest score."""
    best = max((v for v in verdicts if v.accepted), key=lambda v: (v.score, v.placement_id), default=None)
    return next((each for each in found if best and each.id == best.placement_id), None)


def score(
    scene: SceneRoom,
    name: str,
    product: Product,
    tap: tuple[float, float] | None,
    found: list[Placement],
    verdicts: list[Verdict],
    cpu_s: float,
) -> Placed:
    """Judges what was chosen by the truth of the scene."""
    best = chosen(found, verdicts)
    placed = Placed(scene.name, name, product.mount, tap, len(found), sum(v.accepted for v in verdicts), cpu_s=cpu_s)
    for verdict in verdicts:
        placed.reasons[verdict.reason or "kept"] = placed.reasons.get(verdict.reason or "kept", 0) + 1
    if best is None:
        placed.reason = max(placed.reasons, key=lambda key: placed.reasons[key], default="nothing proposed")
        return placed
    placed.place = best
    if tap is not None and product.mount == "floor":
        placed.tap_gap = hypot(best.contact[0] - tap[0], (best.contact[1] - tap[1]) * 0.75)
    {"floor": _judge_floor, "wall": _judge_flat, "ceiling": _judge_flat}.get(product.mount, _skip)(
        placed, scene, product, best
    )
    return placed


def _skip(placed: Placed, scene: SceneRoom, product: Product, best: Placement) -> None:
    """There is no truth about table tops."""


def _judge_floor(placed: Placed, scene: SceneRoom, product: Product, best: Placement) -> None:
    camera, seg = scene.camera, scene.mask("seg")
    height, width = seg.shape
    x0, y0, x1, y1 = np.array(best.box) * [width, height, width, height]
    row, column = int(np.clip(y1 - 2, 0, height - 1)), int(np.clip((x0 + x1) / 2, 0, width - 1))
    placed.on_support = bool(np.isin(seg[row, column], FLOOR_CLASSES))
    pose = _expected(scene, product, ((x0 + x1) / 2, y1), best.yaw_deg)
    if pose is None:
        placed.scale_error = 1.0
        return
    base, box = pose
    placed.scale_error = (y1 - y0) / (box[3] - box[1]) - 1.0
    area = np.zeros(seg.shape, np.uint8)
    cv2.fillPoly(area, [np.rint(camera.project(base)).astype(np.int32)], 1)
    inside = seg[area > 0]
    placed.support_share = float(np.isin(inside, FLOOR_CLASSES).mean()) if inside.size else 0.0
    placed.collision_m, placed.collides_with = _collision(scene, base[:, [0, 2]], product.height_m)
    placed.overlap = _in_front(scene, base, (x0, y0, x1, y1))


def _expected(
    scene: SceneRoom, product: Product, foot: tuple[float, float], yaw_deg: float
) -> tuple[Float, tuple[float, float, float, float]] | None:
    """Base (4, 3) and box of the true cuboid whose box has this lower middle, seen by the true camera."""
    camera = scene.camera
    upright = Product(*product.size, "floor", product.aspect)
    start = camera.floor_point(*foot)
    if start is None:
        return None
    x, z = start
    for _ in range(40):
        pose = standing_pose(camera, x, z, upright, yaw_deg)
        corners = camera.project(np.vstack([pose.base, pose.base + np.array([0.0, product.height_m, 0.0])]))
        low, high = corners.min(axis=0), corners.max(axis=0)
        reached = camera.floor_point(float(low[0] + high[0]) / 2, float(high[1]))
        if reached is None:
            return None
        x, z = x + (start[0] - reached[0]) * 0.9, max(0.3, z + (start[1] - reached[1]) * 0.9)
        if hypot(start[0] - reached[0], start[1] - reached[1]) < 1e-4:
            break
    return pose.base, (float(low[0]), float(low[1]), float(high[0]), float(high[1]))


def _collision(scene: SceneRoom, base: Float, height_m: float) -> tuple[float, str]:
    """How deep (m) a base (4, 2: x, z) reaches into a true object's footprint, and which."""
    worst, name = 0.0, ""
    yaw = float(scene.numbers["camera"]["yaw_deg"])
    for each in scene.numbers["objects"]:
        size, middle = each["size_m"], each["center_world"]
        if each["kind"] not in SOLID_KINDS or each["category"] in ("decor", "tv"):
            continue
        if middle[2] - size["height"] / 2 > min(height_m, 2.0):
            continue
        x, _, z = scene.local(middle)[0]
        other = footprint(float(x), float(z), size["width"], size["depth"], each["yaw_deg"] - yaw)[:, [0, 2]]
        depth = penetration(base, other)
        if depth > worst:
            worst, name = depth, each["name"]
    return worst, name


def penetration(first: Float, second: Float) -> float:
    """How far two convex polygons (N, 2) reach into each other, by separating axes; 0 if they do not touch."""
    least = np.inf
    for polygon in (first, second):
        for start, end in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            normal = np.array([start[1] - end[1], end[0] - start[0]]) / max(float(np.linalg.norm(end - start)), 1e-9)
            spans = [p @ normal for p in (first, second)]
            shared = min(s.max() for s in spans) - max(s.min() for s in spans)
            if shared <= 0:
                return 0.0
            least = min(least, float(shared))
    return float(least)


def _in_front(scene: SceneRoom, base: Float, box: tuple[float, float, float, float]) -> float:
    """Share of the box in which furniture stands nearer to the camera than the product's nearest corner."""
    depth = np.load(scene.folder / f"{scene.name}_depth.npy").astype(np.float32)
    objects = scene.mask("objects")[1::2, 1::2][: depth.shape[0], : depth.shape[1]]
    x0, y0, x1, y1 = (max(0, round(side / 2)) for side in box)
    part, near = objects[y0:y1, x0:x1] > 0, depth[y0:y1, x0:x1]
    nearest = float(scene.camera.to_camera(base)[:, 2].min())
    return float((part & (near < nearest)).mean()) if part.size else 0.0


def _judge_flat(placed: Placed, scene: SceneRoom, product: Product, best: Placement) -> None:
    """A piece on a wall or below a ceiling: by the class and the depth of what it covers."""
    seg = scene.mask("seg")
    height, width = seg.shape
    x0, y0, x1, y1 = (np.array(best.box) * [width, height, width, height]).astype(int)
    if product.mount == "ceiling":
        placed.on_support = bool(seg[min(max(y0 + 2, 0), height - 1), min((x0 + x1) // 2, width - 1)] == 4)
        return
    covered = seg[max(0, y0) : y1, max(0, x0) : x1]
    placed.support_share = float((covered == 3).mean()) if covered.size else 0.0
    placed.on_support = placed.support_share > 0.9
    depth = np.load(scene.folder / f"{scene.name}_depth.npy").astype(np.float32)
    part = depth[max(0, y0 // 2) : y1 // 2, max(0, x0 // 2) : x1 // 2]
    if part.size:
        middle = float(np.median(part))
        placed.scale_error = best.px_per_m / (scene.camera.focal_px / middle) - 1.0


def _iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    return float((first & second).sum() / max(1, (first | second).sum()))


def _mean(values: Iterable[float | None]) -> float:
    known = [float(value) for value in values if value is not None]
    return sum(known) / len(known) if known else 0.0


__all__ = ["Placed", "chosen", "measure", "pair_errors", "penetration", "place_all", "read_errors", "score", "sized"]
