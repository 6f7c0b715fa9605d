"""Floors that are hard to tell: a rug in front, things of any colour on it, light and shade, walls of brick."""

from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from imaging.colour import to_lab
from imaging.geometry import focal_pixels
from imaging.labels import REGION
from imaging.room import Room, read_room
from imaging.superpixels import Patches, cheapest_cut, find_patches
from imaging.vanishing import Manhattan
from tests.imaging.scenes import BACK_M, F35, HEIGHT, ROOM_YAW, WIDTH, drawn_room

Pixels = NDArray[np.uint8]
BALL, SUN = (-0.7, 3.1), (0.2, 2.8)


def on_floor(points: list[tuple[float, float]], level: float = 0.0) -> NDArray[np.int32]:
    """Pixels of plan points (x, z)."""
    seen = drawn_room().camera.project(np.array([[x, level, z] for x, z in points]))
    return np.rint(seen).astype(np.int32)


@cache
def with_rug() -> Room:
    """The drawn room with a patterned blue rug that fills the photo's foot."""
    pixels = drawn_room().pixels.copy()
    cv2.fillConvexPoly(pixels, on_floor([(-1.5, 1.0), (1.3, 1.0), (1.3, 3.0), (-1.5, 3.0)]), (52, 66, 120))
    for x in np.arange(-1.3, 1.2, 0.4):
        for z in np.arange(2.0, 2.9, 0.3):
            cv2.fillConvexPoly(pixels, on_floor([(x, z), (x + 0.15, z), (x + 0.15, z + 0.1)]), (190, 160, 110))
    return read_room(pixels, F35)


@cache
def with_ball_and_sun() -> Room:
    """The drawn room with a blue ball and a patch of sunlight on its floor."""
    pixels = drawn_room().pixels.astype(np.float64)
    (x, y), radius = on_floor([BALL], 0.15)[0], int(0.15 * drawn_room().camera.px_per_m(*BALL))
    light = np.zeros((HEIGHT, WIDTH), np.uint8)
    a, b = SUN
    cv2.fillConvexPoly(
        light, on_floor([(a - 0.25, b - 0.2), (a + 0.25, b - 0.2), (a + 0.25, b + 0.2), (a - 0.25, b + 0.2)]), 1
    )
    pixels[light > 0] *= 1.45
    painted = np.clip(pixels, 0, 255).astype(np.uint8)
    cv2.circle(painted, (int(x), int(y)), radius, (30, 70, 190), -1)
    return read_room(painted, F35)


def region_at(room: Room, pixel: NDArray[np.int32]) -> int:
    return int(room.regions[int(pixel[1] * room.scale), int(pixel[0] * room.scale)])


def test_a_rug_in_front_and_the_boards_beyond_it_are_floor() -> None:
    room = with_rug()
    boards, rug = on_floor([(0.4, 3.8), (-1.2, 4.0)]), on_floor([(0.55, 2.5), (0.15, 2.5)])
    assert [region_at(room, pixel) for pixel in (*boards, *rug)] == [REGION.FLOOR] * 4


def test_a_ball_stands_on_the_floor_and_sunlight_lies_on_it() -> None:
    room = with_ball_and_sun()
    assert region_at(room, on_floor([BALL], 0.15)[0]) == REGION.FURNITURE
    assert region_at(room, on_floor([SUN])[0]) == REGION.FLOOR


def test_a_brick_wall_is_a_wall() -> None:
    drawn = drawn_room()
    pixels, (c, s) = drawn.pixels.copy(), (np.cos(ROOM_YAW), np.sin(ROOM_YAW))
    for row, level in enumerate(np.arange(0.12, 2.5, 0.1)):
        for x in np.arange(-2.2 + 0.12 * (row % 2), 2.2, 0.24):
            brick = [[c * u - s * BACK_M, y, s * u + c * BACK_M] for u, y in (
                (x, level), (x + 0.21, level), (x + 0.21, level + 0.075), (x, level + 0.075))]  # fmt: skip
            cv2.fillConvexPoly(pixels, np.rint(drawn.camera.project(np.array(brick))).astype(np.int32), (150, 76, 60))
    cupboard = (drawn.pixels[..., 0] > 1.8 * drawn.pixels[..., 1]) & ~drawn.floor
    pixels[cupboard | drawn.floor] = drawn.pixels[cupboard | drawn.floor]
    room = read_room(pixels, F35)
    points = np.array([[c * u - s * BACK_M, y, s * u + c * BACK_M] for u in (-1.5, -0.5, 0.4) for y in (0.8, 1.9)])
    seen = [region_at(room, pixel) for pixel in np.rint(drawn.camera.project(points)).astype(np.int32)]
    assert seen.count(REGION.WALL) >= 5


@pytest.mark.parametrize(("fit", "read_as"), [(0.90, 24.0), (0.87, 26.0)])
def test_a_lens_not_told_by_exif_is_taken_by_a_clearly_better_fit_of_edges(
    monkeypatch, fit: float, read_as: float
) -> None:
    def fitted(pixels: Pixels, focal_px: float) -> Manhattan:
        wide = focal_px == focal_pixels(WIDTH, HEIGHT, 24.0)
        return Manhattan(18.0, 0.0, 0.0, fit if wide else 0.86, np.zeros((0, 4)), np.zeros(0, np.int64))

    monkeypatch.setattr("imaging.room.fit_manhattan", fitted)
    assert read_room(drawn_room().pixels).focal_px == focal_pixels(WIDTH, HEIGHT, read_as)
    assert read_room(drawn_room().pixels, 26.0).focal_px == focal_pixels(WIDTH, HEIGHT, 26.0)


def test_every_pixel_has_a_patch_and_patches_follow_colours() -> None:
    picture = np.full((40, 60, 3), 60, np.uint8)
    picture[:, 31:] = (200, 180, 90)
    patches = find_patches(picture, to_lab(picture), 8)
    assert patches.labels.min() == 0 and patches.labels.max() == patches.count - 1
    assert patches.area.sum() == 40 * 60
    left = patches.mean(np.arange(60)[None, :] < np.full((40, 1), 31))
    assert (np.minimum(left, 1 - left) < 0.2).all()


def test_the_cut_goes_where_bonds_are_weak() -> None:
    """Four patches in a row: the ends are told, the weakest bond lies between the second and the third."""
    pairs = np.array([[0, 1], [1, 2], [2, 3]])
    row = Patches(np.arange(4)[None], np.ones(4), pairs, np.ones(3), np.zeros(3))
    taken = cheapest_cut(row, np.array([9.0, 0.0, 0.1, -9.0]), np.array([3.0, 0.5, 3.0]))
    assert taken.tolist() == [True, True, False, False]
