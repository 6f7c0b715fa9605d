"""What a single photo says about a room: how the camera was held, and which pixels are floor, wall or things."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.doubts import FATAL, find_doubts
from imaging.geometry import CEILING_M, Camera, camera_for, focal_pixels, pitch_from_horizon
from imaging.labels import REGION, is_taken
from imaging.occupied import Occupied, hidden_floor, occupied_floor
from imaging.regions import read_regions
from imaging.scene import support_level
from imaging.tops import front_distances, run_tops, table_level
from imaging.vanishing import Manhattan, fit_manhattan
from imaging.walls import Wall, find_walls

Pixels = NDArray[np.uint8]
Float = NDArray[np.float64]
DEFAULT_CAMERA_HEIGHT_M = 1.5
# Where pitch and horizon are guessed or held back to: nobody photographs a room outside of this.
PITCH_RANGE = (-12.0, 38.0)
# What hangs from the ceiling and is wider than this share of the photo is no lamp but a cornice, a curtain or a duct.
WIDEST_LAMP = 0.15
# Other lenses that phones have (mm, 35 mm equivalent), tried where the camera looks down at least so steeply.
OTHER_F35, STEEP_DEG, CLEARLY_BETTER = (24.0, 28.0), 14.0, 0.02


@dataclass(frozen=True, eq=False)
class Room:
    """A photo of a room (width x height px) and the camera that took it.

    horizon_y is a fraction of the height, in the centre column. pitch_deg is positive downwards, roll_deg positive
    clockwise (seen from behind the camera). regions (H', W') holds REGION labels at working size. yaw_deg (-45..45) is
    how the room's walls stand to the view, None where the straight edges do not tell. doubts are codes of what makes
    the photo useless or uncertain (imaging.doubts), worst first. read_walls are the walls that the edges tell.
    """

    width: int
    height: int
    focal_px: float
    horizon_y: float
    pitch_deg: float
    roll_deg: float
    camera_height_m: float
    confidence: float
    regions: Pixels
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    yaw_deg: float | None = None
    ceiling_m: float = CEILING_M
    read_walls: list[Wall] | None = None

    def camera(self) -> Camera:
        """The camera in px of the photo."""
        return self._camera

    @cached_property
    def _camera(self) -> Camera:
        return camera_for(
            self.width, self.height, self.focal_px, self.pitch_deg, self.roll_deg, self.camera_height_m, self.ceiling_m
        )

    @property
    def scale(self) -> float:
        """Pixels of the region map per pixel of the photo."""
        return float(self.regions.shape[1] / self.width)

    @cached_property
    def walls(self) -> list[Wall]:
        """The walls in view as planes: those that the edges tell, or else those that the region map shows."""
        return self.read_walls or find_walls(self.regions, self.camera(), self.scale, self.yaw_deg)

    @cached_property
    def occupied(self) -> Occupied:
        """What of the visible floor is not free."""
        return occupied_floor(self.regions, self.camera(), self.scale, self.walls)

    @cached_property
    def occupied_behind(self) -> Occupied:
        """The same for who may stand behind things: the floor that they hide counts as floor."""
        hidden = hidden_floor(self.regions, self.camera(), self.scale)
        return occupied_floor(self.regions, self.camera(), self.scale, self.walls, hidden)

    @cached_property
    def overhead(self) -> NDArray[np.bool_]:
        """Pixels (H', W') of lamps that hang already: narrow things that reach the ceiling."""
        labels, _ = ndimage.label(self.regions == REGION.FURNITURE)
        hung = np.unique(labels[ndimage.binary_dilation(self.regions == REGION.CEILING, iterations=3)])
        boxes = ndimage.find_objects(labels)
        widest = WIDEST_LAMP * labels.shape[1]
        return np.isin(labels, [at for at in hung if at and boxes[at - 1][1].stop - boxes[at - 1][1].start < widest])

    @cached_property
    def fronts(self) -> Float:
        """How far away (m) the floor is before each thing (imaging.tops)."""
        return front_distances(self.regions, self.camera(), self.scale)

    @cached_property
    def thing_ends(self) -> NDArray[np.int64]:
        """At which row (working size) each thing ends above (imaging.tops)."""
        return run_tops(is_taken(self.regions))

    def level_at(self, mount: str, pixel: tuple[float, float]) -> float:
        """Height (m) of what carries a product of some mount at a pixel of the photo."""
        told = self.top_at(pixel) if mount == "tabletop" else None
        return support_level(self.camera(), mount) if told is None else told

    def top_at(self, pixel: tuple[float, float]) -> float | None:
        """Height (m) of the table, cupboard or the like at a pixel of the photo, None where it is not told."""
        return table_level(self.fronts, self.camera(), self.scale, pixel)

    def to_json(self) -> dict[str, Any]:
        """The numbers of this room; the region map travels beside them as a picture."""
        known: dict[str, Any] = {} if self.yaw_deg is None else {"yaw_deg": round(self.yaw_deg, 2)}
        return known | {
            "horizon_y": round(self.horizon_y, 5),
            "roll_deg": round(self.roll_deg, 3),
            "pitch_deg": round(self.pitch_deg, 3),
            "camera_height_m": round(self.camera_height_m, 3),
            "confidence": round(self.confidence, 3),
            "focal_px_per_width": round(self.focal_px / self.width, 5),
            "ceiling_m": round(self.ceiling_m, 3),
            "walls": [wall.to_json() for wall in self.walls],
            "doubts": list(self.doubts),
        }

    @classmethod
    def from_json(cls, numbers: Mapping[str, Any], regions: Pixels, width: int, height: int) -> "Room":
        """The room that `to_json` described, for a photo of that size.

        Whoever states a horizon but no pitch (or no focal length) gets the pitch that fits the horizon.
        """
        focal_px = float(numbers.get("focal_px_per_width") or focal_pixels(width, height, None) / width) * width
        roll = float(numbers.get("roll_deg") or 0.0)
        horizon = float(numbers["horizon_y"])
        pitch = numbers.get("pitch_deg")
        if pitch is None:
            pitch = pitch_from_horizon(horizon * height, height / 2, focal_px, roll)
        return cls(
            width=width,
            height=height,
            focal_px=focal_px,
            horizon_y=horizon,
            pitch_deg=float(pitch),
            roll_deg=roll,
            camera_height_m=float(numbers.get("camera_height_m") or DEFAULT_CAMERA_HEIGHT_M),
            confidence=float(numbers.get("confidence") or 0.0),
            regions=regions,
            yaw_deg=None if numbers.get("yaw_deg") is None else float(numbers["yaw_deg"]),
            ceiling_m=float(numbers.get("ceiling_m") or CEILING_M),
            doubts=[str(code) for code in numbers.get("doubts") or []],
            read_walls=[Wall.from_json(wall) for wall in numbers.get("walls") or []] or None,
        )


def read_room(pixels: Pixels, f35_mm: float | None = None, camera_height_m: float = DEFAULT_CAMERA_HEIGHT_M) -> Room:
    """Reads camera and regions from an upright photo (H, W, 3); never fails, but says how far to trust it."""
    height, width = pixels.shape[:2]
    focal_px, lines = _fit_lens(pixels, f35_mm)
    pitch = float(np.clip(lines.pitch_deg, *PITCH_RANGE))
    camera = camera_for(width, height, focal_px, pitch, lines.roll_deg, camera_height_m)
    seen = read_regions(pixels, camera, lines)
    doubts = find_doubts(pixels, lines, camera, seen.regions, seen.floor_clarity)
    return Room(
        width=width,
        height=height,
        focal_px=focal_px,
        horizon_y=camera.horizon_at(width / 2) / height,
        pitch_deg=pitch,
        roll_deg=lines.roll_deg,
        camera_height_m=camera_height_m,
        confidence=_confidence(lines, f35_mm, seen.floor_clarity, doubts),
        regions=seen.regions,
        notes=_notes(lines, f35_mm, seen.floor_clarity),
        doubts=doubts,
        yaw_deg=lines.trusted_yaw,
        ceiling_m=seen.ceiling_m or CEILING_M,
        read_walls=seen.walls,
    )


def _fit_lens(pixels: Pixels, f35_mm: float | None) -> tuple[float, Manhattan]:
    """The focal length in px, by EXIF or else the usual one, and the edges' fit.

    Messengers strip EXIF. Looking down steeply, edges tell another lens of a phone by a clearly better fit.
    """
    height, width = pixels.shape[:2]
    focal_px = focal_pixels(width, height, f35_mm)
    lines = fit_manhattan(pixels, focal_px)
    if f35_mm is not None or lines.pitch_deg < STEEP_DEG:
        return focal_px, lines
    others = [(other, fit_manhattan(pixels, other)) for other in (focal_pixels(width, height, f) for f in OTHER_F35)]
    best = max(others, key=lambda tried: tried[1].fit)
    return best if best[1].fit > lines.fit + CLEARLY_BETTER else (focal_px, lines)


def _confidence(lines: Manhattan, f35_mm: float | None, floor_clarity: float, doubts: list[str]) -> float:
    """0..1 by agreement of edges, a known lens and a floor that stands out, low with doubts; seen on a dozen rooms."""
    edges = np.clip((lines.fit - 0.35) / 0.5, 0.0, 1.0) * min(1.0, len(lines.segments) / 40)
    lens = 1.0 if f35_mm else 0.85
    highest = 0.2 if set(doubts) & set(FATAL) else 0.5 if doubts else 0.98
    return float(np.clip(lens * (0.25 + 0.45 * edges + 0.3 * floor_clarity), 0.05, highest))


def _notes(lines: Manhattan, f35_mm: float | None, floor_clarity: float) -> list[str]:
    notes = []
    if f35_mm is None:
        notes.append("focal length unknown, 26 mm assumed")
    if lines.fit < 0.6 or len(lines.segments) < 20:
        notes.append("few straight edges, the horizon is uncertain")
    if floor_clarity < 0.4:
        notes.append("the floor is hard to tell from what stands on it")
    return notes


__all__ = ["DEFAULT_CAMERA_HEIGHT_M", "Room", "read_room"]
