"""Pipelines as their pages show them: versions with their runs, a version's drawing, and a draft under check."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from core.canonical import json_hash
from monitor.graph import Graph, draw_graph
from runs.dag import parse_dag
from runs.dag_changes import describe_changes
from runs.dag_import import normalise_document, read_document
from runs.dag_view import DagView, describe_dag, is_drawable
from runs.errors import PipelineInvalid
from runs.models import Pipeline, PipelineVersion

MANY = 10_000
VERSIONS_SHOWN = 30

# Counted up to a bound, by the version's index: a pipeline with millions of runs does not slow its page down.
COUNT = f"""
SELECT version.id, counted.n, counted.unfinished
FROM unnest(%s::uuid[]) AS version(id), LATERAL (
    SELECT count(*) AS n, count(*) FILTER (WHERE status IN ('pending', 'running')) AS unfinished FROM (
        SELECT status FROM runs_run WHERE pipeline_version_id = version.id ORDER BY id DESC LIMIT {MANY}) AS run
) AS counted
"""  # noqa: S608 - a number of ours


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version and its runs: how many, and how many of them are under way."""

    version: PipelineVersion
    runs: int = 0
    unfinished: int = 0

    @property
    def runs_text(self) -> str:
        """The number, or that there are more than are counted."""
        return f"{self.runs:,}" if self.runs < MANY else f"{MANY:,}+"


@dataclass(frozen=True, slots=True)
class PipelineRow:
    """A pipeline with its newest versions, newest first."""

    pipeline: Pipeline
    versions: list[VersionRow]

    @property
    def active(self) -> VersionRow | None:
        """The version that new runs take."""
        return next((row for row in self.versions if row.version.active), None)


def read_pipelines() -> list[PipelineRow]:
    """All pipelines, in three queries. Of each the newest versions and the active one."""
    pipelines = list(Pipeline.objects.order_by("slug"))
    versions: dict[Any, list[PipelineVersion]] = {pipeline.pk: [] for pipeline in pipelines}
    for version in PipelineVersion.objects.defer("dag").order_by("-number"):
        if len(versions[version.pipeline_id]) < VERSIONS_SHOWN or version.active:
            versions[version.pipeline_id].append(version)
    counted = _count([version for found in versions.values() for version in found])
    return [PipelineRow(pipeline, [counted[version.pk] for version in versions[pipeline.pk]]) for pipeline in pipelines]


def read_versions(pipeline: Pipeline) -> PipelineRow:
    """One pipeline's versions, in two queries."""
    versions = list(pipeline.versions.defer("dag").order_by("-active", "-number")[:VERSIONS_SHOWN])
    counted = _count(versions)
    rows = [counted[version.pk] for version in versions]
    return PipelineRow(pipeline, sorted(rows, key=lambda row: -row.version.number))


def _count(versions: list[PipelineVersion]) -> dict[Any, VersionRow]:
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [[str(version.pk.hex) for version in versions]])
        numbers = {row[0].int: row[1:] for row in cursor.fetchall()}
    return {version.pk: VersionRow(version, *numbers[version.pk.int]) for version in versions}


@dataclass(frozen=True, slots=True)
class VersionPage:
    """One version: its drawing, its nodes in words, and what sets it apart from the active one."""

    version: PipelineVersion
    row: PipelineRow
    graph: Graph
    view: DagView
    text: str
    active: PipelineVersion | None
    changes: list[str]


def read_version(version: PipelineVersion) -> VersionPage:
    """A published version, also one whose stages this release does not have any more."""
    active = version if version.active else version.pipeline.versions.filter(active=True).first()
    changes = describe_changes(active.dag, version.dag) if active is not None and active.pk != version.pk else []
    return VersionPage(
        version=version,
        row=read_versions(version.pipeline),
        graph=draw_graph(version.dag),
        view=describe_dag(version.dag),
        text=document_text(version.dag),
        active=active,
        changes=changes,
    )


def document_text(dag: Mapping[str, Any]) -> str:
    """A DAG as somebody edits it: a node a line where it fits, in the order of the schema."""
    nodes = ",\n".join(f"    {_entry(node)}" for node in dag["nodes"])
    head = [f'  "{name}": {json.dumps(dag[name], ensure_ascii=False)}' for name in dag if name != "nodes"]
    return "{\n" + ",\n".join([*head, f'  "nodes": [\n{nodes}\n  ]']) + "\n}\n"


def _entry(node: Mapping[str, Any]) -> str:
    first = {name: node[name] for name in ("key", "step", "depends_on") if name in node}
    ordered = {**first, **{name: value for name, value in node.items() if name not in first}}
    line = json.dumps(ordered, ensure_ascii=False)
    if len(line) <= 100:
        return line
    fields = (f"      {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in ordered.items())
    return "{\n" + ",\n".join(fields) + "\n    }"


@dataclass(slots=True)
class Draft:
    """A document under check: all that is wrong with it, or what would come of publishing it."""

    problems: list[str] = field(default_factory=list)
    graph: Graph | None = None
    view: DagView | None = None
    sha256: str = ""
    changes: list[str] = field(default_factory=list)
    known: PipelineVersion | None = None
    active: PipelineVersion | None = None
    moved: bool = False

    @property
    def publishable(self) -> bool:
        """Whether publishing it would change anything."""
        return not self.problems and (self.known is None or not self.known.active)


def check_draft(pipeline: Pipeline, text: str, started_from: Any) -> Draft:
    """Check a document as it is typed, whichever way it is spelled; drawn as soon as it is a graph."""
    draft = Draft(active=pipeline.versions.filter(active=True).first())
    draft.moved = draft.active is not None and draft.active.pk != started_from
    try:
        normal = normalise_document(read_document(text))
    except PipelineInvalid as error:
        draft.problems = _problems(error)
        return draft
    if is_drawable(normal):
        draft.graph, draft.view = draw_graph(normal), describe_dag(normal)
    try:
        parse_dag(normal)
    except PipelineInvalid as error:
        draft.problems = _problems(error)
        return draft
    draft.sha256 = json_hash(normal)
    draft.known = pipeline.versions.filter(dag_sha256=draft.sha256).first()
    draft.changes = describe_changes(draft.active.dag, normal) if draft.active is not None else []
    return draft


def _problems(error: PipelineInvalid) -> list[str]:
    found = (error.details or {}).get("problems")
    return list(found) if found else [error.message]
