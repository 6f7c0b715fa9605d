"""Sides that the text leaves out: estimated from what is usual for the kind, known sides, and the cutout's shape."""

from math import exp, log

from vendors.local.facts.kinds import Kind, Mount
from vendors.local.facts.plausible import SIDES, Side

# Without any noun a mid-size thing, deliberately small: too small looks less wrong than too large.
_GENERIC: dict[Mount, tuple[float, float, float]] = {
    "floor": (0.6, 0.5, 0.75),
    "wall": (0.6, 0.04, 0.7),
    "ceiling": (0.45, 0.45, 0.6),
    "tabletop": (0.25, 0.2, 0.3),
    "unknown": (0.5, 0.4, 0.6),
}


def estimate(
    known: dict[Side, float], kind: Kind | None, mount: Mount, aspect: float | None, *, is_round: bool = False
) -> dict[Side, float]:
    """Metres for the unknown sides; empty without a noun, a mount, a side or a picture to go by."""
    if len(known) == len(SIDES) or (kind is None and mount == "unknown" and not known and aspect is None):
        return {}
    usual = dict(zip(SIDES, kind.typical if kind else _GENERIC[mount], strict=True))
    if kind and kind.name in {"planter", "plant", "sculpture", "vase"} and mount == "tabletop" and not known:
        usual = {side: value * 0.6 for side, value in usual.items()}
    scale = _scale(known, usual)
    free: dict[Side, float] = {side: usual[side] * scale[side] for side in SIDES if side not in known}
    if aspect:
        free |= _shaped(known, free, aspect, exact=bool(kind and (kind.has("flat") or kind.has("round"))))
    flat = kind is not None and kind.has("flat")
    if is_round and "width" in known and ("height" if flat else "depth") in free:
        free["height" if flat else "depth"] = known["width"]
    if (
        kind
        and "depth" in free
        and (kind.has("round") or kind.lead == "diameter")
        and not kind.has("flat")
        and "width" in known
    ):
        free["depth"] = known["width"]
    return {side: round(min(max(value, 0.005), 20.0), 3) for side, value in free.items()}


def _scale(known: dict[Side, float], usual: dict[Side, float]) -> dict[Side, float]:
    """How much larger than usual the known sides are; the thin side of a picture or rug does not grow along."""
    ratios = [log(known[side] / usual[side]) for side in SIDES if side in known and usual[side] > 0.08]
    factor = min(max(exp(sum(ratios) / len(ratios)), 0.4), 2.5) if ratios else 1.0
    return {side: 1.0 if usual[side] <= 0.08 else factor for side in SIDES}


def _shaped(known: dict[Side, float], free: dict[Side, float], aspect: float, *, exact: bool) -> dict[Side, float]:
    """Width and height brought towards the cutout's aspect: all the way for flat and round things, else half of it."""
    weight = 1.0 if exact else 0.5
    if "width" in known and "height" in free:
        return {"height": free["height"] ** (1 - weight) * (known["width"] / aspect) ** weight}
    if "height" in known and "width" in free:
        return {"width": free["width"] ** (1 - weight) * (known["height"] * aspect) ** weight}
    if "width" in free and "height" in free:
        stretch = (aspect * free["height"] / free["width"]) ** (weight / 2)
        return {"width": free["width"] * stretch, "height": free["height"] / stretch}
    return {}
