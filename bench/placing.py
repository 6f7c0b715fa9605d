"""Where products are placed in rendered rooms, judged by the rooms' exact truth: camera, floor and furniture.

Every product in every room, without a tap, at spots that are truly free, on furniture, and where a pair's truth
stands: the chosen place is measured against the true camera, masks and footprints, never against what the engine
itself believed.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from math import hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.figures import Figure, Section
from bench.scenes import ScenePair, SceneProduct, SceneRoom, pairs, products, rooms
from bench.truth import Placed, chosen, free_taps, score, taken_taps
from imaging.labels import REGION, is_floor
from imaging.placement import Product, box_iou, judge, propose
from imaging.room import Room, read_room

FREE, FREE_TAP, TAKEN_TAP, PAIR_TAP = "no tap", "free spot tapped", "furniture tapped", "true spot tapped"
KINDS, FREE_TAPS = (FREE, FREE_TAP, TAKEN_TAP, PAIR_TAP), 4
# What the rendered products have none of: something for each mount.
MADE = {
    "rug": Product(1.6, 2.3, 0.01, "floor", 0.7, "centre"),
    "print": Product(0.7, 0.03, 0.5, "wall", 1.4),
    "pendant": Product(0.4, 0.4, 0.8, "ceiling", 0.5),
    "vase": Product(0.18, 0.18, 0.32, "tabletop", 0.56),
}


def measure(title: str) -> Section:
    """The benchmark's section."""
    reading = {scene.name: read_room(scene.photo.pixels, scene.photo.f35_mm) for scene in rooms()}
    placed = list(place_all(lambda scene: reading[scene.name]))
    figures = [figure for kind in KINDS for figure in _figures(kind, [each for each in placed if each.kind == kind])]
    scale = [abs(each.scale_error) for each in placed if each.scale_error is not None]
    errors = [read_errors(scene, reading[scene.name]) for scene in rooms()]
    figures += [
        Figure("scale error, mean", 100 * _mean(scale), "%", target=6.0),
        Figure("scale error, largest", 100 * max(scale, default=0.0), "%", target=18.0),
        Figure("CPU for proposing and judging, mean", _mean(each.cpu_s for each in placed), "s", target=0.15),
        Figure("pitch error, mean", _mean(abs(r["pitch_deg"]) for r in errors), "°", target=0.5),
        Figure("horizon error, mean", _mean(abs(r["horizon"]) for r in errors) * 100, "% of height", target=1.0),
        Figure("floor missed (1 - IoU), mean", 100 - _mean(r["floor_iou"] for r in errors) * 100, "%"),
    ]
    for name, iou, _ in pair_errors(lambda scene: reading[scene.name]):
        figures.append(Figure(f"{name}: 1 - box IoU at the true tap", 1 - iou, "", target=0.15))
    how = f"{len(placed)} questions about {len(reading)} rendered rooms: their products, and one made up per mount."
    return Section(title, how, figures, [_reasons(kind, placed) for kind in KINDS] + _hits(placed))


def _figures(kind: str, placed: list[Placed]) -> list[Figure]:
    """The targets, for one way of asking."""
    found = [each for each in placed if each.place is not None]
    standing = [each for each in found if each.mount == "floor"]
    hits = sum(each.collision_m > 0.03 for each in standing)
    figures = [
        Figure(f"{kind}: off the support", 100 - 100 * _mean(e.on_support for e in found), "%", target=2.0),
        Figure(f"{kind}: things in front of the box", 100 * _mean(e.overlap for e in found), "%", target=2.0),
        Figure(f"{kind}: footprints in furniture", 100 * hits / max(1, len(standing)), "%", target=2.0),
        Figure(f"{kind}: no place found", 100 * (1 - len(found) / max(1, len(placed))), "%"),
    ]
    if kind in (FREE_TAP, PAIR_TAP):
        gaps = _mean(each.tap_gap for each in found)
        figures.append(Figure(f"{kind}: placed elsewhere", 100 * gaps, "% of width", target=3.0))
    return figures


def _reasons(kind: str, placed: list[Placed]) -> str:
    """What was said of the candidates, as a sentence."""
    counted: Counter[str] = Counter()
    for each in placed:
        if each.kind == kind:
            counted.update(each.reasons)
    return f"{kind}: " + ", ".join(f"{reason} {count}" for reason, count in counted.most_common()) + "."


def _hits(placed: list[Placed]) -> list[str]:
    """Every collision that is left."""
    hits = [each for each in placed if each.collision_m > 0.03]
    told = [f"{e.product} in {e.room} ({e.kind}) {e.collision_m * 100:.0f} cm into the {e.collides_with}" for e in hits]
    return [f"Collisions: {'; '.join(told)}."] if told else []


Reader = Callable[[SceneRoom], Room]


def place_all(read: Reader) -> Iterator[Placed]:
    """Every product in every room: where the engine likes it best, and at the taps."""
    for scene in rooms():
        room = read(scene)
        there = [pair for pair in pairs() if pair.room.name == scene.name]
        for name, product in _products():
            for kind, tap in _asked(scene, name, product, there):
                start = time.process_time()
                found = propose(room, product, tap=tap)
                verdicts = judge(room, product, found, tap=tap)
                placed = Placed(scene.name, name, product.mount, kind, tap, 0, 0, cpu_s=time.process_time() - start)
                score(placed, scene, product, found, verdicts)
                yield placed


def _products() -> list[tuple[str, Product]]:
    return [(item.name, sized(item)) for item in products()] + list(MADE.items())


def _asked(
    scene: SceneRoom, name: str, product: Product, there: list[ScenePair]
) -> list[tuple[str, tuple[float, float] | None]]:
    """How places are asked for: kind and tap."""
    asked: list[tuple[str, tuple[float, float] | None]] = [(FREE, None)]
    asked += [(PAIR_TAP, pair.tap) for pair in there if pair.product.name == name]
    if product.mount == "floor" and not product.lies_flat:
        asked += [(FREE_TAP, tap) for tap in free_taps(scene, product, FREE_TAPS)]
        asked += [(TAKEN_TAP, tap) for tap in taken_taps(scene)]
    return asked


def sized(item: SceneProduct) -> Product:
    """The product in its true size, with its true outline's aspect."""
    rows, columns = np.nonzero(item.alpha > 127)
    return item.sized((columns.max() - columns.min() + 1) / (rows.max() - rows.min() + 1))


def read_errors(scene: SceneRoom, room: Room) -> dict[str, float]:
    """How a reading differs from the truth: degrees, share of the height, IoU."""
    camera = scene.camera
    seen, true = room.regions, scene.true_room().regions
    true = np.asarray(cv2.resize(true, seen.shape[::-1], interpolation=cv2.INTER_NEAREST))
    return {
        "pitch_deg": room.pitch_deg - camera.pitch_deg,
        "roll_deg": room.roll_deg - camera.roll_deg,
        "horizon": room.horizon_y - camera.horizon_at(camera.cx) / (2 * camera.cy),
        "floor_iou": _iou(is_floor(seen), true == REGION.FLOOR),
        "wall_iou": _iou(seen == REGION.WALL, true == REGION.WALL),
    }


def pair_errors(read: Reader) -> Iterator[tuple[str, float, float]]:
    """For each pair its name, the IoU of our box at the true tap with the true one, and the contacts' distance."""
    for pair in pairs():
        room, product = read(pair.room), sized(pair.product)
        best = chosen(found := propose(room, product, tap=pair.tap), judge(room, product, found, tap=pair.tap))
        if best is None:
            yield pair.name, 0.0, 1.0
            continue
        width, height = room.width, room.height
        x0, y0, x1, y1 = pair.numbers["box_amodal"]
        away = (best.contact[0] - pair.tap[0]), (best.contact[1] - pair.tap[1]) * height / width
        yield pair.name, box_iou(best.box, (x0 / width, y0 / height, x1 / width, y1 / height)), hypot(*away)


def _iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    return float((first & second).sum() / max(1, (first | second).sum()))


def _mean(values: Iterable[float | None]) -> float:
    known = [float(value) for value in values if value is not None]
    return sum(known) / len(known) if known else 0.0


__all__ = ["measure", "pair_errors", "place_all", "read_errors", "sized"]
