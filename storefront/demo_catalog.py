"""The demo shop's catalogue: what a merchant would keep in the shop system; `demo/catalog.json`, typed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

FOLDER = Path(__file__).resolve().parent / "demo"
SHOP_DOMAIN = "demo.example"


@dataclass(frozen=True, slots=True)
class DemoProduct:
    """One product of the demo shop; file names are below `demo/products/`."""

    handle: str
    product_id: str
    title: str
    summary: str
    description_html: str
    product_type: str
    tags: list[str]
    vendor: str
    price: str
    currency: str
    photo: str
    alpha: str | None
    photo_room: str | None
    dimensions_text: str
    dimensions: list[list[str]]
    options: list[dict[str, Any]]

    @property
    def photo_path(self) -> Path:
        """The merchant's photo; an RGBA PNG where the merchant made the cutout."""
        return FOLDER / "products" / self.photo


@dataclass(frozen=True, slots=True)
class DemoRoom:
    """A sample room for shoppers without a photo at hand; file names are below `demo/rooms/`.

    too_small_for: handles of the products that find no free place in it.
    """

    photo: str
    thumb: str
    title: str
    too_small_for: Sequence[str] = ()

    @property
    def photo_path(self) -> Path:
        """The photo, with its camera's EXIF."""
        return FOLDER / "rooms" / self.photo


@dataclass(frozen=True, slots=True)
class Catalog:
    """The demo shop's name, products and sample rooms."""

    store: str
    products: tuple[DemoProduct, ...]
    rooms: tuple[DemoRoom, ...]

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Read the file's content."""
        products = tuple(DemoProduct(**each) for each in stored["products"])
        return cls(stored["store"], products, tuple(DemoRoom(**each) for each in stored["rooms"]))

    def rooms_for(self, handle: str) -> tuple[DemoRoom, ...]:
        """The sample rooms with space for a product."""
        return tuple(room for room in self.rooms if handle not in room.too_small_for)

    def pictures(self) -> frozenset[str]:
        """Every picture the shop shows, as a path below `demo/`."""
        photos = {f"products/{name}" for each in self.products for name in (each.photo, each.photo_room) if name}
        return frozenset(photos | {f"rooms/{name}" for each in self.rooms for name in (each.photo, each.thumb)})


@cache
def load_catalog() -> Catalog:
    """The catalogue, read once."""
    return Catalog.from_json(json.loads((FOLDER / "catalog.json").read_text()))
