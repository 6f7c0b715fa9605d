"""Everything a claimed run needs to know, read once: stages never touch the database."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef

from core.storage import BlobStore
from irschemas.records import ActiveSchema, Profile
from irschemas.services import active_schemas, load_profiles
from prompts.selection import LiveOverride, Selection, select_prompt
from prompts.services import load_live_overrides
from runs.blobs import owner_of
from runs.claims import Claim
from runs.compute import Compute
from runs.dag import Dag, published_dag
from runs.errors import LeaseLost
from runs.models import Artifact, Run, RunError, Step
from runs.registry import find_stage
from vendors.base import Vendor
from vendors.routes import Routes


@dataclass(frozen=True)
class Deps:
    """What the engine is given from outside: vendors and their routes, storage, clock, and where work is done."""

    vendors: Mapping[str, Vendor]
    routes: Routes
    store: BlobStore
    clock: Callable[[], datetime]
    compute: Compute


@dataclass
class RunContext:
    """One claimed run, its memory by node, and the rules that hold for it."""

    claim: Claim
    run: Run
    dag: Dag
    steps: dict[str, Step]
    irs: dict[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, LiveOverride] = field(default_factory=dict)
    schemas: Mapping[str, ActiveSchema] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    replies: dict[str, str] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        """The storage folder of the run's shop."""
        return owner_of(self.run.shop_id)

    def select(self, name: str, now: datetime) -> Selection:
        """The prompt this run's shop uses at this moment: live override, else experiment, else production."""
        shop = self.run.shop
        return select_prompt(
            name,
            shop_key=str(self.run.shop_id or ""),
            features=shop.features if shop else {},
            override=self.overrides.get(name),
            now=now,
        )

    def bindings(self, node_key: str) -> dict[str, Any]:
        """What a node's stage may ask for by name: the run's input, over it the answers of the node's ancestors."""
        ancestors = self.dag.ancestors[node_key]
        return {**self.run.input, **{key: self.irs[key] for key in self.dag.order if key in ancestors}}


def load_context(claim: Claim) -> RunContext:
    """Read a claimed run and all its rules.

    Raises:
        LeaseLost: the claim is not valid any more.
    """
    run = (
        Run.objects.select_related("pipeline_version", "shop")
        .filter(id=claim.run_id, token=claim.token, status=Run.Status.RUNNING)
        .first()
    )
    if run is None or run.pipeline_version is None:
        raise LeaseLost()
    dag = published_dag(run.pipeline_version.dag_sha256, run.pipeline_version.dag)
    steps = {step.node_key: step for step in run.steps.select_related("payload").filter(node_key__in=dag.order)}
    context = RunContext(claim, run, dag, steps)
    context.irs = {key: step.payload.ir for key, step in steps.items() if step.status == Step.Status.COMPLETED}
    context.overrides = load_live_overrides(run.shop) if run.shop else {}
    context.schemas = active_schemas(sorted({_target(node.step) for node in dag.nodes.values()}))
    profiles = sorted({node.metric_profile for node in dag.nodes.values() if node.metric_profile})
    context.profiles = load_profiles(profiles) if profiles else {}
    if any(step.status == Step.Status.RUNNING for step in steps.values()):
        context.replies = _unused_replies(run)
    return context


def _unused_replies(run: Run) -> dict[str, str]:
    """Answers that arrived while their worker was being lost, by idempotency key.

    An attempt that failed by itself has had its answer and its cost counted: the next one asks anew.
    """
    failed = RunError.objects.filter(run=run, step=OuterRef("step"), attempt=OuterRef("attempt")).exclude(
        code="worker_lost", vendor=""
    )
    replies = Artifact.objects.filter(~Exists(failed), run=run, role=Artifact.Role.REPLY, blob__isnull=False)
    return dict(replies.values_list("name", "blob__sha256"))


def _target(step: str) -> str:
    stage = find_stage(step)
    return stage.target if stage else f"stage:{step.split('@')[0]}"
