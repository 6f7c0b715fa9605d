"""A composite run as one JSON object, for commands."""

from pathlib import Path
from typing import Any

from runs.models import Artifact, Run, Step


def composite_report(run: Run, prep: Run | None = None, out: Path | None = None) -> dict[str, Any]:
    """What `composite --json` prints. `prep` is the run that made the product ready; `out` is where the result went.

    The error is the first run's that failed.
    """
    steps = list(run.steps.select_related("payload"))
    answers = {step.node_key: step.payload.ir for step in steps if step.status == Step.Status.COMPLETED}
    failed = next((candidate for candidate in (prep, run) if candidate and candidate.status != "completed"), None)
    return {
        "run": str(run.id),
        "status": run.status,
        "facts": answers.get("facts"),
        "placement": answers.get("placement"),
        "selected": (answers.get("select") or {}).get("selected"),
        "cutout": cutout_report(prep or run),
        "result": _result(answers.get("composite"), out),
        "gate": gate_report(run),
        "steps": [_step(step) for step in steps],
        "error": error_report(failed),
    }


def cutout_report(run: Run) -> dict[str, Any] | None:
    """Whether the cutout was accepted, what was doubtful about it, and which bytes it is."""
    artifact = Artifact.objects.select_related("blob").filter(run=run, name="cutout", blob__isnull=False).last()
    if artifact is None or artifact.blob is None:
        return None
    step = run.steps.select_related("payload").filter(node_key="cutout").first()
    if step is None:  # a composite from a product that was ready before
        return {"accepted": True, "warnings": [], "sha256": artifact.blob.sha256}
    ir = step.payload.ir or {}
    return {
        "accepted": step.status == Step.Status.COMPLETED,
        "warnings": ir.get("warnings") or step.payload.reasoning.get("warnings", []),
        "sha256": artifact.blob.sha256,
    }


def gate_report(run: Run) -> dict[str, Any] | None:
    """The metrics of the last attempt of the composite node, each beside its threshold."""
    results = list(run.metrics.filter(step__node_key="composite").order_by("-attempt", "id"))
    results = [result for result in results if result.attempt == results[0].attempt]
    if not results:
        return None
    return {
        "passed": all(result.passed is not False for result in results if result.must_pass),
        "metrics": {
            result.key: {"value": result.value, "passed": result.passed, "threshold": result.threshold}
            for result in results
        },
    }


def error_report(run: Run | None) -> dict[str, Any] | None:
    """Why a run failed."""
    if run is None:
        return None
    return {
        "stage": run.error_stage,
        "code": run.error_code,
        "message": run.error_message,
        "retryable": bool(run.error_retryable),
    }


def _result(ir: dict[str, Any] | None, out: Path | None) -> dict[str, Any] | None:
    if ir is None:
        return None
    picture = ir["result"]
    return {
        "path": str(out) if out else None,
        "sha256": picture["$blob"],
        "width": picture["width"],
        "height": picture["height"],
    }


def _step(step: Step) -> dict[str, Any]:
    names = ("type", "status", "attempt", "latency_ms", "candidates_in", "candidates_out", "drop_ratio", "why")
    row = {name: getattr(step, name) for name in names}
    texts = {
        "vendor": step.vendor,
        "model": step.model,
        "prompt": step.prompt_name,
        "prompt_version": step.prompt_version,
    }
    return {"node": step.node_key, **row, **{name: text or None for name, text in texts.items()}}
