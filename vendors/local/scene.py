"""From the JSON of a call to the picture engine's values: the product's size, the room as it was read."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from imaging.placement import Product
from imaging.room import Room
from imaging.scene import SizeUnknown
from vendors.base import Call, Rejected
from vendors.local.answer import Pixels, Variables, read_picture

Length = Annotated[float, Field(ge=0.001, le=20)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class Sides(_Shape):
    """Metres; None where not known."""

    width: Length | None = None
    depth: Length | None = None
    height: Length | None = None


class Facts(_Shape):
    """What the geometry needs of ProductFacts."""

    mount: Literal["floor", "wall", "ceiling", "tabletop", "unknown"] = "unknown"
    dimensions_m: Sides
    product_type: str | None = None
    title: str = ""

    @property
    def kind(self) -> str:
        """What the merchant calls it."""
        return self.product_type or self.title


class WallPlane(_Shape):
    """A wall as `imaging.walls.Wall.to_json` writes it."""

    yaw_deg: Annotated[float, Field(ge=-180, le=180)]
    distance_m: Annotated[float, Field(gt=0, le=50)]
    support: Annotated[float, Field(ge=0, le=1)]


class Geometry(_Shape):
    """A room as `imaging.room.Room.to_json` writes it."""

    horizon_y: Annotated[float, Field(ge=-5, le=6)]
    pitch_deg: Annotated[float, Field(ge=-90, le=90)] | None = None
    roll_deg: Annotated[float, Field(ge=-90, le=90)] = 0.0
    camera_height_m: Annotated[float, Field(gt=0, le=20)] = 1.5
    confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    focal_px_per_width: Annotated[float, Field(gt=0, le=50)] | None = None
    yaw_deg: Annotated[float, Field(ge=-45, le=45)] | None = None
    ceiling_m: Annotated[float, Field(gt=0, le=20)] | None = None
    walls: Annotated[list[WallPlane], Field(max_length=8)] = []
    doubts: list[Annotated[str, Field(max_length=40)]] = []


class SceneVariables(Variables):
    """Variables that every task about a product in a room has."""

    facts: Facts
    room: Geometry


def product_of(facts: Facts, aspect: float) -> Product:
    """The product's size, one missing side taken from the cutout's aspect (width / height); unknown mounts stand.

    Raises:
        Rejected: neither width nor height is known.
    """
    sides = facts.dimensions_m
    try:
        return Product.of_sides(
            sides.width, sides.depth, sides.height, mount=facts.mount, aspect=aspect, kind=facts.kind
        )
    except SizeUnknown as error:
        raise Rejected(str(error)) from error


def room_of(call: Call, geometry: Geometry, photo: Pixels) -> Room:
    """The room as the variables tell it, with the label map of the picture `regions`."""
    numbers: dict[str, Any] = geometry.model_dump(exclude_none=True)
    height, width = photo.shape[:2]
    return Room.from_json(numbers, read_picture(call, "regions", channels=(1,)), width, height)
