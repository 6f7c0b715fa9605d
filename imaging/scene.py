"""Where a product of known size stands, hangs or lies: one metric pose for proposing, judging and compositing."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import atan2, cos, degrees, hypot, radians, sin

import numpy as np
from numpy.typing import NDArray

from imaging.geometry import Camera, bounds, footprint, rounded_boxes
from imaging.roles import Role, role_of
from imaging.tops import TABLE_M

Float = NDArray[np.float64]
Box = tuple[float, float, float, float]
Spot = tuple[float, float, float, float]
FLAT_HEIGHT_M, FLAT_DEPTH_M = 0.06, 0.12
# A cutout may be stretched by this, unnoticeably, towards the aspect that the room's view asks for.
MAX_STRETCH = 1.08
STUDIO_REACH, STUDIO_PITCHES_DEG, ASPECT_ERROR, USUAL_TURN_DEG = 3.2, (4.0, 8.0, 12.0, 16.0, 20.0), 0.06, 20.0
MOUNTS = ("floor", "wall", "ceiling", "tabletop")


class SizeUnknown(ValueError):
    """Neither the width nor the height of a product is known."""


@dataclass(frozen=True)
class Product:
    """A product's size (m; unknown parts already estimated), how it is mounted, and width / height of its cutout."""

    width_m: float
    depth_m: float
    height_m: float
    mount: str
    aspect: float
    role: Role = ""

    @classmethod
    def of_sides(
        cls,
        width: float | None,
        depth: float | None,
        height: float | None,
        *,
        mount: str,
        aspect: float,
        kind: str = "",
    ) -> "Product":
        """A product of which some sides (m) may be unknown: one of width and height is taken from the aspect.

        A mount that is not one of floor, wall, ceiling and tabletop stands on the floor. kind is the merchant's word
        for it (product type, title), from which its role in a room is read. Raises SizeUnknown when neither width nor
        height is known.
        """
        if width is None and height is None:
            raise SizeUnknown("The product's size is not known; add its dimensions to the product.")
        mount = mount if mount in MOUNTS else "floor"
        wide = width if width is not None else (height or 0.0) * aspect
        high = height if height is not None else wide / max(aspect, 1e-6)
        usual_depth = 0.03 if mount == "wall" else wide * 0.5
        return cls(wide, depth if depth is not None else usual_depth, high, mount, float(aspect), role_of(kind, wide))

    @property
    def size(self) -> tuple[float, float, float]:
        return self.width_m, self.depth_m, self.height_m

    def scaled(self, factor: float) -> "Product":
        """The same product, larger or smaller."""
        return replace(
            self, width_m=self.width_m * factor, depth_m=self.depth_m * factor, height_m=self.height_m * factor
        )

    @property
    def lies_flat(self) -> bool:
        """A rug: nearly no height, shown from above in its photo or not at all."""
        return self.mount == "floor" and self.height_m <= FLAT_HEIGHT_M


@dataclass(frozen=True)
class Placement:
    """One spot for a product; fractions of the upright photo, y down.

    box is the product in the picture. contact is where the middle of its base meets its support (a little above the
    box's lower edge, because the base has depth); on a wall the middle of the piece, on a ceiling where it hangs.
    distance_m is horizontal, from the camera to the product's middle; yaw_deg 0 turns its front against the viewing
    direction, positive turns it counter-clockwise seen from above.
    """

    id: str
    mount: str
    box: Box
    contact: tuple[float, float]
    px_per_m: float
    distance_m: float
    yaw_deg: float
    confidence: float
    why: str

    def to_json(self) -> dict[str, object]:
        """The public shape of CONTRACT."""
        return {
            "id": self.id,
            "mount": self.mount,
            "box": {key: round(value, 5) for key, value in zip(("x0", "y0", "x1", "y1"), self.box, strict=True)},
            "contact": {"x": round(self.contact[0], 5), "y": round(self.contact[1], 5)},
            "px_per_m": round(self.px_per_m, 2),
            "distance_m": round(self.distance_m, 3),
            "yaw_deg": round(self.yaw_deg, 2),
            "confidence": round(self.confidence, 4),
            "why": self.why,
        }

    @classmethod
    def from_json(cls, shape: dict) -> "Placement":
        """Reads the public shape; `why` and `confidence` may be absent."""
        box, contact = shape["box"], shape["contact"]
        return cls(
            id=str(shape["id"]),
            mount=str(shape["mount"]),
            box=(float(box["x0"]), float(box["y0"]), float(box["x1"]), float(box["y1"])),
            contact=(float(contact["x"]), float(contact["y"])),
            px_per_m=float(shape["px_per_m"]),
            distance_m=float(shape["distance_m"]),
            yaw_deg=float(shape["yaw_deg"]),
            confidence=float(shape.get("confidence", 0.0)),
            why=str(shape.get("why", "")),
        )


@dataclass(frozen=True, eq=False)
class Pose:
    """A product in the room's frame: its middle on the support plane, yaw, box in px and base corners (4, 3)."""

    x: float
    z: float
    level_m: float
    yaw_deg: float
    box: Box
    base: Float = field(repr=False)

    @property
    def distance_m(self) -> float:
        return hypot(self.x, self.z)


def support_level(camera: Camera, mount: str) -> float:
    """Height (m) of the plane that carries the product, a table's the usual; the ceiling's carries it from above."""
    return {"tabletop": TABLE_M, "ceiling": camera.ceiling_m}.get(mount, 0.0)


def facing_yaw(x: float, z: float) -> float:
    """The yaw (degrees) that turns a product at (x, z) to the camera."""
    return degrees(atan2(-x, z))


def standing_pose(
    camera: Camera, x: float, z: float, product: Product, yaw_deg: float, level_m: float | None = None
) -> Pose:
    """The pose of a product whose middle is at (x, z), standing on its support or hanging below it.

    level_m is the support's height, where it is known better than by the mount.
    """
    level = support_level(camera, product.mount) if level_m is None else level_m
    lowest = level - product.height_m if product.mount == "ceiling" else level
    base = footprint(x, z, product.width_m, product.depth_m, yaw_deg, level)
    if product.lies_flat:
        return Pose(x, z, level, yaw_deg, bounds(camera.project(base)), base)
    seen = _box_either_way(camera, (x, z, yaw_deg, lowest), product.size)
    return Pose(x, z, level, yaw_deg, _with_aspect(seen, product), base)


def _box_either_way(camera: Camera, spot: Spot, size: tuple[float, float, float]) -> Box:
    """The box of a product of which nobody knows to which side it is turned: the mean of both."""
    x, z, yaw_deg, lowest = spot
    either = np.array([yaw_deg, 2 * facing_yaw(x, z) - yaw_deg])
    x0, y0, x1, y1 = rounded_boxes(camera, x, z, size, either, lowest).mean(axis=0).tolist()
    return x0, y0, x1, y1


def _with_aspect(box: Box, product: Product) -> Box:
    """The cutout's box for a pose's: same middle, same area, the cutout's aspect, stretched a little if need be.

    A room is seen from another height than a studio, and its products from another side.
    """
    width, height = max(box[2] - box[0], 1e-3), max(box[3] - box[1], 1e-3)
    stretch = float(np.clip(width / height / product.aspect, 1 / MAX_STRETCH, MAX_STRETCH))
    aspect = product.aspect * stretch
    half_width, new_height = (width * height * aspect) ** 0.5 / 2, (width * height / aspect) ** 0.5
    middle, top = (box[0] + box[2]) / 2, box[1] if product.mount == "ceiling" else (box[1] + box[3] - new_height) / 2
    return middle - half_width, top, middle + half_width, top + new_height


@lru_cache(maxsize=64)
def turn_for_aspect(product: Product) -> float:
    """How far (degrees, 0 to 45) a product is turned in its merchant's photo, judging by the cutout's aspect.

    Beyond 45, width and depth change roles and a merchant's photo rarely shows that. How high the studio's camera
    stood is not known and matters as much for low products: the likeliest pair of both is taken, frontal views being
    likelier.
    """
    likeliest, least = 0.0, float("inf")
    reach, turns = STUDIO_REACH * max(product.size), np.arange(0.0, 46.0, 3.0)
    for pitch in STUDIO_PITCHES_DEG:
        height = product.height_m / 2 + reach * sin(radians(pitch))
        camera = Camera(1000.0, pitch, 0.0, height, 0.0, 0.0)
        x0, y0, x1, y1 = rounded_boxes(camera, 0.0, reach * cos(radians(pitch)), product.size, turns).T
        off = np.log(np.maximum((x1 - x0) / np.maximum(y1 - y0, 1e-6), 1e-6) / product.aspect)
        unlikely = (off / ASPECT_ERROR) ** 2 + (turns / USUAL_TURN_DEG) ** 2
        at = int(np.argmin(unlikely))
        if unlikely[at] < least - 1e-6:
            likeliest, least = float(turns[at]), float(unlikely[at])
    return likeliest


def stand_at(
    camera: Camera,
    pixel: tuple[float, float],
    product: Product,
    yaw_deg: float | None,
    level_m: float | None = None,
) -> Pose | None:
    """The pose whose base has its middle at a pixel; None where no support is seen there.

    Without a yaw the product is turned as its cutout's aspect says. level_m as for `standing_pose`.
    """
    level = support_level(camera, product.mount) if level_m is None else level_m
    middle = camera.floor_point(*pixel, level_m=level)
    if middle is None or not 0.2 <= middle[1] <= 40.0:
        return None
    yaw = facing_yaw(*middle) + turn_for_aspect(product) if yaw_deg is None else yaw_deg
    return standing_pose(camera, *middle, product, yaw, level)


def wall_corners(middle: Float, width_m: float, height_m: float, yaw_deg: float) -> Float:
    """Corners (4, 3) of a piece on a wall around its middle: top left, top right, bottom right, bottom left."""
    across = np.array([cos(radians(yaw_deg)), 0.0, sin(radians(yaw_deg))]) * width_m / 2
    up = np.array([0.0, height_m / 2, 0.0])
    return np.stack([middle - across + up, middle + across + up, middle + across - up, middle - across - up])


def wall_middle(camera: Camera, pixel: tuple[float, float], px_per_m: float) -> Float:
    """The room point (3,) at a pixel whose scale is known."""
    ray = camera.rays(np.array([pixel]))[0]
    return np.asarray(ray * (camera.focal_px / px_per_m) + [0.0, camera.height_m, 0.0])


def room_box(camera: Camera, corners: Float) -> Box:
    """The box (px) around room points."""
    return bounds(camera.project(corners))


__all__ = [
    "Box",
    "Placement",
    "Pose",
    "Product",
    "facing_yaw",
    "room_box",
    "stand_at",
    "standing_pose",
    "support_level",
    "turn_for_aspect",
    "wall_corners",
    "wall_middle",
]
