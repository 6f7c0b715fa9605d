"""From the trace's JSON to the picture engine's values."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.pictures import PictureRef

if TYPE_CHECKING:
    from imaging.placement import Product
    from imaging.room import Room

MOUNTS = ("floor", "wall", "ceiling", "tabletop")


class SceneError(Exception):
    """Something the picture engine needs is not known."""


def product_of(facts: Mapping[str, Any], aspect: float) -> "Product":
    """The product's size in metres and how it is mounted; `aspect` is its cutout's width over height.

    Raises:
        SceneError: a side is not known, not even estimated.
    """
    from imaging.placement import Product

    sizes = facts["dimensions_m"]
    width, height = sizes.get("width"), sizes.get("height")
    if width is None and height is None:
        raise SceneError("The product's size is not known; add its dimensions to the product.")
    width = width if width is not None else height * aspect
    height = height if height is not None else width / max(aspect, 1e-6)
    mount = facts["mount"] if facts["mount"] in MOUNTS else "floor"
    depth = sizes.get("depth")
    if depth is None:
        depth = 0.03 if mount == "wall" else width * 0.5
    return Product(width_m=width, depth_m=depth, height_m=height, mount=mount, aspect=aspect)


def room_of(geometry: Mapping[str, Any], regions_png: bytes, photo: PictureRef) -> "Room":
    """The room as read by the placement stage."""
    from imaging.photo import decode
    from imaging.room import Room

    numbers = {name: value for name, value in geometry.items() if name != "regions"}
    return Room.from_json(numbers, decode(regions_png), photo.width or 0, photo.height or 0)
