"""Words for what the pipeline decided: for shoppers and for operators."""

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imaging.placement import Placement

# What is wrong with the whole photo, and what a shopper does about it.
DOUBTS = {
    "too_dark": ("the photo is too dark", "Turn the light on and take it again."),
    "too_blurred": ("the photo is too blurred", "Hold the camera still, let it focus, and take it again."),
    "upside_down": ("the photo is upside down, or looks up at the ceiling", "Turn it, or hold the camera level."),
    "on_its_side": ("the photo seems to lie on its side", "Turn it upright."),
    "outdoors": ("this does not look like a room", "Take a photo of the room where you want the product."),
    "view_blocked": ("somebody or something close to the camera hides the room", "Step aside and take it again."),
    "no_floor": ("too little floor is in the picture", "Step back, or try a photo that shows more of the free floor."),
    "blurred": ("the photo is blurred", "Hold the camera still and take it again."),
}
# What a product needs of the photo, by how it is mounted.
FREE = {
    "floor": "the free floor",
    "wall": "the free wall",
    "ceiling": "the ceiling",
    "tabletop": "a free table or shelf",
}
REASONS = {code: said for code, (said, _) in DOUBTS.items()} | {
    "not_on_support": "it would not stand on the floor or hang on the wall",
    "overlaps_furniture": "other furniture is in the way",
    "blocks_door": "it would stand where a door opens",
    "blocks_window": "it would cover a window",
    "out_of_frame": "it would be cut off by the edge of the photo",
    "too_near": "it would be too close to the camera",
    "too_far": "it would be too far away to see",
    "wrong_scale": "its size would not be true",
    "far_from_tap": "it only fits elsewhere, not where you tapped",
    "tap_on_furniture": "something stands where you tapped",
    "tap_off_support": "where you tapped there is nothing that could carry it",
    "no_ceiling": "it hangs from the ceiling, and the photo does not show it",
    "not_as_wished": "it cannot go any further that way",
    "view_angle": "the room is seen from too steep an angle",
    "too_similar": "it is almost the same as a better place",
    "low_rank": "better places were found",
}


def selection_why(before: int, after: int, reasons: Counter[str], best: "Placement", *, tapped: bool) -> str:
    """One or two sentences on what was dropped and what was chosen, for a person."""
    text = f"Kept {after} of {before} places"
    if reasons:
        most = [f"{REASONS.get(name, name)} ({count})" for name, count in reasons.most_common(2)]
        text += "; most others were dropped because " + ", or because ".join(most)
    chosen = best.to_json()
    where = "the free place nearest to the tap" if tapped else "the best of them"
    return f"{text}. Chose {where}: {chosen['why']}"


def nowhere_why(before: int, reasons: Counter[str]) -> str:
    """One sentence on why no proposed place could be kept, for a person."""
    counted = [f"{REASONS.get(name, name)} ({count})" for name, count in reasons.most_common(3)]
    return f"Dropped all {before} places: " + "; ".join(counted) + "."


def doubts_why(doubts: list[str]) -> str:
    """What speaks against the photo, as a sentence to add; empty without doubts."""
    said = [DOUBTS[code][0] for code in doubts if code in DOUBTS]
    return f" Doubtful: {'; '.join(said)}." if said else ""
