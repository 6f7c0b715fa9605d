"""What a fork would do: the nodes that it executes and why, and the steps that it takes over. Nothing is written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from runs.changes import Changes, split_route
from runs.dag import Dag, Node, published_dag
from runs.errors import ChangesInvalid, NodeUnknown, NotRerunnable, PipelineInvalid, RunActive, StageMissing
from runs.models import Run, Step
from runs.registry import find_stage

REUSABLE = (Step.Status.COMPLETED, Step.Status.SKIPPED)
CHOSEN = "chosen"


@dataclass(frozen=True, slots=True)
class ForkPlan:
    """A fork before it is written.

    It executes `executed`, in the order of the DAG; `because` has the nodes at which that begins, with the reasons.
    `reused` are the steps that it takes over and `steps` all of the run's, by node key. `changes` are the new ones
    alone.
    """

    parent: Run
    dag: Dag
    steps: Mapping[str, Step]
    changes: Changes
    because: Mapping[str, tuple[str, ...]]
    executed: tuple[str, ...]
    reused: Mapping[str, Step] = field(default_factory=dict)
    wanted: str = ""

    @property
    def node(self) -> str:
        """Where the fork starts: the node that was asked for, unless something before it is executed, too."""
        if self.wanted in self.executed and not self.dag.ancestors[self.wanted] & set(self.executed):
            return self.wanted
        return self.executed[0]

    @property
    def moved(self) -> bool:
        """Whether it starts elsewhere than it was asked to."""
        return bool(self.wanted) and self.node != self.wanted


def plan_fork(parent: Run, *, from_node: str | None = None, changes: Changes | None = None) -> ForkPlan:
    """What a fork with these changes would execute: `from_node`, whatever a change concerns, and all that follows.

    Without `from_node` it begins with what the changes concern, else where the run failed, else at its beginning.
    Steps that are not executed are taken over.

    Raises:
        RunActive: the run has not ended.
        NotRerunnable: it was not executed here.
        StageMissing: this release lacks a stage of its pipeline.
        NodeUnknown: its pipeline has no node `from_node`.
        ChangesInvalid: a change concerns no node, or nothing would be executed.
    """
    dag = _dag_of(parent)
    if from_node and from_node not in dag.nodes:
        raise NodeUnknown(f"This run has no node {from_node!r}; it has {', '.join(dag.order)}.")
    steps = {step.node_key: step for step in parent.steps.select_related("payload").filter(node_key__in=dag.order)}
    given = _split(dag, changes or Changes())
    because = _starts(dag, steps, given)
    if from_node and from_node not in given.answers:
        because[from_node] = (*because.get(from_node, ()), CHOSEN)
    if not because and not from_node and not given.answers:
        because[_where_it_failed(parent, dag, steps)] = (CHOSEN,)
    executed, reused = _divide(dag, steps, set(because), set(given.answers))
    if not executed:
        raise ChangesInvalid("Nothing would be executed: no node comes after the edited answer.")
    return ForkPlan(parent, dag, steps, given, because, executed, reused, from_node or "")


def _dag_of(parent: Run) -> Dag:
    if not parent.is_over:
        raise RunActive()
    if parent.pipeline_version is None:
        raise NotRerunnable()
    try:
        return published_dag(parent.pipeline_version.dag_sha256, parent.pipeline_version.dag)
    except PipelineInvalid as error:
        raise StageMissing(details=error.details) from error


def _split(dag: Dag, changes: Changes) -> Changes:
    """Stages find answers and input by one name each, so what is named like a node is an edited answer."""
    answers = {name: value for name, value in changes.input.items() if name in dag.nodes}
    rest = {name: value for name, value in changes.input.items() if name not in dag.nodes}
    unknown = changes.answers.keys() - dag.nodes.keys()
    if unknown:
        raise NodeUnknown(f"This run has no node {min(unknown)!r}; it has {', '.join(dag.order)}.")
    return replace(changes, input=rest, answers={**changes.answers, **answers})


def _starts(dag: Dag, steps: Mapping[str, Step], changes: Changes) -> dict[str, tuple[str, ...]]:
    """The nodes that a change concerns first, and how; a node whose answer is edited is not executed."""
    found: dict[str, tuple[str, ...]] = {}
    for key in dag.order:
        reasons = () if key in changes.answers else tuple(_concerns(dag, key, steps.get(key), changes))
        if reasons:
            found[key] = reasons
    _require_use(dag, steps, changes)
    return found


def _concerns(dag: Dag, key: str, step: Step | None, changes: Changes) -> Iterator[str]:
    node = dag.nodes[key]
    name, task = prompt_of(node, step), task_of(node)
    if name in changes.prompts:
        yield f"its prompt {name} is edited"
    if task in changes.routes:
        yield f"it asks {changes.routes[task]}"
    for read in sorted(changes.input.keys() & reads(dag, key)):
        yield f"it reads {read}"
    for parent in node.depends_on:
        if parent in changes.answers:
            yield f"the answer of {parent} is edited"


def _require_use(dag: Dag, steps: Mapping[str, Step], changes: Changes) -> None:
    """Nobody is left believing in a change that nothing looks at; a node answered by hand looks at none."""
    for task, name in changes.routes.items():
        split_route(task, name)
    nodes = {key: node for key, node in dag.nodes.items() if key not in changes.answers}
    prompts = {prompt_of(node, steps.get(key)) for key, node in nodes.items()} - {""}
    tasks = {task_of(node) for node in nodes.values()} - {""}
    names = frozenset().union(*(reads(dag, key) for key in nodes))
    for what, given, known in (
        ("asks with the prompt", changes.prompts, prompts),
        ("asks a model for", changes.routes, tasks),
        ("reads the input", changes.input, names),
    ):
        unused = sorted(given.keys() - known)
        if unused:
            there = f"there are {', '.join(sorted(known))}" if known else "there is none"
            raise ChangesInvalid(f"No node of this run {what} {unused[0]!r}; {there}.", details={"unused": unused})


def prompt_of(node: Node, step: Step | None = None) -> str:
    """The prompt that a node asks with: by its stage, else by what it did; empty where it asks with none."""
    stage = find_stage(node.step)
    return (stage.prompt if stage else "") or (step.prompt_name if step else "")


def task_of(node: Node) -> str:
    """The task that a node asks a model for, by its stage; empty where it asks none."""
    stage = find_stage(node.step)
    return stage.task if stage else ""


def reads(dag: Dag, key: str) -> frozenset[str]:
    """The names in the run's input that a node looks at, its condition included."""
    stage, node = find_stage(dag.nodes[key].step), dag.nodes[key]
    own = (stage.reads if stage else frozenset()) - dag.ancestors[key]
    asked = {path[1] for path in node.condition.paths if path[0] == "input" and len(path) > 1} if node.condition else ()
    return own | frozenset(asked)


def _where_it_failed(parent: Run, dag: Dag, steps: Mapping[str, Step]) -> str:
    """The node to blame, else the first one without an answer, else the first."""
    if parent.error_stage in dag.nodes:
        return parent.error_stage
    return next((key for key in dag.order if not _is_reusable(steps.get(key))), dag.order[0])


def _is_reusable(step: Step | None) -> bool:
    """Whether its decision is there to be taken over: a step that has ended well and whose answer was kept."""
    if step is None or step.status not in REUSABLE:
        return False
    return step.status == Step.Status.SKIPPED or hasattr(step, "payload")


def _divide(
    dag: Dag, steps: Mapping[str, Step], starts: set[str], edited: set[str]
) -> tuple[tuple[str, ...], dict[str, Step]]:
    """Executed is where it starts, what was not finished, and what comes after either; the rest is taken over."""
    executed: list[str] = []
    reused: dict[str, Step] = {}
    for key in dag.order:
        if key in edited:
            continue
        step = steps.get(key)
        held = all(parent in reused or parent in edited for parent in dag.nodes[key].depends_on)
        if step is not None and key not in starts and held and _is_reusable(step):
            reused[key] = step
        else:
            executed.append(key)
    return tuple(executed), reused
