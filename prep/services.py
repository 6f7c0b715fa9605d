"""Making product assets ready."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from core.ids import Ulid, new_id
from prep.errors import AlreadyComplete
from prep.facts import check_overrides
from prep.models import PrepJob, ProductAsset
from runs.blobs import store_blob
from runs.context import Deps
from runs.groups import Member, start_group
from runs.inline import execute_inline
from runs.models import Blob, Run
from runs.services import start_run
from shops.models import Shop

Status = ProductAsset.PrepStatus
PRIORITY = 10  # behind the shoppers
BATCH = 100
MOVE = """
UPDATE prep_productasset SET prep_status = %(to)s, prep_error = '', updated_at = statement_timestamp()
WHERE id = ANY(%(ids)s) AND prep_status = ANY(%(sources)s) RETURNING id
"""


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


def move_assets(asset_ids: Iterable[UUID], to: str) -> list[UUID]:
    """Move those of many assets that may move, their error forgotten, in one statement; returns which these were."""
    sources = [source for source, targets in ProductAsset.TRANSITIONS.items() if to in targets]
    with connection.cursor() as cursor:
        cursor.execute(
            MOVE, {"to": to, "ids": [UUID(int=pk.int) for pk in asset_ids], "sources": list(map(str, sources))}
        )
        return [Ulid(int=pk.int) for (pk,) in cursor.fetchall()]


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
            priority=PRIORITY,
            run_group_id=run_group_id,
            inline_owner=inline_owner,
        )
        job = PrepJob.objects.create(asset=asset, run=run)
    return job


def adopt_run(run: Run) -> PrepJob:
    """Make a prep run that was forked from another the asset's newest job. Inside the transaction that writes it.

    Raises:
        AlreadyComplete: somebody prepares the asset already.
    """
    if not move_asset(run.subject_id, Status.QUEUED, prep_error=""):
        raise AlreadyComplete("This product is being prepared already.")
    return PrepJob.objects.create(asset_id=run.subject_id, run=run)


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


@dataclass(frozen=True, slots=True)
class PrepGroup:
    """Prep started for many products: the group, how many are in it, and how many needed nothing."""

    group_id: Ulid
    started: int
    skipped: int


def prepare_many(assets: Iterable[ProductAsset], *, trigger: str) -> PrepGroup:
    """Start prep for many assets as one group, ready ones too; those that are being prepared already are skipped."""
    group_id, started, skipped = new_id(), 0, 0
    given = iter(assets)
    while batch := list(islice(given, BATCH)):
        begun = _prepare_batch(batch, trigger, group_id)
        started, skipped = started + begun, skipped + len(batch) - begun
    return PrepGroup(group_id, started, skipped)


@transaction.atomic
def _prepare_batch(assets: list[ProductAsset], trigger: str, group_id: Ulid) -> int:
    """Whoever moves an asset to `queued` prepares it: one statement tells which of them we were the first to move."""
    moved = set(move_assets([asset.pk for asset in assets], Status.QUEUED))
    mine = [asset for asset in assets if asset.pk in moved]
    runs = start_group(
        pipeline="prep",
        members=[_member(asset) for asset in mine],
        group_id=group_id,
        trigger=trigger,
        priority=PRIORITY,
    )
    PrepJob.objects.bulk_create(PrepJob(asset=asset, run=run) for asset, run in zip(mine, runs, strict=True))
    return len(mine)


def _member(asset: ProductAsset) -> Member:
    return Member(
        shop=asset.shop,
        input=prep_input(asset),
        pictures={"source": asset.source} if asset.source else {},
        title=asset.title,
        product_type=asset.product_type,
        subject_type="product_asset",
        subject_id=str(asset.pk),
    )
