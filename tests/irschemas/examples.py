"""Answers as our stages give them, one good one for each library schema, and small schemas."""

import copy
from typing import Any

from irschemas.library import library_schemas

PICTURE = {"$blob": "ab" * 32, "media_type": "image/jpeg", "width": 1600, "height": 1200}
PLACEMENT = {
    "id": "p01",
    "mount": "floor",
    "box": {"x0": 0.31, "y0": 0.42, "x1": 0.58, "y1": 0.88},
    "contact": {"x": 0.45, "y": 0.86},
    "px_per_m": 312.5,
    "distance_m": 3.2,
    "yaw_deg": 12.0,
    "confidence": 0.81,
    "why": "Free floor in front of the window.",
}
FACTS = {
    "title": "Halden 3-Seater Velvet Sofa",
    "product_type": "Sofas",
    "mount": "floor",
    "dimensions_m": {"width": 2.134, "depth": 0.914, "height": None},
    "dimension_sources": {"width": "text", "depth": "merchant", "height": "none"},
    "evidence": [{"field": "width", "quote": '84" W'}],
    "conflicts": [{"field": "width", "values": [2.134, '86"', None], "chosen": 2.134, "why": "The carton is larger."}],
    "materials": ["velvet"],
    "colors": [{"name": "forest green", "hex": "#2F5a4e"}],
    "style": [],
    "confidence": 0.9,
}
GOOD: dict[str, Any] = {
    "stage:fetch": {"photo": PICTURE, "has_alpha": False},
    "stage:cutout": {
        "accepted": True,
        "warnings": [],
        "cutout": PICTURE,
        "crop": {"x0": 0.1, "y0": 0.1, "x1": 0.9, "y1": 0.95},
    },
    "stage:facts": FACTS,
    "stage:placement": {
        "room": {
            "horizon_y": 0.41,
            "roll_deg": -0.4,
            "pitch_deg": 6.6,
            "camera_height_m": 1.5,
            "confidence": 0.9,
            "focal_px_per_width": 0.75,
            "regions": PICTURE,
        },
        "candidates": [PLACEMENT, PLACEMENT | {"id": "p02"}],
    },
    "stage:select": {
        "selected": PLACEMENT,
        "shortlist": ["p01"],
        "rejected": [{"id": "p02", "reason": "too_similar"}],
        "tap_obeyed": None,
    },
    "stage:composite": {
        "result": PICTURE,
        "product_mask": PICTURE | {"media_type": "image/png"},
        "width": 1600,
        "height": 1200,
        "source": "local",
        "notes": [],
    },
    "stage:layout_split": {
        "width": 1440,
        "height": 4000,
        "regions": [{"id": "r1", "role": "hero", "box": {"x0": 0, "y0": 0, "x1": 1, "y1": 0.25}}],
    },
    "stage:module_generate": {
        "modules": [{"id": "m1", "region_id": "r1", "name": "Hero", "html": "<section></section>"}]
    },
    "stage:validate_artifact": {
        "passed": True,
        "checks": [{"name": "SEO Meta", "passed": True}],
        "scores": {"seo": 96},
    },
}
SCHEMAS = {entry.target: entry.schema for entry in library_schemas()}


def good(target: str) -> Any:
    """A fresh copy of a good answer."""
    return copy.deepcopy(GOOD[target])


def closed(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A closed object schema whose properties are all required."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    } | more
