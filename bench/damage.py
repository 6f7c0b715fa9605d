"""Photos that nothing can be placed by, made of good ones or drawn, and good photos as people really send them."""

from collections.abc import Callable, Iterator
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def upside_down(room: Pixels) -> Pixels:
    return np.ascontiguousarray(room[::-1, ::-1])


def lying_on_its_side(room: Pixels) -> Pixels:
    return np.ascontiguousarray(np.rot90(room))


def dark(room: Pixels) -> Pixels:
    """Nearly black, with a sensor's noise."""
    noise = np.random.default_rng(1).normal(0, 1.5, room.shape)
    return np.clip(room * 0.06 + noise, 0, 255).astype(np.uint8)


def shaken(room: Pixels) -> Pixels:
    """Out of focus by 1.6 % of the longer side."""
    return np.asarray(cv2.GaussianBlur(room, (0, 0), 0.016 * max(room.shape)))


def ceiling_only(room: Pixels) -> Pixels:
    return np.ascontiguousarray(room[: int(0.38 * room.shape[0])])


def wall_from_near(room: Pixels) -> Pixels:
    """A quarter of the photo's width from above the horizon: wall, and what hangs there."""
    height, width = room.shape[:2]
    part = room[int(0.12 * height) : int(0.32 * height), int(0.35 * width) : int(0.62 * width)]
    return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC))


def somebody_in_front(room: Pixels) -> Pixels:
    """A person from the hips up, in a checked shirt, before most of the room."""
    height, width = room.shape[:2]
    body = np.zeros((height, width), np.uint8)
    cv2.ellipse(body, (width // 2, height), (int(width * 0.46), int(height * 0.66)), 0, 0, 360, 1, -1)
    y, x = np.mgrid[0:height, 0:width]
    check = (
        np.where((x // 40 + y // 40)[..., None] % 2 == 0, [60, 70, 120], [150, 60, 60])
        * (0.7 + 0.3 * y / height)[..., None]
    )
    painted = np.where(body[..., None] > 0, check, room).astype(np.uint8)
    cv2.circle(painted, (width // 2, int(height * 0.24)), int(0.17 * height), (196, 148, 120), -1)
    return painted


def floor_only(room: Pixels) -> Pixels:
    """The phone pointed at its owner's feet: a patch of floor, no room."""
    height, width = room.shape[:2]
    part = room[int(0.86 * height) :, int(0.3 * width) : int(0.55 * width)]
    return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC))


def meadow(height: int = 768, width: int = 1024) -> Pixels:
    """A blue sky with clouds over grass."""
    rough = _clouds(height, width, 3, 8)
    row = np.arange(height)[:, None, None] / height
    colours = np.where(row < 0.45, [120.0, 170, 230] + 14 * rough, [70.0, 120, 45] + 18 * rough)
    return np.clip(colours, 0, 255).astype(np.uint8)


def street(height: int = 768, width: int = 1024) -> Pixels:
    """A grey road with lines between house fronts under a pale sky."""
    rough = _clouds(height, width, 4, 4)
    scene = np.full((height, width, 3), [176.0, 196, 222]) + 4 * rough
    middle = (width // 2, int(0.42 * height))
    for side, colour in ((0, (168, 120, 96)), (width, (188, 170, 140))):
        front = np.array(
            [(side, 0), (side, int(0.8 * height)), (middle[0], middle[1] + 20), (middle[0], middle[1] - 60)]
        )
        cv2.fillConvexPoly(scene, front, colour)
    cv2.fillConvexPoly(scene, np.array([(-width // 3, height), (width * 4 // 3, height), middle]), (96, 96, 100))
    cv2.fillConvexPoly(scene, np.array([(width // 2 - 14, height), (width // 2 + 14, height), middle]), (225, 225, 220))
    return np.clip(scene + 6 * rough, 0, 255).astype(np.uint8)


def beach(height: int = 768, width: int = 1024) -> Pixels:
    """Sand, sea and sky."""
    rough, row = _clouds(height, width, 6, 3), np.arange(height)[:, None, None] / height
    sky, sea, sand = [150.0, 190, 235] + 5 * rough, [60.0, 120, 150] + 9 * rough, [206.0, 184, 146] + 8 * rough
    return np.clip(np.where(row < 0.4, sky, np.where(row < 0.55, sea, sand)), 0, 255).astype(np.uint8)


def screenshot(height: int = 1024, width: int = 600) -> Pixels:
    """A shop's page on a phone: bars, lines of text, buttons and a small picture on white."""
    page = np.full((height, width, 3), 255, np.uint8)
    cv2.rectangle(page, (0, 0), (width, 60), (40, 60, 120), -1)
    cv2.rectangle(page, (40, 100), (width - 40, 420), (230, 226, 220), -1)
    cv2.rectangle(page, (180, 200), (420, 360), (90, 120, 100), -1)
    for line in range(14):
        cv2.putText(page, "Lorem ipsum dolor sit amet, 299 EUR", (40, 470 + 32 * line), 0, 0.7, (50, 50, 50), 1)
    cv2.rectangle(page, (40, 930), (width - 40, 990), (20, 140, 70), -1)
    return page


def line_drawing(height: int = 768, width: int = 1024) -> Pixels:
    """A room sketched with black lines on white."""
    sheet = np.full((height, width, 3), 252, np.uint8)
    for first, second in (
        ((0, 0), (300, 200)), ((300, 200), (750, 200)), ((750, 200), (1023, 0)), ((300, 200), (300, 480)),
        ((750, 200), (750, 480)), ((300, 480), (750, 480)), ((300, 480), (0, 767)), ((750, 480), (1023, 767)),
        ((400, 420), (600, 420)), ((400, 420), (400, 520)), ((600, 420), (600, 520)), ((400, 520), (600, 520)),
    ):  # fmt: skip
        cv2.line(sheet, first, second, (20, 20, 20), 3)
    return sheet


def paper(height: int = 768, width: int = 1024) -> Pixels:
    return np.full((height, width, 3), 244, np.uint8)


def dim(room: Pixels) -> Pixels:
    """A lamp less: two stops darker in linear light, with noise."""
    noise = np.random.default_rng(2).normal(0, 2.0, room.shape)
    return np.clip(255 * (room / 255.0 * 0.53) + noise, 0, 255).astype(np.uint8)


def slightly_blurred(room: Pixels) -> Pixels:
    return np.asarray(cv2.GaussianBlur(room, (0, 0), 0.0016 * room.shape[1]))


def tilted(room: Pixels) -> Pixels:
    """Held 8 degrees askew, the picture cropped to what is whole."""
    height, width = room.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 8.0, 1.22)
    return np.asarray(cv2.warpAffine(room, turn, (width, height), flags=cv2.INTER_AREA))


def by_messenger(room: Pixels) -> Pixels:
    """Scaled to 640 px and compressed hard."""
    scale = 640 / max(room.shape[:2])
    small = cv2.resize(room, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    stored = BytesIO()
    Image.fromarray(small).save(stored, "JPEG", quality=55)
    return np.array(Image.open(stored))


def cropped(room: Pixels) -> Pixels:
    """A tenth cut off on every side but the lower one."""
    height, width = room.shape[:2]
    return np.ascontiguousarray(room[height // 10 :, width // 10 : -width // 10])


Damage = Callable[[Pixels], Pixels]
RUINED: tuple[Damage, ...] = (
    upside_down, lying_on_its_side, dark, shaken, ceiling_only, wall_from_near, somebody_in_front, floor_only,
)  # fmt: skip
BORNE: tuple[Damage, ...] = (dim, slightly_blurred, tilted, by_messenger, cropped)
DRAWN: tuple[Callable[[], Pixels], ...] = (meadow, street, beach, screenshot, line_drawing, paper)


def ruined(rooms: list[tuple[str, Pixels]]) -> Iterator[tuple[str, Pixels]]:
    """Every bad photo by name."""
    yield from ((f"{name}, {bad.__name__}", bad(room)) for name, room in rooms for bad in RUINED)
    yield from ((make.__name__, make()) for make in DRAWN)


def borne(rooms: list[tuple[str, Pixels]]) -> Iterator[tuple[str, Pixels]]:
    """Every good photo by name."""
    yield from rooms
    yield from ((f"{name}, {mild.__name__}", mild(room)) for name, room in rooms for mild in BORNE)


def _clouds(height: int, width: int, seed: int, grain: int) -> NDArray[np.float64]:
    """Soft noise (H, W, 1) with a standard deviation of about 1."""
    noise = np.random.default_rng(seed).normal(0, 1, (height // grain, width // grain))
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC))[..., None]


__all__ = ["borne", "ruined"]
