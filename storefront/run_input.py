"""What staff may give a run of the `composite` pipeline differently."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from prep.run_input import ProductTexts, checked
from runs.registry import checks_input
from storefront.services import PIPELINE

Hint = Literal["left", "right", "back", "closer", "smaller", "against_wall"]
HINT_WORDS: tuple[str, ...] = get_args(Hint)


class Point(BaseModel):
    """A point of the upright room photo, as fractions of its width and height."""

    model_config = ConfigDict(extra="forbid", strict=True)
    x: float = Field(ge=0, le=1)
    y: float = Field(ge=0, le=1)


class Hints(BaseModel):
    """What a shopper asked for in a word."""

    model_config = ConfigDict(extra="allow", strict=True)
    hint: Hint | None = None


class Room(BaseModel):
    """The photo, and its focal length in millimetres of 35 mm film."""

    model_config = ConfigDict(extra="forbid", strict=True)
    photo: dict[str, Any]
    f35_mm: float | None = Field(None, gt=0, le=2000)


class CompositeInput(BaseModel):
    """Members of a composite run's input; pictures have been checked to be the run's own.

    A member with the default None may be left out, but not be null where its type does not say so.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    product: ProductTexts = None  # type: ignore[assignment]
    room: Room = None  # type: ignore[assignment]
    product_photo: dict[str, Any] | None = None
    cutout: dict[str, Any] | None = None
    prepared_facts: dict[str, Any] | None = None
    merchant_overrides: dict[str, Any] | None = None
    tap: Point | None = None
    hints: Hints | None = None


@checks_input(PIPELINE)
def check_composite_input(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuse what the composite stages do not take."""
    return checked(CompositeInput, given)
