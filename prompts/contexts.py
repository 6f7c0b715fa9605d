"""What each prompt is given, typed: a prompt is a function from one of these contexts to text."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NotRequired, Protocol, TypedDict

from prompts.selection import Selection, render_selection
from prompts.template import Rendered


class Dimensions(TypedDict):
    """Metres; None where unknown."""

    width: float | None
    depth: float | None
    height: float | None


class ProductFacts(TypedDict):
    """What is known about a product: the answer of the facts stage."""

    title: str
    product_type: str
    mount: Literal["floor", "wall", "ceiling", "tabletop", "unknown"]
    dimensions_m: Dimensions
    dimension_sources: dict[str, str]
    evidence: list[dict[str, str]]
    conflicts: list[dict[str, Any]]
    materials: list[str]
    colors: list[dict[str, str]]
    style: list[str]
    confidence: float


class RoomGeometry(TypedDict):
    """How the photo was taken: `horizon_y` as a fraction of the photo's height, angles in degrees, height in metres."""

    horizon_y: float
    roll_deg: float
    pitch_deg: float
    camera_height_m: float
    confidence: float
    focal_px_per_width: NotRequired[float]


class Point(TypedDict):
    """Fractions (0..1) of the upright photo."""

    x: float
    y: float


class Box(TypedDict):
    """Fractions (0..1) of the upright photo."""

    x0: float
    y0: float
    x1: float
    y1: float


class Placement(TypedDict):
    """One place for the product: one candidate of the placement stage."""

    id: NotRequired[str]
    mount: Literal["floor", "wall", "ceiling", "tabletop"]
    box: Box
    contact: Point
    px_per_m: NotRequired[float]
    distance_m: NotRequired[float]
    yaw_deg: NotRequired[float]
    confidence: NotRequired[float]
    why: NotRequired[str]


class Context(Protocol):
    """Anything that knows its prompt and the prompt's variables as plain JSON."""

    prompt_name: ClassVar[str]

    def variables(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class FactsContext:
    """A product as the merchant describes it; missing texts are empty."""

    prompt_name: ClassVar[str] = "facts_extraction"
    title: str
    description: str | None = ""
    product_type: str | None = ""
    tags: Sequence[str] = ()

    def variables(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "description": self.description or "",
            "product_type": self.product_type or "",
            "tags": list(self.tags),
        }


@dataclass(frozen=True, slots=True)
class PlacementContext:
    """A product, a room, where the shopper tapped if they did, and the cutout's width divided by its height."""

    prompt_name: ClassVar[str] = "placement"
    facts: ProductFacts
    room: RoomGeometry
    cutout_aspect: float
    tap: Point | None = None

    def variables(self) -> dict[str, Any]:
        return {"facts": self.facts, "room": self.room, "tap": self.tap, "cutout_aspect": self.cutout_aspect}


@dataclass(frozen=True, slots=True)
class CompositeContext:
    """A product and the place that was selected for it."""

    prompt_name: ClassVar[str] = "composite"
    facts: ProductFacts
    placement: Placement
    room: RoomGeometry

    def variables(self) -> dict[str, Any]:
        return {"facts": self.facts, "placement": self.placement, "room": self.room}


def prompt_function(selection: Selection) -> Callable[[Context], Rendered]:
    """The selected prompt as a function of its context.

    The function raises TypeError for another prompt's context, and what `render_selection` raises.
    """

    def prompt(context: Context) -> Rendered:
        if context.prompt_name != selection.prompt_name:
            raise TypeError(f"The prompt {selection.prompt_name} was given the context of {context.prompt_name}.")
        variables: Mapping[str, Any] = context.variables()
        return render_selection(selection, variables)

    return prompt
