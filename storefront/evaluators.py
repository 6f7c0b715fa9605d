"""Metrics of composite pictures, computed on anybody's result by our own geometry."""

from collections.abc import Mapping
from typing import Any

from irschemas.metrics import MetricValue, evaluator
from storefront.scene import product_of, room_of


@evaluator("composite_picture")
def composite_picture(
    ir: Mapping[str, Any], inputs: Mapping[str, Any], artifacts: Mapping[str, Any]
) -> list[MetricValue]:
    """Size, support, contact, drift, fidelity, seam and shadow of the result picture."""
    from imaging.metrics import measure
    from imaging.photo import decode
    from imaging.placement import Placement

    photo = inputs["room"]["photo"]
    geometry = inputs["placement"]["room"]
    room = room_of(geometry, geometry["regions"].read(), photo)
    pixels, cutout = decode(photo.read()), decode(inputs["cutout"].read())
    product = product_of(inputs["facts"], cutout.shape[1] / cutout.shape[0])
    place = Placement.from_json(inputs["select"]["selected"])
    mask = ir.get("product_mask")
    # A model does not say where it painted: its product is sought in the picture.
    outline = decode(mask.read()) if mask else None
    repaint = ir.get("repaint")
    measures = measure(decode(ir["result"].read()), pixels, room, cutout, product, place, outline, repaint)
    return [
        MetricValue(item.key, item.value, {"note": item.note} if item.note else {}, applies=item.asked)
        for item in measures
    ]
