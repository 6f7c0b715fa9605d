"""Stages of the `composite` pipeline after the facts: placement, select, composite."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.pictures import PictureRef
from runs.errors import AttemptFailed, StageError
from runs.registry import NO_PARAMS, stage
from runs.step import StepHandle
from storefront.painting import Setting, draw_guide, media_type_of, restore_answer
from storefront.scene import product_of, room_of
from storefront.wording import DOUBTS, FREE, REASONS, doubts_why, nowhere_why, selection_why
from vendors.base import Image, Reply

if TYPE_CHECKING:
    from imaging.placement import Placement, Verdict

# The vendor that composes by itself, and needs no guide; what its picture is called where others were asked first.
OWN_ENGINE, FALLBACK = "local", "our own composite, in place of an image model's"

# The picture engine is imported where it is used: the process that computes pays for it, web processes do not.

# What a shopper's hint means to whoever proposes places. The size stays true: "smaller" means farther away.
HINTS: Mapping[str, Mapping[str, Any]] = {
    "left": {"prefer": "left"},
    "right": {"prefer": "right"},
    "back": {"prefer": "back"},
    "closer": {"prefer": "front"},
    "smaller": {"prefer": "back"},
    "against_wall": {"prefer": "wall"},
}

# What a pipeline's nodes may set; the same words as in the prompts' `params_schema`.
PLACEMENT_PARAMS: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "prefer": {"enum": ["left", "right", "center", "back", "front", "wall"]},
        "margin": {"type": "number", "minimum": 0, "maximum": 2},
        "scale": {"type": "number", "minimum": 0.5, "maximum": 1.5},
        "max_candidates": {"type": "integer", "minimum": 1, "maximum": 60},
    },
}
COMPOSITE_PARAMS: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "shadow": {"type": "number", "minimum": 0, "maximum": 1},
        "harmonise": {"type": "number", "minimum": 0, "maximum": 1},
        "scale": {"type": "number", "minimum": 0.5, "maximum": 1.5},
    },
}

# What the proposer was asked for, and the judge has to go by as well.
STEERING = ("prefer", "margin", "scale")


def read_geometry(content: bytes, f35_mm: float | None) -> tuple[dict[str, Any], bytes]:
    """Camera and regions of a room photo: the numbers as JSON, the label map as PNG."""
    from imaging.photo import decode, encode_png
    from imaging.room import read_room

    room = read_room(decode(content), f35_mm)
    return room.to_json(), encode_png(room.regions)


def hint_params(hints: Mapping[str, Any] | None) -> dict[str, Any]:
    """The placement params that a shopper's hint stands for."""
    return dict(HINTS.get((hints or {}).get("hint", ""), {}))


@stage("placement", version=1, type="llm", params=PLACEMENT_PARAMS, task="placement", prompt="placement")
async def placement(
    step: StepHandle,
    *,
    facts: Mapping[str, Any],
    room: Mapping[str, Any],
    cutout: PictureRef,
    tap: Mapping[str, float] | None = None,
    hints: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Read the room's geometry, then propose many places where the product could stand."""
    photo: PictureRef = room["photo"]
    geometry, labels = await step.compute(read_geometry, await step.read(photo), room.get("f35_mm"))
    regions = step.artifact("regions", labels, "image/png")
    aspect = (cutout.width or 1) / (cutout.height or 1)
    reply = await step.ask(
        "placement",
        prompt="placement",
        variables={"facts": facts, "room": geometry, "tap": tap, "cutout_aspect": round(aspect, 4)},
        images={"room": photo, "regions": regions},
        params=hint_params(hints),
        answers=("candidates",),
    )
    candidates = reply.data["candidates"]
    step.artifact("candidates", candidates)
    step.confidence(geometry["confidence"])
    step.why(
        f"Proposed {len(candidates)} places. The camera is read as {geometry['camera_height_m']:.2f} m high, "
        f"pitched {geometry['pitch_deg']:.1f}° down, horizon at {geometry['horizon_y'] * 100:.0f} % of the height "
        f"(confidence {geometry['confidence']:.2f})." + doubts_why(geometry["doubts"])
    )
    asked = {**step.prompt("placement").params, **step.params, **hint_params(hints)}
    steering = {name: asked[name] for name in STEERING if asked.get(name) is not None}
    return {"room": {**geometry, "regions": regions}, "candidates": candidates, "params": steering}


@stage("select", version=1, type="filter", params=NO_PARAMS)
def select(
    step: StepHandle,
    *,
    facts: Mapping[str, Any],
    placement: Mapping[str, Any],
    room: Mapping[str, Any],
    cutout: PictureRef,
    tap: Mapping[str, float] | None = None,
    hints: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Judge every proposed place by geometry, drop those that cannot be, and choose the best of the rest."""
    from imaging.doubts import fatal_doubt
    from imaging.placement import Placement, judge
    from imaging.scene import SizeUnknown

    photo: PictureRef = room["photo"]
    try:
        product = product_of(facts, (cutout.width or 1) / (cutout.height or 1))
    except SizeUnknown as error:
        raise StageError("size_unknown", str(error)) from error
    scene = room_of(placement["room"], placement["room"]["regions"].read(), photo)
    candidates = [Placement.from_json(raw) for raw in placement["candidates"]]
    point = (tap["x"], tap["y"]) if tap else None
    held = (hints or {}).get("previous")
    verdicts = judge(
        scene,
        product,
        candidates,
        tap=point,
        params=placement.get("params") or hint_params(hints),
        moved_from=Placement.from_json(held) if held else None,
    )
    accepted = sorted((v for v in verdicts if v.accepted), key=lambda v: (-v.score, v.placement_id))
    rejected = [verdict for verdict in verdicts if not verdict.accepted]
    reasons = Counter(verdict.reason or "low_rank" for verdict in rejected)
    step.candidates(len(candidates), len(accepted), dict(reasons))
    step.artifact("verdicts", [_verdict_json(verdict) for verdict in verdicts])
    if not accepted:
        step.why(nowhere_why(len(candidates), reasons))
        doubt = fatal_doubt(scene.doubts, product.mount)
        decisive = _decisive(verdicts, reasons) or doubt
        failure = _nowhere(reasons, decisive, product.mount, tapped=tap is not None)
        failure.answer = {"selected": None, "shortlist": [], "rejected": _rejections(rejected), "tap_obeyed": None}
        raise failure
    best = next(item for item in candidates if item.id == accepted[0].placement_id)
    step.score(accepted[0].score)
    step.confidence(best.confidence)
    step.why(selection_why(len(candidates), len(accepted), reasons, best, tapped=tap is not None))
    return {
        "selected": best.to_json(),
        "shortlist": [verdict.placement_id for verdict in accepted],
        "rejected": _rejections(rejected),
        "tap_obeyed": _near(best, point) if point else None,
    }


def _rejections(verdicts: "list[Verdict]") -> list[dict[str, str]]:
    return [{"id": verdict.placement_id, "reason": verdict.reason or "low_rank"} for verdict in verdicts]


def _verdict_json(verdict: "Verdict") -> dict[str, Any]:
    return {
        "id": verdict.placement_id,
        "accepted": verdict.accepted,
        "reason": verdict.reason,
        "score": round(verdict.score, 4),
        "measures": {name: round(float(value), 4) for name, value in verdict.measures.items()},
    }


def _near(best: "Placement", tap: tuple[float, float]) -> bool:
    """Whether the chosen place is where the shopper tapped, within 8 % of the photo."""
    x, y = best.contact
    return abs(x - tap[0]) <= 0.08 and abs(y - tap[1]) <= 0.08


def _decisive(verdicts: "list[Verdict]", reasons: Counter[str]) -> str | None:
    """The reason to tell: the wish alone, what is wrong nearest to the tap, or what is wrong with most places."""
    if "not_as_wished" in reasons:
        return "not_as_wished"
    tapped = [each for each in verdicts if "from_tap_m" in each.measures]
    if tapped:
        return min(tapped, key=lambda each: each.measures["from_tap_m"]).reason
    return reasons.most_common(1)[0][0] if reasons else None


def _nowhere(reasons: Counter[str], decisive: str | None, mount: str, *, tapped: bool) -> StageError:
    """No place is possible: say why in words that a shopper can act on."""
    first = decisive or "no_candidates"
    if first in DOUBTS:
        said, advice = DOUBTS[first]
        text = f"We cannot place this product: {said}. {advice}"
        return StageError("no_placement", text, details={"reasons": dict(reasons), "photo": first})
    details = {"reasons": dict(reasons)}
    if first == "not_as_wished":
        text = "The product cannot go any further that way. Keep this picture, or tap where you want it."
        return StageError("no_placement", text, details=details)
    where = "at the spot you tapped" if tapped else "in this photo"
    advice = "Tap another spot, or" if tapped else "Please"
    text = f"There is no room for this product {where}: {REASONS.get(first, 'nothing fits')}. "
    return StageError("no_placement", text + f"{advice} try a photo that shows more of {FREE[mount]}.", details=details)


@stage("composite", version=1, type="image", params=COMPOSITE_PARAMS, task="composite", prompt="composite")
async def composite(
    step: StepHandle,
    *,
    facts: Mapping[str, Any],
    placement: Mapping[str, Any],
    select: Mapping[str, Any],
    room: Mapping[str, Any],
    cutout: PictureRef,
) -> dict[str, Any]:
    """Put the product into the room at the chosen place; the gate then judges the picture.

    1. Our own engine gets what it computes from; an image model gets room, cutout, and our composite as its guide.
    2. A model's picture is brought back into exactly this photo; what it changed elsewhere is measured, then undone.
    """
    geometry = {name: value for name, value in placement["room"].items() if name != "regions"}
    chosen, photo, regions = select["selected"], room["photo"], placement["room"]["regions"]
    # A prompt may ask for another size on purpose; the gate still measures against the true one.
    params = {name: value for name, value in placement.get("params", {}).items() if name == "scale"}
    images, given = {"room": photo, "regions": regions, "cutout": cutout}, None
    if step.route("composite").vendor != OWN_ENGINE:
        read = [await step.read(each) for each in (photo, regions, cutout)]
        size = photo.width or 0, photo.height or 0
        given = Setting(read[0], size, read[1], read[2], facts, geometry, chosen, params.get("scale"))
        guide = step.artifact("guide", await step.compute(draw_guide, given), "image/jpeg")
        images = {"room": photo, "cutout": cutout, "guide": guide}
    variables = {"facts": facts, "placement": chosen, "room": geometry}
    reply = await step.ask("composite", prompt="composite", variables=variables, images=images, params=params)
    pictures = {image.role: image for image in reply.images}
    if "result" not in pictures:
        text = "The model answered without a picture."
        raise StageError("vendor_bad_response", text, retryable=True, kind="metric_failed")
    if given is not None and "product_mask" not in pictures:
        made = await _restored(step, given, pictures["result"].content, images["guide"])
    else:
        made = _pasted(step, pictures, reply, _standing(facts, chosen))
    result: PictureRef = made["result"]
    return {**made, "width": result.width, "height": result.height}


def _standing(facts: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    """Where the product stands and how large it is, as a sentence."""
    return (
        f"Placed the product {chosen['distance_m']:.1f} m from the camera at {chosen['px_per_m']:.0f} px per metre, "
        f"{(facts['dimensions_m']['height'] or 0) * 100:.0f} cm tall, turned {chosen['yaw_deg']:.0f}°."
    )


def _pasted(step: StepHandle, pictures: Mapping[str, Image], reply: Reply, standing: str) -> dict[str, Any]:
    """The picture of whoever says where it painted: our own engine, which touches nothing else."""
    call, picture, mask = step.recording.call, pictures["result"], pictures.get("product_mask")
    local = call is not None and call.vendor == OWN_ENGINE
    notes = [str(note) for note in (reply.data or {}).get("notes", [])]
    if local and step.spec.attempt > 1:
        standing = f"Our own composite, after {step.spec.attempt - 1} attempts whose picture was not used. {standing}"
        notes.append(FALLBACK)
    step.why(standing)
    return {
        "result": step.artifact("result", picture.content, picture.media_type, role="result"),
        "product_mask": step.artifact("product_mask", mask.content, mask.media_type) if mask else None,
        "source": "local" if local else "model",
        "notes": notes,
    }


async def _restored(step: StepHandle, given: Setting, answer: bytes, guide: PictureRef) -> dict[str, Any]:
    """A model's picture on the photo's grid, the room put back; with every picture on the way and every number."""
    raw = step.artifact("raw", answer, media_type_of(answer))
    call = step.recording.call
    painter = call.model if call else "The model"
    try:
        done = await step.compute(restore_answer, given, answer, await step.read(guide), painter)
    except AttemptFailed as failure:
        step.reasoning(repaint=failure.details)
        step.why(failure.message)
        raise
    step.reasoning(repaint=done.numbers)
    step.why(done.told)
    pictures = {
        "raw": raw,
        "aligned": step.artifact("aligned", done.aligned, "image/jpeg"),
        "kept": step.artifact("kept", done.kept, "image/png"),
        "guide": guide,
    }
    return {
        "result": step.artifact("result", done.picture, "image/jpeg", role="result"),
        "product_mask": None,
        "source": "model",
        "notes": [],
        "repaint": {**pictures, **done.numbers},
    }
