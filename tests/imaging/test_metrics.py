"""The gate lets good composites through and refuses each kind of break; each measure moves on its own fault."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from bench.breaking import KINDS, SWEEPS, Picture
from bench.gate import REASONS, kind_of, library_gate
from imaging.colour import luma
from imaging.compose import compose
from imaging.evidence import Evidence
from imaging.expected import expected_sprite, in_photo, other_side
from imaging.likeness import seam
from imaging.metrics import Measure, measure, seek_product
from imaging.photo import decode, encode_jpeg
from imaging.seen import aligned, find_product
from imaging.sharpness import detail_kept
from irschemas.metrics import GateResult, MetricValue, grade
from tests.imaging.scenes import drawn_room, framed_print, read_drawn_room, sofa_cutout
from tests.imaging.test_compose import PRINT, SIZED_SOFA, best_spot, sofa_in_room

KEYS = [
    "inside_image", "on_support", "scale_error", "aspect_error", "contact_gap",
    "outside_drift", "outside_changed_share",
    "product_found", "product_complete", "second_product", "product_delta_e", "product_ssim", "sharpness", "edge_blur",
    "place_iou", "silhouette_iou", "seam", "contact_shadow", "size_kept",
    "frame_residual", "tone_shift", "guide_change",
]  # fmt: skip
# The measure that has to notice each break; the drawn sofa is nearly symmetrical and even, so it cannot look mirrored.
NOTICED_BY = {
    "floating": "contact_gap",
    "twice too large": "scale_error",
    "half as large": "scale_error",
    "flattened": "aspect_error",
    "recoloured": "product_delta_e",
    "duplicated": "outside_drift",
    "missing": "product_complete",
    "cropped": "silhouette_iou",
    "haloed": "seam",
    "shadowless": "contact_shadow",
    "room brighter": "outside_drift",
    "room altered": "outside_changed_share",
    "another size": "size_kept",
}


def made() -> Picture:
    done = sofa_in_room()
    return Picture(done.pixels, done.product_mask)


@cache
def measured(kind: str = "", told: bool = True) -> tuple[Measure, ...]:
    """Measures of our composite, broken as asked; `told` hands its mask in, as our own engine does."""
    picture = KINDS[kind](drawn_room().pixels, made()) if kind else made()
    sent, mask = decode(encode_jpeg(picture.pixels)), picture.mask if told else None
    room, spot = read_drawn_room(), best_spot(SIZED_SOFA)
    return tuple(measure(sent, drawn_room().pixels, room, sofa_cutout().rgba, SIZED_SOFA, spot, mask))


def judged(kind: str = "", told: bool = True) -> GateResult:
    values = [MetricValue(each.key, each.value, applies=each.asked) for each in measured(kind, told)]
    return grade(library_gate(), values)


def figure(found: Iterable[Measure], key: str) -> float:
    number = {each.key: each.value for each in found}[key]
    assert number is not None
    return number


@pytest.mark.parametrize("told", [True, False], ids=["told", "sought"])
def test_our_own_composite_passes(told: bool) -> None:
    assert [each.key for each in measured("", told)] == KEYS
    assert judged("", told).summary() == "Every required metric passed."


@pytest.mark.parametrize("kind", NOTICED_BY)
def test_a_broken_picture_is_refused_for_its_fault(kind: str) -> None:
    assert NOTICED_BY[kind] in judged(kind).failed_keys


@pytest.mark.parametrize("kind", [kind for kind in NOTICED_BY if kind not in ("cropped", "haloed")])
def test_a_models_broken_picture_is_refused_too(kind: str) -> None:
    assert not judged(kind, told=False).passed


@pytest.mark.parametrize("told", [True, False], ids=["pasted", "sought"])
def test_a_product_out_of_focus_is_told_by_its_details_or_its_edges(told: bool) -> None:
    spot, key = best_spot(PRINT), "sharpness" if told else "edge_blur"
    done = compose(drawn_room().pixels, read_drawn_room(), framed_print(), PRINT, spot)
    good = Picture(done.pixels, done.product_mask)
    levels = SWEEPS["blurred by, px"]
    sharp, soft, blurred = (
        figure(
            measure(each.pixels, drawn_room().pixels, read_drawn_room(), framed_print(), PRINT, spot,
                    each.mask if told else None), key)
        for each in (good, *(levels[level](drawn_room().pixels, good) for level in ("1.5", "3")))
    )  # fmt: skip
    if told:
        assert sharp > 0.9 and soft < 0.7 * sharp and blurred < 0.7 * soft
    else:
        assert sharp < 0.5 and soft > sharp + 0.3 and blurred > soft + 0.3


def test_grain_is_no_detail_and_no_blur() -> None:
    own = cv2.GaussianBlur(np.random.default_rng(3).normal(120, 60, (90, 120, 3)), (0, 0), 0.8)
    own = np.clip(own, 0, 255).astype(np.uint8)
    inside = np.ones(own.shape[:2], np.float32)
    noisy = np.clip(own * 0.5 + np.random.default_rng(4).normal(0, 6, own.shape), 0, 255).astype(np.uint8)
    assert detail_kept(noisy, own, inside) == pytest.approx(1.0, abs=0.1)
    assert (detail_kept(cv2.GaussianBlur(noisy, (0, 0), 1.5), own, inside) or 0.0) < 0.5
    assert detail_kept(np.full_like(own, 90), np.full_like(own, 120), inside) is None, "nothing to tell by"


def test_likeness_in_detail_is_not_asked_of_a_model() -> None:
    asked = {each.key: each.asked for each in measured("", told=False)}
    assert not asked["product_ssim"] and asked["product_found"]
    told = {each.key: each.asked for each in measured()}
    assert told["product_ssim"] and not told["product_found"]


def test_a_sought_product_is_found_where_it_is() -> None:
    picture = made()
    rows, columns = np.nonzero(picture.mask > 127)
    true = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    away = float(true[0] + 40), float(true[1] - 50), float(true[2] + 10), float(true[3] - 30)
    fit = find_product(picture.pixels, drawn_room().pixels, sofa_cutout().rgba, np.full(3, 0.6, np.float32), away)
    assert np.abs(np.array(fit.box) - true).max() < 0.08 * (true[2] - true[0])


def test_a_product_turned_as_asked_is_sought_by_that_side() -> None:
    room, spot = read_drawn_room(), best_spot(SIZED_SOFA)
    turned = replace(spot, yaw_deg=spot.yaw_deg + 85.0)
    block = other_side(room, sofa_cutout().rgba, SIZED_SOFA, turned)
    assert block is not None and other_side(room, sofa_cutout().rgba, SIZED_SOFA, spot) is None
    front = expected_sprite(room, sofa_cutout().rgba, SIZED_SOFA, turned)
    gains = np.full(3, 0.6, np.float32)
    for side, shown in enumerate((front, block)):
        picture = drawn_room().pixels.copy()
        where = in_photo(shown, picture.shape) > 127
        picture[where] = [40, 90, 70]
        assert seek_product(picture, drawn_room().pixels, [front, block], gains).side == side


def test_a_shadow_on_boards_is_the_room_and_a_dark_plate_is_not() -> None:
    room = drawn_room().pixels[480:700, 100:400]
    patch = np.s_[60:160, 80:220]
    shade, thing = room.copy(), room.copy()
    shade[patch] = (room[patch] * 0.55).astype(np.uint8)
    thing[patch] = [52, 60, 84]
    nothing = np.zeros((0, 3), np.float32)
    seen = [Evidence.of(each, room, nothing).thing[patch].mean() for each in (shade, thing)]
    assert seen[0] < 0.1 and seen[1] > 0.8


def test_a_large_photo_is_measured_like_a_small_one() -> None:
    done, room, spot = sofa_in_room(), read_drawn_room(), best_spot(SIZED_SOFA)
    large = [cv2.resize(each, (1920, 1440), interpolation=cv2.INTER_CUBIC)
             for each in (done.pixels, drawn_room().pixels, done.product_mask)]  # fmt: skip
    wide = replace(room, width=1920, height=1440, focal_px=room.focal_px * 2)
    near = replace(spot, px_per_m=spot.px_per_m * 2)
    found = {
        each.key: each for each in measure(large[0], large[1], wide, sofa_cutout().rgba, SIZED_SOFA, near, large[2])
    }
    before = {each.key: each for each in measured()}
    for key in ("scale_error", "aspect_error", "contact_gap", "product_complete", "place_iou", "contact_shadow"):
        assert found[key].value == pytest.approx(before[key].value, abs=0.03), key


def test_a_room_in_less_light_everywhere_shows_nothing_new() -> None:
    room = drawn_room().pixels[480:700, 100:400]
    dimmer = (room * 0.7).astype(np.uint8)
    assert not Evidence.of(dimmer, room, np.full((1, 3), 0.2, np.float32)).own.any()


def test_every_break_and_every_sweep_is_meant_by_a_measure() -> None:
    kinds = {*KINDS, *(kind_of(name) for name in SWEEPS)}
    assert kinds == set(REASONS)
    assert set().union(*REASONS.values()) <= set(KEYS)


def test_a_picture_that_slipped_is_moved_back() -> None:
    room = drawn_room().pixels
    slipped = np.roll(room, (3, -5), axis=(0, 1))
    away, back = (np.abs(each[60:-60, 60:-60].astype(int) - room[60:-60, 60:-60]).mean()
                  for each in (slipped, aligned(slipped, room)))  # fmt: skip
    assert back < 0.5 * away


def test_a_darker_picture_of_the_same_product_is_not_another_colour() -> None:
    rgba = sofa_cutout().rgba.copy()
    rgba[..., :3] = (rgba[..., :3] * 0.8).astype(np.uint8)
    room, spot = read_drawn_room(), best_spot(SIZED_SOFA)
    done = compose(drawn_room().pixels, room, rgba, SIZED_SOFA, spot)
    found = measure(done.pixels, drawn_room().pixels, room, sofa_cutout().rgba, SIZED_SOFA, spot, done.product_mask)
    assert figure(found, "product_delta_e") < 3.0


def test_another_size_is_noticed_and_nothing_else_is_guessed() -> None:
    found = {each.key: each.value for each in measured("another size")}
    assert found["size_kept"] == 0.0 and found["seam"] is None


def test_an_empty_mask_measures_nothing_of_the_product() -> None:
    done = sofa_in_room()
    room, spot = read_drawn_room(), best_spot(SIZED_SOFA)
    empty = np.zeros_like(done.product_mask)
    found = measure(done.pixels, drawn_room().pixels, room, sofa_cutout().rgba, SIZED_SOFA, spot, empty)
    values = {each.key: each.value for each in found}
    assert values["product_ssim"] is None and values["size_kept"] == 1.0


def test_wall_art_is_measured_too() -> None:
    spot = best_spot(PRINT)
    done = compose(drawn_room().pixels, read_drawn_room(), framed_print(), PRINT, spot)
    found = measure(done.pixels, drawn_room().pixels, read_drawn_room(), framed_print(), PRINT, spot, done.product_mask)
    values = {each.key: each for each in found}
    assert values["contact_gap"].value is None and "does not apply" in values["contact_gap"].note
    gate = grade(library_gate(), [MetricValue(each.key, each.value, applies=each.asked) for each in found])
    assert gate.passed, gate.summary()


def test_a_halo_is_seen_in_dark_and_in_pale_rooms() -> None:
    done, solid = sofa_in_room(), (sofa_in_room().product_mask > 127).astype(np.uint8)
    rim = (cv2.dilate(solid, np.ones((3, 3))) - cv2.erode(solid, np.ones((3, 3)))) > 0
    for shade in (0, 255):
        pixels = done.pixels.copy()
        pixels[rim] = shade
        room, spot = read_drawn_room(), best_spot(SIZED_SOFA)
        found = measure(pixels, drawn_room().pixels, room, sofa_cutout().rgba, SIZED_SOFA, spot, done.product_mask)
        assert figure(found, "seam") > 4.0


def test_a_thin_dark_pole_is_no_fringe_and_a_halo_around_its_foot_is_one() -> None:
    mask = np.zeros((200, 160), np.uint8)
    mask[20:150, 77:83] = 255
    mask[150:180, 50:110] = 255
    picture = np.full((200, 160, 3), 205, np.uint8)
    picture[mask > 0] = 40
    assert seam(picture, mask) == 0.0
    rim = cv2.dilate(mask, np.ones((5, 5), np.uint8)) - mask
    assert seam(np.where(rim[..., None] > 0, np.uint8(250), picture), mask) > 10.0
    pole = np.where(np.arange(200)[:, None] < 140, mask, 0).astype(np.uint8)
    assert seam(picture, pole) is None, "nothing of it is wide enough to have an inside"


def test_the_narrow_frame_of_a_print_is_no_fringe_where_its_cutout_has_one() -> None:
    picture, mask = np.full((160, 140, 3), 205, np.uint8), np.zeros((160, 140), np.uint8)
    picture[30:130, 30:110], mask[30:130, 30:110] = 30, 255
    picture[32:128, 32:108] = 235
    own = luma(picture), mask > 0
    assert (seam(picture, mask) or 0.0) > 10.0 and seam(picture, mask, own) == 0.0
    haloed = picture.copy()
    cv2.rectangle(haloed, (29, 29), (110, 130), (255, 255, 255), 2)
    assert (seam(haloed, mask, own) or 0.0) > 7.0
