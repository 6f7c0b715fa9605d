"""Each measure stays calm on a good composite and moves on the one fault that it is there for."""

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from imaging.compose import compose
from imaging.metrics import Measure, measure
from imaging.photo import decode, encode_jpeg
from tests.imaging.scenes import drawn_room, framed_print, read_drawn_room, sofa_cutout
from tests.imaging.test_compose import PRINT, SIZED_SOFA, best_spot, sofa_in_room

KEYS = [
    "inside_image", "on_support", "scale_error", "contact_gap", "outside_drift_p99", "outside_changed_share",
    "product_delta_e", "product_ssim", "silhouette_iou", "seam", "contact_shadow", "size_kept",
]  # fmt: skip
# (key, worst value that a good picture may have, whether more is worse)
LIMITS = {
    "inside_image": (0.97, False),
    "on_support": (0.8, False),
    "scale_error": (0.25, True),
    "contact_gap": (0.06, True),
    "outside_drift_p99": (8.0, True),
    "outside_changed_share": (0.02, True),
    "product_delta_e": (6.0, True),
    "product_ssim": (0.5, False),
    "silhouette_iou": (0.7, False),
    "seam": (8.0, True),
    "contact_shadow": (0.92, True),
    "size_kept": (1.0, False),
}


def measured(pixels: np.ndarray, mask: np.ndarray) -> dict[str, float | None]:
    found = measure(
        decode(encode_jpeg(pixels)),
        drawn_room().pixels,
        read_drawn_room(),
        sofa_cutout().rgba,
        SIZED_SOFA,
        best_spot(SIZED_SOFA),
        mask,
    )
    return {each.key: each.value for each in found}


@cache
def good() -> dict[str, float | None]:
    done = sofa_in_room()
    return measured(done.pixels, done.product_mask)


def passes(key: str, value: float | None) -> bool:
    limit, more_is_worse = LIMITS[key]
    return value is not None and (value <= limit if more_is_worse else value >= limit)


def test_the_keys_are_always_the_same() -> None:
    assert list(good()) == KEYS


@pytest.mark.parametrize("key", KEYS)
def test_our_own_composite_passes(key: str) -> None:
    assert passes(key, good()[key]), good()[key]


def moved(box_change: tuple[float, float, float, float]) -> dict[str, float | None]:
    """A composite whose product is drawn elsewhere or otherwise than its placement says."""
    spot = best_spot(SIZED_SOFA)
    wrong = replace(spot, box=tuple(a + b for a, b in zip(spot.box, box_change, strict=True)))
    done = compose(drawn_room().pixels, read_drawn_room(), sofa_cutout().rgba, SIZED_SOFA, wrong)
    return measured(done.pixels, done.product_mask)


def test_a_floating_product_has_a_contact_gap() -> None:
    height = best_spot(SIZED_SOFA).box[3] - best_spot(SIZED_SOFA).box[1]
    assert not passes("contact_gap", moved((0.0, -0.12 * height, 0.0, -0.12 * height))["contact_gap"])


def test_a_product_of_the_wrong_size_has_a_scale_error() -> None:
    spot = best_spot(SIZED_SOFA).box
    width, height = spot[2] - spot[0], spot[3] - spot[1]
    found = moved((-0.25 * width, -0.5 * height, 0.25 * width, 0.0))
    assert found["scale_error"] == pytest.approx(0.5, abs=0.06)
    assert not passes("silhouette_iou", found["silhouette_iou"])


def test_a_recoloured_product_is_another_colour() -> None:
    rgba = sofa_cutout().rgba.copy()
    rgba[..., :3] = rgba[..., [1, 0, 2]]
    done = compose(drawn_room().pixels, read_drawn_room(), rgba, SIZED_SOFA, best_spot(SIZED_SOFA))
    assert not passes("product_delta_e", measured(done.pixels, done.product_mask)["product_delta_e"])


def test_a_darker_picture_of_the_same_product_is_not_another_colour() -> None:
    rgba = sofa_cutout().rgba.copy()
    rgba[..., :3] = (rgba[..., :3] * 0.8).astype(np.uint8)
    done = compose(drawn_room().pixels, read_drawn_room(), rgba, SIZED_SOFA, best_spot(SIZED_SOFA))
    assert passes("product_delta_e", measured(done.pixels, done.product_mask)["product_delta_e"])


def test_a_shadowless_product_leaves_all_the_light() -> None:
    done = sofa_in_room(shadow=0)
    assert not passes("contact_shadow", measured(done.pixels, done.product_mask)["contact_shadow"])


def test_a_halo_shows_in_the_seam() -> None:
    done = sofa_in_room()
    solid = (done.product_mask > 127).astype(np.uint8)
    rim = (cv2.dilate(solid, np.ones((3, 3))) - cv2.erode(solid, np.ones((3, 3)))) > 0
    pixels = done.pixels.copy()
    pixels[rim] = 255
    assert not passes("seam", measured(pixels, done.product_mask)["seam"])


def test_a_changed_room_drifts() -> None:
    done = sofa_in_room()
    brighter = np.clip(done.pixels.astype(int) + 12, 0, 255).astype(np.uint8)
    found = measured(brighter, done.product_mask)
    assert not passes("outside_drift_p99", found["outside_drift_p99"])
    assert not passes("outside_changed_share", found["outside_changed_share"])


def test_another_size_is_noticed_and_nothing_else_is_guessed() -> None:
    done = sofa_in_room()
    small = cv2.resize(done.pixels, (640, 480))
    found = measured(small, done.product_mask)
    assert found["size_kept"] == 0.0
    assert found["seam"] is None and list(found) == KEYS


def test_an_empty_mask_measures_nothing_of_the_product() -> None:
    done = sofa_in_room()
    found = measured(done.pixels, np.zeros_like(done.product_mask))
    assert found["product_ssim"] is None and found["size_kept"] == 1.0


def test_wall_art_is_measured_too() -> None:
    spot = best_spot(PRINT)
    done = compose(drawn_room().pixels, read_drawn_room(), framed_print(), PRINT, spot)
    found: list[Measure] = measure(
        done.pixels, drawn_room().pixels, read_drawn_room(), framed_print(), PRINT, spot, done.product_mask
    )
    values = {each.key: each for each in found}
    assert values["contact_gap"].value is None and "does not apply" in values["contact_gap"].note
    wanted = [key for key in KEYS if key != "contact_gap"]
    assert [key for key in wanted if not passes(key, values[key].value)] == []
