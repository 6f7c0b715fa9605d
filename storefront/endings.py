"""How a composite ends: with a picture, without one, or deleted."""

import logging

from django.db import transaction
from django.utils import timezone

from runs.blobs import delete_pictures
from runs.cancelling import cancel_run
from runs.errors import BlobsExpired
from runs.models import Artifact, Blob, Run
from shops.services import give_back_quota
from storefront.models import CompositeRun, Upload

logger = logging.getLogger(__name__)


def delete_composite(*, composite: CompositeRun, why: str = Artifact.DeletedFor.SHOPPER) -> None:
    """Delete every picture made from this composite's photo, the photo included, at once; decisions stay.

    The whole chain goes, for it was made from one photo. Runs still under way are cancelled, and lose their pictures as
    they end: after the deletion is done, since a run's own end locks run and composite in the other order.
    """
    with transaction.atomic():
        chain = list(CompositeRun.objects.in_chain_of(composite).select_for_update(of=("self",)).select_related("run"))
        CompositeRun.objects.filter(pk__in=[made.pk for made in chain]).update(
            room=None, result=None, upload=None, deleted_at=timezone.now()
        )
        uploads = {made.upload_id for made in chain if made.upload_id}
        Upload.objects.filter(pk__in=uploads, composites=None).delete()
        runs = _with_forks([made.run for made in chain])
        for run in runs:
            delete_pictures(run, why=why)
    for run in runs:
        if not run.is_over:
            cancel_run(run.pk, by="the shopper", reason="The pictures were deleted.")
    logger.info("composite deleted", extra={"run_id": str(composite.pk), "pictures_of": len(chain)})


def _with_forks(runs: list[Run]) -> list[Run]:
    """These runs and every run that staff forked from them: they hold the same shopper's pictures."""
    found, newest = list(runs), list(runs)
    while newest:
        newest = list(Run.objects.filter(parent__in=newest))
        found += newest
    return found


def check_fork(*, parent: Run) -> None:
    """Refuse to go on with a shopper's pictures that were deleted. Inside a transaction; its deletion waits for it.

    Raises:
        runs.errors.BlobsExpired: they were.
    """
    composite = _composite_behind(parent)
    if composite is not None and composite.deleted_at is not None:
        raise BlobsExpired("The shopper's pictures of this run have been deleted.")


def record_result(*, run: Run, blob: Blob) -> bool:
    """Show a run's picture to its shopper; False when there is none to show it to. Rows only."""
    return bool(CompositeRun.objects.visible().filter(pk=run.pk).update(result=blob))


def settle_composite(*, run: Run) -> None:
    """What the end of a run means for its shopper, however it ended. Rows only, inside a transaction.

    1. A picture that never came to be is given back to the shop's quota, once.
    2. Pictures of a composite that was deleted meanwhile go now; those of a fork of it too.
    """
    composite = _composite_behind(run)
    if composite is None:
        return
    if run.pk == composite.pk and run.status != Run.Status.COMPLETED and composite.quota_day is not None:
        give_back_quota(composite.shop, composite.quota_day)
        CompositeRun.objects.filter(pk=composite.pk).update(quota_day=None)
    if composite.deleted_at is not None:
        delete_pictures(run)


def _composite_behind(run: Run) -> CompositeRun | None:
    """The shopper's composite that a run, or the run it was forked from, belongs to; its row locked."""
    ancestor: Run | None = run
    while ancestor is not None:
        locked = CompositeRun.objects.select_for_update(of=("self",)).select_related("shop")
        composite = locked.filter(pk=ancestor.pk).first()
        if composite is not None:
            return composite
        ancestor = ancestor.parent
    return None
