"""From the trace's JSON to the picture engine's values."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.pictures import PictureRef

if TYPE_CHECKING:
    from imaging.placement import Product
    from imaging.room import Room


def product_of(facts: Mapping[str, Any], aspect: float) -> "Product":
    """The product's size in metres and how it is mounted; `aspect` is its cutout's width over height.

    Raises:
        imaging.scene.SizeUnknown: neither width nor height is known, not even estimated.
    """
    from imaging.placement import Product

    sides = facts["dimensions_m"]
    return Product.of_sides(
        sides.get("width"),
        sides.get("depth"),
        sides.get("height"),
        mount=facts["mount"],
        aspect=aspect,
        kind=facts.get("product_type") or facts.get("title") or "",
    )


def room_of(geometry: Mapping[str, Any], regions_png: bytes, photo: PictureRef) -> "Room":
    """The room as read by the placement stage."""
    from imaging.photo import decode
    from imaging.room import Room

    numbers = {name: value for name, value in geometry.items() if name != "regions"}
    return Room.from_json(numbers, decode(regions_png), photo.width or 0, photo.height or 0)
