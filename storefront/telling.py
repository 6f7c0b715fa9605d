"""A composite run in words: where the product was put, and what is wrong with the picture."""

from collections.abc import Callable, Mapping
from typing import Any

from runs.telling import Judged, Story, Words, tell
from storefront.services import PIPELINE
from storefront.wording import DOUBTS

WHERE = {"floor": "on the floor", "wall": "on the wall", "ceiling": "from the ceiling", "tabletop": "on a table top"}


def did(story: Story) -> str:
    """What became of the product: put somewhere, or nowhere, and why."""
    chosen = story.answer("select", "selected")
    photo = [said for said in story.answer("placement", "room", "doubts") or () if said in DOUBTS]
    if isinstance(chosen, Mapping):
        return f"{_product(story)} was put {_place(chosen)}"
    select = story.steps.get("select")
    if select is None or select.status != "failed":
        return ""
    doubt = f"; {DOUBTS[photo[0]][0]}" if photo else ""
    return f"No place was found for {_product(story)}{doubt}"


def _product(story: Story) -> str:
    return story.run.subject_label or "the product"


def _place(chosen: Mapping[str, Any]) -> str:
    where = WHERE.get(str(chosen.get("mount")), "into the room")
    distance = chosen.get("distance_m")
    return f"{where}, {distance:.1f} m from the camera" if isinstance(distance, (int, float)) else where


def means(story: Story, metric: Judged) -> str:
    """What a failed metric means in the picture; its value is in it where it helps."""
    says = MEANS.get(metric.key)
    return says(story, metric) if says and metric.value is not None else ""


def _share(value: float | None) -> str:
    return f"{(value or 0) * 100:.1f}".removesuffix(".0") + " %"


def _support(story: Story, metric: Judged) -> str:
    mount = str(story.answer("select", "selected", "mount") or "")
    on = {"floor": "the floor", "wall": "the wall", "ceiling": "the ceiling", "tabletop": "the table top"}
    text = f"only {_share(metric.value)} of its foot rests on {on.get(mount, 'what should carry it')}"
    contact = story.answer("select", "selected", "contact", "y")
    horizon = story.answer("placement", "room", "horizon_y")
    if mount == "floor" and isinstance(contact, (int, float)) and isinstance(horizon, (int, float)):
        text += f" (it touches at {_share(contact)} of the photo's height, the horizon is at {_share(horizon)})"
    return text


Says = Callable[[Story, Judged], str]
MEANS: Mapping[str, Says] = {
    "on_support": _support,
    "contact_gap": lambda story, metric: f"it seems to float: its foot is off by {_share(metric.value)} of its height",
    "contact_shadow": lambda story, metric: "it seems to float: there is hardly any shadow where it touches",
    "scale_error": lambda story, metric: f"its size is off by {_share(metric.value)}",
    "aspect_error": lambda story, metric: f"its shape is off by {_share(metric.value)}",
    "inside_image": lambda story, metric: f"only {_share(metric.value)} of it is inside the photo",
    "outside_drift": lambda story, metric: "the room around it has other colours than in the photo",
    "outside_changed_share": lambda story, metric: f"{_share(metric.value)} of the room around it was changed",
    "product_found": lambda story, metric: "it cannot be found in the picture",
    "product_complete": lambda story, metric: "a part of it is missing",
    "second_product": lambda story, metric: "something like it can be seen a second time",
    "product_delta_e": lambda story, metric: "its colours are not the product's",
    "product_ssim": lambda story, metric: "it does not look like the product",
    "silhouette_iou": lambda story, metric: "its outline is not the product's",
    "sharpness": lambda story, metric: "it is blurred",
    "edge_blur": lambda story, metric: "it is blurred",
    "place_iou": lambda story, metric: "it stands elsewhere than it was asked to",
    "seam": lambda story, metric: "a seam shows around it",
    "size_kept": lambda story, metric: "the picture has another size than the photo",
}

tell(PIPELINE, Words(did, means))
