"""One function that runs a composite from beginning to end and returns its run, everything captured."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prep.models import ProductAsset
from runs.context import Deps
from runs.inline import execute_inline
from runs.models import Run
from runs.services import start_run
from storefront.room_photo import RoomPhoto
from storefront.services import PIPELINE, Tap, composite_input, composite_pictures


@dataclass(frozen=True, slots=True)
class CompositeParams:
    """What a composite is made of: a ready asset, a stored room photo, and where the product should stand."""

    asset: ProductAsset
    room: RoomPhoto
    tap: Tap | None = None
    hints: Mapping[str, Any] | None = None
    trigger: str = "command"


def execute_composite_run(params: CompositeParams, deps: Deps | None = None) -> Run:
    """Create the run, execute facts, placement, select and composite here and now, and return it completed or failed.

    `deps` brings vendors with their routes, storage, clock and computing; the installation's own by default.
    """
    asset = params.asset
    run = start_run(
        pipeline=PIPELINE,
        shop=asset.shop,
        input=composite_input(asset, params.room, params.tap, params.hints),
        pictures=composite_pictures(asset, params.room),
        title=asset.title,
        product_type=asset.product_type,
        subject_type="product_asset",
        subject_id=asset.id,
        trigger=params.trigger,
        inline_owner="inline",
    )
    return execute_inline(run, deps)
