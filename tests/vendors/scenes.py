"""Small calls of every task: a box on a white ground, a plain room, and what the tasks in between make of them."""

import cv2
import numpy as np

from imaging.photo import encode_jpeg, encode_png
from imaging.room import read_room
from vendors.base import Call, Image

FACTS = {
    "title": "Cube",
    "product_type": "side table",
    "mount": "floor",
    "dimensions_m": {"width": 0.5, "depth": 0.5, "height": 0.5},
    "dimension_sources": {"width": "text", "depth": "text", "height": "text"},
    "style": [],
}
TEXTS = {
    "title": "Pila Side Table, red",
    "description": "<p>Width: 50 cm, depth: 50 cm, height: 50 cm</p>",
    "product_type": "Side Tables",
    "tags": ["side table"],
}


def product_photo():
    """A red cube, plain on white, (320, 320, 3)."""
    pixels = np.full((320, 320, 3), 255, np.uint8)
    pixels[90:250, 90:230] = (176, 42, 48)
    pixels[90:120, 90:230] = (208, 78, 80)
    return pixels


def cutout():
    """The same cube cut out, (160, 140, 4)."""
    pixels = product_photo()[90:250, 90:230]
    return np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])


def room_photo():
    """A box-shaped room seen from the middle of one side, (360, 480, 3)."""
    pixels = np.full((360, 480, 3), (214, 208, 198), np.uint8)
    cv2.fillPoly(pixels, [np.array([(0, 359), (479, 359), (360, 210), (120, 210)])], (150, 118, 86))
    cv2.fillPoly(pixels, [np.array([(0, 0), (120, 70), (120, 210), (0, 359)])], (196, 190, 182))
    cv2.fillPoly(pixels, [np.array([(479, 0), (360, 70), (360, 210), (479, 359)])], (186, 180, 172))
    cv2.fillPoly(pixels, [np.array([(0, 0), (479, 0), (360, 70), (120, 70)])], (236, 234, 230))
    grain = np.random.default_rng(7).integers(-4, 5, pixels.shape)
    return np.clip(pixels.astype(np.int16) + grain, 0, 255).astype(np.uint8)


def picture(role, pixels):
    return Image(role, encode_png(pixels), "image/png")


def jpeg(role, pixels):
    return Image(role, encode_jpeg(pixels), "image/jpeg")


def cutout_call(**changes):
    return Call(**{"task": "cutout", "model": "local-1", "images": (picture("product", product_photo()),)} | changes)


def facts_call(**changes):
    return Call(
        **{"task": "facts", "model": "local-1", "variables": TEXTS, "images": (picture("cutout", cutout()),)} | changes
    )


def placement_call(**changes):
    photo = room_photo()
    room = read_room(photo)
    variables = {"facts": FACTS, "room": room.to_json(), "tap": None, "cutout_aspect": 0.875}
    images = (jpeg("room", photo), picture("regions", room.regions))
    return Call(**{"task": "placement", "model": "local-1", "variables": variables, "images": images} | changes)


def composite_call(placement, **changes):
    asked = placement_call()
    variables = {"facts": FACTS, "room": asked.variables["room"], "placement": placement}
    images = (*asked.images, picture("cutout", cutout()))
    return Call(**{"task": "composite", "model": "local-1", "variables": variables, "images": images} | changes)
