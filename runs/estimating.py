"""What a fork will cost and take before it is started: from what its nodes took lately, else from the price list."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from statistics import median

from runs.changes import Changes, split_route
from runs.context import Deps
from runs.fork_plan import CHOSEN, ForkPlan, task_of
from runs.models import Run, Step
from vendors.base import Message

RECENT_RUNS = 50
RECENT_CALLS = 20
PICTURES = 2  # that a model is usually shown: a room and a product
TASKS_WITH_ONE = ("cutout", "facts")
Samples = list[tuple[int | None, Decimal | None]]


@dataclass(frozen=True, slots=True)
class NodeEstimate:
    """A node that would be executed: by which model (empty where it asks none), and about how long and how dear.

    None where nobody knows. `samples` is how many earlier executions that is the median of.
    """

    node: str
    model: str
    seconds: float | None
    cost_usd: Decimal | None
    samples: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """A fork as a whole; `seconds` follow the longest chain of nodes, for those side by side wait for none."""

    nodes: tuple[NodeEstimate, ...]
    reused: int
    edited: int
    seconds: float | None
    cost_usd: Decimal | None

    @property
    def unknown(self) -> tuple[str, ...]:
        """Nodes of which the cost is not known."""
        return tuple(node.node for node in self.nodes if node.cost_usd is None)

    def __str__(self) -> str:
        cost = "cost unknown" if self.cost_usd is None else _about(self.cost_usd)
        time = "time unknown" if self.seconds is None else f"about {spell(self.seconds)}"
        number = len(self.nodes)
        parts = [f"{number} node{'' if number == 1 else 's'} run{'s' if number == 1 else ''}", f"{self.reused} reused"]
        parts += [f"{self.edited} by hand"] if self.edited else []
        return f"{cost}, {time}; {', '.join(parts)}"


def money(usd: Decimal) -> str:
    """US dollars for people: `0.04 USD`, `less than 0.001 USD`, and what our own engine computes."""
    if usd == 0:
        return "0 USD (computed here)"
    if usd < Decimal("0.0005"):
        return "less than 0.001 USD"
    return f"{usd:.3f} USD" if usd < Decimal("0.1") else f"{usd:.2f} USD"


def _about(usd: Decimal) -> str:
    return money(usd) if usd == 0 else f"about {money(usd)}"


def spell(seconds: float) -> str:
    """A time for people."""
    if seconds < 1:
        return "under a second"
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def estimate_fork(
    plan: ForkPlan, deps: Deps, messages: Mapping[str, tuple[Message, ...]] | None = None, now: datetime | None = None
) -> Estimate:
    """What a planned fork will cost and take, from the medians of its nodes' latest executions by the same model.

    A model without any is priced by the price list for `messages`, the prompts as they would be asked, by node.
    """
    inherited = Changes.from_json(plan.parent.fork_changes)
    chosen = {**inherited.routes, **plan.changes.routes}
    recent = _recent(plan)
    nodes = tuple(_node(plan, deps, key, chosen, recent, (messages or {}).get(key, ()), now or deps.clock())
                  for key in plan.executed)  # fmt: skip
    costs = [node.cost_usd for node in nodes]
    known = [cost for cost in costs if cost is not None]
    return Estimate(
        nodes=nodes,
        reused=len(plan.reused),
        edited=len(plan.changes.answers),
        seconds=_longest(plan, nodes),
        cost_usd=sum(known, Decimal(0)) if len(known) == len(costs) else None,
    )


def _node(
    plan: ForkPlan,
    deps: Deps,
    key: str,
    chosen: Mapping[str, str],
    recent: Mapping[tuple[str, str], Samples],
    messages: tuple[Message, ...],
    now: datetime,
) -> NodeEstimate:
    task = task_of(plan.dag.nodes[key]) if _asks(plan, key) else ""
    model = model_for(plan.parent, task, chosen, deps) if task else ""
    samples = recent.get((key, model), [])
    if model and not samples:
        samples = _calls(plan, key, model)
    seconds = _median(latency / 1000 for latency, _ in samples if latency is not None)
    cost = _median_cost(cost for _, cost in samples if cost is not None)
    if cost is None:
        cost = _priced(deps, task, model, messages, now) if task else Decimal(0)
    return NodeEstimate(key, model, seconds, cost, len(samples))


def _asks(plan: ForkPlan, key: str) -> bool:
    """Whether a node will ask a model: one that got on without will again, unless a change concerns it."""
    step = plan.steps.get(key)
    asked_none = step is not None and step.status == Step.Status.COMPLETED and not step.vendor
    return not asked_none or not set(plan.because.get(key, ())) <= {CHOSEN}


def model_for(run: Run, task: str, chosen: Mapping[str, str], deps: Deps) -> str:
    """Who will answer a task first, as `vendor/model`: the chosen one, else the first route that the shop may take."""
    if task in chosen:
        return chosen[task]
    features = run.shop.features if run.shop else {}
    routes = [route for route in deps.routes.for_task(task) if not route.feature or features.get(route.feature) is True]
    return routes[0].name if routes else ""


def _recent(plan: ForkPlan) -> dict[tuple[str, str], Samples]:
    """Time and cost of the executed nodes in the pipeline's latest runs, by node and model."""
    slug = plan.parent.pipeline_slug
    newest = Run.objects.filter(pipeline_slug=slug).order_by("-id").values_list("pk", flat=True)[:RECENT_RUNS]
    steps = Step.objects.filter(run__in=list(newest), node_key__in=plan.executed, status=Step.Status.COMPLETED)
    found: dict[tuple[str, str], Samples] = {}
    rows = steps.filter(reused_from=None).exclude(type=Step.Type.HUMAN)
    for key, vendor, model, latency, cost in rows.values_list("node_key", "vendor", "model", "latency_ms", "cost_usd"):
        found.setdefault((key, f"{vendor}/{model}" if vendor else ""), []).append((latency, cost))
    return found


def _calls(plan: ForkPlan, key: str, name: str) -> Samples:
    """What a node took by a model that the latest runs did not ask."""
    vendor, model = split_route(key, name)
    steps = Step.objects.filter(model=model, vendor=vendor, pipeline_slug=plan.parent.pipeline_slug, node_key=key)
    rows = steps.filter(status=Step.Status.COMPLETED, reused_from=None).order_by("-id")
    return list(rows.values_list("latency_ms", "cost_usd")[:RECENT_CALLS])


def _priced(deps: Deps, task: str, name: str, messages: tuple[Message, ...], now: datetime) -> Decimal | None:
    if not name:
        return None
    vendor, model = split_route(task, name)
    characters = sum(len(message.text) for message in messages)
    return deps.prices.estimate(
        vendor, model, now, characters=characters, images=1 if task in TASKS_WITH_ONE else PICTURES
    )


def _longest(plan: ForkPlan, nodes: Iterable[NodeEstimate]) -> float | None:
    """The slowest chain of executed nodes, in seconds; None when one of them is not known."""
    seconds = {node.node: node.seconds for node in nodes}
    ends: dict[str, float] = {}
    for key in plan.executed:
        own = seconds[key]
        if own is None:
            return None
        before = [ends[parent] for parent in plan.dag.nodes[key].depends_on if parent in ends]
        ends[key] = own + max(before, default=0.0)
    return max(ends.values(), default=0.0)


def _median(values: Iterable[float]) -> float | None:
    known = list(values)
    return median(known) if known else None


def _median_cost(values: Iterable[Decimal]) -> Decimal | None:
    known = list(values)
    return median(known) if known else None
