"""How well a place suits a product, as a decorator would say: each kind of thing has its habits.

A suit is 0..1 and a few weighted terms, all of which the check's measures hold.
"""

import numpy as np

from imaging.checks import GOOD_ELEVATION_DEG, Check
from imaging.plan import FAR_AWAY_M
from imaging.roles import Role
from imaging.room import Room
from imaging.scene import Placement, Product, facing_yaw, turn_for_aspect

# What a kind of thing likes, best first, and how much (0..1); the best of them that a place offers counts.
HABITS: dict[Role, dict[str, float]] = {
    "against_wall": {"at_wall": 1.0, "at_edge": 0.5},
    "beside_seat": {"beside_seat": 1.0, "beside": 0.8, "at_wall": 0.6, "in_corner": 0.6},
    "before_seat": {"before_seat": 1.0, "open": 0.7},
    "corner": {"in_corner": 1.0, "beside_seat": 0.95, "beside": 0.8, "at_wall": 0.7},
    "window": {"by_window": 1.0, "in_corner": 0.95, "at_wall": 0.7, "beside": 0.6},
    "seat": {"in_corner": 0.9, "beside_seat": 0.9, "beside": 0.8, "at_wall": 0.7, "open": 0.5},
    "centre": {"open": 1.0},
    "": {"at_wall": 0.8, "in_corner": 0.8, "beside": 0.7, "open": 0.7},
}
WORDS = {
    "at_wall": "its back to a wall",
    "at_edge": "near the floor's far end",
    "in_corner": "in a corner",
    "beside": "beside other things",
    "beside_seat": "beside the seats",
    "before_seat": "before the seats",
    "by_window": "by a window",
    "open": "on open floor",
}
# Half of a way from a door (m) that is better kept free, and what standing in it costs.
WALKWAY_M, WALKWAY_COST = 0.4, 0.2
# Nearer to things than this (m) a reading's errors may already let the product touch them.
CLOSE_M, CLOSE_COST = 0.35, 0.25
# Where a top's height is not told the product's size is a guess.
UNTOLD_COST = 0.15
# Things lower than this (m) hide little that matters: a coffee table stands before a sofa.
LOW_M = 0.8
# Where pictures hang: their middle at eye level (m), and this high (m) above the furniture below them.
EYE_LEVEL_M, ABOVE_M = 1.5, 0.22
# What a wall costs whose distance the photo hardly tells.
UNSURE_COST = 0.1


def suit(room: Room, product: Product, check: Check, placement: Placement) -> float:
    """0..1: how well a place suits a product that is free to stand or hang anywhere."""
    return _wall_suit(check) if product.mount == "wall" else _standing_suit(room, check, placement, product)


def habit(check: Check, role: Role) -> tuple[str, float]:
    """What a place offers that a kind of thing likes most, and how much of it (0..1)."""
    offered = _offered(check.measures)
    return max(((name, weight * offered[name]) for name, weight in HABITS[role].items()), key=lambda each: each[1])


def preference(prefer: str, placement: Placement, check: Check) -> float | None:
    """0..1: how far a place follows a wish for a part of the room; None without one."""
    x = (placement.box[0] + placement.box[2]) / 2
    distance = check.measures.get("distance_m", placement.distance_m)
    return {
        "left": 1.0 - x,
        "right": x,
        "center": 1.0 - 2.0 * abs(x - 0.5),
        "back": float(np.clip((distance - 1.5) / 4.0, 0.0, 1.0)),
        "front": float(np.clip((5.5 - distance) / 4.0, 0.0, 1.0)),
        "wall": _near(check.measures.get("behind_m", 3.0), 0.0, 0.5),
    }.get(prefer)


def _standing_suit(room: Room, check: Check, placement: Placement, product: Product) -> float:
    """Where such a thing belongs, hiding little, seen well, turned as its photo shows it."""
    measures = check.measures
    off = measures["distance_m"] - float(np.clip(2.6 + 0.45 * product.width_m, 2.6, 3.8))
    distance = _bell(min(off, 0.0) if product.role == "against_wall" else off, 1.5)
    steep = 0.0 if product.lies_flat else max(0.0, measures["elevation_deg"] - GOOD_ELEVATION_DEG)
    seen = 1.0 - min(1.0, measures.get("hides_things", 0.0) * min(1.0, product.height_m / LOW_M))
    rim = float(np.clip(min(placement.box[0], 1 - placement.box[2], 1 - placement.box[3]) / 0.06, 0.0, 1.0))
    looks = 0.08 * distance + 0.12 * _bell(steep, 9.0) + 0.06 * rim + 0.22 * seen
    in_the_way = WALKWAY_COST * float(np.clip(1.0 - measures.get("walkway_m", FAR_AWAY_M) / WALKWAY_M, 0.0, 1.0))
    close = CLOSE_COST * float(np.clip(1.0 - measures.get("clearance_m", 0.5) / CLOSE_M, 0.0, 1.0))
    unsure = UNTOLD_COST * (1.0 - measures.get("top_told", 1.0))
    middle = 1.0 - 2.0 * abs((placement.box[0] + placement.box[2]) / 2 - 0.5)
    belongs = habit(check, product.role)[1] if product.mount == "floor" else 0.5 * distance + 0.5 * middle
    if product.mount == "ceiling":
        belongs = 0.6 * belongs + 0.4 * measures.get("over_table", 0.0)
    if product.lies_flat:
        belongs = (0.5 * belongs + 0.3 * distance + 0.2 * middle) * (0.5 + 0.5 * rim)
    return looks + 0.4 * belongs + 0.12 * _stance(room, placement, product) - in_the_way - close - unsure


def _offered(measures: dict[str, float]) -> dict[str, float]:
    """What a place offers, each 0..1."""
    thing, seat = measures.get("clearance_m", FAR_AWAY_M), measures.get("seat_m", FAR_AWAY_M)
    return {
        "at_wall": _near(measures.get("behind_m", FAR_AWAY_M), 0.3, 0.35),
        "at_edge": _near(measures.get("end_m", FAR_AWAY_M), 0.4, 1.0),
        "in_corner": _near(measures.get("corner_m", FAR_AWAY_M), 0.35, 0.4),
        "beside": _near(thing, 0.4, 0.4),
        "beside_seat": _near(seat, 0.4, 0.4),
        "before_seat": _bell(seat - 0.5, 0.3),
        "by_window": _near(measures.get("window_m", FAR_AWAY_M), 0.5, 0.4),
        "open": float(np.clip(measures.get("edge_m", 0.0), 0.0, 1.0)),
    }


def _near(gap_m: float, within_m: float, fading_m: float) -> float:
    """1 within a distance, falling off beyond it."""
    return float(np.exp(-max(0.0, gap_m - within_m) / fading_m))


def _bell(off: float, width: float) -> float:
    return float(np.exp(-((off / width) ** 2)))


def _stance(room: Room, placement: Placement, product: Product) -> float:
    """0..1: how nearly the place shows the product from the side that its photo shows."""
    camera = room.camera()
    point = camera.floor_point(placement.contact[0] * room.width, placement.contact[1] * room.height)
    if point is None or product.lies_flat:
        return 1.0
    turn = abs((placement.yaw_deg - facing_yaw(*point) + 180.0) % 360.0 - 180.0)
    return _bell(turn - turn_for_aspect(product), 15.0)


def _wall_suit(check: Check) -> float:
    """At eye level, seen from the front, with wall around it, best a hand above a sofa or a sideboard."""
    measures = check.measures
    level = _bell(measures["middle_m"] - EYE_LEVEL_M, 0.3)
    frontal = float(np.cos(np.radians(measures["view_deg"]))) ** 2
    near = _bell(measures["distance_m"] - 3.2, 2.5)
    above = _bell(measures.get("above_m", FAR_AWAY_M) - ABOVE_M, 0.15)
    suits = 0.35 * level + 0.2 * frontal + 0.1 * near + 0.2 * measures.get("around", 0.0) + 0.15 * above
    return suits - UNSURE_COST * (1.0 - measures["wall_sure"])


__all__ = ["WORDS", "habit", "preference", "suit"]
