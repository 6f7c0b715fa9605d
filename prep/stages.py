"""Stages of the `prep` pipeline: fetch, cutout, facts. `facts` serves the `composite` pipeline too."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from core.pictures import PictureRef
from prep.facts import merge_overrides, size_text
from prep.fetching import fetch_picture
from runs.errors import StageError
from runs.registry import NO_PARAMS, stage
from runs.step import StepHandle


def normalise_product(content: bytes) -> tuple[bytes, str, dict[str, Any]]:
    """A merchant's picture made safe: upright sRGB without metadata; PNG where it has its own alpha, else JPEG."""
    import numpy as np

    from imaging.photo import PRODUCT_LIMITS, PhotoError, encode_jpeg, encode_png, open_photo

    try:
        photo = open_photo(content, PRODUCT_LIMITS, keep_alpha=True)
    except PhotoError as error:
        raise StageError(error.code, error.message) from error
    facts = {"source_format": photo.source_format, "source_size": list(photo.source_size)}
    if photo.alpha is not None and int(photo.alpha.min()) < 250:
        return encode_png(np.dstack([photo.pixels, photo.alpha])), "image/png", facts | {"has_alpha": True}
    return encode_jpeg(photo.pixels, quality=95), "image/jpeg", facts | {"has_alpha": False}


@stage("fetch", version=1, type="api", params=NO_PARAMS)
async def fetch(step: StepHandle, *, source: PictureRef | None = None, source_url: str = "") -> dict[str, Any]:
    """The merchant's product photo, safe to work with: from the store, or from the merchant's storefront."""
    if source is not None:
        content = await step.read(source)
        origin = "the uploaded picture"
    elif source_url:
        content = await fetch_picture(source_url, settings.PRODUCT_IMAGE_HOSTS)
        step.artifact("source", content, "application/octet-stream")
        origin = "the merchant's storefront"
    else:
        raise StageError("source_missing", "The product has no photo.")
    body, media_type, facts = await step.compute(normalise_product, content)
    photo = step.artifact("product", body, media_type)
    step.reasoning(**facts)
    step.why(f"Read {origin} ({facts['source_format']}, {facts['source_size'][0]} x {facts['source_size'][1]} px).")
    return {"photo": photo, "has_alpha": facts["has_alpha"]}


@stage("cutout", version=1, type="image", params=NO_PARAMS)
async def cutout(step: StepHandle, *, fetch: Mapping[str, Any]) -> dict[str, Any]:
    """The product alone, on transparent ground; a cutout that cannot be trusted does not go on."""
    reply = await step.ask("cutout", images={"product": fetch["photo"]})
    found = reply.data
    image = next(image for image in reply.images if image.role == "cutout")
    picture = step.artifact("cutout", image.content, image.media_type, role="result")
    step.reasoning(signals=found.get("signals", {}))
    if not found["accepted"]:
        reasons = in_words(found["warnings"])
        raise StageError(
            "cutout_rejected",
            f"The product could not be cut out cleanly: {reasons}. "
            "Use a photo on a plain background, or a PNG that is already cut out.",
        )
    own = bool(found.get("signals", {}).get("merchant_alpha"))
    doubts = f" But {in_words(found['warnings'])}." if found["warnings"] else ""
    step.why(("Kept the merchant's own transparency." if own else "The outline is clean on a plain ground.") + doubts)
    return {"accepted": True, "warnings": found["warnings"], "cutout": picture, "crop": found["crop"]}


WARNINGS = {
    "nothing_found": "no product was found in the picture",
    "touches_border": "the product touches the edge of the picture and may be cut off",
    "busy_background": "the background is busy",
    "weak_edge": "the product hardly stands out from the background",
    "several_products": "more than one thing is in the picture",
    "text_or_badge": "text or a badge was left out",
    "low_resolution": "the product is small in the picture and will look blurred",
}


def in_words(warnings: Sequence[str]) -> str:
    """A cutout's warnings as half a sentence."""
    return " and ".join(WARNINGS.get(name, name) for name in warnings)


@stage("facts", version=1, type="llm", params=NO_PARAMS)
async def facts(
    step: StepHandle,
    *,
    product: Mapping[str, Any],
    cutout: Any = None,
    prepared_facts: Mapping[str, Any] | None = None,
    merchant_overrides: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What is known about the product: from the prep cache while its prompt still holds, else extracted anew."""
    current = step.prompt("facts_extraction")
    if prepared_facts and prepared_facts["prompt_sha256"] == current.sha256:
        extracted, origin = dict(prepared_facts["facts"]), f"Used the prepared facts (prompt {current.version})"
        step.reasoning(used_cache=True)
    else:
        extracted = await _extract(step, product, cutout)
        reason = ""
        if prepared_facts:
            reason = f" (prepared with prompt {prepared_facts['prompt_version']}, now {current.version})"
        origin = f"Extracted the facts anew{reason}"
        step.reasoning(used_cache=False)
    merged = merge_overrides(extracted, merchant_overrides)
    step.artifact("facts", merged)
    step.confidence(merged["confidence"])
    step.why(f"{origin}{_stated(merchant_overrides)}: mount {merged['mount']}, {size_text(merged) or 'size unknown'}.")
    return merged


async def _extract(step: StepHandle, product: Mapping[str, Any], cutout: Any) -> dict[str, Any]:
    picture = cutout["cutout"] if isinstance(cutout, Mapping) else cutout
    variables = {
        name: product.get(name) or ([] if name == "tags" else "")
        for name in ("title", "description", "product_type", "tags")
    }
    images = {"cutout": picture} if picture is not None else {}
    reply = await step.ask("facts", prompt="facts_extraction", variables=variables, images=images)
    return dict(reply.data)


def _stated(overrides: Mapping[str, Any] | None) -> str:
    return f", with the merchant's own {', '.join(sorted(overrides))}" if overrides else ""
