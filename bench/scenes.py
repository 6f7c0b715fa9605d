"""Rendered rooms, products and pairs with exact truth, from `bench/scenes` or the folder that SEEIT_SCENES names.

A pair is a room rendered again with the product really in it. Files and JSON are described in the folder's README. All
pixels are those of the upright picture; rooms, products and pairs are read when they are asked for.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imaging.geometry import Camera, camera_for
from imaging.labels import REGION
from imaging.photo import Photo, PhotoLimits, open_photo
from imaging.room import Room
from imaging.scene import Placement, Product, standing_pose, wall_corners
from imaging.scene import room_box as box_around
from imaging.walls import Wall

Pixels = NDArray[np.uint8]
OWN_FOLDER = Path(__file__).resolve().parent / "scenes"
WHOLE = PhotoLimits(max_bytes=40 * 2**20, max_side=100_000)
WORKING_SIDE = 400
# The scenes' classes (floor rug wall ceiling trim window door curtain walldecor furniture outside fixture) as ours.
CLASSES = {
    1: REGION.FLOOR, 2: REGION.FLOOR, 3: REGION.WALL, 4: REGION.CEILING, 5: REGION.WALL, 6: REGION.OPENING,
    7: REGION.OPENING, 8: REGION.FURNITURE, 9: REGION.FURNITURE, 10: REGION.FURNITURE, 11: REGION.OPENING,
    12: REGION.FURNITURE,
}  # fmt: skip


@dataclass(frozen=True)
class _Entry:
    """One named thing of the folder; `numbers` is its JSON."""

    folder: Path
    name: str

    @cached_property
    def numbers(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / f"{self.name}.json").read_text()))

    def _picture(self, suffix: str) -> Photo:
        return open_photo((self.folder / f"{self.name}{suffix}").read_bytes(), WHOLE)

    def _mask(self, suffix: str) -> Pixels:
        return np.asarray(Image.open(self.folder / f"{self.name}{suffix}"), dtype=np.uint8)


@dataclass(frozen=True)
class SceneRoom(_Entry):
    """A shopper's photo and all that is true of it."""

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}.jpg"

    @cached_property
    def photo(self) -> Photo:
        return self._picture(".jpg")

    def mask(self, kind: str) -> Pixels:
        """The map `floor`, `wall`, `objects` or `seg`, (H, W)."""
        return self._mask(f"_{kind}.png")

    @property
    def camera(self) -> Camera:
        """The true camera, in our room frame: the origin under it, z along its view."""
        seen = self.numbers["camera"]
        return camera_for(
            seen["width"], seen["height"], seen["fx"], -seen["pitch_deg"], seen["roll_deg"], seen["height_m"]
        )

    @cached_property
    def true_walls(self) -> list[Wall]:
        """The walls as planes in our room frame: those that the scene states, or else those that its depth shows."""
        stated = self.numbers.get("walls") or _planes(self)
        walls = []
        for axis, offset in stated:
            outward = np.zeros(3)
            outward[0 if axis == "x" else 1] = np.sign(offset)
            tip, start = self.local(np.stack([outward * abs(offset), np.zeros(3)]))
            normal = (tip - start) / abs(offset)
            walls.append(Wall(float(normal[0]), float(normal[2]), float(tip @ normal), 1.0))
        return walls

    def true_room(self) -> Room:
        """The room as a perfect reading would have it."""
        camera = self.camera
        width, height = int(camera.cx * 2), int(camera.cy * 2)
        table = np.zeros(256, np.uint8)
        table[list(CLASSES)] = list(CLASSES.values())
        scale = WORKING_SIDE / max(width, height)
        size = round(width * scale), round(height * scale)
        regions = cv2.resize(table[self.mask("seg")], size, interpolation=cv2.INTER_NEAREST)
        return Room(
            width, height, camera.focal_px, camera.horizon_at(width / 2) / height, camera.pitch_deg, camera.roll_deg,
            camera.height_m, 1.0, np.asarray(regions, np.uint8), read_walls=self.true_walls,
        )  # fmt: skip

    def local(self, world: Any) -> NDArray[np.float64]:
        """Points (N, 3) of the scene's world (z up) in our room frame (x right, y up, z along the view)."""
        seen = self.numbers["camera"]
        turn = np.radians(seen["yaw_deg"])
        away = np.atleast_2d(np.asarray(world, np.float64)) - [*seen["position_world"][:2], 0.0]
        right, ahead = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
        return np.stack([away[:, :2] @ right, away[:, 2], away[:, :2] @ ahead], axis=1)


def _planes(scene: SceneRoom) -> list[tuple[str, float]]:
    """Axis and offset (m) of the walls that a scene's depth shows: in each direction the farthest of some size."""
    depth = np.load(scene.folder / f"{scene.name}_depth.npy").astype(np.float64)
    seen = scene.numbers["camera"]
    rows, columns = np.nonzero(scene.mask("seg")[1::2, 1::2][: depth.shape[0], : depth.shape[1]] == 3)
    z = depth[rows, columns]
    x, y = (2 * columns + 1.5 - seen["cx"]) / seen["fx"] * z, (2 * rows + 1.5 - seen["cy"]) / seen["fy"] * z
    turn = np.array(seen["camera_to_world"])
    points = np.stack([x, y, z], axis=1) @ turn[:3, :3].T + turn[:3, 3]
    found: dict[tuple[str, bool], float] = {}
    for axis, name in enumerate("xy"):
        counts, edges = np.histogram(points[:, axis], bins=np.arange(-12.0, 12.0, 0.05))
        for at in np.flatnonzero(counts > 0.01 * depth.size):
            near = points[np.abs(points[:, axis] - edges[at] - 0.025) < 0.05, axis]
            offset = round(float(np.median(near)), 2)
            if len(near) > 0.02 * depth.size and abs(offset) > abs(found.get((name, offset > 0), 0.0)):
                found[name, offset > 0] = offset
    return [(name, offset) for (name, _), offset in found.items()]


@dataclass(frozen=True)
class SceneProduct(_Entry):
    """A merchant's photo of a product, its true outline and size."""

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}.jpg"

    @cached_property
    def photo(self) -> Photo:
        return self._picture(".jpg")

    @property
    def alpha(self) -> Pixels:
        return self._mask("_alpha.png")

    def sized(self, aspect: float) -> Product:
        """The product in its true size; `aspect` is its cutout's width over height."""
        true = self.numbers["truth"]
        return Product.of_sides(
            true["width_m"],
            true["depth_m"],
            true["height_m"],
            mount=true["mounting"],
            aspect=aspect,
            kind=self.numbers["product_type"] or self.numbers["title"],
        )


@dataclass(frozen=True)
class ScenePair(_Entry):
    """A render of a room in which the product really stands."""

    @property
    def room(self) -> SceneRoom:
        return SceneRoom(self.folder, self.numbers["room"])

    @property
    def product(self) -> SceneProduct:
        return SceneProduct(self.folder, self.numbers["product"])

    @cached_property
    def truth(self) -> Photo:
        return self._picture("_truth.jpg")

    @property
    def mask(self) -> Pixels:
        """255 where the product is seen."""
        return self._mask("_mask.png")

    @property
    def tap(self) -> tuple[float, float]:
        """Where a shopper would tap for this place: fractions of the photo."""
        camera = self.room.numbers["camera"]
        x, y = self.numbers["contact_px"]
        return x / camera["width"], y / camera["height"]

    def placement(self, product: Product) -> Placement:
        """The true place of the product, as a perfect proposer would state it; `product.aspect` shapes the box."""
        room = self.room
        camera = room.camera
        width, height = camera.cx * 2, camera.cy * 2
        yaw = float(self.numbers["yaw_deg"]) - float(room.numbers["camera"]["yaw_deg"])
        middle = room.local(self.numbers["contact_world"])[0]
        if self.numbers["mount"] == "wall":
            box = box_around(camera, wall_corners(middle, product.width_m, product.height_m, yaw))
        else:
            box = standing_pose(camera, float(middle[0]), float(middle[2]), product, yaw).box
        contact = camera.project(middle)[0]
        return Placement(
            id=self.name,
            mount=self.numbers["mount"],
            box=(box[0] / width, box[1] / height, box[2] / width, box[3] / height),
            contact=(float(contact[0] / width), float(contact[1] / height)),
            px_per_m=camera.px_per_m(float(middle[0]), float(middle[2]), float(middle[1])),
            distance_m=float(np.hypot(middle[0], middle[2])),
            yaw_deg=yaw,
            confidence=1.0,
            why="the true place",
        )


def scenes_folder() -> Path:
    """The folder with the scenes: SEEIT_SCENES, or else the one that comes with the benchmark."""
    return Path(os.environ.get("SEEIT_SCENES") or OWN_FOLDER)


def rooms(folder: Path | None = None) -> list[SceneRoom]:
    """All rooms, by name."""
    return [SceneRoom(found, name) for found, name in _named(folder, "room")]


def products(folder: Path | None = None) -> list[SceneProduct]:
    """All products, by name."""
    return [SceneProduct(found, name) for found, name in _named(folder, "product")]


def pairs(folder: Path | None = None) -> list[ScenePair]:
    """All pairs, by name."""
    return [ScenePair(found, name) for found, name in _named(folder, "pair")]


def _named(folder: Path | None, kind: str) -> Iterator[tuple[Path, str]]:
    chosen = folder or scenes_folder()
    for path in sorted(chosen.glob(f"{kind}_*.json")):
        yield chosen, path.stem


__all__ = ["ScenePair", "SceneProduct", "SceneRoom", "pairs", "products", "rooms", "scenes_folder"]
