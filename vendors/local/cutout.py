"""The task `cutout`: the product of a photo on transparent ground, with the signs by which it can be trusted or not."""

from typing import Any

from imaging.cutout import cut_out
from imaging.photo import encode_png
from vendors.base import Call, Image
from vendors.local.answer import Answer, read_picture


def answer(call: Call) -> Answer:
    """The cutout as PNG with alpha; one that cannot be trusted comes with `accepted` false and its warnings."""
    picture = read_picture(call, "product", channels=(3, 4))
    alpha = picture[..., 3] if picture.shape[2] == 4 else None
    cutout = cut_out(picture[..., :3].copy(), alpha)
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = cutout.crop
    data: dict[str, Any] = {
        "accepted": bool(cutout.accepted),
        "warnings": list(cutout.warnings),
        "crop": {
            "x0": round(x0 / width, 5),
            "y0": round(y0 / height, 5),
            "x1": round(x1 / width, 5),
            "y1": round(y1 / height, 5),
        },
        "signals": {name: round(float(value), 5) for name, value in cutout.signals.items()},
    }
    return Answer(data, (Image("cutout", encode_png(cutout.rgba), "image/png"),))
