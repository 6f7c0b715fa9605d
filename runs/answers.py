"""The answers (IR) that steps have left, for whoever wants to change what answers have to look like."""

from typing import Any

from django.db import connection

from core.ids import Ulid
from irschemas.models import IRSchema
from irschemas.stored import StoredAnswer, stored_answers_from
from runs.models import Step, StepPayload

# The newest of each version by its index, then the newest of all: the table's size does not matter.
BY_VERSION = """
SELECT newest.id FROM unnest(%s::uuid[]) AS version(id), LATERAL (
    SELECT id FROM runs_step
    WHERE ir_schema_id = version.id AND status = 'completed' AND reused_from_id IS NULL ORDER BY id DESC LIMIT %s
) AS newest ORDER BY newest.id DESC LIMIT %s
"""


@stored_answers_from
def answers_of_steps(target: str, limit: int) -> list[StoredAnswer]:
    """The newest answers of completed steps, those that were only taken over left out.

    Of a stage: by the version they were held against, or, while it has had none, by the stage's name. Of a prompt: by
    the prompt that was asked.
    """
    kind, _, name = target.partition(":")
    steps = Step.objects.filter(status=Step.Status.COMPLETED, reused_from=None).order_by("-id")
    if kind == "prompt":
        ids: list[Any] = list(steps.filter(prompt_name=name).values_list("id", flat=True)[:limit])
    elif kind == "stage":
        ids = _by_version(target, limit) or list(steps.filter(name=name).values_list("id", flat=True)[:limit])
    else:
        return []
    payloads = StepPayload.objects.filter(step_id__in=ids, ir__isnull=False).select_related(None)
    rows = payloads.values_list("step__run_id", "step_id", "step__created_at", "ir")
    return sorted((StoredAnswer(*row) for row in rows), key=lambda answer: answer.step_id, reverse=True)


def _by_version(target: str, limit: int) -> list[Ulid]:
    versions = list(IRSchema.objects.for_targets([target]).values_list("id", flat=True))
    with connection.cursor() as cursor:
        cursor.execute(BY_VERSION, [[version.hex for version in versions], limit, limit])
        return [Ulid(int=row[0].int) for row in cursor.fetchall()]
