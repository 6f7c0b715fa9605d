"""Proposes spots for a product in a room, and judges anybody's proposals by the same geometry.

`propose` is generous on purpose: it offers good and bad spots alike, so that the judge's reasons can be read. `judge`
never looks at how a candidate was made; boxes and contacts may come from a model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot
from typing import Any

import numpy as np

from imaging.candidates import floor_candidates, wall_candidates
from imaging.checks import GOOD_ELEVATION_DEG, Check, check_placement
from imaging.room import Room
from imaging.scene import Box, Placement, Product

Point = tuple[float, float]
MOUNTS = ("floor", "wall", "ceiling", "tabletop")
KEPT, SIMILAR_IOU = 3, 0.45


@dataclass(frozen=True)
class Verdict:
    """What the judge says of one placement; `reason` names the first check that it fails."""

    placement_id: str
    accepted: bool
    reason: str | None
    score: float
    measures: dict[str, float]


def propose(
    room: Room,
    product: Product,
    *,
    tap: Point | None = None,
    params: Mapping[str, Any] | None = None,
    limit: int = 24,
) -> list[Placement]:
    """Up to `limit` (or params["max_candidates"]) diverse placements, best first, deterministic.

    params: prefer (left, right, center, back, front, wall), margin (m, clear floor around), scale (0.5..1.5).
    `tap` is where the shopper wants it, as fractions; it is snapped to the nearest fitting support.
    """
    chosen = dict(params or {})
    sized = product.scaled(_scale(chosen))
    make = wall_candidates if sized.mount == "wall" else floor_candidates
    found = [each for each in make(room, sized, tap) if all(-1 <= side <= 2 for side in each.box)]  # near the photo
    checks = [check_placement(room, sized, each, _margin(chosen)) for each in found]
    scores = [_score(room, sized, check, each, tap, chosen) for each, check in zip(found, checks, strict=True)]
    wanted = max(1, int(chosen.get("max_candidates") or limit))
    picked = _spread(scores, [check.reason is None for check in checks], wanted)
    return [_numbered(rank, found[at], scores[at], checks[at]) for rank, at in enumerate(picked, start=1)]


def judge(
    room: Room,
    product: Product,
    placements: list[Placement],
    *,
    tap: Point | None = None,
    params: Mapping[str, Any] | None = None,
) -> list[Verdict]:
    """A verdict per placement, in the order given; at most three are accepted, none of them like another.

    Reasons: not_on_support, overlaps_furniture, blocks_window, out_of_frame, too_near, too_far, wrong_scale, view_angle,
    then among those that pass: too_similar (to a better one) and low_rank.
    """
    chosen = dict(params or {})
    sized = product.scaled(_scale(chosen))
    checks = [check_placement(room, sized, each, _margin(chosen)) for each in placements]
    scores = [_score(room, sized, check, each, tap, chosen) for each, check in zip(placements, checks, strict=True)]
    reasons = [check.reason for check in checks]
    kept: list[int] = []
    for at in sorted(range(len(placements)), key=lambda i: (-scores[i], i)):
        if reasons[at] is not None:
            continue
        if any(box_iou(placements[at].box, placements[other].box) > SIMILAR_IOU for other in kept):
            reasons[at] = "too_similar"
        elif len(kept) >= KEPT:
            reasons[at] = "low_rank"
        else:
            kept.append(at)
    return [
        Verdict(each.id, reasons[i] is None, reasons[i], round(scores[i], 4), checks[i].rounded())
        for i, each in enumerate(placements)
    ]


def box_iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return width * height / (areas - width * height)


def _score(
    room: Room, product: Product, check: Check, placement: Placement, tap: Point | None, params: Mapping[str, Any]
) -> float:
    """0..1: how well a spot suits, of which a failed check leaves a quarter."""
    suits = _wall_suits(check) if product.mount == "wall" else _floor_suits(check, placement, product)
    if tap is not None:
        anchor = ((placement.box[0] + placement.box[2]) / 2, placement.contact[1])
        away = hypot((anchor[0] - tap[0]) * room.width, (anchor[1] - tap[1]) * room.height) / room.width
        suits = 0.25 * suits + 0.75 * float(np.exp(-away / 0.08))
    preference = _preference(str(params.get("prefer") or ""), placement, check)
    if preference is not None:
        suits = 0.35 * suits + 0.65 * preference
    return float(np.clip(suits if check.reason is None else 0.25 * suits, 0.0, 1.0))


def _floor_suits(check: Check, placement: Placement, product: Product) -> float:
    """Near enough to be seen, far enough to look natural, clear of other things, not hiding them."""
    measures = check.measures
    best = float(np.clip(2.6 + 0.45 * product.width_m, 2.6, 3.8))
    distance = float(np.exp(-(((measures["distance_m"] - best) / 1.3) ** 2)))
    angle = float(np.exp(-((max(0.0, measures["elevation_deg"] - GOOD_ELEVATION_DEG) / 9.0) ** 2)))
    middle = 1.0 - abs((placement.box[0] + placement.box[2]) / 2 - 0.5)
    clear = float(np.clip(measures.get("clearance_m", 0.0) / 0.5, 0.0, 1.0))
    seen = 1.0 - min(1.0, measures.get("hides_things", 0.0))
    room_around = float(np.clip(min(placement.box[0], 1 - placement.box[2], 1 - placement.box[3]) / 0.04, 0.0, 1.0))
    return 0.24 * distance + 0.15 * angle + 0.11 * middle + 0.18 * clear + 0.22 * seen + 0.1 * room_around


def _wall_suits(check: Check) -> float:
    """At eye level, seen from the front, with wall around it."""
    measures = check.measures
    level = float(np.exp(-(((measures["middle_m"] - 1.55) / 0.35) ** 2)))
    frontal = float(np.cos(np.radians(measures["view_deg"])))
    near = float(np.exp(-(((measures["distance_m"] - 3.2) / 2.5) ** 2)))
    return 0.35 * level + 0.25 * frontal + 0.15 * near + 0.25 * measures.get("around", 0.0)


def _preference(prefer: str, placement: Placement, check: Check) -> float | None:
    x = (placement.box[0] + placement.box[2]) / 2
    distance = check.measures.get("distance_m", placement.distance_m)
    return {
        "left": 1.0 - x,
        "right": x,
        "center": 1.0 - 2.0 * abs(x - 0.5),
        "back": float(np.clip((distance - 1.5) / 4.0, 0.0, 1.0)),
        "front": float(np.clip((5.5 - distance) / 4.0, 0.0, 1.0)),
        "wall": float(np.exp(-max(0.0, check.measures.get("wall_gap_m", 3.0)) / 0.8)),
    }.get(prefer)


def _spread(scores: list[float], passing: list[bool], wanted: int) -> list[int]:
    """Two thirds by score, the rest evenly from what is left, so that bad spots are shown as well."""
    order = sorted(range(len(scores)), key=lambda i: (not passing[i], -scores[i], i))
    if len(order) <= wanted:
        return order
    top = order[: max(1, wanted * 2 // 3)]
    rest = order[len(top) :]
    places = wanted - len(top)
    chosen = [rest[(2 * k + 1) * len(rest) // (2 * places)] for k in range(places)]
    return top + chosen


def _numbered(rank: int, placement: Placement, score: float, check: Check) -> Placement:
    confidence = 0.3 + 0.65 * score if check.reason is None else 0.35 * score
    doubt = "" if check.reason is None else f"; doubtful: {check.reason.replace('_', ' ')}"
    return Placement(
        id=f"p{rank:02d}",
        mount=placement.mount,
        box=placement.box,
        contact=placement.contact,
        px_per_m=placement.px_per_m,
        distance_m=placement.distance_m,
        yaw_deg=placement.yaw_deg,
        confidence=round(min(confidence, 0.98), 4),
        why=placement.why + doubt,
    )


def _scale(params: Mapping[str, Any]) -> float:
    return float(np.clip(float(params.get("scale") or 1.0), 0.5, 1.5))


def _margin(params: Mapping[str, Any]) -> float:
    return float(np.clip(float(params.get("margin") or 0.0), 0.0, 2.0))


__all__ = ["MOUNTS", "Box", "Placement", "Product", "Verdict", "box_iou", "judge", "propose"]
