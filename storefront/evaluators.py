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

    cutout = inputs["cutout"]
    facts, geometry = inputs["facts"], inputs["placement"]["room"]
    photo = inputs["room"]["photo"]
    mask = ir.get("product_mask")
    measures = measure(
        decode(ir["result"].read()),
        decode(photo.read()),
        room_of(geometry, geometry["regions"].read(), photo),
        decode(cutout.read()),
        product_of(facts, (cutout.width or 1) / (cutout.height or 1)),
        Placement.from_json(inputs["select"]["selected"]),
        decode(mask.read()) if mask is not None else None,
    )
    return [MetricValue(item.key, item.value, {"note": item.note} if item.note else {}) for item in measures]
