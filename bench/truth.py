"""What the exact truth of a rendered room says of a placement, and which spots of its floor are truly free."""

from dataclasses import dataclass, field
from math import hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.scenes import SceneRoom
from imaging.checks import MAX_ELEVATION_DEG, elevation
from imaging.geometry import footprint
from imaging.placement import Placement, Product, Verdict
from imaging.scene import facing_yaw, standing_pose, turn_for_aspect
from imaging.walls import nearest_wall

Float = NDArray[np.float64]
Point = tuple[float, float]
Box = tuple[float, float, float, float]
FLOOR_CLASSES, WALL_CLASS, CEILING_CLASS = (1, 2), 3, 4
SOLID_KINDS = ("furniture", "fixture", "curtain")
# On what a shopper puts a vase, by its height (m); how deep (m) footprints may touch; between two free spots (m).
TOPS_M, TOUCH_M, APART_M = (0.3, 1.25), 0.03, 0.5


@dataclass
class Placed:
    """What the truth says of one chosen place; None where it does not apply."""

    room: str
    product: str
    mount: str
    kind: str
    tap: Point | None
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


def chosen(found: list[Placement], verdicts: list[Verdict]) -> Placement | None:
    """The accepted placement of the highest score."""
    best = max((v for v in verdicts if v.accepted), key=lambda v: (v.score, v.placement_id), default=None)
    return next((each for each in found if best and each.id == best.placement_id), None)


def score(placed: Placed, scene: SceneRoom, product: Product, found: list[Placement], verdicts: list[Verdict]) -> None:
    """Judges what was chosen by the truth of the scene."""
    best = chosen(found, verdicts)
    placed.proposed, placed.kept = len(found), sum(v.accepted for v in verdicts)
    for verdict in verdicts:
        placed.reasons[verdict.reason or "kept"] = placed.reasons.get(verdict.reason or "kept", 0) + 1
    if best is None:
        placed.reason = max(placed.reasons, key=lambda key: placed.reasons[key], default="nothing proposed")
        return
    placed.place = best
    if placed.tap is not None:
        placed.tap_gap = hypot(best.contact[0] - placed.tap[0], (best.contact[1] - placed.tap[1]) * 0.75)
    judges = {"floor": _judge_floor, "wall": _judge_wall, "ceiling": _judge_ceiling, "tabletop": _judge_top}
    judges[product.mount](placed, scene, product, best)


def _judge_floor(placed: Placed, scene: SceneRoom, product: Product, best: Placement) -> None:
    seg = scene.mask("seg")
    x0, y0, x1, y1 = box = _in_px(best.box, seg.shape)
    placed.on_support = bool(np.isin(_at(seg, (x0 + x1) / 2, y1 - 2), FLOOR_CLASSES))
    pose = expected_pose(scene, product, ((x0 + x1) / 2, y1), best.yaw_deg)
    if pose is None:
        placed.scale_error = 1.0
        return
    base, expected = pose
    if not product.lies_flat:
        placed.scale_error = (y1 - y0) / (expected[3] - expected[1]) - 1.0
    inside = seg[polygon(seg.shape, scene.camera.project(base)) > 0]
    placed.support_share = float(np.isin(inside, FLOOR_CLASSES).mean()) if inside.size else 0.0
    if product.lies_flat:
        return
    facing = expected_pose(scene, product, ((x0 + x1) / 2, y1), None)
    for corners in [base] if facing is None else [base, facing[0]]:
        depth, name = collision(scene, corners[:, [0, 2]], product.height_m)
        if depth > placed.collision_m:
            placed.collision_m, placed.collides_with = depth, name
    placed.overlap = _in_front(scene, base, box)


def expected_pose(
    scene: SceneRoom, product: Product, foot: Point, yaw_deg: float | None
) -> tuple[Float, tuple[float, float, float, float]] | None:
    """Base (4, 3) and box of the true cuboid whose box has this lower middle, seen by the true camera.

    Without a yaw its front faces the camera.
    """
    camera = scene.camera
    start = camera.floor_point(*foot)
    if start is None:
        return None
    x, z = start
    for _ in range(40):
        yaw = facing_yaw(x, z) if yaw_deg is None else yaw_deg
        base = footprint(x, z, product.width_m, product.depth_m, yaw)
        corners = camera.project(np.vstack([base, base + np.array([0.0, product.height_m, 0.0])]))
        low, high = corners.min(axis=0), corners.max(axis=0)
        reached = camera.floor_point(float(low[0] + high[0]) / 2, float(high[1]))
        if reached is None:
            return None
        x, z = x + (start[0] - reached[0]) * 0.9, max(0.3, z + (start[1] - reached[1]) * 0.9)
        if hypot(start[0] - reached[0], start[1] - reached[1]) < 1e-4:
            break
    return base, (float(low[0]), float(low[1]), float(high[0]), float(high[1]))


def collision(scene: SceneRoom, base: Float, height_m: float) -> tuple[float, str]:
    """How deep (m) a base (4, 2: x, z) reaches into a true object's footprint, and which."""
    worst, name = 0.0, ""
    for each, other in solids(scene, height_m):
        depth = penetration(base, other)
        if depth > worst:
            worst, name = depth, each["name"]
    return worst, name


def solids(scene: SceneRoom, height_m: float) -> list[tuple[dict, Float]]:
    """The objects that a product of some height could collide with, with their footprints (4, 2: x, z)."""
    yaw, found = float(scene.numbers["camera"]["yaw_deg"]), []
    for each in scene.numbers["objects"]:
        size, middle = each["size_m"], each["center_world"]
        high = middle[2] - size["height"] / 2 > min(height_m, 2.0)
        if each["kind"] in SOLID_KINDS and each["category"] not in ("decor", "tv") and not high:
            x, _, z = scene.local(middle)[0]
            corners = footprint(float(x), float(z), size["width"], size["depth"], each["yaw_deg"] - yaw)
            found.append((each, corners[:, [0, 2]]))
    return found


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


def _in_front(scene: SceneRoom, base: Float, box: Box) -> float:
    """Share of the box in which things are seen that stand nearer to the camera than the product's middle."""
    objects = scene.mask("objects")
    x0, y0, x1, y1 = (max(0, round(side)) for side in box)
    middle = float(scene.camera.to_camera(base)[:, 2].mean())
    near = [each["id"] for each, corners in solids(scene, 2.0) if float(corners[:, 1].mean()) < middle]
    part = objects[y0:y1, x0:x1]
    return float(np.isin(part, near).mean()) if part.size else 0.0


def _judge_wall(placed: Placed, scene: SceneRoom, product: Product, best: Placement) -> None:
    seg = scene.mask("seg")
    x0, y0, x1, y1 = (int(side) for side in _in_px(best.box, seg.shape))
    covered = seg[max(0, y0) : y1, max(0, x0) : x1]
    placed.support_share = float((covered == WALL_CLASS).mean()) if covered.size else 0.0
    placed.on_support = placed.support_share > 0.9
    placed.overlap = 1.0 - placed.support_share
    camera = scene.camera
    pixel = np.array([[best.contact[0] * 2 * camera.cx, best.contact[1] * 2 * camera.cy]])
    _, reach = nearest_wall(scene.true_walls, camera.rays(pixel)[0])
    placed.scale_error = best.px_per_m / (camera.focal_px / reach) - 1.0


def _judge_ceiling(placed: Placed, scene: SceneRoom, product: Product, best: Placement) -> None:
    seg, camera = scene.mask("seg"), scene.camera
    x0, y0, x1, _ = _in_px(best.box, seg.shape)
    placed.on_support = bool(_at(seg, (x0 + x1) / 2, y0 + 2) == CEILING_CLASS)
    height = true_ceiling(scene)
    point = camera.floor_point((x0 + x1) / 2, y0, level_m=height) if height else None
    if point is not None and height is not None:
        placed.scale_error = best.px_per_m / camera.px_per_m(*point, height) - 1.0


def _judge_top(placed: Placed, scene: SceneRoom, product: Product, best: Placement) -> None:
    camera, objects = scene.camera, scene.mask("objects")
    x, y = best.contact[0] * 2 * camera.cx, best.contact[1] * 2 * camera.cy
    below = next((each for each in scene.numbers["objects"] if each["id"] == int(_at(objects, x, y))), None)
    height = below["center_world"][2] + below["size_m"]["height"] / 2 if below else 0.0
    placed.on_support = below is not None and below["kind"] == "furniture" and TOPS_M[0] < height < TOPS_M[1]
    point = camera.floor_point(x, y, level_m=height)
    if placed.on_support and point is not None:
        placed.scale_error = best.px_per_m / camera.px_per_m(*point, height) - 1.0


def true_ceiling(scene: SceneRoom) -> float | None:
    """The ceiling's height (m), from where it meets the walls; None where it is not seen."""
    seg, camera, walls = scene.mask("seg"), scene.camera, scene.true_walls
    meets = (seg[:-1] == CEILING_CLASS) & np.isin(seg[1:], (WALL_CLASS, 5))
    rows, columns = np.nonzero(meets[:, ::8])
    heights = []
    for ray in camera.rays(np.stack([columns * 8 + 0.5, rows + 1.0], axis=1).astype(np.float64)):
        reach = nearest_wall(walls, ray)[1]
        heights.append(camera.height_m + float(ray[1]) * reach)
    return float(np.median(heights)) if heights else None


def free_taps(scene: SceneRoom, product: Product, wanted: int) -> list[Point]:
    """Spots (fractions) far from each other where the product truly fits: on seen floor, clear of everything."""
    camera, seg = scene.camera, scene.mask("seg")
    taps: list[tuple[Point, Point]] = []
    for z in np.arange(1.8, 5.6, 0.2):
        for x in np.arange(-2.6, 2.61, 0.2):
            if _fits(scene, seg, product, float(x), float(z)):
                u, v = camera.project(np.array([[x, 0.0, z]]))[0]
                taps.append(((float(x), float(z)), (float(u / 2 / camera.cx), float(v / 2 / camera.cy))))
    picked: list[tuple[Point, Point]] = taps[len(taps) // 2 :][:1]
    while picked and len(picked) < wanted:
        away = [min(hypot(a[0] - b[0], a[1] - b[1]) for b, _ in picked) for a, _ in taps]
        if max(away) < APART_M:
            break
        picked.append(taps[int(np.argmax(away))])
    return [tap for _, tap in picked]


def _fits(scene: SceneRoom, seg: NDArray[np.uint8], product: Product, x: float, z: float) -> bool:
    """Whether the product, turned as its photo shows it, stands there on seen floor and touches nothing."""
    camera = scene.camera
    pose = standing_pose(camera, x, z, product, facing_yaw(x, z) + turn_for_aspect(product))
    x0, y0, x1, y1 = pose.box
    if x0 < 0 or y0 < 0 or x1 > 2 * camera.cx or y1 > 2 * camera.cy:
        return False
    if elevation(camera, pose, product) > MAX_ELEVATION_DEG - 2 or collision(scene, pose.base[:, [0, 2]], 2.0)[0] > 0:
        return False
    covered = polygon(seg.shape, camera.project(pose.base)) > 0
    inside = seg[covered]
    return bool(inside.size and np.isin(inside, FLOOR_CLASSES).mean() > 0.98)


def taken_taps(scene: SceneRoom) -> list[Point]:
    """The middle of what is seen of each thing that stands on the floor and is tall and large enough to tap."""
    objects, taps = scene.mask("objects"), []
    height, width = objects.shape
    for each, _ in solids(scene, 0.1):
        rows, columns = np.nonzero(objects == each["id"])
        if each["kind"] == "furniture" and rows.size > 0.004 * objects.size:
            at = int(np.argmin(np.abs(rows - np.median(rows)) + np.abs(columns - np.median(columns))))
            taps.append(((float(columns[at]) + 0.5) / width, (float(rows[at]) + 0.5) / height))
    return taps


def polygon(shape: tuple[int, ...], corners: Float) -> NDArray[np.uint8]:
    area = np.zeros(shape, np.uint8)
    cv2.fillPoly(area, [np.rint(corners).astype(np.int32)], 1)
    return area


def _in_px(box: Box, shape: tuple[int, ...]) -> Box:
    return box[0] * shape[1], box[1] * shape[0], box[2] * shape[1], box[3] * shape[0]


def _at(mask: NDArray[np.uint8], x: float, y: float) -> int:
    height, width = mask.shape
    return int(mask[int(np.clip(y, 0, height - 1)), int(np.clip(x, 0, width - 1))])


__all__ = [
    "Placed",
    "chosen",
    "expected_pose",
    "free_taps",
    "penetration",
    "polygon",
    "score",
    "taken_taps",
    "true_ceiling",
]
