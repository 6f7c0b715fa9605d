"""The light at a place follows the room's ceiling and windows; what stands in front hides a product."""

from dataclasses import replace

import numpy as np
import pytest

from imaging.compose import compose
from imaging.labels import REGION
from imaging.light import LUMINANCE, light_at, studio_level
from imaging.placement import Product
from imaging.room import Room
from imaging.sprite import Sprite, lit_by
from imaging.stance import flat_share
from tests.imaging.scenes import HEIGHT, WIDTH, drawn_room, read_drawn_room, sofa_cutout
from tests.imaging.test_compose import SIZED_SOFA, best_spot, sofa_in_room


def relabelled(part: tuple[slice, slice], label: REGION) -> Room:
    """The drawn room, read with another label in a part (fractions are of the region map)."""
    room = read_drawn_room()
    regions = room.regions.copy()
    regions[part] = label
    return replace(room, regions=regions)


def test_a_warm_room_lights_a_product_warmly() -> None:
    plain = drawn_room().pixels
    warm = np.clip(plain * np.array([1.0, 0.85, 0.6]), 0, 255).astype(np.uint8)
    spot, room = best_spot(SIZED_SOFA), read_drawn_room()
    neutral, lamp = light_at(plain, room, spot).gains, light_at(warm, room, spot).gains
    assert lamp[0] / lamp[2] > 1.3 * neutral[0] / neutral[2]
    assert lamp[0] / lamp[2] < 2.2**2


def test_the_lights_colour_is_read_below_what_nearly_clips() -> None:
    """A lamp's own glow on a ceiling is white in the photo, whatever its light is; the room below tells."""
    room, spot, pixels = read_drawn_room(), best_spot(SIZED_SOFA), drawn_room().pixels
    warm = np.clip(pixels * np.array([0.8, 0.7, 0.55]), 0, 255).astype(np.uint8)
    glow = warm.copy()
    glow[: HEIGHT // 12] = (240, 236, 226)
    without, beside = (light_at(each, room, spot).gains for each in (warm, glow))
    assert beside[0] / beside[2] > 0.65 * without[0] / without[2]


def test_a_dark_photo_lights_a_product_less() -> None:
    spot, room = best_spot(SIZED_SOFA), read_drawn_room()
    dim = (drawn_room().pixels * 0.6).astype(np.uint8)
    levels = [float(light_at(each, room, spot).gains @ LUMINANCE) for each in (drawn_room().pixels, dim)]
    assert levels[1] < 0.75 * levels[0]


def test_windows_in_view_leave_a_product_in_its_own_shade() -> None:
    pixels, spot = drawn_room().pixels.copy(), best_spot(SIZED_SOFA)
    height, width = read_drawn_room().regions.shape
    bright = slice(int(0.1 * height), int(0.35 * height)), slice(int(0.3 * width), int(0.7 * width))
    pixels[int(0.1 * HEIGHT) : int(0.35 * HEIGHT), int(0.3 * WIDTH) : int(0.7 * WIDTH)] = 250
    before = light_at(pixels, relabelled(bright, REGION.WALL), spot).gains @ LUMINANCE
    assert light_at(pixels, relabelled(bright, REGION.OPENING), spot).gains @ LUMINANCE < 0.8 * before


def in_front_of_the_sofa(right: float = 0.85) -> tuple[Room, tuple[slice, slice]]:
    """A thing nearer than the sofa's base, before its right half (to `right`) and down to the photo's edge."""
    box = best_spot(SIZED_SOFA).box
    height, width = read_drawn_room().regions.shape
    part = (
        slice(int((box[1] + 0.6 * (box[3] - box[1])) * height), height),
        slice(int((box[0] + 0.6 * (box[2] - box[0])) * width), int((box[0] + right * (box[2] - box[0])) * width)),
    )
    return relabelled(part, REGION.FURNITURE), part


def hidden_by(room: Room, part: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Photo with a blue thing in that part, our picture, the product's mask in it, and what is surely the thing."""
    pixels = drawn_room().pixels.copy()
    scale = HEIGHT / room.regions.shape[0]
    area = tuple(slice(round(side.start * scale), round(side.stop * scale)) for side in part)
    pixels[area] = (30, 60, 160)
    done = compose(pixels, room, sofa_cutout().rgba, SIZED_SOFA, best_spot(SIZED_SOFA))
    core = np.zeros(pixels.shape[:2], bool)
    core[area[0].start + 12 : area[0].stop, area[1].start + 12 : area[1].stop - 12] = True
    return pixels, done.pixels, done.product_mask, core


@pytest.fixture(scope="module")
def hidden() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return hidden_by(*in_front_of_the_sofa())


def test_what_stands_in_front_hides_the_product_and_its_shadow(hidden: tuple[np.ndarray, ...]) -> None:
    before, after, mask, core = hidden
    assert np.array_equal(after[core], before[core])
    assert not mask[core].any()
    assert (mask > 127).sum() > 0.5 * (sofa_in_room().product_mask > 127).sum()


def test_a_thing_that_reaches_beyond_the_product_hides_it_as_well() -> None:
    before, after, mask, core = hidden_by(*in_front_of_the_sofa(right=1.1))
    assert not mask[core].any() and (mask > 127).any()
    near = core & (np.arange(WIDTH) < (best_spot(SIZED_SOFA).box[2] + 0.02) * WIDTH)
    assert np.array_equal(after[near], before[near])


def test_the_top_of_a_thing_hides_though_it_was_read_as_floor_between_feet() -> None:
    room, part = in_front_of_the_sofa()
    regions = room.regions.copy()
    regions[part[0].start : part[0].start + 30, part[1]] = REGION.UNDER
    _, _, mask, core = hidden_by(replace(room, regions=regions), part)
    assert mask[core].mean() < 3


def test_what_stands_behind_hides_nothing() -> None:
    box = best_spot(SIZED_SOFA).box
    height, width = read_drawn_room().regions.shape
    behind = (
        slice(int(box[1] * height) - 20, int((box[1] + 0.4 * (box[3] - box[1])) * height)),
        slice(int(box[0] * width), int(box[2] * width)),
    )
    room = relabelled(behind, REGION.FURNITURE)
    done = compose(drawn_room().pixels, room, sofa_cutout().rgba, SIZED_SOFA, best_spot(SIZED_SOFA))
    assert (done.product_mask > 127).sum() == (sofa_in_room().product_mask > 127).sum()


def test_a_table_top_is_lit_more_than_what_stands_upright() -> None:
    light = light_at(drawn_room().pixels, read_drawn_room(), best_spot(SIZED_SOFA))
    upright, curved, table = (float(light.on(flat).gains @ LUMINANCE) for flat in (0.1, 0.34, 0.55))
    assert upright == curved == pytest.approx(float(light.gains @ LUMINANCE))
    assert 1.7 * upright < table < 2.3 * upright


def on_backdrop(colour: tuple[int, int, int]) -> np.ndarray:
    """The sofa's cutout as it would be from a photo before a backdrop of this colour."""
    rgba = sofa_cutout().rgba.copy()
    rgba[rgba[..., 3] == 0, :3] = colour
    return rgba


def test_a_product_from_an_overexposed_studio_is_lit_less() -> None:
    room, place = read_drawn_room(), best_spot(SIZED_SOFA)
    shown = {}
    for level in (0, 150, 255):
        done = compose(drawn_room().pixels, room, on_backdrop((level, level, level)), SIZED_SOFA, place)
        shown[level] = float(done.pixels[done.product_mask > 250].mean())
    # What is not known and what is grey change nothing.
    assert shown[150] == shown[0] and 0.78 * shown[0] < shown[255] < 0.9 * shown[0]


def test_a_white_sweep_lit_a_products_foot_and_a_floor_does_not() -> None:
    light = light_at(drawn_room().pixels, read_drawn_room(), best_spot(SIZED_SOFA))
    assert light.on(0.0, 1.0).low < 0.8 * light.on(0.0, 0.5).low == pytest.approx(0.8 * light.low)
    assert replace(light, low=1.0).on(0.0, 1.0).low == 1.0


def test_the_side_towards_the_lamp_is_brighter() -> None:
    room, place, pixels = read_drawn_room(), best_spot(SIZED_SOFA), drawn_room().pixels
    dark_left = (pixels * np.linspace(0.45, 1.0, WIDTH)[None, :, None]).astype(np.uint8)
    shown = []
    for photo in (dark_left, dark_left[:, ::-1]):
        assert abs(light_at(photo, room, place).side) <= 0.3
        lit = lit_by(
            Sprite(np.full((8, 9, 3), 128.0, np.float32), np.ones((8, 9), np.float32), 0, 0),
            light_at(photo, room, place),
        )
        shown.append(float(lit.colour[0, -1].mean() - lit.colour[0, 0].mean()))
    assert shown[0] > 8.0 and shown[1] < -8.0


def test_what_is_transparent_tells_a_studio_only_where_it_has_one_colour() -> None:
    assert studio_level(on_backdrop((255, 255, 255))) == pytest.approx(1.0)
    assert studio_level(on_backdrop((0, 0, 0))) is None
    photo = on_backdrop((255, 255, 255))
    photo[: len(photo) // 2][photo[: len(photo) // 2, :, 3] == 0, :3] = (120, 80, 60)
    assert studio_level(photo) is None
    assert studio_level(np.full((40, 40, 4), 255, np.uint8)) is None


def test_blown_windows_count_whatever_they_were_read_as() -> None:
    room, spot = read_drawn_room(), best_spot(SIZED_SOFA)
    blind = replace(room, regions=np.where(room.regions == REGION.OPENING, REGION.WALL, room.regions).astype(np.uint8))
    pixels = (drawn_room().pixels * 0.6).astype(np.uint8)
    calm = light_at(pixels, blind, spot).behind
    pixels[40:200, 300:640] = 250
    assert calm == 0.0 and light_at(pixels, blind, spot).behind > 0.8


def test_floor_that_was_read_as_a_thing_hides_nothing() -> None:
    room, _ = in_front_of_the_sofa()
    done = compose(drawn_room().pixels, room, sofa_cutout().rgba, SIZED_SOFA, best_spot(SIZED_SOFA))
    assert np.array_equal(done.product_mask, sofa_in_room().product_mask)


def test_a_low_table_shows_its_top_and_a_cupboard_does_not() -> None:
    room, shares = read_drawn_room(), []
    for size in ((1.1, 0.6, 0.4), (0.8, 0.4, 1.9)):
        product = Product(*size, "floor", size[0] / size[2])
        spot = best_spot(product)
        x0, y0, x1, y1 = np.array(spot.box) * [WIDTH, HEIGHT, WIDTH, HEIGHT]
        alpha = np.ones((round(y1 - y0), round(x1 - x0)), np.float32)
        sprite = Sprite(np.zeros((*alpha.shape, 3), np.float32), alpha, round(x0), round(y0))
        shares.append(flat_share(sprite, room, product, spot))
    assert shares[0] > 0.2 and shares[1] < 0.05
