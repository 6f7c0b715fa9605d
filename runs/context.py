"""Everything a claimed run needs to know, read once: stages never touch the database."""

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef

from core.ids import Ulid
from core.storage import BlobMissing, BlobStore
from irschemas.records import ActiveSchema, Profile
from irschemas.services import active_schemas, load_profiles
from prompts.library import library
from prompts.selection import LiveOverride, Selection, edited_selection, select_prompt
from prompts.services import load_live_overrides
from runs.blobs import owner_of, read_blob
from runs.changes import Changes
from runs.claims import Claim
from runs.compute import Compute
from runs.conditions import RUN_FIELDS, SHOP_FIELDS
from runs.dag import Dag, published_dag
from runs.errors import LeaseLost
from runs.grounds import Ended, metric_values
from runs.limits import Limiter
from runs.models import Artifact, Blob, MetricResult, PipelineVersion, Run, RunError, Step
from runs.recorded import RecordedRun, load_recorded, schema_ids
from runs.registry import find_stage
from runs.repairing import Repair, repair_of
from runs.summary import RunSummary
from runs.writing import prepared_cursor
from vendors.base import Vendor
from vendors.prices import Prices
from vendors.routes import Routes

# One look at everything that a run has written so far, behind the same fence as every write.
LOAD = """
SELECT version.id, version.dag_sha256,
  jsonb_build_object(
    'id', run.id, 'pipeline_slug', run.pipeline_slug, 'status', run.status, 'mode', run.mode, 'trigger', run.trigger,
    'environment', run.environment, 'priority', run.priority,
    'subject_type', run.subject_type, 'subject_id', run.subject_id, 'created_at', run.created_at,
    'started_at', run.started_at, 'cost_usd', run.cost_usd::text,
    'input', run.input, 'summary', run.summary, 'changes', run.fork_changes),
  CASE WHEN shop.id IS NOT NULL THEN jsonb_build_object(
    'id', shop.id, 'domain', shop.domain, 'plan', shop.plan, 'features', shop.features) END,
  (SELECT jsonb_agg(jsonb_build_object(
     'id', step.id, 'node_key', step.node_key, 'status', step.status, 'attempt', step.attempt, 'route', step.route,
     'started_at', step.started_at, 'retries', step.retries,
     'wait_s', extract(epoch FROM step.due_at - statement_timestamp()),
     'asked', CASE WHEN step.status = 'running' AND step.vendor <> '' THEN jsonb_build_object(
       'vendor', step.vendor, 'model', step.model, 'answered', EXISTS (
         SELECT FROM runs_artifact WHERE step_id = step.id AND attempt = step.attempt AND role = 'reply')) END,
     'ir', CASE WHEN step.status = 'completed' THEN payload.ir END,
     'columns', CASE WHEN step.status IN ('completed', 'failed') THEN jsonb_build_object(
       'attempt', step.attempt, 'latency_ms', step.latency_ms, 'candidates_in', step.candidates_in,
       'candidates_out', step.candidates_out, 'drop_ratio', step.drop_ratio, 'confidence', step.confidence,
       'score', step.score, 'cost_usd', step.cost_usd, 'ir_valid', step.ir_valid,
       'ir_error_count', step.ir_error_count, 'reused', step.reused_from_id IS NOT NULL,
       'error_code', step.error_code) END))
   FROM runs_step step LEFT JOIN runs_steppayload payload ON payload.step_id = step.id
   WHERE step.run_id = run.id AND step.node_key <> '')
FROM runs_run run JOIN runs_pipelineversion version ON version.id = run.pipeline_version_id
LEFT JOIN shops_shop shop ON shop.id = run.shop_id
WHERE run.id = %s::uuid AND run.token = %s::int AND run.status = 'running'
"""


@dataclass(frozen=True)
class Deps:
    """What the engine is given from outside: vendors and their routes, storage, clock, and where work is done."""

    vendors: Mapping[str, Vendor]
    routes: Routes
    store: BlobStore
    clock: Callable[[], datetime]
    compute: Compute
    limiter: Limiter = field(default_factory=Limiter)
    recompute: bool = False  # replays compute anew what a vendor has computed here
    prices: Prices = field(default_factory=Prices)


@dataclass(frozen=True, slots=True)
class ShopFacts:
    """What the engine knows of the shop whose run it is."""

    id: UUID
    domain: str
    plan: str
    features: Mapping[str, Any]


@dataclass(slots=True)
class RunFacts:
    """A claimed run as plain values; `status` and `summary` follow what is committed."""

    id: UUID
    pipeline_slug: str
    status: str
    mode: str
    trigger: str
    environment: str
    priority: int
    subject_type: str
    subject_id: str
    created_at: datetime
    started_at: datetime | None
    cost_usd: Decimal  # what is known of it; it follows what is committed
    input: dict[str, Any]
    summary: RunSummary
    changes: Changes
    shop: ShopFacts | None

    @property
    def shop_id(self) -> UUID | None:
        """The shop's id, or None for a run without a shop."""
        return self.shop.id if self.shop else None


@dataclass(slots=True)
class StepFacts:
    """A node's step as plain values; they follow what is committed."""

    id: UUID
    node_key: str
    status: str
    attempt: int
    route: int
    started_at: datetime | None
    retries: int = 0
    wait_s: float | None = None  # until the next attempt may begin, as it was when the run was read
    asked: Mapping[str, Any] | None = (
        None  # whom an attempt in hand had asked when the run was read, and if it answered
    )
    repair: Repair | None = None  # what the next attempt is to have mended

    @property
    def has_begun(self) -> bool:
        """Whether the node has been begun before: its join and its condition are decided."""
        return self.attempt > 1 or self.wait_s is not None


@dataclass
class RunContext:
    """One claimed run, its memory by node, and the rules that hold for it."""

    claim: Claim
    run: RunFacts
    dag: Dag
    steps: dict[str, StepFacts]
    ended: dict[str, Ended] = field(default_factory=dict)
    overrides: Mapping[str, LiveOverride] = field(default_factory=dict)
    schemas: Mapping[str, ActiveSchema] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    replies: dict[str, Blob] = field(default_factory=dict)
    recorded: RecordedRun | None = None  # of a replay: the original
    schema_ids: Mapping[tuple[str, str], UUID] = field(default_factory=dict)
    expected_usd: dict[str, Decimal] = field(default_factory=dict)  # of calls that have no cost yet, by node

    def spent_usd(self, *, but: str) -> Decimal:
        """What the run has cost so far, and what calls under way for other nodes than one may cost."""
        under_way = (usd for key, usd in self.expected_usd.items() if key != but)
        return self.run.cost_usd + sum(under_way, Decimal(0))

    @property
    def owner(self) -> str:
        """The storage folder of the run's shop."""
        return owner_of(self.run.shop_id)

    @property
    def told_as(self) -> UUID:
        """The id that stages and model services are told; in a replay the original's, so that all else is the same."""
        return self.recorded.run.pk if self.recorded else self.run.id

    @property
    def run_values(self) -> dict[str, Any]:
        """What conditions see of the run; in a replay what they saw then."""
        values = {name: getattr(self.run, name) for name in RUN_FIELDS[1:]}
        known = self.recorded.run_values if self.recorded else {}
        return {"pipeline": self.run.pipeline_slug, **values, **known}

    @property
    def shop_values(self) -> dict[str, Any]:
        """What conditions see of the shop; in a replay what they saw then."""
        known = self.recorded.shop_values if self.recorded else None
        shop = self.run.shop
        return known or ({name: getattr(shop, name) for name in SHOP_FIELDS} if shop else {})

    def select(self, name: str, now: datetime) -> Selection:
        """The prompt this run uses at this moment: the one edited for it, else the shop's.

        That is its live override, else the experiment's, else production.
        """
        edited = self.run.changes.prompts.get(name)
        if edited is not None:
            return edited_selection(name, edited, base_version=library().production(name).version, source="edit")
        shop = self.run.shop
        return select_prompt(
            name,
            shop_key=str(shop.id) if shop else "",
            features=shop.features if shop else {},
            override=self.overrides.get(name),
            now=now,
        )

    def bindings(self, node_key: str) -> dict[str, Any]:
        """What a node's stage may ask for by name: the run's input, over it the answers of the node's ancestors.

        One that was skipped, or failed while the run went on, has the answer None.
        """
        ancestors = self.dag.ancestors[node_key]
        return {**self.run.input, **{key: self.ended[key].ir for key in self.dag.order if key in ancestors}}

    def params(self, node_key: str) -> dict[str, Any]:
        """A node's params: its stage's defaults, over them its own."""
        node = self.dag.nodes[node_key]
        stage = find_stage(node.step)
        return {**(stage.defaults if stage else {}), **node.params}

    def grounds(self, node_key: str, ended: Mapping[str, Ended]) -> dict[str, Any]:
        """What the condition of a node may name, given how the nodes before it have ended."""
        before = {key: ended[key] for key in self.dag.ancestors[node_key]}
        return {
            "metrics": {key: end.metric_values for key, end in before.items()},
            "ir": {key: end.ir for key, end in before.items()},
            "steps": {key: end.step_values for key, end in before.items()},
            "run": self.run_values,
            "input": self.run.input,
            "params": self.params(node_key),
            "shop": self.shop_values,
        }


def load_context(claim: Claim) -> RunContext:
    """Read a claimed run and all its rules.

    Raises:
        LeaseLost: the claim is not valid any more.
        PipelineInvalid: this release lacks a stage that the run's version names.
    """
    with prepared_cursor() as cursor:
        cursor.execute(LOAD, [claim.run_id.hex, str(claim.token)])
        found = cursor.fetchone()
    if found is None:
        raise LeaseLost()
    version_id, dag_sha256, *documents = found
    raw_run, raw_shop, raw_steps = (json.loads(text or "null") for text in documents)
    dag = published_dag(dag_sha256, lambda: PipelineVersion.objects.values_list("dag", flat=True).get(id=version_id))
    shop = ShopFacts(**{**raw_shop, "id": Ulid(raw_shop["id"])}) if raw_shop else None
    ends = {step["node_key"]: (step.pop("ir"), step.pop("columns")) for step in raw_steps or []}
    steps = {step["node_key"]: _step(step) for step in raw_steps or []}
    context = RunContext(claim, _run(raw_run, shop), dag, {key: steps[key] for key in dag.order})
    if context.run.mode == Run.Mode.RECORDED:
        context.recorded = load_recorded(Run.objects.filter(forks=context.run.id).values_list("pk", flat=True).get())
        context.schema_ids = schema_ids(context.recorded)
    _load_ended(context, ends)
    _load_rules(context)
    _load_repairs(context)
    if claim.token > 1 and any(step.status == Step.Status.RUNNING for step in context.steps.values()):
        context.replies = _unused_replies(context)
    return context


def _load_repairs(context: RunContext) -> None:
    """What an attempt of an earlier claim has left to be mended."""
    again = {step.id: step for step in context.steps.values() if step.attempt > 1 and step.status not in Step.ENDED}
    if not again:
        return
    errors = RunError.objects.filter(run=context.run.id, step__in=again, details__has_key="repair")
    for error in errors.order_by("attempt"):
        reply = Artifact.objects.filter(step=error.step_id, attempt=error.attempt, role=Artifact.Role.REPLY)
        kept = reply.filter(blob__isnull=False).select_related("blob").first()
        if kept is not None and kept.blob is not None and error.step_id is not None:
            with contextlib.suppress(BlobMissing):  # then the question is asked as if for the first time
                answer = json.loads(read_blob(kept.blob))["text"] or ""
                repair = repair_of(error.details["repair"], answer, error.details["problems"])
                again[error.step_id].repair = repair


def _run(raw: dict[str, Any], shop: ShopFacts | None) -> RunFacts:
    created_at, summary = datetime.fromisoformat(raw["created_at"]), RunSummary.from_json(raw["summary"])
    read = {
        "created_at": created_at,
        "started_at": datetime.fromisoformat(raw["started_at"]) if raw["started_at"] else None,
        "cost_usd": Decimal(raw["cost_usd"] or 0),
        "summary": summary,
        "changes": Changes.from_json(raw["changes"]),
    }
    return RunFacts(**{**raw, **read, "id": Ulid(raw["id"]), "shop": shop})


def _step(raw: dict[str, Any]) -> StepFacts:
    started_at = datetime.fromisoformat(raw["started_at"]) if raw["started_at"] else None
    return StepFacts(**{**raw, "id": Ulid(raw["id"]), "started_at": started_at})


def _load_ended(context: RunContext, ends: Mapping[str, tuple[Any, Mapping[str, Any] | None]]) -> None:
    """What has ended before this worker took the run; metrics only where a condition asks for them."""
    over = {key: step for key, step in context.steps.items() if step.status in Step.ENDED}
    metrics: dict[str, list[tuple[str, Any, bool | None, bool]]] = {key: [] for key in over}
    if over and any(node.condition and node.condition.names("metrics") for node in context.dag.nodes.values()):
        measured = MetricResult.objects.filter(run=context.run.id, step__in=[step.id for step in over.values()])
        rows = measured.filter(attempt=F("step__attempt"), source="auto")
        for row in rows.values("step__node_key", "key", "value", "passed", "must_pass"):
            result = (str(row["key"]), row["value"], row["passed"], bool(row["must_pass"]))
            metrics[str(row["step__node_key"])].append(result)
    for key, step in over.items():
        ir, columns = ends[key]
        if columns and context.recorded is not None:
            columns = {**columns, **context.recorded.columns(key)}
        context.ended[key] = Ended(step.status, ir, metric_values(metrics[key]), columns or {})


def _load_rules(context: RunContext) -> None:
    """The rules that hold now: whoever changes one while the run goes on changes the next run.

    Quality gates are those of the moment when the run was started, however often it is claimed again.
    """
    nodes = context.dag.nodes.values()
    context.overrides = load_live_overrides(context.run.shop.id) if context.run.shop else {}
    context.schemas = active_schemas(sorted({_target(node.step) for node in nodes}))
    profiles = sorted({node.metric_profile for node in nodes if node.metric_profile})
    began = context.recorded.run.created_at if context.recorded else context.run.created_at
    context.profiles = load_profiles(profiles, began) if profiles else {}


def _unused_replies(context: RunContext) -> dict[str, Blob]:
    """Answers that arrived while their worker was being lost, by idempotency key; they are read when they are used.

    An attempt that failed by itself has had its answer and its cost counted: the next one asks anew.
    """
    failed = RunError.objects.filter(step=OuterRef("step"), attempt=OuterRef("attempt")).exclude(
        code="worker_lost", details__has_key="answered"
    )
    replies = Artifact.objects.filter(
        ~Exists(failed), run=context.run.id, role=Artifact.Role.REPLY, blob__isnull=False
    ).select_related("blob")
    return {reply.name: reply.blob for reply in replies if reply.blob is not None}


def _target(step: str) -> str:
    stage = find_stage(step)
    return stage.target if stage else f"stage:{step.split('@')[0]}"
