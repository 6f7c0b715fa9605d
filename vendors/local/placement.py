"""The task `placement`: many places where the product could stand, by geometry."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from imaging.placement import propose
from vendors.base import Call, Rejected
from vendors.local.answer import Answer, read_number, read_picture, read_variables
from vendors.local.scene import SceneVariables, product_of, room_of

PREFERENCES = ("left", "right", "center", "back", "front", "wall")
_BOUNDS = {"margin": (0.0, 2.0), "scale": (0.5, 1.5), "max_candidates": (1, 60)}


class Tap(BaseModel):
    """Where the shopper tapped, as fractions of the upright photo."""

    x: Annotated[float, Field(ge=0, le=1)]
    y: Annotated[float, Field(ge=0, le=1)]


class PlacementVariables(SceneVariables):
    tap: Tap | None = None
    cutout_aspect: Annotated[float, Field(ge=0.02, le=50)]


def answer(call: Call) -> Answer:
    """Candidates best first; params: prefer, margin (m), scale, max_candidates."""
    given = read_variables(PlacementVariables, call)
    room = room_of(call, given.room, read_picture(call, "room", channels=(3,)))
    product = product_of(given.facts, given.cutout_aspect)
    tap = (given.tap.x, given.tap.y) if given.tap else None
    candidates = propose(room, product, tap=tap, params=_params(call))
    return Answer({"candidates": [candidate.to_json() for candidate in candidates]})


def _params(call: Call) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for name, (low, high) in _BOUNDS.items():
        value = read_number(call, name, low, high)
        if value is not None:
            params[name] = int(value) if name == "max_candidates" else value
    prefer = call.params.get("prefer")
    if prefer is not None and prefer not in PREFERENCES:
        raise Rejected(f"The param prefer must be one of {', '.join(PREFERENCES)}.")
    return params | ({"prefer": prefer} if prefer else {})
