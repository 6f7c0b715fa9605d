"""What becomes of a composite run: rows of the shopper's composite, written inside the engine's fenced transaction."""

from runs.models import Run
from runs.registry import NodeOutput, on_finish, on_fork, output
from storefront.endings import check_fork, record_result, settle_composite
from storefront.services import PIPELINE


@output(PIPELINE, "composite")
def picture_made(result: NodeOutput) -> list[tuple[str, str]]:
    """The shopper may see the picture that passed the gate."""
    shown = record_result(run=result.run, blob=result.blobs["result"])
    return [("composite", str(result.run.pk))] if shown else []


@on_finish(PIPELINE)
def composite_ended(run: Run) -> None:
    """Quota of a picture that never came to be goes back; a deleted composite's late pictures go too."""
    settle_composite(run=run)


@on_fork(PIPELINE)
def composite_forked(parent: Run, fork: Run) -> None:
    """Staff may go on with a shopper's pictures as long as the shopper lets them be; nobody else sees the outcome."""
    check_fork(parent=parent)
