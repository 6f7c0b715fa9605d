"""Models' pictures brought back into the photo: alignment, tone, drift, the room's own pixels, and what is refused."""

from functools import cache

import cv2
import numpy as np
import pytest

from bench.answers import Answer, Manner, sent
from bench.breaking import KINDS, Picture
from imaging.compose import Composite, compose
from imaging.photo import PhotoError, open_photo
from imaging.placement import Placement
from imaging.registration import Registration, register
from imaging.repaint import LIMITS, NotThePhoto, Repainted, bring_back, refuse_misfit, toned
from tests.imaging import test_compose
from tests.imaging.scenes import drawn_room, read_drawn_room, sofa_cutout
from tests.imaging.test_compose import SIZED_SOFA

ROOM = drawn_room().pixels
BENT = Manner(800, (0.006, -0.004), 1.01, (0.004, 0.003), (0.95, 0.94, 0.9), 3.0, 2.0)


@cache
def spot() -> Placement:
    return test_compose.best_spot(SIZED_SOFA)


@cache
def composed() -> Composite:
    return compose(ROOM, read_drawn_room(), sofa_cutout().rgba, SIZED_SOFA, spot())


def answered(kind: str = "", manner: Manner = BENT) -> Answer:
    """Our composite as if a model had made it, broken as asked, sent in a manner."""
    done = composed()
    picture = Picture(done.pixels, done.product_mask)
    return sent(kind, (KINDS[kind](ROOM, picture) if kind else picture).pixels, manner)


@cache
def brought_back(kind: str = "", manner: Manner = BENT) -> Repainted:
    room = read_drawn_room()
    given = answered(kind, manner).content
    return bring_back(given, ROOM, room, sofa_cutout().rgba, SIZED_SOFA, spot(), composed().pixels)


def corner_error(found: Registration) -> float:
    corners = np.array([[[0, 0], [960, 0], [960, 720], [0, 720]]], np.float64)
    true, seen = (cv2.perspectiveTransform(corners, each)[0] for each in (answered().matrix, found.matrix))
    return float(np.linalg.norm(true - seen, axis=1).max())


def test_a_shifted_zoomed_tilted_and_smaller_picture_is_laid_over_the_photo() -> None:
    found = brought_back().registration
    assert corner_error(found) < 2.0
    assert found.residual_px < 0.5 and found.shift_px == pytest.approx(7, abs=2)
    assert found.scale == pytest.approx(1.007, abs=0.006)


@pytest.mark.parametrize("seed", [1, 3, 5])
def test_a_level_of_noise_moves_no_corner(seed: int) -> None:
    picture = open_photo(answered().content, LIMITS).pixels
    noise = np.random.default_rng(seed).integers(-1, 2, picture.shape)
    other = np.clip(picture.astype(int) + noise, 0, 255).astype(np.uint8)
    place = cv2.dilate(composed().product_mask, np.ones((161, 161), np.uint8)) > 0
    assert corner_error(register(other, ROOM, place)) < 2.0


def test_the_tone_is_taken_back_and_told() -> None:
    done = brought_back()
    assert done.tone == pytest.approx(-8, abs=3) and done.raw_drift > done.drift + 2
    darker = np.clip(ROOM * 0.8 + 5, 0, 255).astype(np.uint8)
    back, tone = toned(darker, ROOM, np.zeros(ROOM.shape[:2], bool))
    assert tone < -20 and np.abs(back.astype(int) - ROOM).mean() < 2


def test_the_room_is_restored_to_the_level_outside_of_product_and_shadow() -> None:
    done = brought_back()
    away = done.kept == 0
    assert 0.6 < away.mean() < 0.97
    assert np.array_equal(done.pixels[away], ROOM[away])
    assert not np.array_equal(done.aligned[away], ROOM[away])
    solid = cv2.erode(composed().product_mask, np.ones((15, 15))) > 250
    assert (done.kept[solid] > 250).mean() > 0.98, "the product is all the model's"
    assert np.array_equal(done.pixels[done.kept == 255], done.aligned[done.kept == 255])


def test_what_a_model_did_to_the_room_is_measured_before_it_is_undone() -> None:
    done = brought_back("room altered")
    assert done.drift > 30 and done.changed_share > 0.05
    assert np.array_equal(done.pixels[40:100, 100:200], ROOM[40:100, 100:200]), "and yet it is undone"


def test_a_guide_sent_back_shows_no_work_of_its_own() -> None:
    assert (brought_back("", Manner()).guide_change or 0) < 2.0
    assert (brought_back("recoloured").guide_change or 0) > 5.0


def padded(pixels: np.ndarray) -> np.ndarray:
    return cv2.copyMakeBorder(pixels, 90, 90, 0, 0, cv2.BORDER_CONSTANT, value=(0, 0, 0))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda pixels: pixels[:, 120:840], "cropped: it shows 75 %"),
        (lambda pixels: cv2.resize(pixels, (720, 720)), "distorted: its sides are stretched by 0.75"),
        (padded, "bars or added surroundings"),
        (lambda pixels: np.ascontiguousarray(pixels[::-1]), "another room"),
        (lambda pixels: np.full_like(pixels, 90), "another room"),
    ],
    ids=["cropped", "squeezed", "bars", "upside down", "blank"],
)
def test_a_picture_that_is_not_the_photo_is_refused_with_what_it_is(change, words: str) -> None:  # type: ignore[no-untyped-def]
    room = read_drawn_room()
    given = sent("", np.ascontiguousarray(change(composed().pixels)), Manner()).content
    with pytest.raises(NotThePhoto, match=words) as caught:
        bring_back(given, ROOM, room, sofa_cutout().rgba, SIZED_SOFA, spot())
    assert set(caught.value.measures()) >= {"coverage", "stretch", "residual_px"}


def test_a_photo_without_any_texture_cannot_be_told_and_is_refused() -> None:
    blank = np.full((300, 400, 3), 128, np.uint8)
    found: Registration = register(blank, blank, np.zeros((300, 400), bool))
    with pytest.raises(NotThePhoto):
        refuse_misfit(found, blank.shape, blank.shape)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0half"])
def test_what_is_no_picture_is_refused_at_the_door(content: bytes) -> None:
    with pytest.raises(PhotoError):
        bring_back(content, ROOM, read_drawn_room(), sofa_cutout().rgba, SIZED_SOFA, spot())
