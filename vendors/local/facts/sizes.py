"""Which reading is the product's width, depth and height: axes by kind, contradictions settled with a reason."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import log
from typing import Any

from vendors.local.facts.kinds import Kind
from vendors.local.facts.plausible import (
    FITS,
    MISFITS,
    SIDES,
    Side,
    Size,
    guessed_order,
    hopeless,
    larger_parts,
    remark,
    usual,
)
from vendors.local.facts.readings import LONGEST, Group, Reading, abs_log
from vendors.local.facts.scopes import NEUTRAL, NEVER, PART, REDUCED, VAGUE, Scope, usable
from vendors.local.facts.variants import size_names
from vendors.local.facts.vocabulary import AXIS_ADJECTIVES, AXIS_NOUNS

Labelled = dict[str, list[float]]
_TAPERED, _ENDS = {"lamp shade", "basket", "bowl", "planter", "vase"}, {"top", "bottom", "base", "edge"}
_BY_ITS_END = Scope("overall", REDUCED)
# A kind this deep is as deep as it is thick.
SHALLOW = 0.12
AXIS_WORDS = AXIS_NOUNS | AXIS_ADJECTIVES
# Claims that differ by less are alike.
ALIKE = 0.3
# Unlabelled triples are written width, depth, height most of the time; other orders need a reason.
_ORDER_COST: dict[tuple[Side, ...], float] = {
    ("width", "depth", "height"): 0.0,
    ("height", "width", "depth"): 0.7,
    ("width", "height", "depth"): 0.6,
    ("depth", "width", "height"): 0.8,
    ("height", "depth", "width"): 1.2,
    ("depth", "height", "width"): 1.2,
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A reading that may be one side of the product; a lower tier is a better claim."""

    reading: Reading
    tier: float
    place: int


def settle(
    groups: list[Group],
    kind: Kind | None,
    aspect: float | None,
    variants: frozenset[str] = frozenset(),
    *,
    is_round: bool = False,
) -> tuple[dict[Side, Size], list[dict[str, Any]]]:
    """The sides that the text gives, and its contradictions as {field, values, chosen, why}.

    `aspect` is the cutout's width over height; `variants` are the title's words that pick among several listed sizes.
    A lone number of what `is_round` (or square) stands for both its sides.
    """
    groups = _by_widest_ends([Group([r for r in group.readings if r.high <= LONGEST]) for group in groups], kind)
    candidates: dict[Side, list[Candidate]] = {side: [] for side in SIDES}
    labelled: Labelled = {}
    for reading in (r for group in groups for r in group.readings if isinstance(r.axis, str) and r.scope.tier < PART):
        labelled.setdefault(str(reading.axis), []).append(reading.middle)
    parts: list[tuple[Side, Reading]] = []
    for place, group in enumerate(groups):
        for reading, sides in assign(group, kind, aspect, labelled):
            parts += [(side, reading) for side in sides if reading.scope.tier == PART]
            for side in _all_round(sides, reading, kind) if is_round else sides:
                tier = _tier(reading, side, kind, variants)
                if tier is not None and not hopeless(reading.middle, side, kind):
                    candidates[side].append(Candidate(reading, tier, place))
    sizes: dict[Side, Size] = {}
    conflicts: list[dict[str, Any]] = []
    for side in SIDES:
        if candidates[side]:
            sizes[side], found = _choose(side, candidates[side], kind)
            conflicts += found
    return sizes, conflicts + larger_parts(sizes, parts) + guessed_order(sizes, kind, aspect)


def _all_round(sides: tuple[Side, ...], reading: Reading, kind: Kind | None) -> tuple[Side, ...]:
    """`Round rug 6'`: the one number is its diameter."""
    if sides != ("width",) or reading.members > 1 or isinstance(reading.axis, str):
        return sides
    return ("width", "height") if kind and kind.has("flat") else ("width", "depth")


def _by_widest_ends(groups: list[Group], kind: Kind | None) -> list[Group]:
    """Of a thing that tapers (`top diameter 16", bottom diameter 10"`) the wider end stands for the whole."""
    for axis in ("diameter", "width"):
        ends = [r for group in groups for r in group.readings if r.axis == axis and r.scope.name in _ENDS]
        tapers = kind is not None and kind.name in _TAPERED and axis == "diameter"
        named = {reading.scope.name for reading in ends}
        if ends and (tapers or ("top" in named and named & {"bottom", "base"})):
            widest = max(ends, key=lambda reading: reading.middle)
            kept = [[r for r in group.readings if r is widest or r not in ends] for group in groups]
            groups = [Group([_by_its_end(reading, widest) for reading in row]) for row in kept]
    return groups


def _by_its_end(reading: Reading, widest: Reading) -> Reading:
    return replace(reading, scope=_BY_ITS_END) if reading is widest else reading


def assign(
    group: Group, kind: Kind | None, aspect: float | None, labelled: Labelled | None = None
) -> list[tuple[Reading, tuple[Side, ...]]]:
    """The sides each reading of a group stands for."""
    middles: dict[str | int, float] = {}
    for reading in group.readings:
        middles.setdefault(reading.axis, reading.middle)
    sides = _labelled_sides(middles, kind, round_by_letter=_has_a_bare_d(group))
    places = sorted(axis for axis in middles if isinstance(axis, int))
    taken = {side for given in sides.values() for side in given}
    sides |= _unlabelled_sides([middles[place] for place in places], taken, kind, aspect, labelled or {})
    return [(reading, sides.get(reading.axis, ())) for reading in group.readings]


def _has_a_bare_d(group: Group) -> bool:
    """Whether a pair such as `31.5" D x 17.7" H` names a D by its letter alone: without a W it is a diameter."""
    depth = next((r for r in group.readings if r.axis == "depth" and r.members == 2), None)
    spelled = depth is not None and any(AXIS_WORDS.get(word) == "depth" for word in depth.quote.lower().split())
    return depth is not None and not spelled


def _labelled_sides(
    middles: Mapping[str | int, float], kind: Kind | None, *, round_by_letter: bool = False
) -> dict[str | int, tuple[Side, ...]]:
    """What labels mean for this kind: a coffee table's Length is its width, a bed's Length its depth."""
    flat, lying = bool(kind and kind.has("flat")), bool(kind and kind.has("lying"))
    sides: dict[str | int, tuple[Side, ...]] = {side: (side,) for side in SIDES if side in middles}
    shallow = kind is not None and kind.typical[1] <= SHALLOW
    if kind and kind.name == "shelf" and "height" not in middles and "depth" in middles:
        sides["thickness"] = ("height",)
    if "thickness" in middles and (flat or lying or (shallow and "depth" not in middles)):
        sides["thickness"] = ("height",) if lying else ("depth",)
    if kind and lying and "depth" in middles and not {"height", "thickness"} & middles.keys():
        # A mattress 22 cm "deep" is that thick.
        thick = abs_log(middles["depth"] / kind.typical[2]) < abs_log(middles["depth"] / kind.typical[1])
        sides["depth"] = ("height",) if thick else ("depth",)
    if (
        kind
        and flat
        and kind.has("round")
        and middles.get("depth", 0) > 3 * kind.typical[1]
        and not sides.keys() - {"depth"}
    ):
        # `D35 x 4cm` of a clock.
        sides["depth"] = ("width", "height")
    if kind and kind.name == "bowl" and {"width", "depth"} <= middles.keys() and "height" not in middles:
        # "15 cm across and 7 cm deep".
        sides["depth"] = ("height",)
    if "diameter" in middles:
        upright = kind is not None and kind.typical[1] < 0.6 * kind.typical[2] and {"depth"} == sides.keys()
        sides["diameter"] = ("width", "height") if flat or upright else ("width", "depth")
    elif (
        kind
        and not flat
        and (kind.has("round") or kind.has("small") or round_by_letter)
        and "depth" in middles
        and not {"width", "length"} & middles.keys()
    ):
        # `H 20 x D 12` of a vase: the D is its diameter.
        sides["depth"] = ("width", "depth")
    if "thickness" in middles and "diameter" in middles and not flat and "height" not in middles:
        sides.setdefault("thickness", ("height",))
    if "length" in middles:
        _place_length(sides, middles, kind)
    return sides


def _place_length(
    sides: dict[str | int, tuple[Side, ...]], middles: Mapping[str | int, float], kind: Kind | None
) -> None:
    if {"width", "depth"} <= sides.keys() and "height" not in sides:
        # Length, width and depth together: the depth of a mattress or a tray is how high it lies.
        sides["depth"] = ("height",)
    filled = {side for given in sides.values() for side in given}
    if kind and kind.lengthways and "depth" not in filled and ("width" in filled or kind.has("bed")):
        sides["length"] = ("depth",)
    elif kind and kind.has("flat") and "height" not in filled and ("width" in filled or kind.has("soft")):
        sides["length"] = ("height",)
    elif "width" not in filled:
        sides["length"] = ("width",)
    elif "depth" not in filled and "width" in middles and "diameter" not in middles:
        wide = middles["length"] >= middles["width"]
        sides["length"] = ("width",) if wide else ("depth",)
        sides["width"] = ("depth",) if wide else ("width",)


def _unlabelled_sides(
    values: list[float], taken: set[Side], kind: Kind | None, aspect: float | None, labelled: Labelled
) -> dict[str | int, tuple[Side, ...]]:
    free = [side for side in SIDES if side not in taken]
    if not values or not free:
        return {}
    if len(values) == 1:
        return {0: _lone_side(values[0], free, kind, labelled)}
    if len(values) >= 3 and len(free) == 3:
        best = min(_ORDER_COST, key=lambda order: _cost(dict(zip(order, values, strict=False)), order, kind, aspect))
        return {place: (side,) for place, side in enumerate(best)}
    if len(values) == 2 and len(free) == 3:
        return {place: (side,) for place, side in enumerate(_pair(values, kind, aspect, labelled))}
    return {place: (side,) for place, side in zip(range(len(values)), free, strict=False)}


def _lone_side(value: float, free: list[Side], kind: Kind | None, labelled: Labelled) -> tuple[Side, ...]:
    """A single number without a label stands for the side that is stated as long, or else for the kind's usual one."""
    stated = next((side for side in free if any(_agree(value, other) for other in labelled.get(side, []))), None)
    if stated is not None and len(free) == len(SIDES) and not (kind and kind.lead == "diameter"):
        return (stated,)
    across: tuple[Side, ...] = ("width", "height") if kind and kind.has("flat") else ("width", "depth")
    if kind and kind.lead == "diameter" and set(across) <= set(free):
        return across
    if kind is None or len(free) < 3:
        # `60 x 170 h`: across, before deep.
        return (free[-1],) if len(free) < 3 and "height" in free else ("width",) if "width" in free else (free[-1],)
    if kind.has("bed") and kind.has("lying") and abs_log(value / kind.typical[2]) < abs_log(value / kind.typical[0]):
        # "Mattress, 10 inch".
        return ("height",)
    return ("height" if kind.lead == "height" else "width",)


def _pair(values: list[float], kind: Kind | None, aspect: float | None, labelled: Labelled) -> tuple[Side, Side]:
    """Two numbers: seen from above for tables and rugs, from the front for art and cabinets."""
    from_front = kind is None or kind.pair == "wh"
    heights = labelled.get("height", [])
    if kind is not None and (kind.has("flat") or kind.has("lying")):
        from_front = kind.has("flat")
    elif heights and "depth" not in labelled and not any(_agree(values[1], height) for height in heights):
        from_front = False
    elif "depth" in labelled and "height" not in labelled:
        from_front = True
    if not from_front:
        # A runner lies away from who looks at it, whichever side is written first.
        lengthways = kind is not None and kind.has("lying") and kind.has("soft") and values[0] > 2 * values[1]
        return ("depth", "width") if lengthways else ("width", "depth")
    if any(_agree(values[0], height) and not _agree(values[1], height) for height in labelled.get("height", [])):
        return "height", "width"
    shape = kind.typical[0] / kind.typical[2] if kind and kind.has("flat") else None
    if shape and abs_log(shape) > 0.6:
        return ("height", "width") if (shape < 1) == (values[0] > values[1]) else ("width", "height")
    # A poor cutout has a poor shape: only one that fits the turned picture well, and the upright one badly, turns it.
    turned = shape is not None and aspect is not None and abs_log(values[1] / values[0] / aspect) < FITS
    if turned and aspect is not None and abs_log(values[0] / values[1] / aspect) > MISFITS:
        return "height", "width"
    return "width", "height"


def _cost(sizes: dict[Side, float], order: tuple[Side, ...], kind: Kind | None, aspect: float | None) -> float:
    """How odd three sides in this order would be: unusual order, unlike the kind's usual shape, unlike the cutout."""
    cost = _ORDER_COST[order]
    if kind:
        width, depth, height = kind.typical
        if kind.has("flat") and abs_log(width / height) < 0.6:
            width = height = max(width, height)
        ratios = [
            log(max(sizes[side], 1e-4) / length) for side, length in zip(SIDES, (width, depth, height), strict=True)
        ]
        middle = sorted(ratios)[1]
        cost += sum(abs(ratio - middle) for ratio in ratios)
    if aspect:
        cost += 0.5 * abs_log(sizes["width"] / max(sizes["height"], 1e-4) / aspect)
    return cost


def _tier(reading: Reading, side: Side, kind: Kind | None, variants: frozenset[str]) -> float | None:
    axis = reading.axis if isinstance(reading.axis, str) else side
    tier = usable(reading.scope, axis, kind, members=reading.members)
    if tier is None:
        return None
    if reading.vague:
        tier = max(tier, VAGUE)
    if reading.called:
        tier = PART
    tier += _beside_description(reading)
    tier += (0.5 if reading.after_part else 0.0) + (0.25 if reading.guessed_unit or reading.unsure else 0.0)
    tier -= 0.25 if reading.announced and tier >= 1 else 0.0
    tier -= 0.1 if reading.members > 1 else 0.0
    tier += 0.15 if isinstance(reading.axis, int) else 0.0
    # A bed's bare pair is its mattress.
    tier += 0.6 if kind and kind.has("bed") and isinstance(reading.axis, int) and reading.members == 2 else 0.0
    if reading.line.source != "description":
        return tier
    said = reading.sizes if reading.sizes is not None else size_names(reading.line.folded)
    if reading.sizes and "full" in reading.sizes and reading.scope.name == "overall":
        # "Full: 54 x 75" is a size of bed.
        tier += NEUTRAL
    # "Table 130" picks 130 of the sizes listed; "Poster 50x70" names its sheet.
    picks = reading.titled and not (kind and kind.has("flat"))
    return tier - (0.6 if variants & said else 0.3 if picks else 0.0)


def _beside_description(reading: Reading) -> float:
    """A title rounds, unless it labels every side."""
    if reading.line.source == "description":
        return 0.0
    return 0.2 if reading.members >= 3 and isinstance(reading.axis, str) else 1.0


def _choose(side: Side, candidates: list[Candidate], kind: Kind | None) -> tuple[Size, list[dict[str, Any]]]:
    clusters: list[list[Candidate]] = []
    for candidate in candidates:
        near = next((c for c in clusters if _agree(c[0].reading.middle, candidate.reading.middle)), None)
        near.append(candidate) if near is not None else clusters.append([candidate])
    for cluster in clusters:
        cluster.sort(key=lambda candidate: (candidate.tier, candidate.place))
        _finer_first(cluster)
    best = min(
        clusters,
        key=lambda cluster: (
            cluster[0].tier >= VAGUE or not usual(cluster[0].reading.middle, side, kind),
            round(cluster[0].tier),
            -len(cluster),
            cluster[0].tier,
            cluster[0].place,
        ),
    )
    chosen = best[0].reading
    size = Size(round(chosen.middle, 4), chosen, best[0].tier, len(best))
    rivals = [c[0] for c in clusters if c is not best and c[0].tier < NEVER]
    return size, _conflicts(side, size, best, rivals) + remark(side, size, kind)


def _finer_first(cluster: list[Candidate]) -> None:
    """Of one size in two units, a per cent or more apart by rounding, the finer spelling: 80 cm rather than 2'7"."""
    first = cluster[0]
    finest = min(
        (other for other in cluster if other.tier <= first.tier + ALIKE and not other.reading.vague),
        key=lambda candidate: candidate.reading.step,
        default=first,
    )
    apart = abs(finest.reading.middle / first.reading.middle - 1)
    if finest.reading.step * 1.5 < first.reading.step and apart > 0.01:
        cluster.remove(finest)
        cluster.insert(0, finest)


def _agree(one: float, other: float) -> bool:
    """Equal up to rounding between units."""
    return abs(one - other) <= max(0.03 * max(one, other), 0.013)


def _conflicts(side: Side, size: Size, best: list[Candidate], rivals: list[Candidate]) -> list[dict[str, Any]]:
    chosen = size.reading
    found: list[dict[str, Any]] = []
    if chosen.high > chosen.low * 1.03:
        ends = [round(chosen.low, 4), round(chosen.high, 4)]
        found.append(
            {"field": side, "values": ends, "chosen": size.metres, "why": "The text gives a range; its middle is used."}
        )
    if rivals:
        values = [size.metres, *(round(rival.reading.middle, 4) for rival in rivals[:4])]
        found.append({"field": side, "values": values, "chosen": size.metres, "why": _why(best, rivals[0])})
    return found


def _why(best: list[Candidate], rival: Candidate) -> str:
    chosen, other = best[0].reading, rival.reading
    if rival.tier >= PART and best[0].tier < PART:
        return f"“{other.quote[:60]}” is the {other.scope.name} alone; the whole product is what stands in the room."
    if other.vague and not chosen.vague:
        return f"“{other.quote[:60]}” is a loose figure; the exact measurement is used."
    if chosen.scope.name == "overall" and other.scope.name != "overall":
        return f"“{chosen.quote[:60]}” is stated as the overall size."
    if other.line.source == "title" and chosen.line.source == "description":
        return "The description's measurement is used rather than the title's round figure."
    if len(best) > 1:
        return f"{len(best)} statements agree on it."
    if best[0].tier + 0.2 < rival.tier:
        return f"“{chosen.quote[:60]}” is the more specific statement."
    return "Both are stated alike; the first is used."
