"""Proposes spots for a product in a room, and judges anybody's proposals by the same geometry.

`propose` is generous on purpose: it offers good and bad spots alike, so that the judge's reasons can be read. `judge`
never looks at how a candidate was made; boxes and contacts may come from a model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot
from typing import Any

import numpy as np

from imaging.candidates import clear_aim, floor_candidates, snapped, tap_refusal, wall_candidates
from imaging.checks import Check, check_placement
from imaging.doubts import fatal_doubt
from imaging.labels import REGION
from imaging.ranking import WORDS, habit, preference, suit
from imaging.room import Room
from imaging.scene import Box, Placement, Product

Point = tuple[float, float]
MOUNTS = ("floor", "wall", "ceiling", "tabletop")
KEPT, SIMILAR_IOU = 3, 0.45
# A shopper who taps means this spot: a product that stands farther beside it (m) is not what was asked for.
BESIDE_TAP_M, SAME_SPOT_M = 0.6, 0.1
LEAST_CEILING = 0.005
# What a place offers is told when it is at least this much (0..1) of what such things like.
SAID_SHARE = 0.3
# What a shopper notices as moved: sideways by this share of the photo's width, nearer or farther by this (m).
STEP, STEP_M = 0.03, 0.2
# What stands against a wall has at most so much (m) behind its back.
AT_WALL_M = 0.6


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
    wish, on_wall = _Wish.read(room, sized, tap, chosen), sized.mount == "wall"
    made = wall_candidates(room, sized, tap) if on_wall else floor_candidates(room, sized, tap, wish.point)
    found = [each for each in made if all(-1 <= side <= 2 for side in each.box)]  # near the photo
    checks, scores = _assess(room, sized, found, wish, chosen)
    wanted = max(1, int(chosen.get("max_candidates") or limit))
    picked = _spread(scores, [check.reason is None for check in checks], wanted)
    return [_numbered(rank, sized, found[at], scores[at], checks[at]) for rank, at in enumerate(picked, start=1)]


def judge(
    room: Room,
    product: Product,
    placements: list[Placement],
    *,
    tap: Point | None = None,
    params: Mapping[str, Any] | None = None,
    moved_from: Placement | None = None,
) -> list[Verdict]:
    """A verdict per placement, in the order given; at most three are accepted, none of them like another.

    Who prefers left, right, back, front or wall and had the product at `moved_from` gets it farther that way, or at a
    wall, or not at all.

    Reasons: what makes the whole photo useless (imaging.doubts) or is wrong with the tap (tap_on_furniture,
    tap_off_support); out_of_frame, too_near, too_far, blocks_door, overlaps_furniture, not_on_support, no_ceiling,
    blocks_window, wrong_scale, view_angle, far_from_tap, not_as_wished; then among those that pass: too_similar (to a
    better one) and low_rank.
    """
    chosen = dict(params or {})
    sized = product.scaled(_scale(chosen))
    checks, scores = _assess(room, sized, placements, _Wish.read(room, sized, tap, chosen), chosen)
    for each, check in zip(placements, checks, strict=True):
        check.fail("not_as_wished", moved_from is not None and not _granted(chosen, moved_from, each, check))
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


def _assess(
    room: Room, product: Product, placements: list[Placement], wish: "_Wish", params: Mapping[str, Any]
) -> tuple[list[Check], list[float]]:
    """Each placement's check, with the reasons that the photo and the wish add, and its score."""
    forbidding = fatal_doubt(room.doubts, product.mount) or wish.refusal or _unseen(room, product)
    checks, scores = [], []
    for each in placements:
        away_m = wish.away_m(room, each)
        check = check_placement(room, product, each, _margin(params), wish.tapped and away_m < SAME_SPOT_M)
        check.reason = forbidding or check.reason
        check.fail("far_from_tap", away_m > _reach_m(product))
        if wish.tapped:
            check.measures["from_tap_m"] = away_m
        checks.append(check)
        scores.append(_score(room, product, check, each, wish))
    return checks, scores


def _granted(params: Mapping[str, Any], before: Placement, after: Placement, check: Check) -> bool:
    """Whether a place does what a shopper wished for who had the product at the one before."""
    prefer = str(params.get("prefer"))
    if prefer == "wall" and after.mount == "floor":
        return check.measures.get("behind_m", 0.0) <= AT_WALL_M
    return _moved(prefer, before, after)


def _moved(prefer: str, before: Placement, after: Placement) -> bool:
    """Whether a place lies as far from the one before, in the direction asked for, as a shopper would notice."""
    sideways, nearer = after.contact[0] - before.contact[0], before.distance_m - after.distance_m
    steps = {"left": -sideways / STEP, "right": sideways / STEP, "front": nearer / STEP_M, "back": -nearer / STEP_M}
    return steps.get(prefer, 1.0) >= 1.0


def _unseen(room: Room, product: Product) -> str | None:
    """A lamp below a ceiling that the photo does not show would float."""
    seen = product.mount != "ceiling" or float((room.regions == REGION.CEILING).mean()) > LEAST_CEILING
    return None if seen else "no_ceiling"


def _reach_m(product: Product) -> float:
    """How far (m) a product's middle may be from the tap: its own half, and a little."""
    return BESIDE_TAP_M + min(product.width_m, product.height_m if product.mount == "wall" else product.depth_m) / 2


def box_iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return width * height / (areas - width * height)


@dataclass(frozen=True)
class _Wish:
    """What was asked for: what the tap means (x, z; m, or x, y; px of a wall), and a part of the room."""

    prefer: str
    point: tuple[float, float] | None = None
    tapped: bool = False
    refusal: str | None = None

    @classmethod
    def read(cls, room: Room, product: Product, tap: Point | None, params: Mapping[str, Any]) -> "_Wish":
        prefer = str(params.get("prefer") or "")
        if tap is None:
            return cls(prefer)
        on_wall = product.mount == "wall"
        point = snapped(room, tap, REGION.WALL) if on_wall else clear_aim(room, product, tap)
        return cls(prefer, point, True, tap_refusal(room, product, tap))

    def away_m(self, room: Room, placement: Placement) -> float:
        """Metres between a placement and the tap; 0 without one, 99 where the tap has no support or the place none."""
        if not self.tapped:
            return 0.0
        pixel = placement.contact[0] * room.width, placement.contact[1] * room.height
        if self.point is None:
            return 99.0
        if placement.mount == "wall":
            return hypot(pixel[0] - self.point[0], pixel[1] - self.point[1]) / max(placement.px_per_m, 1e-6)
        camera = room.camera()
        stands = camera.floor_point(*pixel, level_m=room.level_at(placement.mount, pixel))
        return 99.0 if stands is None else hypot(stands[0] - self.point[0], stands[1] - self.point[1])


def _score(room: Room, product: Product, check: Check, placement: Placement, wish: _Wish) -> float:
    """0..1: how well a spot suits and follows what was asked for, of which a failed check leaves a quarter."""
    suits = suit(room, product, check, placement)
    if wish.tapped:
        suits = 0.2 * suits + 0.8 * float(np.exp(-check.measures["from_tap_m"] / 0.4))
    preferred = preference(wish.prefer, placement, check)
    if preferred is not None:
        suits = 0.35 * suits + 0.65 * preferred
    return float(np.clip(suits if check.reason is None else 0.25 * suits, 0.0, 1.0))


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


def _numbered(rank: int, product: Product, placement: Placement, score: float, check: Check) -> Placement:
    confidence = 0.3 + 0.65 * score if check.reason is None else 0.35 * score
    note = "" if check.reason is None else f"; doubtful: {check.reason.replace('_', ' ')}"
    if check.reason is None and product.mount == "floor" and "tap" not in placement.why:
        offered, share = habit(check, product.role)
        note = f", {WORDS[offered]}" if share > SAID_SHARE and WORDS[offered] not in placement.why else ""
    return Placement(
        id=f"p{rank:02d}",
        mount=placement.mount,
        box=placement.box,
        contact=placement.contact,
        px_per_m=placement.px_per_m,
        distance_m=placement.distance_m,
        yaw_deg=placement.yaw_deg,
        confidence=round(min(confidence, 0.98), 4),
        why=placement.why + note,
    )


def _scale(params: Mapping[str, Any]) -> float:
    return float(np.clip(float(params.get("scale") or 1.0), 0.5, 1.5))


def _margin(params: Mapping[str, Any]) -> float:
    return float(np.clip(float(params.get("margin") or 0.0), 0.0, 2.0))


__all__ = ["MOUNTS", "Box", "Placement", "Product", "Verdict", "box_iou", "judge", "propose"]
