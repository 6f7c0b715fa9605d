"""Where in a room a kind of thing belongs, by its merchant's word for it."""

import re
from typing import Literal

Role = Literal["", "against_wall", "beside_seat", "before_seat", "corner", "window", "seat", "centre"]
# The first role one of whose words begins a word of the name; a side table is no table, a coffee table no side table.
ROLES: dict[Role, tuple[str, ...]] = {
    "before_seat": ("coffee table", "cocktail table", "ottoman", "pouf", "footstool"),
    "beside_seat": ("side table", "end table", "accent table", "nightstand", "bedside", "table lamp", "basket"),
    "corner": ("lamp", "coat stand", "coat rack"),
    "window": ("plant", "tree"),
    "centre": ("rug", "carpet", "dining table"),
    "seat": ("armchair", "chair", "recliner", "rocker", "stool", "bean bag"),
    "against_wall": (
        "sofa", "couch", "settee", "loveseat", "sectional", "sideboard", "console", "credenza", "buffet", "bookcase",
        "bookshel", "shel", "dresser", "wardrobe", "armoire", "closet", "cabinet", "cupboard", "tv", "media", "bed",
        "desk", "chest", "bench", "mirror",
    ),
}  # fmt: skip
# A thing as wide as this (m) stands at a wall whatever it is; tables, which nothing else tells, stand free.
WIDE_M = 1.5


def role_of(kind: str, width_m: float) -> Role:
    """Where in a room a kind of thing belongs; by its width if its name tells nothing."""
    text = kind.lower()
    for role, words in ROLES.items():
        if any(re.search(rf"\b{word}", text) for word in words):
            return role
    if re.search(r"\btable", text):
        return "centre"
    return "against_wall" if width_m >= WIDE_M else ""


__all__ = ["Role", "role_of"]
