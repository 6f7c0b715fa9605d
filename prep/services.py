"""Making product assets ready."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from prep.errors import AlreadyComplete
from prep.facts import check_overrides
from prep.models import PrepJob, ProductAsset
from runs.blobs import store_blob
from runs.context import Deps
from runs.inline import execute_inline
from runs.models import Blob, Run
from runs.services import start_run
from shops.models import Shop

Status = ProductAsset.PrepStatus


def save_asset(
    *,
    shop: Shop,
    product_id: str,
    title: str,
    picture: bytes | None = None,
    media_type: str = "application/octet-stream",
    merchant_overrides: Mapping[str, Any] | None = None,
    **texts: Any,
) -> ProductAsset:
    """Create or update a shop's product; a changed text or picture makes it unprepared again.

    Raises:
        Invalid: the merchant's overrides are not valid.
    """
    values: dict[str, Any] = {"title": title, **texts}
    if merchant_overrides is not None:
        values["merchant_overrides"] = check_overrides(merchant_overrides)
    if picture is not None:
        values["source"] = store_blob(shop=shop, content=picture, media_type=media_type, retention=Blob.Retention.KEEP)
    with transaction.atomic():
        asset, created = ProductAsset.objects.select_for_update().get_or_create(
            shop=shop, product_id=product_id, defaults=values
        )
        changed = {name: value for name, value in values.items() if getattr(asset, name) != value}
        if not created and changed:
            for name, value in changed.items():
                setattr(asset, name, value)
            if asset.is_ready and changed.keys() - {"merchant_overrides", "price", "currency", "handle"}:
                asset.prep_status = Status.UNPREPARED
            asset.save()
    return asset


def move_asset(asset_id: UUID | str, to: str, **changes: Any) -> bool:
    """Move an asset along its states by compare-and-set; False when somebody else moved it first."""
    sources = [source for source, targets in ProductAsset.TRANSITIONS.items() if to in targets]
    moved = ProductAsset.objects.filter(id=asset_id, prep_status__in=sources)
    return bool(moved.update(prep_status=to, updated_at=timezone.now(), **changes))


def prepare_asset(
    asset: ProductAsset,
    *,
    trigger: str = "prep",
    again: bool = False,
    run_group_id: Any = None,
    inline_owner: str | None = None,
) -> PrepJob:
    """Start making an asset ready.

    Raises:
        AlreadyComplete: it is ready and `again` does not ask for more, or somebody prepares it already.
    """
    if asset.is_ready and not again:
        raise AlreadyComplete()
    with transaction.atomic():
        if not move_asset(asset.id, Status.QUEUED, prep_error=""):
            raise AlreadyComplete("This product is being prepared already.")
        run = start_run(
            pipeline="prep",
            shop=asset.shop,
            input=prep_input(asset),
            pictures={"source": asset.source} if asset.source else {},
            title=asset.title,
            product_type=asset.product_type,
            subject_type="product_asset",
            subject_id=asset.id,
            trigger=trigger,
            priority=10,
            run_group_id=run_group_id,
            inline_owner=inline_owner,
        )
        job = PrepJob.objects.create(asset=asset, run=run)
    return job


def prep_input(asset: ProductAsset) -> dict[str, Any]:
    """What a prep run is given."""
    return {
        "product": product_texts(asset),
        "source": asset.source_picture,
        "source_url": asset.source_url,
        "merchant_overrides": None,
    }


def product_texts(asset: ProductAsset) -> dict[str, Any]:
    """The merchant's words about a product, as every pipeline gets them."""
    return {
        "id": asset.product_id,
        "title": asset.title,
        "description": asset.description,
        "product_type": asset.product_type,
        "tags": asset.tags,
    }


def prepare_inline(asset: ProductAsset, *, trigger: str, deps: Deps | None = None) -> Run:
    """Prepare an asset here and now; returns the run as it ended."""
    job = prepare_asset(asset, trigger=trigger, inline_owner="inline")
    run = execute_inline(job.run, deps)
    asset.refresh_from_db()
    return run


def prepare_many(assets: Iterable[ProductAsset], *, trigger: str, run_group_id: Any) -> tuple[int, int]:
    """Start prep for many assets as one group; returns how many were started and how many needed nothing."""
    started = skipped = 0
    for asset in assets:
        try:
            prepare_asset(asset, trigger=trigger, again=True, run_group_id=run_group_id)
            started += 1
        except AlreadyComplete:
            skipped += 1
    return started, skipped
