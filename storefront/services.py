"""Composites: asked for, changed, judged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from core.canonical import json_hash, sha256_hex
from prep.models import ProductAsset
from runs.models import Blob
from runs.services import start_run
from shops.models import Shop
from shops.services import lock_shop, reserve_quota
from storefront.errors import (
    CompositesUnavailable,
    DuplicateNonce,
    NotFinished,
    ProductNotReady,
    RefinementsUsedUp,
    UploadExpired,
)
from storefront.models import CompositeRun, Upload
from storefront.room_photo import RoomPhoto
from storefront.visitors import Visitor

PIPELINE = "composite"


@dataclass(frozen=True, slots=True)
class Tap:
    """Where the shopper pointed, as fractions of the upright room photo."""

    x: float
    y: float

    def to_json(self) -> dict[str, float]:
        """As run input."""
        return {"x": self.x, "y": self.y}


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What makes a request safe to repeat: who asked under which key (hashed), and what for (hashed)."""

    key: str | None
    body_sha256: str

    @classmethod
    def of(cls, visitor: Visitor, key: str | None, body: Mapping[str, Any]) -> "RequestKey":
        """The key of one visitor's request; None for a request that nobody means to repeat."""
        hashed = sha256_hex(f"{visitor.hash}:{key}".encode()) if key else None
        return cls(hashed, json_hash(body))


def composite_input(
    asset: ProductAsset, room: RoomPhoto, tap: Tap | None = None, hints: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Everything a `composite` run needs, by value or by hash: the run can be repeated from it alone."""
    prepared = None
    if asset.extracted_facts is not None:
        prepared = {
            "facts": asset.extracted_facts,
            "prompt_version": asset.facts_version,
            "prompt_sha256": asset.facts_prompt_sha256,
        }
    return {
        "product": {
            "id": asset.product_id,
            "title": asset.title,
            "description": asset.description,
            "product_type": asset.product_type,
            "tags": asset.tags,
        },
        "room": {"photo": room.blob.to_json(), "f35_mm": room.f35_mm},
        "product_photo": asset.photo.to_json() if asset.photo else None,
        "cutout": asset.cutout.to_json() if asset.cutout else None,
        "prepared_facts": prepared,
        "merchant_overrides": asset.merchant_overrides,
        "tap": tap.to_json() if tap else None,
        "hints": dict(hints) if hints else None,
    }


def composite_pictures(asset: ProductAsset, room: RoomPhoto) -> dict[str, Blob]:
    """The blobs that `composite_input` names, for the run's input artifacts."""
    named = {"room": room.blob, "product_photo": asset.photo, "cutout": asset.cutout}
    return {name: blob for name, blob in named.items() if blob is not None}


def check_open(shop: Shop, asset: ProductAsset) -> None:
    """Refuse what cannot become a picture now.

    Raises:
        CompositesUnavailable: the shop has pictures switched off.
        ProductNotReady: the product is not prepared.
    """
    if not shop.flags.composites:
        raise CompositesUnavailable()
    if not asset.is_ready or asset.cutout is None:
        failed = asset.prep_status == ProductAsset.PrepStatus.FAILED
        raise ProductNotReady("This product cannot be shown in a room yet." if failed else None)


def find_repeated(shop: Shop, request_key: RequestKey) -> CompositeRun | None:
    """The composite that this very request made before, if it did.

    Raises:
        DuplicateNonce: the key made another one.
    """
    if request_key.key is None:
        return None
    made = CompositeRun.objects.for_shop(shop).select_related("run").filter(request_key=request_key.key).first()
    if made is not None and made.request_sha256 != request_key.body_sha256:
        raise DuplicateNonce()
    return made


def create_composite(
    *,
    shop: Shop,
    asset: ProductAsset,
    upload: Upload,
    visitor: Visitor,
    request_key: RequestKey,
    consent_text_hash: str,
    tap: Tap | None = None,
    trigger: str = "storefront",
) -> CompositeRun:
    """Count, start the run and write the row, all or nothing; the same request again returns the first one's.

    Raises:
        CompositesUnavailable, ProductNotReady, DuplicateNonce, UploadExpired, shops.errors.QuotaExceeded.
    """
    check_open(shop, asset)
    with transaction.atomic():
        lock_shop(shop)
        made = find_repeated(shop, request_key)
        if made is not None:
            return made
        day = reserve_quota(shop)
        held = Upload.objects.select_for_update(of=("self",)).select_related("blob").filter(pk=upload.pk).first()
        if held is None or held.blob is None:
            raise UploadExpired()
        room = RoomPhoto(held.blob, held.f35_mm)
        return _start(
            asset=asset,
            room=room,
            tap=tap,
            request_key=request_key,
            trigger=trigger,
            upload=held,
            visitor_hash=visitor.hash,
            consent_text_hash=consent_text_hash,
            consent_at=timezone.now(),
            quota_day=day,
        )


def refine_composite(
    *, composite: CompositeRun, hint: str = "", tap: Tap | None = None, request_key: RequestKey
) -> CompositeRun:
    """A new composite from the same photo, nudged by the shopper; the old tap no longer counts.

    Raises:
        NotFinished: the picture is still being made.
        RefinementsUsedUp: the chain has its three changes.
        UploadExpired: the photo is gone.
        CompositesUnavailable, ProductNotReady, DuplicateNonce, shops.errors.QuotaExceeded.
    """
    shop, asset = composite.shop, composite.asset
    check_open(shop, asset)
    with transaction.atomic():
        lock_shop(shop)
        made = find_repeated(shop, request_key)
        if made is not None:
            return made
        held = CompositeRun.objects.select_for_update(of=("self",)).select_related("run", "room").get(pk=composite.pk)
        if not held.run.is_over:
            raise NotFinished()
        if held.remaining_refinements < 1:
            raise RefinementsUsedUp()
        if held.room is None:
            raise UploadExpired("This photo has been deleted. Please choose it again.")
        day = reserve_quota(shop)
        return _start(
            asset=asset,
            room=RoomPhoto(held.room, held.run.input["room"]["f35_mm"]),
            tap=tap,
            hint=hint,
            hints=_hints(held, hint),
            request_key=request_key,
            trigger="refine",
            upload=held.upload,
            visitor_hash=held.visitor_hash,
            consent_text_hash=held.consent_text_hash,
            consent_at=held.consent_at,
            quota_day=day,
            parent=held,
            root=held.root or held,
            refinement=held.refinement + 1,
        )


def _hints(composite: CompositeRun, hint: str) -> dict[str, Any] | None:
    """What the shopper wants changed, and what about: the spot that was chosen last time."""
    if not hint:
        return None
    select = composite.run.steps.filter(node_key="select", status="completed").select_related("payload").first()
    previous = (select.payload.ir or {}).get("selected") if select else None
    return {"hint": hint, "previous": previous}


def _start(
    *,
    asset: ProductAsset,
    room: RoomPhoto,
    tap: Tap | None,
    request_key: RequestKey,
    trigger: str,
    hints: Mapping[str, Any] | None = None,
    **row: Any,
) -> CompositeRun:
    """The run and the shopper's row, inside the caller's transaction."""
    run = start_run(
        pipeline=PIPELINE,
        shop=asset.shop,
        input=composite_input(asset, room, tap, hints),
        pictures=composite_pictures(asset, room),
        title=asset.title,
        product_type=asset.product_type,
        subject_type="product_asset",
        subject_id=asset.pk,
        trigger=trigger,
        idempotency_key=f"{PIPELINE}:{request_key.key}" if request_key.key else None,
    )
    return CompositeRun.objects.create(
        run=run,
        shop=asset.shop,
        asset=asset,
        room=room.blob,
        room_sha256=room.blob.sha256,
        tap_x=tap.x if tap else None,
        tap_y=tap.y if tap else None,
        request_key=request_key.key,
        request_sha256=request_key.body_sha256,
        **row,
    )


def give_feedback(*, composite: CompositeRun, verdict: str, issue: str = "", comment: str = "") -> None:
    """Keep a shopper's opinion; a later one replaces it."""
    CompositeRun.objects.filter(pk=composite.pk).update(
        feedback_verdict=verdict, feedback_issue=issue, feedback_comment=comment, feedback_at=timezone.now()
    )
