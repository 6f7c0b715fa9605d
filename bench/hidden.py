"""What stands in front of a product has to hide it: blocks put, by the truth of a room, behind things and beside.

No render is needed: the objects' true footprints and masks tell what of a box must be hidden.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.scenes import SceneRoom
from bench.truth import FLOOR_CLASSES, collision, polygon, solids
from imaging.occlusion import cover_of
from imaging.room import Room
from imaging.scene import Placement, Pose, Product, facing_yaw, standing_pose
from imaging.sprite import Sprite

Mask = NDArray[np.bool_]
BLOCKS = (Product(0.7, 0.7, 0.8, "floor", 0.9), Product(1.8, 0.85, 0.8, "floor", 2.0))
ACROSS_M, AHEAD_M = np.arange(-1.8, 1.9, 0.6), np.arange(2.2, 5.0, 0.4)
# Boxes hidden less than this count as free, more than the second are no sensible place; most of either kind per room.
LEAST, MOST, CASES = 0.03, 0.5, (12, 8)
# A free block that loses more than this share of its box has a false hole.
HOLE = 0.02
# Share of its base that is on floor, seen or behind those things: the rest would be in a wall.
WITHIN = 0.9


@dataclass
class Hidden:
    """Pixels that must be hidden, those of them that are, pixels hidden wrongly, and blocks with a false hole."""

    true: int = 0
    found: int = 0
    wrong: int = 0
    blocks: int = 0
    holes: int = 0


def measure(scene: SceneRoom, room: Room, so_far: Hidden) -> None:
    """Adds one room, as read, to the count."""
    left = list(CASES)
    for product, pose, true in _blocks(scene):
        kind = 0 if true.mean() > LEAST else 1
        if left[kind] == 0 or LEAST >= true.mean() > 0:
            continue
        left[kind] -= 1
        ours = _covered(scene, room, product, pose)
        so_far.true += int(true.sum())
        so_far.found += int((true & ours).sum())
        so_far.wrong += int((ours & ~true).sum())
        so_far.blocks += 1
        so_far.holes += bool((ours & ~true).mean() > HOLE)


def _blocks(scene: SceneRoom) -> Iterator[tuple[Product, Pose, Mask]]:
    """Blocks in view that touch nothing, and what of their box (h, w) things in front hide."""
    camera, objects, seg = scene.camera, scene.mask("objects"), scene.mask("seg")
    things = solids(scene, 2.0)
    for x in ACROSS_M:
        for z in AHEAD_M:
            for product in BLOCKS:
                pose = standing_pose(camera, float(x), float(z), product, facing_yaw(float(x), float(z)))
                x0, y0, x1, y1 = (int(side) for side in pose.box)
                plan = pose.base[:, [0, 2]]
                inside = x0 >= 0 and y0 >= 0 and x1 <= objects.shape[1] and y1 <= objects.shape[0]
                if not inside or collision(scene, plan, 2.0)[0] > 0:
                    continue
                near = [each["id"] for each, corners in things if corners[:, 1].mean() < plan[:, 1].min()]
                hidden = np.isin(objects[y0:y1, x0:x1], near)
                ground = polygon(objects.shape, camera.project(pose.base)) > 0
                stands = np.isin(seg[ground], FLOOR_CLASSES) | np.isin(objects[ground], near)
                if hidden.mean() < MOST and stands.mean() > WITHIN:
                    yield product, pose, hidden


def _covered(scene: SceneRoom, room: Room, product: Product, pose: Pose) -> Mask:
    """What our engine hides of a block's box (h, w)."""
    camera, (x0, y0, x1, y1) = scene.camera, (int(side) for side in pose.box)
    width, height = 2 * camera.cx, 2 * camera.cy
    contact = camera.project(np.array([[pose.x, 0.0, pose.z]]))[0] / [width, height]
    box = x0 / width, y0 / height, x1 / width, y1 / height
    place = Placement(
        "block", "floor", box, (float(contact[0]), float(contact[1])), camera.px_per_m(pose.x, pose.z),
        float(np.hypot(pose.x, pose.z)), facing_yaw(pose.x, pose.z), 1.0, "a block",
    )  # fmt: skip
    block = Sprite(np.zeros((y1 - y0, x1 - x0, 3), np.float32), np.ones((y1 - y0, x1 - x0), np.float32), x0, y0)
    cover = cover_of(scene.photo.pixels, room, block, product, place)
    whole = np.zeros((int(height), int(width)), bool)
    if cover is not None:
        rows, columns = cover.alpha.shape
        whole[cover.y : cover.y + rows, cover.x : cover.x + columns] = cover.alpha > 0.5
    return whole[y0:y1, x0:x1]


__all__ = ["Hidden", "measure"]
