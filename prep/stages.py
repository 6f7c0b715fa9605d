"""Stages of the `prep` pipeline: fetch, cutout, facts. `facts` serves the `composite` pipeline too."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from core.pictures import PictureRef
from prep.cutouts import FoundCutout, cutout_by_matte, cutout_why, in_words, matte_in, own_cutout, whole_cutout
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
        content = await step.fetch("source", fetch_picture, source_url, settings.PRODUCT_IMAGE_HOSTS)
        origin = "the merchant's storefront"
    else:
        raise StageError("source_missing", "The product has no photo.")
    body, media_type, facts = await step.compute(normalise_product, content)
    photo = step.artifact("product", body, media_type)
    step.reasoning(**facts)
    step.why(f"Read {origin} ({facts['source_format']}, {facts['source_size'][0]} x {facts['source_size'][1]} px).")
    return {"photo": photo, "has_alpha": facts["has_alpha"]}


@stage("cutout", version=1, type="image", params=NO_PARAMS, task="cutout")
async def cutout(step: StepHandle, *, fetch: Mapping[str, Any]) -> dict[str, Any]:
    """The product alone, on transparent ground; a cutout that cannot be trusted does not go on.

    A merchant's own transparency is taken as it is, without asking anybody. The matte of a service is held against the
    photo by our own signs. What one model cuts badly is left to the next route.
    """
    photo: PictureRef = fetch["photo"]
    found = await step.compute(own_cutout, await step.read(photo)) if fetch["has_alpha"] else None
    if found is None:
        found = await _asked(step, photo)
    picture = step.artifact("cutout", found.content, found.media_type, role="result")
    step.reasoning(signals=found.signals, warnings=found.warnings)
    if not found.accepted:
        raise StageError(
            "cutout_rejected",
            f"The product could not be cut out cleanly: {in_words(found.warnings)}. "
            "Use a photo on a plain background, or a PNG that is already cut out.",
            kind="metric_failed",
        )
    step.why(cutout_why(found))
    return {"accepted": True, "warnings": found.warnings, "cutout": picture, "crop": found.crop}


async def _asked(step: StepHandle, photo: PictureRef) -> FoundCutout:
    """The cutout of whoever the task is routed to: a whole one, or a matte that is judged here."""
    reply = await step.ask("cutout", images={"product": photo})
    if (whole := whole_cutout(reply)) is not None:
        return whole
    return await step.compute(cutout_by_matte, await step.read(photo), *matte_in(reply))  # type: ignore[no-any-return]


@stage("facts", version=1, type="llm", params=NO_PARAMS, task="facts", prompt="facts_extraction")
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
    reply = await step.ask("facts", prompt="facts_extraction", variables=variables, images=images, answers=())
    return dict(reply.data)


def _stated(overrides: Mapping[str, Any] | None) -> str:
    return f", with the merchant's own {', '.join(sorted(overrides))}" if overrides else ""
