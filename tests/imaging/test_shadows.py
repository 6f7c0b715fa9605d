"""Shadows fall away from the light, as far as it is low, onto floor and near walls, and end without an edge."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from imaging.labels import REGION
from imaging.scene import Pose, standing_pose
from imaging.shadows import Body, Shade, contact_shade, floor_shade
from imaging.sources import floor_lean, light_sources
from imaging.sprite import Sprite
from imaging.wallshadows import wall_shades
from tests.imaging.scenes import HEIGHT, SOFA, WIDTH, drawn_room, read_drawn_room
from tests.imaging.test_compose import changed, sofa_in_room

SHAPE = (HEIGHT, WIDTH)


def pose_at(x: float, z: float) -> tuple[Pose, Body]:
    """A block of 0.6 x 0.4 x 0.5 m on legs of 0.1 m."""
    pose = standing_pose(read_drawn_room().camera(), x, z, replace(SOFA, width_m=0.6, depth_m=0.4, height_m=0.5), 0.0)
    return pose, Body(pose.base[:, [0, 2]], 0.1, 0.5, 1.0)


def lost(shade: Shade) -> NDArray[np.float64]:
    """The light that a shade takes, in the whole photo."""
    whole = np.zeros(SHAPE)
    height, width = shade.factor.shape
    whole[shade.y : shade.y + height, shade.x : shade.x + width] = 1.0 - shade.factor
    return whole


def shadow_of(*lamps: tuple[float, float, float], z: float = 3.0) -> NDArray[np.float64]:
    pose, body = pose_at(0.0, z)
    weighted = np.array([(*lamp, 1.0 / len(lamps)) for lamp in lamps])
    return lost(floor_shade(read_drawn_room().camera(), pose, body, weighted, 1.0, SHAPE))


def middle(dark: NDArray[np.float64]) -> float:
    return float((dark.sum(axis=0) * np.arange(WIDTH)).sum() / dark.sum())


def test_a_shadow_falls_away_from_its_lamp_and_farther_from_a_low_one() -> None:
    left, low, right = (middle(shadow_of((x, y, 3.0))) for x, y in ((-2.5, 2.2), (-2.5, 1.2), (2.5, 2.2)))
    assert right < WIDTH / 2 - 20 < WIDTH / 2 + 20 < left < low - 20


def test_several_lamps_leave_a_darker_core_than_rim() -> None:
    one, many = shadow_of((-2.5, 2.0, 3.0)), shadow_of((-2.5, 2.0, 3.0), (-2.5, 2.0, 2.0), (-2.5, 2.0, 4.0))
    assert ((many > 0.1) & (many < 0.6)).sum() > 1.5 * ((one > 0.1) & (one < 0.6)).sum()
    assert many.max() > 0.9


def test_a_shadow_that_is_cut_off_fades_out() -> None:
    dark = shadow_of((-2.5, 0.6, 3.0))
    columns = np.nonzero(dark > 0.01)[1]
    assert columns.max() < WIDTH - 40
    assert dark[:, columns.max() - 5 : columns.max()].max() < 0.05
    assert np.abs(np.diff(dark[:, columns.max() - 40 :], axis=1)).max() < 0.04


def gradient(pixels: NDArray[np.uint8], per_photo: float) -> NDArray[np.uint8]:
    """Pixels that grow brighter to the right by so many times over the photo's width."""
    return np.clip(pixels * np.linspace(1.0, per_photo, WIDTH)[None, :, None] * 0.6, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("growth", [0.4, 1.0, 1.6])
def test_the_floor_tells_from_which_side_it_is_lit(growth: float) -> None:
    lean = floor_lean(gradient(drawn_room().pixels, growth), read_drawn_room())
    assert abs(lean) < 0.05 if growth == 1.0 else np.sign(lean) == np.sign(growth - 1.0) and abs(lean) > 0.1


def test_a_floor_of_two_colours_is_not_taken_for_light() -> None:
    pixels, room = drawn_room().pixels.copy(), read_drawn_room()
    pixels[:, WIDTH // 2 :] = (pixels[:, WIDTH // 2 :] * [0.35, 0.3, 0.55]).astype(np.uint8)
    assert abs(floor_lean(pixels, room)) < 0.1


def test_no_floor_tells_nothing() -> None:
    room = read_drawn_room()
    assert floor_lean(drawn_room().pixels, replace(room, regions=np.full_like(room.regions, REGION.WALL))) == 0.0


def test_the_lamps_at_a_place_give_all_of_its_light_and_lie_where_the_floor_is_bright() -> None:
    pose, _ = pose_at(0.0, 3.0)
    room, camera = read_drawn_room(), read_drawn_room().camera()
    lit = {
        growth: light_sources(camera, gradient(drawn_room().pixels, growth), room, pose, 0.0) for growth in (0.4, 1.6)
    }
    sides = {growth: float((np.sign(lamps[:, 0]) * lamps[:, 3]).sum()) for growth, lamps in lit.items()}
    assert sides[0.4] < -0.2 < 0.2 < sides[1.6]
    assert all(lamps[:, 3].sum() == pytest.approx(1.0) and (lamps[:, 1] > 0).all() for lamps in lit.values())


def test_only_a_near_wall_takes_a_shadow_beside_the_product() -> None:
    room = read_drawn_room()
    camera = room.camera()
    lamps = {side: np.array([[1.5 * side, 1.5, 1.0, 1.0]]) for side in (-1, 1)}
    dark = {side: sum(map(lost, wall_shades(room, camera, pose_at(0.0, 4.2)[1], lamps[side], 1.0))) for side in lamps}
    assert all((each * drawn_room().wall).sum() > 0.8 * each.sum() > 0 for each in dark.values())
    assert middle(dark[-1]) > middle(dark[1]) + 15
    assert not wall_shades(room, camera, pose_at(0.0, 2.0)[1], lamps[-1], 1.0)


def test_light_from_a_wall_throws_nothing_onto_it() -> None:
    room = read_drawn_room()
    assert not wall_shades(room, room.camera(), pose_at(0.0, 4.2)[1], np.array([[0.0, 1.5, 4.9, 1.0]]), 1.0)


def test_the_wall_above_a_product_keeps_its_light() -> None:
    done = sofa_in_room()
    top = int(np.flatnonzero((done.product_mask > 127).any(axis=1))[0])
    assert not changed(done)[: top - 60].any()


def test_a_foot_darkens_only_what_it_touches() -> None:
    pose, _ = pose_at(0.0, 3.0)
    camera = read_drawn_room().camera()
    sprite = Sprite(np.zeros((200, 150, 3), np.float32), np.ones((200, 150), np.float32), 400, 300)
    dark = lost(contact_shade(sprite, [(40, 44, 199)], pose, camera, SHAPE))
    columns = np.nonzero(dark > 0.1)[1]
    assert dark[490:502, 438:446].max() > 0.3
    assert np.ptp(columns) < 0.1 * camera.px_per_m(0.0, 3.0)
