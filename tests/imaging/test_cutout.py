"""Cutouts of drawn studio photos with a known outline, and the refusals."""

from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from bench.products import backdrops, drawn, set_before
from imaging.cutout import cut_out
from imaging.matting import fill_in, foreground, solve_alpha
from imaging.photo import PRODUCT_LIMITS, open_photo
from tests.imaging.scenes import sofa_cutout, studio_sofa


def whole_alpha(cutout, shape) -> np.ndarray:
    full = np.zeros(shape, np.uint8)
    x0, y0, x1, y1 = cutout.crop
    full[y0:y1, x0:x1] = cutout.rgba[..., 3]
    return full


def test_a_product_on_a_sweep_is_cut_out_without_its_shadow() -> None:
    truth = studio_sofa()[1]
    cutout = sofa_cutout()
    found = whole_alpha(cutout, truth.shape) > 127
    assert cutout.accepted and cutout.warnings == []
    assert (found & truth).sum() / (found | truth).sum() > 0.97
    assert found[505:525, 300:600].mean() < 0.02


def test_the_crop_is_tight_and_matches_the_rgba() -> None:
    cutout = sofa_cutout()
    x0, y0, x1, y1 = cutout.crop
    assert cutout.rgba.shape == (y1 - y0, x1 - x0, 4)
    assert abs(x0 - 130) < 8 and abs(x1 - 770) < 8 and abs(y0 - 230) < 8 and abs(y1 - 531) < 8


def test_edge_pixels_carry_the_products_colour_not_the_backdrops() -> None:
    rgba = sofa_cutout().rgba
    soft = (rgba[..., 3] > 20) & (rgba[..., 3] < 200)
    assert soft.sum() > 50
    assert np.median(rgba[soft][:, :3].max(axis=1)) < 170


def test_what_is_transparent_has_the_backdrops_one_colour() -> None:
    photo, _ = studio_sofa()
    rgba = sofa_cutout().rgba
    hidden = rgba[rgba[..., 3] == 0][:, :3]
    assert len(hidden) > 50 and (hidden == hidden[0]).all()
    assert np.abs(hidden[0].astype(int) - np.median(photo[:30].reshape(-1, 3), axis=0)).max() < 12


def test_a_merchants_own_alpha_is_kept() -> None:
    photo, truth = studio_sofa()
    alpha = np.where(truth, 255, 0).astype(np.uint8)
    cutout = cut_out(photo, alpha)
    assert cutout.accepted and cutout.signals == {"merchant_alpha": 1.0}
    assert np.array_equal(whole_alpha(cutout, truth.shape), alpha)


def test_a_merchants_own_colours_are_kept_to_the_level() -> None:
    rng = np.random.default_rng(5)
    colours = rng.integers(0, 255, (80, 60, 3)).astype(np.uint8)
    alpha = np.zeros((80, 60), np.uint8)
    alpha[10:70, 10:50] = rng.integers(1, 255, (60, 40))
    cutout = cut_out(colours, alpha)
    x0, y0, x1, y1 = cutout.crop
    assert np.array_equal(cutout.rgba[..., :3], colours[y0:y1, x0:x1] * (alpha[y0:y1, x0:x1] > 0)[..., None])
    assert np.array_equal(cutout.rgba[..., 3], alpha[y0:y1, x0:x1])


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_every_kind_of_transparent_png_keeps_its_alpha(mode: str) -> None:
    height, width, inside = 450, 600, np.s_[100:350, 150:500]
    rgba = np.zeros((height, width, 4), np.uint8)
    rgba[inside] = (90, 90, 90, 255)
    image = Image.fromarray(rgba)
    if mode == "LA":
        image = image.convert("LA")
    if mode == "P":
        image = Image.fromarray((rgba[..., 3] > 0).astype(np.uint8), "P")
        image.putpalette([0, 0, 0, 90, 90, 90])
        image.info["transparency"] = 0
    out = BytesIO()
    image.save(out, "PNG")
    photo = open_photo(out.getvalue(), PRODUCT_LIMITS, keep_alpha=True)
    cutout = cut_out(photo.pixels, photo.alpha)
    assert cutout.signals == {"merchant_alpha": 1.0} and cutout.crop == (150, 100, 500, 350)
    assert (cutout.rgba == (90, 90, 90, 255)).all()


def test_a_nearly_opaque_alpha_is_ignored() -> None:
    photo, truth = studio_sofa()
    cutout = cut_out(photo, np.full(truth.shape, 251, np.uint8))
    found = whole_alpha(cutout, truth.shape) > 127
    assert cutout.accepted and (found & truth).sum() / (found | truth).sum() > 0.97


def test_an_alpha_that_covers_everything_says_nothing() -> None:
    photo, truth = studio_sofa()
    cutout = cut_out(photo, np.full(truth.shape, 255, np.uint8))
    assert "merchant_alpha" not in cutout.signals


def test_a_gap_between_legs_stays_open() -> None:
    photo, truth = studio_sofa()
    ring = photo.copy()
    ring[300:400, 300:600] = photo[5:105, 300:600]
    alpha = whole_alpha(cut_out(ring), truth.shape)
    assert alpha[320:380, 330:570].max() < 30


def test_a_cluttered_background_is_refused() -> None:
    rng = np.random.default_rng(4)
    photo = np.kron(rng.integers(0, 255, (14, 18, 3)), np.ones((50, 50, 1))).astype(np.uint8)
    cutout = cut_out(photo)
    assert not cutout.accepted
    assert "busy_background" in cutout.warnings


def test_white_on_white_is_refused() -> None:
    photo = np.full((600, 600, 3), 250, np.uint8)
    photo[200:400, 200:400] = 247
    cutout = cut_out(photo)
    assert not cutout.accepted
    assert {"weak_edge", "nothing_found"} & set(cutout.warnings)


def test_a_product_cut_off_by_the_photo_is_cut_out_with_a_warning() -> None:
    photo = np.full((600, 600, 3), 250, np.uint8)
    photo[100:600, 150:450] = (40, 90, 160)
    cutout = cut_out(photo)
    assert cutout.accepted and cutout.warnings == ["touches_border"]
    assert abs(int((cutout.rgba[..., 3] > 127).sum()) - 300 * 500) < 2000


def test_two_products_are_warned_of() -> None:
    photo = np.full((600, 600, 3), 250, np.uint8)
    photo[200:400, 60:240] = photo[200:400, 360:540] = (40, 90, 160)
    assert cut_out(photo).warnings == ["several_products"]


def test_a_badge_in_the_corner_is_left_out_and_warned_of() -> None:
    photo = studio_sofa()[0].copy()
    cv2.circle(photo, (810, 80), 55, (220, 20, 40), -1)
    cutout = cut_out(photo)
    assert cutout.accepted and cutout.warnings == ["text_or_badge"]
    assert cutout.crop[1] > 200, "the badge is no part of the product"


def test_lettering_is_warned_of() -> None:
    photo = studio_sofa()[0].copy()
    cv2.putText(photo, "BESTSELLER", (250, 640), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (20, 20, 20), 3, cv2.LINE_AA)
    assert "text_or_badge" in cut_out(photo).warnings


def test_an_empty_photo_is_refused() -> None:
    cutout = cut_out(np.full((600, 600, 3), 255, np.uint8))
    assert not cutout.accepted and "nothing_found" in cutout.warnings


def test_a_tiny_product_is_warned_of() -> None:
    photo = np.full((400, 400, 3), 250, np.uint8)
    photo[140:260, 140:260] = (40, 90, 160)
    assert "low_resolution" in cut_out(photo).warnings


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("spindle_chair", 0.95),
        ("leafy_plant", 0.95),
        ("floor_lamp", 0.95),
        ("wire_table", 0.95),
        ("mesh_basket", 0.95),
    ],
)
def test_thin_parts_and_the_gaps_between_them_are_kept(name: str, least: float) -> None:
    subject = drawn(name, 700)
    photo = set_before(subject, backdrops(700, 700)["white"], quality=90, shadow=0.4, seed=3)
    found = whole_alpha(cut_out(photo), subject.alpha.shape) > 127
    truth = subject.alpha > 0.5
    assert (found & truth).sum() / (found | truth).sum() > least


@pytest.mark.parametrize("ground", ["white", "vignette"])
def test_what_a_shadow_falls_on_inside_a_ring_is_no_product(ground: str) -> None:
    subject = drawn("ring_mirror", 700)
    photo = set_before(subject, backdrops(700, 700)[ground], quality=85, shadow=0.6, seed=3)
    found = whole_alpha(cut_out(photo), subject.alpha.shape) > 127
    assert found[230:470, 230:470].mean() < 0.01, "the hole is open, its shadow too"
    assert (found & (subject.alpha > 0.5)).sum() / (found | (subject.alpha > 0.5)).sum() > 0.95


@pytest.mark.parametrize("name", ["white_vase", "white_cabinet"])
def test_white_on_white_is_whole_or_refused(name: str) -> None:
    subject = drawn(name, 900)
    cutout = cut_out(set_before(subject, backdrops(900, 900)["white"], quality=85, shadow=0.35, seed=3))
    found = whole_alpha(cutout, subject.alpha.shape) > 127
    assert not cutout.accepted or (found & (subject.alpha > 0.5)).sum() / (found | (subject.alpha > 0.5)).sum() > 0.9


@pytest.mark.parametrize(("ground", "quality", "seed"), [("white", 90, 3), ("vignette", 75, 1305)])
def test_a_print_keeps_its_white_mat(ground: str, quality: int, seed: int) -> None:
    subject = drawn("framed_print", 900)
    photo = set_before(subject, backdrops(900, 900)[ground], quality=quality, shadow=0.7, seed=seed)
    found = whole_alpha(cut_out(photo), subject.alpha.shape) > 127
    assert found[180:700, 270:630].mean() > 0.98


def test_a_hole_is_told_by_what_is_beside_it_where_a_wall_meets_a_floor() -> None:
    photo = np.full((700, 700, 3), 150, np.uint8)
    photo[330:] = 215
    photo[120:600, 150:550] = (150, 96, 60)
    photo[180:320, 210:490], photo[345:540, 210:490] = 150, 215
    alpha = whole_alpha(cut_out(photo), (700, 700))
    assert alpha[200:300, 230:470].max() < 30 and alpha[365:520, 230:470].max() < 30


def test_a_white_chair_on_white_is_found_by_its_faint_edges() -> None:
    subject = drawn("slat_chair", 900)
    cutout = cut_out(set_before(subject, backdrops(900, 900)["sweep"], quality=95, shadow=0.7, seed=1503))
    found, truth = whole_alpha(cutout, subject.alpha.shape) > 127, subject.alpha > 0.5
    assert cutout.accepted and cutout.signals["faint_edges"] == 1.0
    assert (found & truth).sum() / (found | truth).sum() > 0.9


def test_the_pale_plate_under_a_stem_is_no_hole() -> None:
    subject = drawn("arc_lamp", 900)
    photo = set_before(subject, backdrops(900, 900)["off_white"], quality=85, shadow=0.7, seed=1401)
    found, truth = whole_alpha(cut_out(photo), subject.alpha.shape) > 127, subject.alpha > 0.5
    assert found[truth].mean() > 0.97 and found[790:820, 250:345][truth[790:820, 250:345]].mean() > 0.95


def test_a_pale_shade_that_leaked_away_by_a_gap_in_its_rim_is_refused() -> None:
    subject = drawn("floor_lamp", 900)
    cutout = cut_out(set_before(subject, backdrops(900, 900)["beige_spot"], quality=85, shadow=0.35, seed=506))
    assert "weak_edge" in cutout.warnings


def test_no_backdrop_shines_through_at_the_edge() -> None:
    subject = drawn("spindle_chair", 700)
    rgba = cut_out(set_before(subject, backdrops(700, 700)["white"], quality=95, shadow=0.3, seed=1)).rgba
    soft = (rgba[..., 3] > 60) & (rgba[..., 3] < 220)
    assert soft.sum() > 300
    assert np.percentile(rgba[soft][:, :3].max(axis=1), 95) < 120, "black wood before white keeps black edges"


SOFT_EDGE = np.clip((np.arange(120) - 50) / 4.0, 0, 1).astype(np.float32)[None].repeat(60, axis=0)
MIXED = np.rint(
    np.array([30.0, 120.0, 200.0]) * SOFT_EDGE[..., None] + np.array([240.0, 230.0, 60.0]) * (1 - SOFT_EDGE[..., None])
).astype(np.uint8)


def test_matting_recovers_a_soft_edge() -> None:
    solved, _, _ = solve_alpha(MIXED, SOFT_EDGE > 0.5, 4)
    assert np.abs(solved - SOFT_EDGE).max() < 0.06


def test_foreground_colours_are_unmixed() -> None:
    found = foreground(MIXED, SOFT_EDGE)
    half = (SOFT_EDGE > 0.2) & (SOFT_EDGE < 0.9)
    assert np.abs(found[half].astype(float) - [30, 120, 200]).mean() < 12


def test_a_field_is_continued_smoothly_into_what_is_unknown() -> None:
    ramp = np.linspace(100, 140, 64, dtype=np.float32)[None, :, None].repeat(64, axis=0).repeat(3, axis=2)
    known = np.ones((64, 64), np.float32)
    known[20:44, 20:44] = 0
    assert np.abs(fill_in(np.where(known[..., None] > 0, ramp, 0), known) - ramp).max() < 4


@pytest.mark.parametrize("side", [300, 1900])
def test_small_and_large_photos_keep_their_own_resolution(side: int) -> None:
    photo = np.full((side, side, 3), 245, np.uint8)
    quarter = side // 4
    photo[quarter : 3 * quarter, quarter : 3 * quarter] = (60, 90, 160)
    cutout = cut_out(photo)
    assert abs(cutout.rgba.shape[0] - 2 * quarter) < 8


def test_the_line_between_a_wall_and_a_floor_is_no_product() -> None:
    photo = np.full((700, 900, 3), (206, 201, 191), np.uint8)
    photo[350:] = (146, 116, 86)
    photo += np.random.default_rng(0).integers(0, 6, photo.shape, np.uint8)
    cutout = cut_out(photo)
    assert not cutout.accepted and "nothing_found" in cutout.warnings


def test_a_coloured_products_grey_legs_are_no_shadow() -> None:
    photo = np.full((800, 800, 3), 246, np.uint8)
    photo[250:500, 150:650] = (62, 84, 138)
    photo[500:650, 200:240] = photo[500:650, 560:600] = (176, 176, 174)
    alpha = whole_alpha(cut_out(photo), (800, 800))
    assert alpha[520:640, 205:235].min() > 200 and alpha[520:640, 565:595].min() > 200


@pytest.mark.parametrize(("shade", "accepted"), [((244, 243, 241), False), ((120, 84, 60), True)])
def test_a_part_that_was_lost_on_a_pale_ground_refuses_the_cutout(shade: tuple[int, int, int], accepted: bool) -> None:
    photo = np.full((800, 800, 3), 250, np.uint8)
    photo[200:560, 180:420] = (238, 237, 234)
    rows, columns = np.mgrid[0:800, 0:800]
    photo[(rows % 40 < 30) & (columns > 560) & (columns < 590) & (rows > 150) & (rows < 650)] = shade
    cutout = cut_out(photo)
    assert ("weak_edge" not in cutout.warnings) == accepted
