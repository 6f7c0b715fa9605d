"""Photos by which nothing can be placed: each is told by a code, trusted little, and no product is put into it."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from imaging.placement import Product, judge, propose
from imaging.room import Room, read_room
from tests.imaging.scenes import F35, HEIGHT, SOFA, WIDTH, drawn_room, read_drawn_room

Pixels = NDArray[np.uint8]
PRINT = Product(0.6, 0.03, 0.8, "wall", 0.75)


def upside_down() -> Pixels:
    return np.ascontiguousarray(drawn_room().pixels[::-1, ::-1])


def on_its_side() -> Pixels:
    return np.ascontiguousarray(np.rot90(drawn_room().pixels))


def dark() -> Pixels:
    return (drawn_room().pixels * 0.05).astype(np.uint8)


def blurred(share: float) -> Pixels:
    """Out of focus by that share of the width."""
    return np.asarray(cv2.GaussianBlur(drawn_room().pixels, (0, 0), share * WIDTH))


def hardly_anything_sharp() -> Pixels:
    return blurred(0.0156)


def wall_from_near() -> Pixels:
    return np.ascontiguousarray(drawn_room().pixels[: int(HEIGHT * 0.4)])


def meadow() -> Pixels:
    """A blue sky over grass, with clouds and blades."""
    noise = np.random.default_rng(3).normal(0, 1, (HEIGHT // 8, WIDTH // 8))
    rough = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)[..., None]
    row = np.arange(HEIGHT)[:, None, None] / HEIGHT
    colours = np.where(row < 0.5, np.array([120.0, 170, 230]) + 12 * rough, np.array([70.0, 120, 45]) + 18 * rough)
    return np.clip(colours, 0, 255).astype(np.uint8)


def somebody_in_front() -> Pixels:
    """The drawn room, most of it behind somebody's back in a patterned pullover."""
    pixels = drawn_room().pixels.copy()
    cv2.ellipse(pixels, (WIDTH // 2, HEIGHT), (int(WIDTH * 0.5), int(HEIGHT * 0.72)), 0, 0, 360, (70, 50, 110), -1)
    cv2.circle(pixels, (WIDTH // 2, int(HEIGHT * 0.2)), 130, (190, 140, 115), -1)
    for y in range(int(HEIGHT * 0.35), HEIGHT, 26):
        cv2.line(pixels, (int(WIDTH * 0.1), y), (int(WIDTH * 0.9), y + 14), (140, 60, 60), 5)
    return pixels


def read(pixels: Pixels) -> Room:
    return read_room(pixels, F35)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (upside_down, "upside_down"),
        (on_its_side, "on_its_side"),
        (dark, "too_dark"),
        (hardly_anything_sharp, "too_blurred"),
        (wall_from_near, "no_floor"),
        (meadow, "outdoors"),
        (somebody_in_front, "view_blocked"),
    ],
)
def test_a_photo_by_which_nothing_can_be_placed_says_why_and_takes_no_sofa(make, code: str) -> None:
    room = read(make())
    assert code in room.doubts
    assert room.confidence <= 0.2
    verdicts = judge(room, SOFA, propose(room, SOFA))
    assert verdicts and not any(verdict.accepted for verdict in verdicts)
    assert {verdict.reason for verdict in verdicts} <= set(room.doubts)


def test_a_wall_that_was_photographed_with_little_floor_is_not_taken_to_lie_on_its_side() -> None:
    room = read(np.ascontiguousarray(drawn_room().pixels[int(0.1 * HEIGHT) : int(0.6 * HEIGHT)]))
    assert "no_floor" in room.doubts and "on_its_side" not in room.doubts
    assert any(verdict.accepted for verdict in judge(room, PRINT, propose(room, PRINT)))


def test_a_slightly_blurred_room_is_only_trusted_less() -> None:
    room = read(blurred(0.004))
    assert room.doubts == ["blurred"]
    assert room.confidence <= 0.5 < read_drawn_room().confidence


def test_a_good_room_leaves_no_doubt() -> None:
    assert read_drawn_room().doubts == []


def test_a_print_needs_no_floor() -> None:
    room = read_drawn_room()
    numbers = {**room.to_json(), "doubts": ["no_floor"]}
    floorless = Room.from_json(numbers, room.regions, room.width, room.height)
    kept = [verdict.accepted for verdict in judge(floorless, PRINT, propose(floorless, PRINT))]
    assert any(kept)
    assert not any(verdict.accepted for verdict in judge(floorless, SOFA, propose(floorless, SOFA)))
