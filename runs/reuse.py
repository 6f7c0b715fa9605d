"""An earlier answer to the same input, for nodes whose policy says `cache: input_hash`."""

from datetime import datetime
from typing import Any

from core.canonical import json_hash
from core.pictures import picture_refs
from runs.attempts import Attempt
from runs.blobs import BlobDraft
from runs.context import RunContext
from runs.models import Artifact, Run, Step
from runs.recording import PromptUse, Recording

LOOKED_AT = 5
PICTURES = (Artifact.Role.IMAGE, Artifact.Role.RESULT)
SAID = ("why", "candidates_in", "candidates_out", "reasons", "confidence", "score")


def cache_key(context: RunContext, attempt: Attempt) -> str:
    """What has to be equal: the stage with its version, its params, and all that it was given."""
    return json_hash({"stage": context.dag.nodes[attempt.node_key].step, "input": attempt.input_sha256})


def reuse_earlier(context: RunContext, attempt: Attempt, now: datetime) -> bool:
    """Fill the attempt from the newest earlier step that still holds; whether there is one.

    It holds when it is of the same shop, stage and input, when the prompt that it asked with is still the one that the
    shop would use, and when the pictures of its answer are still there. Forks and replays neither give nor take.
    """
    if context.run.mode != Run.Mode.LIVE:
        return False
    steps = Step.objects.filter(shop=context.run.shop_id, cache_key=attempt.cache_key, run__mode=Run.Mode.LIVE)
    for step in steps.filter(status=Step.Status.COMPLETED).select_related("payload").order_by("-id")[:LOOKED_AT]:
        pictures = _pictures(step)
        if _prompt_holds(context, step, now) and _pictures_hold(attempt, step, pictures):
            _take(attempt, step, pictures)
            return True
    return False


def _pictures(step: Step) -> dict[str, Artifact]:
    """The pictures that a step made and that are still there, by hash."""
    found = step.artifacts.filter(attempt=step.attempt, role__in=PICTURES, blob__isnull=False).select_related("blob")
    return {artifact.blob.sha256: artifact for artifact in found if artifact.blob}


def _prompt_holds(context: RunContext, step: Step, now: datetime) -> bool:
    return not step.prompt_name or context.select(step.prompt_name, now).sha256 == step.prompt_sha256


def _pictures_hold(attempt: Attempt, step: Step, pictures: dict[str, Artifact]) -> bool:
    given = {ref["$blob"] for ref in picture_refs(attempt.bindings)}
    return {ref["$blob"] for ref in picture_refs(step.payload.ir)} <= given | pictures.keys()


def _take(attempt: Attempt, step: Step, pictures: dict[str, Artifact]) -> None:
    recording = Recording(reasoning={"reused_from": {"run": str(step.run_id), "step": str(step.id)}})
    for name in SAID:
        setattr(recording, name, getattr(step, name))
    if step.prompt_name:
        recording.prompt = PromptUse(step.prompt_name, step.prompt_version, step.prompt_sha256, step.prompt_source)
    for artifact in pictures.values():
        recording.keep(artifact.role, artifact.name, _draft(artifact.blob))
    attempt.recording, attempt.ir = recording, step.payload.ir
    attempt.reused_from = step.reused_from_id or step.id


def _draft(blob: Any) -> BlobDraft:
    names = ("sha256", "size", "media_type", "storage_key", "width", "height", "body")
    return BlobDraft(**{name: getattr(blob, name) for name in names})
