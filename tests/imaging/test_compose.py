"""Composites over the drawn room: what changes, what must not, and that every byte is repeatable."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from imaging.colour import to_linear
from imaging.compose import Composite, PlacementOutside, compose
from imaging.placement import Placement, Product, judge, propose
from imaging.scene import wall_corners, wall_middle
from imaging.sprite import Sprite, flat_corners, grained, noise_level, resized_sprite
from tests.imaging.scenes import HEIGHT, SOFA, WIDTH, drawn_room, framed_print, read_drawn_room, sofa_cutout

PRINT = Product(0.6, 0.03, 0.8, "wall", 0.75)
SIZED_SOFA = replace(SOFA, aspect=sofa_cutout().rgba.shape[1] / sofa_cutout().rgba.shape[0])


def best_spot(product: Product) -> Placement:
    room = read_drawn_room()
    found = propose(room, product, params={"max_candidates": 80})
    verdicts = judge(room, product, found)
    best = max((verdict for verdict in verdicts if verdict.accepted), key=lambda verdict: verdict.score)
    return next(each for each in found if each.id == best.placement_id)


def sofa_in_room(**params: object) -> Composite:
    room = read_drawn_room()
    return compose(drawn_room().pixels, room, sofa_cutout().rgba, SIZED_SOFA, best_spot(SIZED_SOFA), params)


def changed(done: Composite) -> NDArray[np.bool_]:
    return np.asarray((done.pixels != drawn_room().pixels).any(axis=2))


def test_pixels_outside_product_and_shadow_are_the_rooms_own() -> None:
    done, top = sofa_in_room(), best_spot(SIZED_SOFA).box[1]
    assert done.pixels.shape == drawn_room().pixels.shape and done.pixels.dtype == np.uint8
    assert 0.05 < changed(done).mean() < 0.6
    assert not changed(done)[: round((top - 0.1) * HEIGHT)].any()


def test_the_room_given_in_is_not_changed() -> None:
    before = drawn_room().pixels.copy()
    sofa_in_room()
    assert np.array_equal(before, drawn_room().pixels)


def test_the_product_fills_its_box() -> None:
    done, box = sofa_in_room(), best_spot(SIZED_SOFA).box
    rows, columns = np.nonzero(done.product_mask > 127)
    found = np.array(
        [columns.min() / WIDTH, rows.min() / HEIGHT, (columns.max() + 1) / WIDTH, (rows.max() + 1) / HEIGHT]
    )
    assert np.abs(found - box).max() < 0.012


def test_the_floor_beside_the_feet_is_darker_than_before() -> None:
    done, before = sofa_in_room(), drawn_room().pixels
    rows, columns = np.nonzero(done.product_mask > 127)
    strip = slice(rows.max() - 12, rows.max() + 6), slice(columns.min() + 30, columns.max() - 30)
    bare = done.product_mask[strip] == 0
    ratio = done.pixels[strip][bare].mean() / before[strip][bare].mean()
    assert ratio < 0.85


def test_without_shadow_only_the_product_is_touched() -> None:
    done = sofa_in_room(shadow=0)
    shadow_only = changed(done) & (done.product_mask == 0)
    assert shadow_only.sum() < 0.1 * changed(done).sum()


def test_relighting_keeps_the_hue() -> None:
    plain, lit = (sofa_in_room(relight=flag, grain=False) for flag in (False, True))
    inside = plain.product_mask == 255
    own, seen = (np.median(done.pixels[inside], axis=0) for done in (plain, lit))
    assert own.argmax() == seen.argmax() == 1
    assert seen.sum() < own.sum()


def test_a_placement_outside_the_photo_is_refused() -> None:
    spot = best_spot(SIZED_SOFA)
    x0, y0, x1, y1 = spot.box
    away = replace(spot, box=(x0 + 3.0, y0 + 3.0, x1 + 3.0, y1 + 3.0))
    with pytest.raises(PlacementOutside):
        compose(drawn_room().pixels, read_drawn_room(), sofa_cutout().rgba, SIZED_SOFA, away)


def test_a_product_may_leave_the_frame() -> None:
    spot = best_spot(SIZED_SOFA)
    shifted = replace(spot, box=(spot.box[0] - 0.4, spot.box[1], spot.box[2] - 0.4, spot.box[3]))
    done = compose(drawn_room().pixels, read_drawn_room(), sofa_cutout().rgba, SIZED_SOFA, shifted)
    assert done.product_mask[:, 0].max() == 255


def test_wall_art_is_drawn_in_the_walls_perspective() -> None:
    room, spot = read_drawn_room(), best_spot(PRINT)
    done = compose(drawn_room().pixels, room, framed_print(), PRINT, spot)
    camera = room.camera()
    middle = wall_middle(camera, (spot.contact[0] * WIDTH, spot.contact[1] * HEIGHT), spot.px_per_m)
    corners = camera.project(wall_corners(middle, PRINT.width_m, PRINT.height_m, spot.yaw_deg))
    rows, columns = np.nonzero(done.product_mask > 127)
    assert [columns.min(), rows.min()] == pytest.approx(list(corners.min(axis=0)), abs=3)
    assert [columns.max(), rows.max()] == pytest.approx(list(corners.max(axis=0)), abs=3)


def test_a_rug_lies_flat_on_the_floor() -> None:
    rug = Product(1.6, 1.1, 0.01, "floor", 320 / 420)
    room = read_drawn_room()
    spot = propose(room, rug, params={"max_candidates": 80})[0]
    done = compose(drawn_room().pixels, room, framed_print(), rug, spot)
    rows, columns = np.nonzero(done.product_mask > 127)
    near, far = (np.ptp(columns[rows == round(np.percentile(rows, share))]) for share in (75, 25))
    assert near > far
    assert drawn_room().floor[done.product_mask > 127].mean() > 0.95


def test_a_rug_is_lit_alike_near_and_far() -> None:
    rug, room = Product(1.6, 1.1, 0.01, "floor", 320 / 420), read_drawn_room()
    spot = propose(room, rug, params={"max_candidates": 80})[0]
    plain, lit = (
        compose(drawn_room().pixels, room, framed_print(), rug, spot, {"relight": relight, "grain": False})
        for relight in (False, True)
    )
    inside = plain.product_mask == 255
    kept = to_linear(lit.pixels)[..., 1] / np.maximum(to_linear(plain.pixels)[..., 1], 1e-3)
    middle = int(np.median(np.nonzero(inside)[0]))
    far, near = np.median(kept[:middle][inside[:middle]]), np.median(kept[middle:][inside[middle:]])
    assert near == pytest.approx(far, rel=0.05)


def test_a_tilted_print_is_straightened_by_its_own_corners() -> None:
    rgba = np.zeros((300, 300, 4), np.uint8)
    rows, columns = np.mgrid[0:300, 0:300]
    rgba[(columns > 40 + rows * 0.1) & (columns < 240 + rows * 0.1) & (rows > 20) & (rows < 280)] = 255
    corners = flat_corners(rgba)
    assert corners[0] == pytest.approx([43, 21], abs=3)
    assert corners[2] == pytest.approx([267, 279], abs=3)


def test_a_product_is_as_grainy_as_the_photo() -> None:
    grainy = np.clip(np.random.default_rng(1).normal(120.0, 5.0, (240, 240, 1)).repeat(3, axis=2), 0, 255).astype(
        np.uint8
    )
    smooth = Sprite(np.full((240, 240, 3), 120.0, np.float32), np.ones((240, 240), np.float32), 0, 0)
    wanted = noise_level(grainy)
    assert noise_level(np.rint(grained(smooth, grainy).colour).astype(np.uint8)) == pytest.approx(wanted, rel=0.15)


def test_resizing_does_not_bleed_the_colour_of_empty_pixels() -> None:
    rgba = np.zeros((200, 200, 4), np.uint8)
    rgba[..., :3] = (255, 0, 255)
    rgba[50:150, 50:150] = (40, 120, 60, 255)
    sprite = resized_sprite(rgba, (0, 0, 60, 60))
    colour = sprite.colour / np.maximum(sprite.alpha, 1e-3)[..., None]
    assert np.abs(colour[sprite.alpha > 0.2] - [40, 120, 60]).max() < 2


SCRIPT = """
import hashlib
from imaging.photo import encode_jpeg, encode_png
from tests.imaging.scenes import drawn_room, read_drawn_room, sofa_cutout
from tests.imaging.test_compose import sofa_in_room
parts = [encode_png(sofa_cutout().rgba), encode_png(read_drawn_room().regions), encode_jpeg(sofa_in_room().pixels)]
print(hashlib.sha256(b"".join(parts)).hexdigest())
"""


def test_every_byte_is_the_same_in_another_process() -> None:
    digests = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "77")
    ]
    assert digests[0] == digests[1]
    assert len(digests[0]) == hashlib.sha256().digest_size * 2
