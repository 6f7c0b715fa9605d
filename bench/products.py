"""Product photos with exact alpha: drawn or cut from the fixtures, set before studio backdrops, or into rooms."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product as combinations
from math import cos, pi, sin
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.scenes import SceneProduct, products, rooms
from imaging.colour import resize
from imaging.matting import foreground

Float = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Point = tuple[float, float]
Colour = tuple[float, float, float]
# Drawn this much larger than it is used, so that coverage is an average and not a guess.
OVERSAMPLING = 3


@dataclass(frozen=True, eq=False)
class Subject:
    """A product without surroundings: colour (H, W, 3) 0..255 everywhere and coverage (H, W) 0..1, as floats."""

    name: str
    colour: Float
    alpha: Float


@dataclass(frozen=True, eq=False)
class ProductPhoto:
    """A photo with the product's true coverage (H, W) 0..1, and what kind of background it has."""

    name: str
    backdrop: str
    pixels: Pixels
    alpha: Float
    plain: bool


class Pen:
    """Draws coverage and colour in units of the picture's side (0..1)."""

    def __init__(self, side: int) -> None:
        self.side = side * OVERSAMPLING
        self.cover = np.zeros((self.side, self.side), np.float32)
        self.colour = np.zeros((self.side, self.side, 3), np.float32)

    def paint(self, mask: Pixels, colour: Colour, opacity: float = 1.0) -> None:
        """Lay a colour over what is there."""
        on = mask > 0
        self.colour[on] = colour
        self.cover[on] = np.maximum(self.cover[on], opacity)

    def polygon(self, points: list[Point], colour: Colour, opacity: float = 1.0) -> None:
        """A filled polygon."""
        corners = np.rint(np.array(points) * self.side).astype(np.int32)
        self.paint(cv2.fillPoly(self._blank(), [corners], 255), colour, opacity)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """An upright rectangle."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def ellipse(self, middle: Point, radii: Point, colour: Colour, turn: float = 0.0, opacity: float = 1.0) -> None:
        """A filled ellipse; `turn` in degrees."""
        axes = round(radii[0] * self.side), round(radii[1] * self.side)
        centre = round(middle[0] * self.side), round(middle[1] * self.side)
        self.paint(cv2.ellipse(self._blank(), centre, axes, turn, 0, 360, 255, -1), colour, opacity)

    def line(self, points: list[Point], width: float, colour: Colour) -> None:
        """A stroke of a width."""
        corners = np.rint(np.array(points) * self.side).astype(np.int32)
        self.paint(cv2.polylines(self._blank(), [corners], False, 255, max(1, round(width * self.side))), colour)

    def erase(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """A rectangular hole."""
        low, high = [round(value * self.side) for value in (y0, x0)], [round(value * self.side) for value in (y1, x1)]
        self.cover[low[0] : high[0], low[1] : high[1]] = 0

    def subject(self, name: str) -> Subject:
        """What was drawn, lit from the upper left and with a little texture."""
        side = self.side // OVERSAMPLING
        premultiplied = cv2.resize(self.colour * self.cover[..., None], (side, side), interpolation=cv2.INTER_AREA)
        alpha = cv2.resize(self.cover, (side, side), interpolation=cv2.INTER_AREA)
        colour = premultiplied / np.maximum(alpha, 1e-3)[..., None]
        y, x = np.mgrid[0 : 1 : side * 1j, 0 : 1 : side * 1j]
        rng = np.random.default_rng(crc32(name.encode()))
        grain = cv2.GaussianBlur(rng.normal(0.0, 1.0, (side, side)), (0, 0), 1.2)
        light = 1.08 - 0.22 * (0.4 * x + 0.6 * y) + 0.04 * grain
        return Subject(name, np.clip(colour * light[..., None], 0, 255).astype(np.float32), alpha)

    def _blank(self) -> Pixels:
        return np.zeros((self.side, self.side), np.uint8)


def wire_table(pen: Pen) -> None:
    """Thin black legs crossing under a round top."""
    for left in range(8):
        pen.line([(0.24 + 0.074 * left, 0.42), (0.70 - 0.057 * left, 0.82)], 0.004, (38, 36, 36))
    pen.ellipse((0.5, 0.40), (0.32, 0.07), (196, 160, 116))


def mesh_basket(pen: Pen) -> None:
    """A wire basket, background seen through every mesh."""
    for step in range(13):
        share = step / 12
        pen.line([(0.22 + 0.56 * share, 0.40), (0.30 + 0.40 * share, 0.80)], 0.005, (70, 66, 62))
        left = 0.22 + 0.08 * share
        pen.line([(left, 0.40 + 0.40 * share), (1 - left, 0.40 + 0.40 * share)], 0.005, (70, 66, 62))
    pen.line([(0.22, 0.40), (0.78, 0.40)], 0.014, (58, 54, 50))


def ring_mirror(pen: Pen) -> None:
    """A brass ring with nothing inside."""
    pen.ellipse((0.5, 0.5), (0.30, 0.30), (176, 140, 78))
    mask = cv2.circle(pen._blank(), (pen.side // 2, pen.side // 2), round(0.265 * pen.side), 255, -1)
    pen.cover[mask > 0] = 0


def fringed_rug(pen: Pen) -> None:
    """A patterned rug with thin fringes at both ends."""
    for edge, tip in ((0.26, 0.225), (0.74, 0.775)):
        for step in range(70):
            x = 0.15 + 0.7 * step / 69
            pen.line([(x, edge), (x + 0.004 * sin(step), tip)], 0.0035, (205, 196, 178))
    pen.box(0.14, 0.25, 0.86, 0.75, (146, 62, 54))
    for row, column in combinations(range(4), range(7)):
        middle = 0.2 + 0.1 * column, 0.31 + 0.125 * row
        pen.ellipse(middle, (0.03, 0.04), (212, 180, 128) if (row + column) % 2 else (48, 62, 92))


def leafy_plant(pen: Pen) -> None:
    """Leaves on thin stems out of a clay pot."""
    rng = np.random.default_rng(8)
    for stem in range(26):
        turn = -pi / 2 + (stem / 25 - 0.5) * 2.5
        reach = 0.26 + 0.16 * float(rng.random())
        tip = 0.5 + reach * cos(turn), 0.66 + reach * sin(turn)
        pen.line([(0.5, 0.70), tip], 0.004, (70, 98, 48))
        green = 60 + 50 * float(rng.random())
        pen.ellipse(tip, (0.055, 0.018), (green * 0.6, green + 40, green * 0.5), turn * 180 / pi)
    pen.polygon([(0.40, 0.70), (0.60, 0.70), (0.57, 0.88), (0.43, 0.88)], (178, 98, 66))


def floor_lamp(pen: Pen) -> None:
    """A stem of a few pixels between a pale shade and a dark foot."""
    pen.line([(0.5, 0.2), (0.5, 0.92)], 0.008, (150, 118, 62))
    pen.polygon([(0.42, 0.08), (0.58, 0.08), (0.64, 0.26), (0.36, 0.26)], (226, 214, 190))
    pen.ellipse((0.5, 0.925), (0.11, 0.018), (58, 52, 46))


def pendant(pen: Pen) -> None:
    """A dome hung from a cord that leaves the picture."""
    pen.line([(0.5, 0.0), (0.5, 0.5)], 0.005, (30, 30, 30))
    pen.polygon([(0.47, 0.48), (0.53, 0.48), (0.72, 0.74), (0.28, 0.74)], (44, 78, 96))
    pen.ellipse((0.5, 0.74), (0.22, 0.025), (236, 214, 160))


def spindle_chair(pen: Pen) -> None:
    """A black chair, gaps between the spindles of its back."""
    for step in range(9):
        pen.line([(0.36 + 0.035 * step, 0.16), (0.34 + 0.04 * step, 0.52)], 0.009, (36, 33, 32))
    pen.line([(0.34, 0.15), (0.66, 0.15)], 0.026, (30, 28, 27))
    pen.polygon([(0.30, 0.51), (0.70, 0.51), (0.74, 0.58), (0.26, 0.58)], (40, 37, 35))
    for top, foot in ((0.29, 0.25), (0.37, 0.35), (0.63, 0.65), (0.71, 0.75)):
        pen.line([(top, 0.57), (foot, 0.90 if top in (0.29, 0.71) else 0.84)], 0.018, (34, 31, 30))


def white_cabinet(pen: Pen) -> None:
    """White fronts with a grey side: pale on pale."""
    pen.polygon([(0.24, 0.34), (0.68, 0.34), (0.76, 0.30), (0.34, 0.30)], (236, 235, 233))
    pen.box(0.24, 0.34, 0.68, 0.82, (226, 225, 222))
    pen.polygon([(0.68, 0.34), (0.76, 0.30), (0.76, 0.76), (0.68, 0.82)], (188, 187, 184))
    for x in (0.385, 0.53):
        pen.line([(x, 0.36), (x, 0.80)], 0.003, (150, 149, 146))
        pen.ellipse((x - 0.02, 0.56), (0.007, 0.007), (178, 146, 84))


def white_vase(pen: Pen) -> None:
    """A pale vase, the hardest on white."""
    outline = [
        (0.5 - 0.18 * (0.45 + 0.55 * sin(pi * (0.08 + 0.84 * share)) ** 1.5), 0.22 + 0.62 * share)
        for share in np.linspace(0, 1, 60)
    ]
    pen.polygon(outline + [(1 - x, y) for x, y in reversed(outline)], (228, 226, 221))
    pen.ellipse((0.5, 0.225), (0.075, 0.016), (172, 170, 166))


def grey_sofa(pen: Pen) -> None:
    """Neutral grey, as its own shadow is, on short legs."""
    pen.box(0.14, 0.42, 0.86, 0.62, (138, 138, 140))
    pen.box(0.08, 0.50, 0.92, 0.72, (122, 122, 124))
    pen.box(0.17, 0.56, 0.83, 0.64, (150, 150, 152))
    for x in (0.13, 0.86):
        pen.box(x, 0.72, x + 0.015, 0.77, (60, 44, 34))


def black_tv_stand(pen: Pen) -> None:
    """A low black box, dark down to its shadow."""
    pen.box(0.10, 0.50, 0.90, 0.70, (44, 43, 44))
    pen.box(0.12, 0.52, 0.49, 0.68, (56, 55, 56))
    pen.box(0.51, 0.52, 0.88, 0.68, (56, 55, 56))
    for x in (0.14, 0.84):
        pen.box(x, 0.70, x + 0.02, 0.76, (40, 39, 40))


def woven_stool(pen: Pen) -> None:
    """Rattan strips with openings between them."""
    for step in range(14):
        x = 0.30 + 0.03 * step
        pen.line([(x, 0.36), (0.34 + 0.0245 * step, 0.82)], 0.010, (190, 148, 96))
        pen.line([(x, 0.36), (0.66 - 0.0245 * (13 - step) * 0.9, 0.82)], 0.006, (170, 128, 80))
    for y in (0.36, 0.50, 0.66, 0.82):
        pen.line([(0.30 + 0.09 * (y - 0.36), y), (0.70 - 0.09 * (y - 0.36), y)], 0.02, (176, 134, 84))
    pen.ellipse((0.5, 0.355), (0.215, 0.045), (202, 162, 110))


def framed_print(pen: Pen) -> None:
    """A print with a wide white mat in a black frame: white inside as outside."""
    pen.box(0.28, 0.18, 0.72, 0.80, (32, 31, 30))
    pen.box(0.292, 0.192, 0.708, 0.788, (252, 251, 249))
    pen.box(0.38, 0.31, 0.62, 0.66, (238, 226, 204))
    pen.polygon([(0.38, 0.52), (0.46, 0.46), (0.54, 0.54), (0.62, 0.47), (0.62, 0.66), (0.38, 0.66)], (74, 128, 132))
    pen.ellipse((0.55, 0.39), (0.03, 0.03), (226, 128, 72))


def arc_lamp(pen: Pen) -> None:
    """A thin brass arc from a pale marble foot to a dark shade."""
    turns = np.linspace(pi, 2 * pi, 60)
    pen.line([(0.32, 0.88), (0.32, 0.42)], 0.006, (168, 132, 66))
    pen.line([(0.47 + 0.15 * cos(turn), 0.42 + 0.2 * sin(turn)) for turn in turns], 0.006, (168, 132, 66))
    pen.polygon([(0.57, 0.46), (0.58, 0.42), (0.66, 0.42), (0.67, 0.46)], (40, 42, 42))
    pen.ellipse((0.33, 0.895), (0.07, 0.02), (208, 207, 204))
    pen.ellipse((0.33, 0.885), (0.07, 0.02), (228, 227, 224))


def slat_chair(pen: Pen) -> None:
    """A white painted chair with slats in its back."""
    for x in (0.33, 0.61):
        pen.box(x, 0.14, x + 0.022, 0.84 if x > 0.5 else 0.86, (240, 239, 236))
    for y in (0.16, 0.25, 0.34):
        pen.box(0.34, y, 0.62, y + 0.04, (246, 245, 242))
    pen.polygon([(0.32, 0.50), (0.63, 0.48), (0.72, 0.55), (0.40, 0.585)], (250, 249, 247))
    pen.polygon([(0.40, 0.585), (0.72, 0.55), (0.72, 0.58), (0.40, 0.615)], (232, 231, 228))
    for x, foot in ((0.41, 0.94), (0.69, 0.90)):
        pen.box(x, 0.58, x + 0.024, foot, (236, 235, 232))


def shelf_table(pen: Pen) -> None:
    """Two slatted boards on thin black legs; the floor and its shadow are seen between them."""
    for x, foot in ((0.25, 0.86), (0.40, 0.93), (0.62, 0.84), (0.78, 0.91)):
        pen.line([(x, 0.30), (x, foot)], 0.012, (28, 27, 27))
    for y, left in ((0.24, 0.22), (0.62, 0.24)):
        for step in range(8):
            x = left + 0.045 * step
            pen.polygon([(x, y), (x + 0.032, y), (x + 0.222, y + 0.08), (x + 0.19, y + 0.08)], (198, 156, 104))
        pen.polygon([(left + 0.19, y + 0.08), (left + 0.54, y + 0.08), (left + 0.54, y + 0.1), (left + 0.19, y + 0.1)],
                    (170, 128, 80))  # fmt: skip


def wicker_chair(pen: Pen) -> None:
    """A woven shell, see-through at its rim, on thin legs."""
    for turn in np.linspace(-0.92 * pi, -0.08 * pi, 34):
        pen.line([(0.5, 0.56), (0.5 + 0.26 * cos(turn), 0.56 + 0.38 * sin(turn))], 0.005, (150, 112, 70))
    for size in (0.3, 0.45, 0.6, 0.75, 0.88, 1.0):
        turns = np.linspace(-pi, 0, 50)
        ring = [(0.5 + 0.26 * size * cos(turn), 0.56 + 0.38 * size * sin(turn)) for turn in turns]
        pen.line(ring, 0.012 if size == 1.0 else 0.006, (138, 100, 60))
    pen.ellipse((0.5, 0.57), (0.26, 0.06), (214, 204, 186))
    for top, foot in ((0.34, 0.28), (0.44, 0.42), (0.56, 0.58), (0.66, 0.72)):
        pen.line([(top, 0.60), (foot, 0.90 if abs(top - 0.5) > 0.1 else 0.84)], 0.012, (112, 78, 46))


def pale_sofa(pen: Pen) -> None:
    """Light grey cloth, on a grey sweep hardly brighter than it."""
    pen.box(0.12, 0.40, 0.88, 0.66, (206, 205, 202))
    pen.box(0.07, 0.48, 0.16, 0.72, (194, 193, 190))
    pen.box(0.84, 0.48, 0.93, 0.72, (194, 193, 190))
    pen.box(0.16, 0.56, 0.50, 0.72, (216, 215, 212))
    pen.box(0.505, 0.56, 0.84, 0.72, (216, 215, 212))
    for x in (0.10, 0.88):
        pen.box(x, 0.72, x + 0.016, 0.78, (150, 112, 76))


def glass_pendant(pen: Pen) -> None:
    """A globe of smoked glass around a bulb, on a cord that leaves the picture."""
    pen.line([(0.5, 0.0), (0.5, 0.40)], 0.004, (34, 33, 33))
    pen.ellipse((0.5, 0.58), (0.19, 0.19), (150, 128, 104), opacity=0.6)
    pen.ellipse((0.5, 0.58), (0.05, 0.06), (250, 238, 210))
    pen.box(0.475, 0.38, 0.525, 0.44, (150, 118, 62))


DRAWN: dict[str, Callable[[Pen], None]] = {
    draw.__name__: draw
    for draw in (
        wire_table,
        mesh_basket,
        ring_mirror,
        fringed_rug,
        leafy_plant,
        floor_lamp,
        pendant,
        spindle_chair,
        white_cabinet,
        white_vase,
        grey_sofa,
        black_tv_stand,
        woven_stool,
        framed_print,
        arc_lamp,
        slat_chair,
        shelf_table,
        wicker_chair,
        pale_sofa,
        glass_pendant,
    )
}
HANGING = {"ring_mirror", "pendant", "framed_print", "glass_pendant"}


def drawn(name: str, side: int) -> Subject:
    """One of the drawn products in a square of `side` px."""
    pen = Pen(side)
    DRAWN[name](pen)
    return pen.subject(name)


def photographed(scene: SceneProduct, side: int) -> Subject:
    """A rendered product in its true alpha, free of its own background."""
    pixels = scene.photo.pixels
    size = side, round(side * pixels.shape[0] / pixels.shape[1])
    alpha = np.asarray(cv2.resize(scene.alpha.astype(np.float32) / 255.0, size, interpolation=cv2.INTER_AREA))
    colour = foreground(resize(pixels, size), alpha)
    return Subject(scene.name, colour.astype(np.float32), alpha)


def is_plain(scene: SceneProduct) -> bool:
    """Whether a rendered product stands before a studio backdrop."""
    background = str(scene.numbers["photo"]["background"])
    return not any(word in background for word in ("lifestyle", "clutter"))


def backdrops(height: int, width: int) -> dict[str, Float]:
    """Plain studio grounds (H, W, 3), 0..255."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    flat = np.ones((height, width, 3), np.float32)
    radius = np.hypot(x - 0.5, y - 0.5)
    bend = 1.0 / (1.0 + np.exp(-(y - 0.62) / 0.03))
    grounds = {
        "white": flat * 255,
        "off_white": flat * np.array([246, 244, 240]),
        "grey_gradient": flat * (196 + 40 * y - 10 * x)[..., None],
        "sweep": flat * (206 + 26 * bend + 6 * (y - 0.62) * bend)[..., None] * np.array([1.0, 0.998, 0.992]),
        "coloured": flat * np.array([186, 204, 198]) * (0.92 + 0.12 * y)[..., None],
        "vignette": flat * (238 - 130 * radius**2)[..., None],
        "beige_spot": flat * np.array([222, 206, 186]) * (1.08 - 0.5 * radius**2)[..., None],
    }
    return {name: np.clip(ground, 0, 255).astype(np.float32) for name, ground in grounds.items()}


def set_before(subject: Subject, ground: Float, *, quality: int, shadow: float, seed: int) -> Pixels:
    """The photo: ground, the product's shadow on it, the product; lens, sensor noise and JPEG."""
    dark = _shadow(subject) * shadow
    cover = subject.alpha[..., None]
    photo = ground * (1.0 - dark[..., None]) * (1 - cover) + subject.colour * cover
    noisy = photo + np.random.default_rng(seed).normal(0.0, 1.0, photo.shape) * (photo < 254)
    kept = io.BytesIO()
    Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8)).save(kept, "JPEG", quality=quality)
    return np.array(Image.open(kept).convert("RGB"))


def _shadow(subject: Subject) -> Float:
    """Darkness 0..1: close under what stands, wide and soft around it; beside and below what hangs."""
    height, width = subject.alpha.shape
    solid = subject.alpha > 0.5
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    span = float(columns[-1] - columns[0])
    if subject.name in HANGING:
        moved = np.array([[1, 0, 0.02 * width], [0, 1, 0.03 * height]], np.float32)
        cast = cv2.warpAffine(subject.alpha, moved, (width, height))
        return np.asarray(0.5 * cv2.GaussianBlur(cast, (0, 0), 0.012 * width), np.float32)
    low = solid.copy()
    low[: int(rows[-1] - 0.12 * (rows[-1] - rows[0]))] = False
    contact = cv2.dilate(low.astype(np.float32), np.ones((3, max(3, int(0.01 * width))), np.uint8))
    close = cv2.GaussianBlur(contact, (0, 0), 0.006 * width)
    pool = np.zeros((height, width), np.float32)
    middle = int((columns[0] + columns[-1]) / 2 + 0.04 * span), int(rows[-1] - 0.015 * height)
    cv2.ellipse(pool, middle, (int(0.52 * span), int(0.10 * span) + 4), 0, 0, 360, 1.0, -1)
    wide = cv2.GaussianBlur(pool, (0, 0), 0.03 * span + 3)
    return np.asarray(np.clip(0.45 * close + 0.55 * wide, 0, 0.9), np.float32)


def studio_photos(side: int = 900, fixtures: bool = True) -> Iterator[ProductPhoto]:
    """Every product before every plain ground, with and without a strong shadow, at two JPEG qualities in turn."""
    subjects = [drawn(name, side) for name in DRAWN]
    if fixtures:
        subjects += [photographed(scene, side) for scene in products() if is_plain(scene)]
    for number, subject in enumerate(subjects):
        for order, (kind, ground) in enumerate(backdrops(*subject.alpha.shape).items()):
            seed = 100 * number + order
            pixels = set_before(
                subject, ground, quality=(95, 85, 75)[seed % 3], shadow=(0.35, 0.7)[order % 2], seed=seed
            )
            yield ProductPhoto(subject.name, kind, pixels, subject.alpha, plain=True)


def room_photos(side: int = 900) -> Iterator[ProductPhoto]:
    """Products standing in rooms: pictures from which nobody can tell what is for sale."""
    grounds = [scene.photo.pixels for scene in rooms()]
    subjects = [drawn(name, side) for name in DRAWN]
    for number, subject in enumerate(subjects):
        room = grounds[number % len(grounds)]
        square = min(room.shape[:2])
        left = (room.shape[1] - square) * (number % 3) // 2
        top = (room.shape[0] - square) * (number % 2)
        ground = resize(room[top : top + square, left : left + square], (side, side)).astype(np.float32)
        pixels = set_before(subject, ground, quality=88, shadow=0.5, seed=number)
        yield ProductPhoto(subject.name, "room", pixels, subject.alpha, plain=False)


__all__ = [
    "DRAWN",
    "ProductPhoto",
    "Subject",
    "backdrops",
    "drawn",
    "is_plain",
    "photographed",
    "room_photos",
    "set_before",
    "studio_photos",
]
