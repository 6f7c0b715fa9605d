"""Where a cutout's feet are, and the base on the support plane that they span.

A cutout keeps the perspective of its studio photo, so the base that pure geometry predicts misses its feet by some
pixels. Shadows have to meet the feet that people see; so the base is taken from them wherever they can be told.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.checks import pose_of
from imaging.geometry import Camera
from imaging.room import Room
from imaging.scene import Placement, Pose, Product
from imaging.sprite import Sprite

Float = NDArray[np.float32]
Wide = NDArray[np.float64]
Foot = tuple[int, int, int]
MAX_FOOT_WIDTH, OVERHANG, RIM_SHARE = 0.2, 1.05, 0.05


def find_feet(sprite: Sprite, pose: Pose, camera: Camera) -> list[Foot]:
    """Runs (left, right, row; px in the sprite) where it touches its support: low points near its base's rim."""
    base = cv2.convexHull(camera.project(pose.base).astype(np.float32)).reshape(-1, 1, 2)
    width = sprite.alpha.shape[1]
    feet = []
    for left, right, row in _low_runs(sprite.alpha):
        middle = sprite.x + (left + right) / 2.0, float(sprite.y + row)
        if abs(cv2.pointPolygonTest(base, middle, True)) < 0.14 * width:
            feet.append((left, right, row))
    return feet


def stand_on_feet(
    pose: Pose, feet: list[Foot], sprite: Sprite, camera: Camera, product: Product
) -> tuple[Pose, list[Foot]]:
    """The pose with its base through the nearest foot and the outer ones, and the feet that lie on its rim.

    Both are unchanged where that makes no sense.
    """
    width = sprite.alpha.shape[1]
    slim = [foot for foot in feet if foot[1] - foot[0] < MAX_FOOT_WIDTH * width]
    if len(slim) < 2:
        return pose, feet
    pixels = np.array([[sprite.x + (a + b) / 2.0, sprite.y + row] for a, b, row in slim])
    plan = camera.floor_points(pixels, pose.level_m)
    if np.isnan(plan).any():
        return pose, feet
    near = int(np.argmax(pixels[:, 1]))
    left, right = int(np.argmin(pixels[:, 0])), int(np.argmax(pixels[:, 0]))
    arms = [plan[i] - plan[near] for i in (left, right) if abs(pixels[i, 0] - pixels[near, 0]) > 0.12 * width]
    corners = _complete(plan[near], arms, product)
    if corners is None:
        return pose, feet
    middle = corners.mean(axis=0)
    corners = middle + (corners - middle) * OVERHANG
    corners[:, 1] = np.maximum(corners[:, 1], 0.3)
    base = np.stack([corners[:, 0], np.full(4, pose.level_m), corners[:, 1]], axis=1)
    standing = replace(pose, x=float(middle[0]), z=float(middle[1]), base=base)
    rim = cv2.convexHull(camera.project(base).astype(np.float32)).reshape(-1, 1, 2)
    close = [abs(cv2.pointPolygonTest(rim, (float(x), float(y)), True)) < RIM_SHARE * width for x, y in pixels]
    return standing, [foot for foot, kept in zip(slim, close, strict=True) if kept]


def flat_share(sprite: Sprite, room: Room, product: Product, placement: Placement) -> float:
    """How much (0..1) of what is seen of a standing product lies in its top: most of a table, little of a cupboard.

    0 for what hangs, and for what lies: its photo shows it from above, in the light that it has there.
    """
    pose = pose_of(room, product, placement) if placement.mount in ("floor", "tabletop") else None
    solid = sprite.alpha > 0.5
    if pose is None or product.lies_flat or not solid.any():
        return 0.0
    camera = room.camera()
    rim = camera.project(pose.base + np.array([0.0, product.height_m, 0.0])) - np.array([sprite.x, sprite.y])
    top = np.zeros(solid.shape, np.uint8)
    cv2.fillConvexPoly(top, np.rint(np.clip(rim, -30000, 30000)).astype(np.int32), 1)
    return float(top[solid].mean())


def _complete(near: Wide, arms: list[Wide], product: Product) -> Wide | None:
    """Four plan corners from the nearest foot and one or two neighbours, None if the size is not the product's."""
    sides = product.width_m, product.depth_m
    spans = [float(np.linalg.norm(arm)) for arm in arms]
    if not arms or max(spans) < 0.45 * min(sides) or max(spans) > 1.5 * max(sides):
        return None
    if len(arms) == 2 and min(spans) > 0.3 * min(sides):
        return np.stack([near, near + arms[1], near + arms[0] + arms[1], near + arms[0]])
    arm = arms[int(np.argmax(spans))]
    along = arm / max(spans)
    back = np.array([-along[1], along[0]])
    back = back if back[1] > 0 else -back
    reach = min(sides, key=lambda side: -abs(side - max(spans))) * 0.9
    return np.stack([near, near + arm, near + arm + back * reach, near + back * reach])


def _low_runs(alpha: Float) -> list[Foot]:
    """Runs where the lower outline reaches down furthest among its neighbours."""
    solid = alpha > 0.5
    height, width = alpha.shape
    columns = np.flatnonzero(solid.any(axis=0))
    if columns.size == 0:
        return []
    low = np.full(width, -1.0)
    low[columns] = height - 1 - np.argmax(solid[::-1, columns], axis=0)
    reach = max(3, width // 14)
    around = cv2.dilate(low.reshape(1, -1).astype(np.float32), np.ones((1, 2 * reach + 1), np.uint8)).ravel()
    at_foot = (low >= around - max(1.0, 0.012 * height)) & (low > 0.55 * height)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], at_foot.astype(int), [0]])))
    return [(int(a), int(b) - 1, int(low[a:b].max())) for a, b in zip(edges[::2], edges[1::2], strict=True)]


__all__ = ["Foot", "find_feet", "flat_share", "stand_on_feet"]
