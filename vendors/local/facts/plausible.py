"""Whether sizes can be right: against what is usual for the kind, against each other, against the cutout's shape."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from math import hypot, log
from typing import Any, Literal

from vendors.local.facts.kinds import Kind
from vendors.local.facts.readings import LONGEST, Group, Reading, abs_log
from vendors.local.facts.scopes import PART

Side = Literal["width", "depth", "height"]
Conflict = dict[str, Any]
SIDES: tuple[Side, ...] = ("width", "depth", "height")
# How many times as long, or as short, as usual a length is before it wants a look; furniture varies less than decor.
UNUSUAL, UNUSUAL_FURNITURE = log(6), log(3)
# So many times as long or short is a slip of the pen, or another thing's size, and not used at all.
HOPELESS = log(20)
# How far the ratio of two sides may be from the usual one.
ODD_SHAPE = log(3.5)
_FURNITURE = {"sofa", "chair", "stool", "table", "cabinet", "bed", "rug"}
# Parts that stand in for the whole when nothing else is stated, though it may be larger.
_HARDLY_THE_WHOLE = {"pot", "seat", "shade", "door", "back", "drop"}
# What hangs, lies or stands beside the product may be larger than it is.
_BESIDE_THE_WHOLE = {"companion", "drop", "bulb", "pad", "cushion", "mattress", "print", "wall", "handle", "under"}
THIN = 0.08
# Width over height beside the cutout's: a flat thing fits it, misfits it; a solid one may be seen from a corner.
FITS, MISFITS, CORNER = 0.1, 0.3, log(1.4)
_LOOKING_DOWN = 0.45


@dataclass(frozen=True, slots=True)
class Size:
    """One side as settled: metres, the readings that say so and how good their claim is."""

    metres: float
    reading: Reading
    tier: float
    support: int


def usual(metres: float, side: Side, kind: Kind | None) -> bool:
    """Whether a length is one that things of this kind have; thin sides and unknown kinds are not judged."""
    length = kind.typical[SIDES.index(side)] if kind else 0.0
    return length <= THIN or abs_log(metres / length) <= (UNUSUAL_FURNITURE if _is_furniture(kind) else UNUSUAL)


def hopeless(metres: float, side: Side, kind: Kind | None) -> bool:
    """Whether no thing of this kind can have such a side: a sofa 2 cm wide."""
    length = kind.typical[SIDES.index(side)] if kind else 0.0
    return length > THIN and abs_log(metres / length) > HOPELESS


def remark(side: Side, size: Size, kind: Kind | None) -> list[Conflict]:
    """A conflict for a side that is unusual for its kind, known of a part alone, or without a unit."""
    if size.reading.scope.name in _HARDLY_THE_WHOLE:
        why = f"“{size.reading.quote[:60]}” is the {size.reading.scope.name} alone; nothing is stated for the whole."
        return [_conflict(side, [size.metres], size.metres, why)]
    if size.reading.called:
        why = f"“{size.reading.quote[:60]}” is said of “{size.reading.called}”; nothing else is stated."
        return [_conflict(side, [size.metres], size.metres, why)]
    if size.reading.guessed_unit:
        why = f"“{size.reading.quote[:60]}” names no unit; it is read in the one that suits it best."
        return [_conflict(side, [size.metres], size.metres, why)]
    if kind is None or usual(size.metres, side, kind):
        return []
    why = f"“{size.reading.quote[:60]}” is unusual for a {kind.name}; it is used as written and wants a look."
    return [_conflict(side, [size.metres], size.metres, why)]


def larger_parts(sizes: Mapping[Side, Size], parts: list[tuple[Side, Reading]]) -> list[Conflict]:
    """Parts that are larger than the whole is said to be: one of both is wrong."""
    found: list[Conflict] = []
    for side, part in parts:
        size = sizes.get(side)
        sure = part.scope.name not in _BESIDE_THE_WHOLE and not part.guessed_unit
        if size and sure and part.middle > size.metres * 1.05 + 0.013:
            why = f"“{part.quote[:60]}” is the {part.scope.name} alone and yet larger than what is said of the whole."
            found.append(_conflict(side, [size.metres, round(part.middle, 4)], size.metres, why))
    return found[:4]


def implausible(groups: list[Group], chosen: Mapping[Side, float], kind: Kind | None) -> list[Conflict]:
    """Lengths that such a thing cannot have, as conflicts with what is used instead (`chosen`, null if nothing is)."""
    found: list[Conflict] = []
    for reading in (r for group in groups for r in group.readings if r.scope.tier < PART):
        side = next((name for name in SIDES if name == reading.axis), None)
        if reading.high > LONGEST:
            why = f"“{reading.quote[:60]}” is longer than anything that stands in a room; it is not used."
        elif side and hopeless(reading.middle, side, kind):
            why = (
                f"“{reading.quote[:60]}” cannot be the {side} of a {kind.name if kind else 'product'}; it is not used."
            )
        else:
            continue
        found.append(_conflict(side or SIDES[0], [round(reading.middle, 4)], chosen.get(side or SIDES[0]), why))
    return found[:4]


def guessed_order(sizes: Mapping[Side, Size], kind: Kind | None, aspect: float | None) -> list[Conflict]:
    """Unlabelled numbers not taken in the usual order of writing: a guess, so it is said.

    A thin side may stand anywhere; it is recognized by its length. Of a picture's pair that starts with the longer
    side nothing but its photo can tell whether it hangs upright.
    """
    guessed = {side: size for side, size in sizes.items() if isinstance(size.reading.axis, int) and size.support == 1}
    for size in guessed.values():
        row = [side for side in guessed if guessed[side].reading.span == size.reading.span]
        thick = [side for side in row if kind is None or kind.typical[SIDES.index(side)] > THIN]
        written = sorted(thick, key=lambda side: str(guessed[side].reading.axis))
        lies = kind is not None and kind.has("flat") and not kind.has("soft") and row == ["width", "height"]
        unseen = lies and aspect is None and guessed["width"].metres > guessed["height"].metres
        if len(row) == size.reading.members and (written != thick or unseen):
            why = f"“{size.reading.quote[:60]}” names no sides; it is read in the order that suits it best."
            return [_conflict(side, [guessed[side].metres], guessed[side].metres, why) for side in thick]
    return []


def odd_shape(sizes: Mapping[Side, Size], kind: Kind | None) -> list[Conflict]:
    """Two sides of a piece of furniture, each usual, in a proportion that its kind does not have: swapped labels."""
    if kind is None or not _is_furniture(kind):
        return []
    typical = dict(zip(SIDES, kind.typical, strict=True))
    for one, other in combinations((side for side in SIDES if side in sizes and typical[side] > THIN), 2):
        ratio = (sizes[one].metres / sizes[other].metres) / (typical[one] / typical[other])
        each_usual = all(usual(sizes[side].metres, side, kind) for side in (one, other))
        if abs_log(ratio) > ODD_SHAPE and each_usual:
            values = [sizes[one].metres, sizes[other].metres]
            why = f"A {kind.name} this {one} and this {other} has an unusual shape; both are used as written."
            return [_conflict(side, values, sizes[side].metres, why) for side in (one, other)]
    return []


def against_cutout(
    sizes: dict[Side, Size], kind: Kind | None, aspect: float | None
) -> tuple[dict[Side, Size], list[Conflict]]:
    """The sizes beside the cutout's width over height, with what does not agree.

    A picture or mirror whose sides fit its cutout only when exchanged has them exchanged: the cutout is what will be
    shown. Other misfits are kept as written and reported.
    """
    if kind is None or aspect is None or "width" not in sizes or "height" not in sizes or kind.has("soft"):
        return sizes, []
    width, height = sizes["width"], sizes["height"]
    if kind.has("flat"):
        if abs_log(width.metres / height.metres / aspect) < MISFITS:
            return sizes, []
        if abs_log(height.metres / width.metres / aspect) < FITS:
            turned = sizes | {
                "width": replace(width, metres=height.metres),
                "height": replace(height, metres=width.metres),
            }
            why = "The product's picture has these sides the other way round; they are exchanged to match it."
            return turned, _both(turned, [width.metres, height.metres], why)
    elif kind.mount in {"ceiling", "wall", "unknown"} or kind.has("lying") or _may_look(sizes, kind, aspect):
        return sizes, []
    why = f"The product's picture is {aspect:.2g} times as wide as high, unlike these sides; they are used as written."
    return sizes, _both(sizes, [width.metres, height.metres], why)


def _may_look(sizes: Mapping[Side, Size], kind: Kind, aspect: float) -> bool:
    """Whether a solid of these sides can look this wide for its height, from the front, a corner or the side."""
    width, height = sizes["width"].metres, sizes["height"].metres
    depth = sizes["depth"].metres if "depth" in sizes else width * kind.typical[1] / kind.typical[0]
    diagonal = hypot(width, depth)
    narrowest, widest = min(width, depth) / (height + _LOOKING_DOWN * diagonal), diagonal / height
    return log(narrowest) - CORNER <= log(aspect) <= log(widest) + CORNER


def _both(sizes: Mapping[Side, Size], values: list[float], why: str) -> list[Conflict]:
    return [_conflict(side, values, sizes[side].metres, why) for side in ("width", "height")]


def _conflict(side: str, values: list[float], chosen: float | None, why: str) -> Conflict:
    return {"field": side, "values": values, "chosen": chosen, "why": why}


def _is_furniture(kind: Kind | None) -> bool:
    return kind is not None and (kind.name in _FURNITURE or kind.family in _FURNITURE)
