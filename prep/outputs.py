"""What becomes of prep results: rows of the asset, written inside the engine's fenced transaction."""

from django.utils import timezone

from prep.models import ProductAsset
from prep.services import adopt_run, move_asset, prep_input
from runs.models import Artifact, Blob, Run
from runs.registry import NodeOutput, on_finish, on_fork, output

Status = ProductAsset.PrepStatus


@output("prep", "fetch")
def photo_fetched(result: NodeOutput) -> list[tuple[str, str]]:
    """The asset shows its safe photo and is being processed."""
    if result.run.is_trial:
        return []
    photo = result.blobs["product"]
    _keep(photo)
    move_asset(result.run.subject_id, Status.PROCESSING, photo=photo)
    return []


@output("prep", "facts")
def facts_found(result: NodeOutput) -> list[tuple[str, str]]:
    """The asset keeps facts and the prompt they were extracted with, its cutout, and is ready.

    If the merchant changed it meanwhile, these are another picture's or text's: it has to be prepared again. What staff
    try out on it changes nothing.
    """
    if result.run.is_trial:
        return []
    run, step = result.run, result.step
    asset = ProductAsset.objects.select_for_update(of=("self",)).select_related("source").get(id=run.subject_id)
    current = prep_input(asset) == run.input
    cutout = Artifact.objects.select_related("blob").filter(run=run, name="cutout", role=Artifact.Role.RESULT).last()
    if cutout is not None and cutout.blob is not None:
        _keep(cutout.blob)
    cutout_ir = run.steps.get(node_key="cutout").payload.ir or {}
    move_asset(
        run.subject_id,
        Status.READY if current else Status.UNPREPARED,
        cutout=cutout.blob if cutout else None,
        warnings=cutout_ir.get("warnings", []),
        extracted_facts=result.ir,
        extracted_at=timezone.now(),
        facts_version=step.prompt_version,
        facts_prompt_sha256=step.prompt_sha256,
        prep_error="",
    )
    return [("product_asset", run.subject_id)]


def _keep(blob: Blob) -> None:
    """A merchant's picture stays as long as the product does, whichever shopper's run refers to it."""
    Blob.objects.filter(id=blob.id).update(retention=Blob.Retention.KEEP)


@on_finish("prep")
def prep_ended(run: Run) -> None:
    """An asset whose run failed says so; the run says why."""
    if not run.is_trial and run.status != Run.Status.COMPLETED:
        move_asset(run.subject_id, Status.FAILED, prep_error=run.error_message or "The preparation was cancelled.")


@on_fork("prep")
def prep_forked(parent: Run, fork: Run) -> None:
    """A prep run that goes on where another failed is a new job of the same product; a trial is not."""
    if not fork.is_trial:
        adopt_run(fork)
