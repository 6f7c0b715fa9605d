"""Our pictures beside renders in which the product really stands, and what a picture costs.

The whole way from a shopper's photo: cutout, room, place at the tap of the truth, composite. The colour difference is
CIEDE2000 between the product as we show it and as the render does, both brought to the same box.
"""

import hashlib
import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from io import BytesIO
from math import hypot
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.color import deltaE_ciede2000

from bench import hidden, shade, sheets
from bench.figures import Figure, Section
from bench.scenes import ScenePair, pairs, rooms
from imaging.colour import to_lab
from imaging.compose import Composite, compose
from imaging.cutout import cut_out
from imaging.photo import encode_jpeg, open_photo
from imaging.placement import Placement, Product, box_iou, judge, propose
from imaging.room import Room, read_room

Pixels = NDArray[np.uint8]
SIDE, ROUNDS = 64, 3
LARGE_ROOM, LARGE_PRODUCT = (4000, 3000), 1414


@dataclass(frozen=True, eq=False)
class Compared:
    """One pair: our picture, and how it differs from the render."""

    pair: ScenePair
    ours: Composite
    box_iou: float
    contact: float
    delta_e: float
    mean_delta_e: float
    silhouette: float
    shade: shade.Shade | None
    refused: str | None


def measure(title: str) -> Section:
    """The benchmark's section; the contact sheets are written as well."""
    found = [compare(pair) for pair in pairs()]
    section = Section(title, (__doc__ or "").strip().replace("\n", " "))
    rows = section.figures
    for each in found:
        name = f"{each.pair.numbers['room']}, {each.pair.numbers['product']}"
        rows.append(Figure(f"{name}: box missed (1 - IoU)", 1.0 - each.box_iou, "", target=0.15))
        rows.append(Figure(f"{name}: contact point missed", 100.0 * each.contact, "% of the photo", target=3.0))
        rows.append(Figure(f"{name}: product's colour, median of its pixels", each.delta_e, "ΔE2000"))
        rows.append(Figure(f"{name}: product's colour, mean", each.mean_delta_e, "ΔE2000"))
        rows.append(Figure(f"{name}: outline missed (1 - IoU)", 1.0 - each.silhouette, ""))
        rows += _shade_rows(name, each.shade)
    rows += _hidden_rows()
    rows.append(Figure("product's colour, median of the pairs", median(e.delta_e for e in found), "ΔE2000", target=6.0))
    section.figures += _cost()
    sheets.write(found)
    return section


def _shade_rows(name: str, found: shade.Shade | None) -> list[Figure]:
    """How far (in times) our shadow is from the render's, where its middle is, and what of both is not shared."""
    if found is None:
        return []
    times = max(found.mass, 1e-3)
    return [
        Figure(f"{name}: shadow, times too strong or too weak", max(times, 1.0 / times), "", target=1.5),
        Figure(f"{name}: shadow's middle missed", found.away, "of the product's width", target=0.3),
        Figure(f"{name}: shadow missed (1 - overlap)", 1.0 - found.overlap, "", target=0.6),
        Figure(f"{name}: shadow's depth missed", abs(found.depth - found.true_depth), "of the light", target=0.2),
    ]


def _hidden_rows() -> list[Figure]:
    """What of blocks behind things is not hidden, and how many blocks get a hole, in all rooms as read."""
    found = hidden.Hidden()
    for scene in rooms():
        hidden.measure(scene, read_room(scene.photo.pixels, scene.photo.f35_mm), found)
    holes = 100.0 * found.holes / max(found.blocks, 1)
    return [
        Figure("behind things, not hidden", 100.0 * (1.0 - found.found / max(found.true, 1)), "% of the pixels"),
        Figure("hidden wrongly", 100.0 * found.wrong / max(found.wrong + found.found, 1), "% of what is hidden"),
        Figure(f"blocks with a false hole (of {found.blocks})", holes, "%", target=5.0),
    ]


def compare(pair: ScenePair) -> Compared:
    """Our picture at the place of the truth against the render."""
    photo = pair.room.photo
    done = cut_out(pair.product.photo.pixels)
    rgba = done.rgba
    product = pair.product.sized(rgba.shape[1] / rgba.shape[0])
    room = read_room(photo.pixels, photo.f35_mm)
    place = chosen(room, product, pair.tap)
    ours = compose(photo.pixels, room, rgba, product, place)
    seen, true = _box(ours.product_mask), _box(pair.mask)
    wanted = pair.placement(product).contact
    per_pixel, mean = colour_difference(ours.pixels, ours.product_mask, pair.truth.pixels, pair.mask)
    away = hypot(place.contact[0] - wanted[0], place.contact[1] - wanted[1])
    either, both = ((ours.product_mask > 127) | (pair.mask > 127)), ((ours.product_mask > 127) & (pair.mask > 127))
    cast = shade.compare(
        ours.pixels, ours.product_mask, pair.truth.pixels, pair.mask, photo.pixels, pair.numbers["box"],
        pair.numbers.get("rerendered_region"),
    )  # fmt: skip
    refused = None if done.accepted else ", ".join(done.warnings)
    outline = float(both.sum() / either.sum())
    return Compared(pair, ours, box_iou(seen, true), away, per_pixel, mean, outline, cast, refused)


def chosen(room: Room, product: Product, tap: tuple[float, float] | None = None) -> Placement:
    """The place that the selection takes; the best of a bad lot where it would take none."""
    found = propose(room, product, tap=tap)
    verdicts = judge(room, product, found, tap=tap)
    best = max(verdicts, key=lambda verdict: (verdict.accepted, verdict.score))
    return next(each for each in found if each.id == best.placement_id)


def colour_difference(ours: Pixels, our_mask: Pixels, true: Pixels, true_mask: Pixels) -> tuple[float, float]:
    """Median CIEDE2000 over the product, box on box at 64 px, and the CIEDE2000 of its mean colours."""
    small = []
    for pixels, mask in ((ours, our_mask), (true, true_mask)):
        x0, y0, x1, y1 = (int(side) for side in _box(mask))
        part = slice(y0, y1), slice(x0, x1)
        small.append([cv2.resize(each[part], (SIDE, SIDE), interpolation=cv2.INTER_AREA) for each in (pixels, mask)])
    inside = (small[0][1] > 250) & (small[1][1] > 250)
    per_pixel = deltaE_ciede2000(*(to_lab(np.asarray(each[0], np.uint8)) for each in small))[inside]
    means = [np.rint(pixels[mask > 250].mean(axis=0)) for pixels, mask in ((ours, our_mask), (true, true_mask))]
    mean = deltaE_ciede2000(*(to_lab(each.astype(np.uint8)[None, None]) for each in means))
    return float(np.median(per_pixel)), float(mean[0, 0])


def _box(mask: Pixels) -> tuple[float, float, float, float]:
    rows, columns = np.flatnonzero((mask > 127).any(axis=1)), np.flatnonzero((mask > 127).any(axis=0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _cost() -> list[Figure]:
    """CPU and memory of one picture from a 12 MP photo, measured in processes of their own."""
    runs = [json.loads(subprocess.run([sys.executable, "-m", "bench.pictures"], capture_output=True, text=True,
                                      check=True).stdout) for _ in range(2)]  # fmt: skip
    first, warm, floor = runs[0]["first"], runs[0]["warm"], runs[0]["warm"]["decode"] + runs[0]["warm"]["encode"]
    figures = [Figure(f"12 MP photo, warm: {step}", seconds, "s CPU") for step, seconds in warm.items()]
    figures.append(
        Figure(
            "12 MP photo, warm: all of it", sum(warm.values()), "s CPU", "decode and encode alone", floor, target=2.0
        )
    )
    more = sum(first.values()) - sum(warm.values())
    figures.append(Figure("first use in a process, more", more, "s CPU", target=3.0))
    figures.append(Figure("most memory", runs[0]["memory_mb"], "MB", target=600.0))
    differing = len({run["digest"] for run in runs}) - 1
    figures.append(Figure("processes with other bytes", float(differing), "", target=0.0))
    return figures


def _costs() -> dict[str, object]:
    """What `_cost` reads: seconds per step of a first and of the following pictures, memory, digest."""
    pair = pairs()[0]
    room_jpeg, rgba = _large(pair)
    rounds, digest = [], ""
    for _ in range(1 + ROUNDS):
        steps: dict[str, float] = {}
        clock = time.process_time()

        def lap(step: str, steps: dict[str, float] = steps) -> None:
            nonlocal clock
            steps[step] = time.process_time() - clock
            clock = time.process_time()

        photo = open_photo(room_jpeg)
        lap("decode")
        room = read_room(photo.pixels, photo.f35_mm)
        lap("room")
        product = pair.product.sized(rgba.shape[1] / rgba.shape[0])
        place = chosen(room, product, pair.tap)
        lap("placement")
        done = compose(photo.pixels, room, rgba, product, place)
        lap("composite")
        digest = hashlib.sha256(encode_jpeg(done.pixels)).hexdigest()
        lap("encode")
        rounds.append(steps)
    warm = {step: min(each[step] for each in rounds[1:]) for step in rounds[0]}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"first": rounds[0], "warm": warm, "memory_mb": memory, "digest": digest}


def _large(pair: ScenePair) -> tuple[bytes, Pixels]:
    """The pair's room photo at 12 MP with fresh noise, as JPEG with its EXIF, and its product's cutout at 2 MP."""
    large = cv2.resize(pair.room.photo.pixels, LARGE_ROOM, interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(7).integers(-3, 4, (LARGE_ROOM[1], LARGE_ROOM[0], 1), dtype=np.int16)
    pixels = np.clip(large.astype(np.int16) + noise, 0, 255).astype(np.uint8)
    out = BytesIO()
    with Image.open(pair.room.path) as original:
        Image.fromarray(pixels).save(out, "JPEG", quality=92, exif=original.info.get("exif", b""))
    product = pair.product.photo.pixels
    side = LARGE_PRODUCT / max(product.shape[:2])
    bigger = cv2.resize(product, None, fx=side, fy=side, interpolation=cv2.INTER_CUBIC)
    return out.getvalue(), cut_out(np.asarray(bigger, np.uint8)).rgba


if __name__ == "__main__":
    print(json.dumps(_costs()))
