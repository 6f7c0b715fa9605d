"""Contact sheets in `docs/pictures`: pictures beside renders of the truth, free choices, broken ones, cutouts.

Written by `python -m bench --only pictures`, or alone by `python -m bench.sheets`.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from bench import gate
from bench.breaking import KINDS, Picture
from bench.scenes import pairs, products, rooms
from bench.studio import boundary_mae, overlap
from imaging.compose import compose
from imaging.cutout import cut_out
from imaging.metrics import measure as measure_picture
from imaging.photo import decode, encode_jpeg
from imaging.placement import judge, propose
from imaging.room import read_room
from irschemas.metrics import MetricValue, grade

if TYPE_CHECKING:
    from bench.pictures import Compared

Pixels = NDArray[np.uint8]
FOLDER = Path(__file__).resolve().parent.parent / "docs" / "pictures"
MOST_BYTES = 400_000
TILE, LABEL = (460, 345), 20
PAPER = (255, 255, 255)


def write(compared: "Sequence[Compared]") -> None:
    """All four sheets."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    _save("beside-the-truth.jpg", _beside(compared), columns=2)
    _save("free-choice.jpg", _free(), columns=3)
    _save("broken.jpg", _broken(), columns=3)
    write_cutouts()


def write_cutouts() -> None:
    """The sheet of cutouts alone."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    _save("cutouts.jpg", _cutouts(), columns=5)


def _cutouts() -> list[tuple[str, Pixels]]:
    """Each product as photographed, cut out on white, black and magenta, and its upper edge on each at 1:1."""
    tiles = []
    for product in products():
        photo, done = product.photo.pixels, cut_out(product.photo.pixels)
        x0, y0, x1, y1 = done.crop
        alpha = np.zeros(photo.shape[:2], np.float32)
        alpha[y0:y1, x0:x1] = done.rgba[..., 3] / 255.0
        truth = np.asarray(product.alpha / 255.0, np.float32)
        edge = f"at the outline {boundary_mae(alpha, truth):.3f}"
        numbers = f"IoU {overlap(alpha > 0.5, truth > 0.5):.3f}, alpha MAE {float(np.abs(alpha - truth).mean()):.4f}"
        tiles.append((f"{product.name}: {'accepted' if done.accepted else ', '.join(done.warnings)}", _padded(photo)))
        details = []
        for name, ground in (("white", (255, 255, 255)), ("black", (0, 0, 0)), ("magenta", (255, 0, 255))):
            cover = done.rgba[..., 3:] / 255.0
            mixed = np.rint(done.rgba[..., :3] * cover + np.array(ground) * (1.0 - cover)).astype(np.uint8)
            tiles.append((f"on {name}: {numbers}, {edge}", _padded(mixed, ground)))
            details.append(_at_full_size(mixed, ground))
        tiles.append((f"{product.name} at 1:1", np.concatenate(details, axis=1)[:, : TILE[0]]))
    return tiles


def _at_full_size(pixels: Pixels, ground: tuple[int, int, int]) -> Pixels:
    """The upper left, a third of a tile wide, with a little of the ground around it."""
    part = np.full((TILE[1], TILE[0] // 3 + 1, 3), ground, np.uint8)
    kept = pixels[: TILE[1] - 8, : TILE[0] // 3 - 7]
    part[8 : 8 + kept.shape[0], 8 : 8 + kept.shape[1]] = kept
    return part


def _padded(pixels: Pixels, ground: tuple[int, int, int] = PAPER) -> Pixels:
    """In the tile's aspect."""
    height, width = pixels.shape[:2]
    high, wide = max(height, -(-width * TILE[1] // TILE[0])), max(width, -(-height * TILE[0] // TILE[1]))
    tile = np.full((high, wide, 3), ground, np.uint8)
    y, x = (high - height) // 2, (wide - width) // 2
    tile[y : y + height, x : x + width] = pixels
    return tile


def _beside(compared: "Sequence[Compared]") -> list[tuple[str, Pixels]]:
    tiles = []
    for each in compared:
        numbers = f"box IoU {each.box_iou:.2f}, contact {100 * each.contact:.1f} % off, colour dE {each.delta_e:.1f}"
        part = _part(each.pair.numbers["box"], each.pair.truth.pixels.shape)
        went = "ours" if each.refused is None else f"NOT SHOWN, cutout refused ({each.refused})"
        tiles.append((f"{went}: {numbers}"[:90], each.ours.pixels[part]))
        tiles.append(
            (f"render: {each.pair.numbers['product']} in {each.pair.numbers['room']}", each.pair.truth.pixels[part])
        )
    return tiles


def _part(region: Sequence[int], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """A region of a photo with some of the room around it, in the tile's aspect."""
    middle = (region[0] + region[2]) / 2, (region[1] + region[3]) / 2
    height = min(shape[0], max(region[3] - region[1], (region[2] - region[0]) * TILE[1] / TILE[0]) * 1.9)
    width = min(shape[1], height * TILE[0] / TILE[1])
    x0 = int(np.clip(middle[0] - width / 2, 0, shape[1] - width))
    y0 = int(np.clip(middle[1] - height / 2, 0, shape[0] - height))
    return slice(y0, y0 + int(height)), slice(x0, x0 + int(width))


def _free() -> list[tuple[str, Pixels]]:
    """Every room with every product, where our selection puts it."""
    tiles = []
    cutouts = {product.name: gate.ready_cutout(product) for product in products()}
    for scene in rooms():
        room = read_room(scene.photo.pixels, scene.photo.f35_mm)
        for product in products():
            rgba = cutouts[product.name]
            sized = product.sized(rgba.shape[1] / rgba.shape[0])
            found = propose(room, sized)
            accepted = [each for each in judge(room, sized, found) if each.accepted]
            title = f"{product.name} in {scene.name}"
            if not accepted:
                tiles.append((f"{title}: no place", scene.photo.pixels))
                continue
            best = max(accepted, key=lambda verdict: verdict.score).placement_id
            place = next(each for each in found if each.id == best)
            tiles.append((f"{title}: {place.why}"[:66], compose(scene.photo.pixels, room, rgba, sized, place).pixels))
    return tiles


def _broken() -> list[tuple[str, Pixels]]:
    """One of our pictures as made and in every way broken, and which measures of the gate saw it."""
    pair, profile = pairs()[0], gate.library_gate()
    rgba = cut_out(pair.product.photo.pixels).rgba
    product = pair.product.sized(rgba.shape[1] / rgba.shape[0])
    place, room, photo = pair.placement(product), pair.room.true_room(), pair.room.photo.pixels
    done = compose(photo, room, rgba, product, place)
    good = Picture(done.pixels, done.product_mask, gate.other_cutout(pair))
    tiles = []
    for kind in ("", *KINDS):
        picture = KINDS[kind](photo, good) if kind else good
        found = measure_picture(decode(encode_jpeg(picture.pixels)), photo, room, rgba, product, place, picture.mask)
        judged = grade(profile, [MetricValue(each.key, each.value, applies=each.asked) for each in found])
        failed = [item for item in judged.failed_keys if item != "product_complete" or kind == "missing"][:3]
        tiles.append((f"{kind or 'as made'}: {', '.join(failed) or 'passes'}"[:66], picture.pixels))
    return tiles


def _save(name: str, tiles: list[tuple[str, Pixels]], columns: int) -> None:
    """A sheet of labelled tiles as JPEG, of a quality that keeps it small."""
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * TILE[0], rows * (TILE[1] + LABEL)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for at, (text, pixels) in enumerate(tiles):
        left, top = at % columns * TILE[0], at // columns * (TILE[1] + LABEL)
        draw.text((left + 4, top + 3), text, fill="black", font=font)
        whole = _padded(pixels, PAPER)
        sheet.paste(Image.fromarray(whole).resize(TILE, Image.Resampling.LANCZOS), (left, top + LABEL))
    for quality in (86, 80, 74, 66, 55, 45):
        out = BytesIO()
        sheet.save(out, "JPEG", quality=quality, optimize=True)
        if out.tell() <= MOST_BYTES:
            break
    (FOLDER / name).write_bytes(out.getvalue())


if __name__ == "__main__":
    from bench.pictures import compare

    write([compare(pair) for pair in pairs()])

__all__ = ["write", "write_cutouts"]
