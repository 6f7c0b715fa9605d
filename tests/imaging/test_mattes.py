"""Mattes of somebody else: those that are true pass, those that are not are refused by what the photo shows."""

import cv2
import numpy as np
import pytest

from imaging.mattes import cut_by
from imaging.photo import PhotoError, decode_matte, encode_png
from tests.imaging.scenes import studio_sofa


def true_matte() -> np.ndarray:
    solid = studio_sofa()[1].astype(np.float32) * 255
    return cv2.GaussianBlur(solid, (0, 0), 0.8).astype(np.uint8)


def without_its_right(matte: np.ndarray) -> np.ndarray:
    kept = matte.copy()
    kept[:, 540:] = 0
    return kept


def test_a_true_matte_is_taken_and_the_colours_stay_the_photos() -> None:
    photo, truth = studio_sofa()
    cutout = cut_by(photo, true_matte(), 0.1)
    assert cutout.accepted and cutout.warnings == []
    assert cutout.rgba[cutout.rgba[..., 3] == 0][:, :3].min() > 150
    assert cutout.signals["uncertainty"] == 0.1 and cutout.signals["edge_support"] > 0.95
    x0, y0, x1, y1 = cutout.crop
    inside = cv2.erode(truth[y0:y1, x0:x1].astype(np.uint8), np.ones((7, 7))) > 0
    assert np.array_equal(cutout.rgba[inside][:, :3], photo[y0:y1, x0:x1][inside])


@pytest.mark.parametrize(
    ("spoil", "warning"),
    [
        (lambda matte: np.roll(matte, 30, 1), "weak_edge"),
        (lambda matte: cv2.dilate(matte, np.ones((31, 31))), "weak_edge"),
        (lambda matte: cv2.erode(matte, np.ones((31, 31))), "incomplete"),
        (np.zeros_like, "nothing_found"),
        (lambda matte: np.full_like(matte, 255), "nothing_found"),
        (without_its_right, "incomplete"),
    ],
    ids=["shifted", "swollen", "shrunk", "empty", "nothing removed", "a third missing"],
)
def test_a_wrong_matte_is_refused_with_the_reason(spoil, warning: str) -> None:  # type: ignore[no-untyped-def]
    cutout = cut_by(studio_sofa()[0], spoil(true_matte()))
    assert not cutout.accepted and warning in cutout.warnings


def test_a_service_that_is_unsure_is_not_followed_even_where_its_matte_looks_good() -> None:
    cutout = cut_by(studio_sofa()[0], true_matte(), 0.8)
    assert (cutout.accepted, cutout.warnings) == (False, ["unsure"])


def test_a_busy_background_informs_for_that_is_why_the_service_was_asked() -> None:
    photo, truth = studio_sofa()
    blots = cv2.resize(np.random.default_rng(3).integers(60, 220, (14, 18, 3)).astype(np.uint8), (900, 700))
    busy = np.where(truth[..., None], photo, blots)
    cutout = cut_by(np.asarray(busy, np.uint8), true_matte())
    assert cutout.accepted and cutout.warnings == ["busy_background"]
    # A room is no studio: what is transparent tells nothing about its light.
    assert not cutout.rgba[cutout.rgba[..., 3] == 0].any()


def test_a_matte_is_read_as_grey_or_as_alpha_and_has_to_have_the_photos_size() -> None:
    matte = true_matte()
    height, width = matte.shape
    whole = np.dstack([studio_sofa()[0], matte])
    assert np.array_equal(decode_matte(encode_png(matte), width, height), matte)
    assert np.array_equal(decode_matte(encode_png(whole), width, height), matte)
    with pytest.raises(PhotoError, match="900 x 700 px, the photo 700 x 900 px"):
        decode_matte(encode_png(matte), height, width)
