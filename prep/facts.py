"""Product facts as the pipelines pass them on: merged with what the merchant says, which always wins."""

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import Invalid

SIDES = ("width", "depth", "height")


class OverriddenDimensions(BaseModel):
    """Sizes in metres that the merchant states; what is left out stays as extracted."""

    model_config = ConfigDict(extra="forbid")
    width: float | None = Field(None, ge=0.001, le=20)
    depth: float | None = Field(None, ge=0.001, le=20)
    height: float | None = Field(None, ge=0.001, le=20)


class MerchantOverrides(BaseModel):
    """What a merchant may state about a product; it wins over anything extracted."""

    model_config = ConfigDict(extra="forbid")
    title: str | None = Field(None, min_length=1, max_length=255)
    product_type: str | None = Field(None, min_length=1, max_length=255)
    mount: str | None = Field(None, pattern="^(floor|wall|ceiling|tabletop)$")
    dimensions_m: OverriddenDimensions | None = None
    materials: list[str] | None = None


def check_overrides(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A merchant's overrides with only known fields in their ranges.

    Raises:
        Invalid: naming the first field that is wrong.
    """
    try:
        return MerchantOverrides.model_validate(raw).model_dump(exclude_none=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "overrides"
        raise Invalid(f"Merchant overrides, {place}: {first['msg']}.") from error


def merge_overrides(facts: Mapping[str, Any], overrides: Mapping[str, Any] | None) -> dict[str, Any]:
    """Facts with the merchant's statements over them; the source of every stated size becomes `merchant`."""
    merged = copy.deepcopy(dict(facts))
    for name, value in (overrides or {}).items():
        if name != "dimensions_m":
            merged[name] = value
            continue
        for side in SIDES:
            if value.get(side) is not None:
                merged["dimensions_m"][side] = value[side]
                merged["dimension_sources"][side] = "merchant"
    return merged


def size_text(facts: Mapping[str, Any]) -> str:
    """The size as a shopper reads it, `213 x 91 x 84 cm` (W x D x H); unknown sides are left out with their letter."""
    sizes = facts.get("dimensions_m", {})
    known = [(letter, sizes.get(side)) for letter, side in zip("WDH", SIDES, strict=True)]
    if all(value for _, value in known):
        return " x ".join(f"{value * 100:.0f}" for _, value in known) + " cm"
    return " x ".join(f"{letter} {value * 100:.0f}" for letter, value in known if value) + (
        " cm" if any(value for _, value in known) else ""
    )
