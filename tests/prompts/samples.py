"""Small prompts and contexts that several tests share."""

from prompts.contexts import CompositeContext, FactsContext, Placement, PlacementContext, ProductFacts, RoomGeometry

SMALL = """---
description: A small prompt.
ir_schema: stage:facts
params: {tone: plain}
params_schema:
  type: object
  additionalProperties: false
  properties: {tone: {enum: [plain, warm]}, length: {type: integer}}
input:
  type: object
  additionalProperties: false
  required: [title]
  properties: {title: {type: string}}
example: {title: Oak chair}
---
<<system>>
Be {{ params.tone }}.
<<user>>
Title: {{ title | quote }}
"""

FACTS: ProductFacts = {
    "title": "Oak chair",
    "product_type": "chair",
    "mount": "floor",
    "dimensions_m": {"width": 0.45, "depth": 0.5, "height": None},
    "dimension_sources": {"width": "text", "depth": "text", "height": "none"},
    "evidence": [],
    "conflicts": [],
    "materials": ["oak"],
    "colors": [],
    "style": [],
    "confidence": 0.6,
}
ROOM: RoomGeometry = {
    "horizon_y": 0.4,
    "roll_deg": 0.0,
    "pitch_deg": 5.0,
    "camera_height_m": 1.5,
    "confidence": 0.9,
    "focal_px_per_width": 0.7,
}
PLACEMENT: Placement = {
    "id": "p1",
    "mount": "floor",
    "box": {"x0": 0.1, "y0": 0.5, "x1": 0.3, "y1": 0.8},
    "contact": {"x": 0.2, "y": 0.79},
}


def facts_context(title: str = "Oak chair", **changes: object) -> FactsContext:
    """A product as its merchant describes it."""
    return FactsContext(**{"title": title, "description": "45 cm wide.", "product_type": "Chair", **changes})  # type: ignore[arg-type]


def placement_context(**changes: object) -> PlacementContext:
    """A product and a room."""
    return PlacementContext(**{"facts": FACTS, "room": ROOM, "cutout_aspect": 0.8, **changes})  # type: ignore[arg-type]


def composite_context(**changes: object) -> CompositeContext:
    """A product, a room and the place between them."""
    return CompositeContext(**{"facts": FACTS, "placement": PLACEMENT, "room": ROOM, **changes})  # type: ignore[arg-type]
