"""Why two runs of a pipeline differ: what was not the same about them, read from what is recorded, and nothing else.

A cause is something that was chosen or given: a prompt, a model, params, a schema, the input, the release. What
follows from causes (another answer upstream, and with it another input of the next node) is not one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from monitor.json_diff import diff_json
from monitor.steps import StepView
from runs.models import Run, Step
from vendors.local.vendor import LocalVendor

NONE = "none"
INPUT_ROWS = 12


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that was not the same; `node` is empty for what concerns the whole run, `anchor` where to see it.

    `note` says what else has to be known about it.
    """

    what: str
    before: str
    after: str
    node: str = ""
    anchor: str = ""
    note: str = ""


def read_causes(before: Run, after: Run, pairs: Mapping[str, tuple[StepView | None, StepView | None]]) -> list[Cause]:
    """What was chosen or given differently, the run's own first, then node by node."""
    shared = before.pipeline_slug != after.pipeline_slug  # then a node that only one has is the pipeline's doing
    nodes = {key: pair for key, pair in pairs.items() if not shared or all(pair)}
    return [*_of_the_run(before, after), *(cause for key, pair in nodes.items() for cause in _of_a_node(key, *pair))]


def _of_the_run(before: Run, after: Run) -> Iterator[Cause]:
    facts = (
        ("shop", before.shop, after.shop),
        ("pipeline", before.pipeline_slug, after.pipeline_slug),
        ("pipeline version", _version(before), _version(after)),
        ("release", before.release, after.release),
        ("environment", before.environment, after.environment),
        ("answers", _answers(before), _answers(after)),
    )
    for what, old, new in facts:
        if old != new and not (what == "pipeline version" and before.pipeline_slug != after.pipeline_slug):
            yield Cause(what, str(old or NONE), str(new or NONE))
    found = diff_json(before.input, after.input, INPUT_ROWS)
    for row in found.rows:
        yield Cause(f"input {row.path}", row.before or NONE, row.after or NONE, anchor="input")
    if found.left_out:
        yield Cause("input", f"{found.left_out} more differences", "", anchor="input")


def _version(run: Run) -> str:
    return f"v{run.pipeline_version.number}" if run.pipeline_version else ""


def _answers(run: Run) -> str:
    """A fork asks anew as a first run does; only a replay is answered from a recording."""
    return "recorded" if run.mode == Run.Mode.RECORDED else "live"


def _of_a_node(key: str, old: StepView | None, new: StepView | None) -> Iterator[Cause]:
    if old is None or new is None:
        there = old or new
        if there is not None and there.step.status != Step.Status.PENDING:
            yield Cause("node", "there" if old else "not there", "there" if new else "not there", key)
        return
    a, b = old.step, new.step
    if a.name != b.name:
        yield Cause("stage", a.name, b.name, key)
    if not (_ended(a) and _ended(b)):
        return  # what it is asked with is not known before it is asked
    if (a.type == Step.Type.HUMAN) is not (b.type == Step.Type.HUMAN):
        yield Cause("answered by", _by(a), _by(b), key, f"answer-{key}")
        return  # a person is asked with no prompt and by no model
    if a.type == Step.Type.HUMAN:
        if a.output_sha256 != b.output_sha256:
            yield Cause("answer by hand", a.why or NONE, b.why or NONE, key, f"answer-{key}")
        return
    yield from _of_a_prompt(key, a, b)
    if (a.vendor, a.model) != (b.vendor, b.model):
        yield Cause("model", _model(a), _model(b), key)
    yield from _of_params(key, old, new)
    if a.ir_schema_id != b.ir_schema_id:
        yield Cause("IR schema", _schema(a), _schema(b), key)
    yield from _of_a_profile(key, old, new)


def _ended(step: Step) -> bool:
    return step.status in Step.ENDED


def _by(step: Step) -> str:
    return "a person" if step.type == Step.Type.HUMAN else "the stage"


def _of_a_prompt(key: str, a: Step, b: Step) -> Iterator[Cause]:
    """By the text's hash; the same text from another source is said, too: the source decides who gets it next."""
    if (a.prompt_name, a.prompt_sha256) != (b.prompt_name, b.prompt_sha256):
        yield Cause("prompt", _prompt(a), _prompt(b), key, f"prompt-{key}", _unread(a, b))
    elif a.prompt_source != b.prompt_source:
        yield Cause("prompt source", a.prompt_source or NONE, b.prompt_source or NONE, key)


def _unread(a: Step, b: Step) -> str:
    """Why another prompt led to the same answer, where nobody read its words."""
    if not (a.vendor == b.vendor == LocalVendor.name and a.output_sha256 and a.output_sha256 == b.output_sha256):
        return ""
    return f"The answer is the same: {_model(b)} takes the params of a prompt and reads no words."


def _prompt(step: Step) -> str:
    return f"{step.prompt_name} {step.prompt_version} ({step.prompt_source})" if step.prompt_name else NONE


def _model(step: Step) -> str:
    return f"{step.vendor}/{step.model}" if step.vendor else NONE


def _schema(step: Step) -> str:
    return str(step.ir_schema) if step.ir_schema else NONE


def _of_params(key: str, old: StepView, new: StepView) -> Iterator[Cause]:
    if old.payload is None or new.payload is None:
        return
    for row in diff_json(old.payload.params, new.payload.params, INPUT_ROWS).rows:
        yield Cause(f"param {row.path}", row.before or NONE, row.after or NONE, key)


def _of_a_profile(key: str, old: StepView, new: StepView) -> Iterator[Cause]:
    """Which thresholds the node's metrics were held against, where both were measured."""
    before, after = _profile(old), _profile(new)
    if not before or not after:
        return
    told = tuple(", ".join(sorted({str(row["profile"]) for row in rows.values()})) for rows in (before, after))
    revisions = tuple(f"{name}, revision {_revisions(rows)}" for name, rows in zip(told, (before, after), strict=True))
    if told[0] != told[1]:
        yield Cause("metric profile", told[0], told[1], key)
    elif revisions[0] != revisions[1]:
        yield Cause("metric profile", revisions[0], revisions[1], key)
    for metric in (key for key in before if key in after):
        for fact in ("threshold", "must_pass"):
            a, b = before[metric][fact], after[metric][fact]
            if a != b:
                yield Cause(f"{fact.replace('_', ' ')} of {metric}", _said(a), _said(b), key, "metrics")


def _profile(view: StepView) -> dict[str, dict[str, Any]]:
    results = [row.result for row in view.last.metrics if row.result.profile_key]
    return {
        result.key: {
            "profile": result.profile_key,
            "revision": result.profile_revision,
            "threshold": result.threshold,
            "must_pass": result.must_pass,
        }
        for result in results
    }


def _revisions(rows: Mapping[str, Mapping[str, Any]]) -> str:
    known = {row["revision"] for row in rows.values() if row["revision"] is not None}
    return ", ".join(map(str, sorted(known))) or "unknown"


def _said(value: Any) -> str:
    if value is None:
        return NONE
    return ("yes" if value else "no") if isinstance(value, bool) else f"{value:g}"
