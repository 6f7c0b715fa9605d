"""The task `composite`: the product put into the room at a chosen place, with size, light and shadow."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from imaging.compose import PlacementOutside, compose
from imaging.photo import encode_jpeg, encode_png
from imaging.placement import Placement
from vendors.base import Call, Image, Rejected
from vendors.local.answer import Answer, read_number, read_picture, read_variables
from vendors.local.scene import SceneVariables, product_of, room_of

JPEG_QUALITY = 92
Fraction = Annotated[float, Field(ge=-1, le=2)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class Box(_Shape):
    x0: Fraction
    y0: Fraction
    x1: Fraction
    y1: Fraction


class Point(_Shape):
    x: Fraction
    y: Fraction


class ChosenPlace(_Shape):
    """A Placement of CONTRACT."""

    id: str
    mount: Literal["floor", "wall", "ceiling", "tabletop"]
    box: Box
    contact: Point
    px_per_m: Annotated[float, Field(gt=0, le=100_000)]
    distance_m: Annotated[float, Field(ge=0, le=100)]
    yaw_deg: Annotated[float, Field(ge=-360, le=360)] = 0.0
    confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    why: str = ""


class CompositeVariables(SceneVariables):
    placement: ChosenPlace


def answer(call: Call) -> Answer:
    """The picture as JPEG and the product's mask as PNG; params: scale, shadow, harmonise (0: light untouched)."""
    given = read_variables(CompositeVariables, call)
    photo = read_picture(call, "room", channels=(3,))
    cutout = read_picture(call, "cutout", channels=(4,))
    room = room_of(call, given.room, photo)
    product = product_of(given.facts, cutout.shape[1] / cutout.shape[0])
    placement = Placement.from_json(given.placement.model_dump())
    try:
        composite = compose(photo, room, cutout, product, placement, _params(call))
    except PlacementOutside as error:
        raise Rejected(f"The chosen place lies outside the photo: {error}") from error
    images = (
        Image("result", encode_jpeg(composite.pixels, quality=JPEG_QUALITY), "image/jpeg"),
        Image("product_mask", encode_png(composite.product_mask), "image/png"),
    )
    height, width = composite.pixels.shape[:2]
    return Answer(
        {"width": int(width), "height": int(height), "notes": [str(note) for note in composite.notes]}, images
    )


def _params(call: Call) -> dict[str, Any]:
    scale, shadow = read_number(call, "scale", 0.5, 1.5), read_number(call, "shadow", 0.0, 1.5)
    harmonise = read_number(call, "harmonise", 0.0, 1.0)
    given = {"scale": scale, "shadow": shadow, "relight": None if harmonise is None else harmonise > 0}
    return {name: value for name, value in given.items() if value is not None}
