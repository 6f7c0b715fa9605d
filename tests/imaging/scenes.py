"""Rooms and products drawn by ray casting, so that camera, floor and outlines are known exactly."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.cutout import Cutout, cut_out
from imaging.geometry import Camera, camera_for, focal_pixels
from imaging.placement import Product
from imaging.room import Room, read_room

WIDTH, HEIGHT, F35 = 960, 720, 26.0
BACK_M, SIDE_M, CEILING_M = 4.6, 2.3, 2.6
ROOM_YAW = np.radians(6.0)
BOX_LOW, BOX_HIGH = np.array([0.9, 0.0, 3.2]), np.array([1.8, 0.9, 4.2])
SOFA = Product(2.0, 0.9, 0.8, "floor", 2.0)


@dataclass(frozen=True, eq=False)
class DrawnRoom:
    """A picture and what is true of it."""

    pixels: NDArray[np.uint8]
    camera: Camera
    floor: NDArray[np.bool_]
    wall: NDArray[np.bool_]


@cache
def drawn_room(
    pitch_deg: float = 9.0, roll_deg: float = 1.0, height_m: float = 1.5, cupboard_m: float = BOX_HIGH[1]
) -> DrawnRoom:
    """A room with boards, skirting, plain walls, a window and a red cupboard, seen at a small angle."""
    camera = camera_for(WIDTH, HEIGHT, focal_pixels(WIDTH, HEIGHT, F35), pitch_deg, roll_deg, height_m)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    rays = camera.rays(np.stack([x.ravel(), y.ravel()], axis=1) + 0.5)
    turn = np.array([[np.cos(ROOM_YAW), 0, np.sin(ROOM_YAW)], [0, 1, 0], [-np.sin(ROOM_YAW), 0, np.cos(ROOM_YAW)]])
    rays = rays @ turn.T
    eye = np.array([0.0, height_m, 0.0])
    planes = [(1, 0.0), (1, CEILING_M), (2, BACK_M), (0, -SIDE_M), (0, SIDE_M)]
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.stack([(offset - eye[axis]) / rays[:, axis] for axis, offset in planes])
        reach = np.where(reach > 0, reach, np.inf)
        low, high = (BOX_LOW - eye) / rays, (np.array([BOX_HIGH[0], cupboard_m, BOX_HIGH[2]]) - eye) / rays
    enter, leave = np.minimum(low, high).max(axis=1), np.maximum(low, high).min(axis=1)
    surface = reach.argmin(axis=0)
    hits_box = (enter < leave) & (enter > 0) & (enter < reach.min(axis=0))
    points = eye + rays * reach.min(axis=0)[:, None]
    colours = _paint(points, surface)
    face = np.minimum(low, high).argmax(axis=1)
    colours[hits_box] = np.array([[150, 40, 36], [190, 60, 50], [165, 48, 40]], float)[face[hits_box]]
    noise = np.random.default_rng(5).normal(0.0, 1.5, colours.shape)
    pixels = np.clip(colours + noise, 0, 255).astype(np.uint8).reshape(HEIGHT, WIDTH, 3)
    floor = ((surface == 0) & ~hits_box).reshape(HEIGHT, WIDTH)
    wall = ((surface >= 2) & ~hits_box).reshape(HEIGHT, WIDTH)
    return DrawnRoom(cv2.GaussianBlur(pixels, (0, 0), 0.6), camera, floor, wall)


def _paint(points: NDArray[np.float64], surface: NDArray[np.int64]) -> NDArray[np.float64]:
    base = np.array([[150, 105, 66], [238, 238, 236], [196, 200, 190], [206, 208, 200], [186, 190, 182]], float)
    colours = base[surface]
    board = np.floor(points[:, 0] / 0.16).astype(int)
    shade = 1.0 + 0.06 * np.sin(board * 12.9898)
    seam = np.abs(points[:, 0] / 0.16 - board - 0.5) > 0.46
    on_floor = surface == 0
    colours[on_floor] *= np.where(seam, 0.72, shade)[on_floor, None]
    skirting = (surface >= 2) & (points[:, 1] < 0.1)
    colours[skirting] = [236, 236, 232]
    window = (surface == 2) & (np.abs(points[:, 0] + 0.9) < 0.55) & (np.abs(points[:, 1] - 1.6) < 0.5)
    frame = window & ((np.abs(points[:, 0] + 0.9) > 0.5) | (np.abs(points[:, 1] - 1.6) > 0.45))
    colours[window], colours[frame] = [250, 252, 255], [225, 225, 225]
    return colours


@cache
def read_drawn_room() -> Room:
    """What `read_room` makes of the default room."""
    return read_room(drawn_room().pixels, F35)


@cache
def studio_sofa() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A green sofa-like thing on legs, with a soft shadow, on a grey sweep; its photo and its true outline."""
    height, width = 700, 900
    y, x = np.mgrid[0:height, 0:width]
    photo = np.full((height, width, 3), 232.0) + (y / height * 10 - x / width * 6)[..., None]
    solid = np.zeros((height, width), np.uint8)
    cv2.rectangle(solid, (150, 230), (750, 420), 1, -1)
    cv2.rectangle(solid, (130, 300), (770, 480), 1, -1)
    for left in (165, 715):
        cv2.rectangle(solid, (left, 480), (left + 18, 530), 1, -1)
    shadow = cv2.GaussianBlur(
        cv2.ellipse(np.zeros((height, width)), (450, 525), (340, 34), 0, 0, 360, 1.0, -1), (0, 0), 14
    )
    photo *= 1.0 - 0.45 * shadow[..., None]
    cover = cv2.GaussianBlur(solid.astype(float), (0, 0), 0.9)[..., None]
    body = np.array([52.0, 112.0, 88.0]) * (0.8 + 0.35 * (x / width))[..., None]
    body += np.random.default_rng(2).normal(0, 3, body.shape)
    legs = np.where((y > 480)[..., None], np.array([92.0, 62.0, 44.0]), body)
    return np.clip(photo * (1 - cover) + legs * cover, 0, 255).astype(np.uint8), solid > 0


@cache
def sofa_cutout() -> Cutout:
    """The studio sofa cut out by ourselves."""
    return cut_out(studio_sofa()[0])


@cache
def framed_print() -> NDArray[np.uint8]:
    """A flat cutout (RGBA): a dark frame around two colours."""
    rgba = np.zeros((420, 320, 4), np.uint8)
    rgba[10:410, 10:310] = [60, 40, 30, 255]
    rgba[40:210, 40:280] = [220, 120, 60, 255]
    rgba[210:380, 40:280] = [40, 90, 130, 255]
    return rgba
