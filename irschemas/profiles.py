"""Write metrics and quality gates: a gate by its next revision, checked for what could never work."""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from core.canonical import json_hash
from irschemas.errors import DefinitionRefused, MetricMoved, ProfileMoved, ProfileRefused, ProfileUnchanged
from irschemas.library import ITEM_DEFAULTS, library_metrics
from irschemas.metrics import registered_evaluators
from irschemas.models import MetricDefinition, MetricProfile, MetricProfileItem
from irschemas.services import lock_target

MAX_WEIGHT = 1000.0
EDITABLE = ("name", "description", "unit", "target", "direction", "aggregation", "scope", "evaluator")
FIXED_BY_USE = ("direction", "evaluator")
Direction = MetricDefinition.Direction


def save_profile(
    *, key: str, description: str, items: list[dict[str, Any]], by: User | None = None, expected: int | None = None
) -> MetricProfile:
    """Write a gate's next revision; runs that have started keep theirs.

    `items`: `[{metric, threshold, must_pass, weight}]`, all but the metric's key may be left out.

    Raises:
        ProfileMoved: another revision than the expected one is in force.
        ProfileRefused: with all problems.
        ProfileUnchanged: nothing is different.
    """
    with transaction.atomic():
        lock_target("metrics")
        now = newest_revision(key)
        if expected is not None and (now is None or now.revision != expected):
            raise ProfileMoved()
        wanted = [ITEM_DEFAULTS | item for item in items]
        definitions = {row.key: row for row in MetricDefinition.objects.all()}
        if problems := list(profile_problems(wanted, definitions)):
            raise ProfileRefused(problems)
        if now is not None and json_hash(profile_content(now)) == json_hash(_content(description, wanted)):
            raise ProfileUnchanged()
        return write_revision(key, description, wanted, by=by)


def take_librarys(*, key: str, by: User | None = None, expected: int | None = None) -> MetricProfile:
    """Write the library's text as the next revision; from then on releases change it again.

    Raises:
        ProfileMoved: another revision than the expected one is in force.
        ProfileUnchanged: it is in force already, or the library has none.
    """
    fields = library_metrics().profiles.get(key)
    with transaction.atomic():
        lock_target("metrics")
        now = newest_revision(key)
        if expected is not None and (now is None or now.revision != expected):
            raise ProfileMoved()
        if fields is None or (now is not None and now.library_sha256 == json_hash(fields)):
            raise ProfileUnchanged()
        sha256 = json_hash(fields)
        return write_revision(key, fields["description"], fields["items"], by=by, library_sha256=sha256)


def newest_revision(key: str) -> MetricProfile | None:
    """The revision in force, with its items."""
    return MetricProfile.objects.filter(key=key).with_items().order_by("-revision").first()


def profile_content(row: MetricProfile) -> dict[str, Any]:
    """A revision as the library would write it."""
    fields = [{"metric": item.metric.key, **{n: getattr(item, n) for n in ITEM_DEFAULTS}} for item in row.items.all()]
    return _content(row.description, fields)


def _content(description: str, items: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {"description": description, "items": [dict(item) for item in items]}


def write_revision(
    key: str,
    description: str,
    items: Iterable[Mapping[str, Any]],
    *,
    by: User | None = None,
    library_sha256: str = "",
) -> MetricProfile:
    """The next revision of a gate. Inside a transaction, `metrics` locked, items checked."""
    last = MetricProfile.objects.filter(key=key).order_by("-revision").values_list("revision", flat=True).first()
    row = MetricProfile.objects.create(
        key=key,
        revision=(last or 0) + 1,
        description=description,
        created_by=by,
        library_sha256=library_sha256,
    )
    metrics = {metric.key: metric for metric in MetricDefinition.objects.all()}
    MetricProfileItem.objects.bulk_create(
        MetricProfileItem(profile=row, metric=metrics[item["metric"]], **{name: item[name] for name in ITEM_DEFAULTS})
        for item in items
    )
    return row


def profile_problems(items: list[dict[str, Any]], definitions: Mapping[str, MetricDefinition]) -> Iterable[str]:
    """All that is wrong with a gate's items, each as `metric: what to do`."""
    if not items:
        yield "Choose at least one metric."
    keys = [item["metric"] for item in items]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield f"{key}: it stands here twice."
    for item in items:
        metric = definitions.get(item["metric"])
        if metric is None:
            yield f"{item['metric']}: there is no such metric."
        else:
            yield from (f"{metric.key}: {problem}" for problem in _item_problems(item, metric))


def _item_problems(item: Mapping[str, Any], metric: MetricDefinition) -> Iterable[str]:
    threshold, weight = item["threshold"], item["weight"]
    if not math.isfinite(weight) or not 0 <= weight <= MAX_WEIGHT:
        yield f"its weight has to be a number from 0 to {MAX_WEIGHT:g}."
    if threshold is not None:
        yield from _threshold_problems(threshold, metric)
    if item["must_pass"] and metric.evaluator not in registered_evaluators():
        nobody = (
            f"its evaluator “{metric.evaluator}” is not in this release" if metric.evaluator else "nothing measures it"
        )
        yield f"{nobody}, so requiring it would reject every result."


def _threshold_problems(threshold: float, metric: MetricDefinition) -> Iterable[str]:
    if metric.direction == Direction.BOOLEAN:
        yield "a yes or no has no threshold; leave it empty."
    elif not math.isfinite(threshold):
        yield "its threshold has to be a finite number."
    elif metric.target is not None:
        lower = metric.direction == Direction.LOWER
        if threshold < metric.target if lower else threshold > metric.target:
            side = "lower is better" if lower else "higher is better"
            yield f"its threshold {threshold:g} asks for more than the target {metric.target:g} ({side})."


def save_definition(
    *, row: MetricDefinition | None, key: str, fields: Mapping[str, Any], seen: datetime | None = None
) -> MetricDefinition:
    """Write a new metric, or change one: not over what the author has not seen.

    Raises:
        MetricMoved: somebody else changed it since `seen`.
        DefinitionRefused: with all problems.
    """
    with transaction.atomic():
        lock_target("metrics")
        if row is not None:
            row = MetricDefinition.objects.select_for_update().get(pk=row.pk)
            if seen is not None and row.updated_at != seen:
                raise MetricMoved()
        changed = row or MetricDefinition(key=key)
        if problems := list(definition_problems(row, fields)):
            raise DefinitionRefused(problems)
        for name in EDITABLE:
            if name in fields:
                setattr(changed, name, fields[name])
        changed.save()
        return changed


def definition_problems(row: MetricDefinition | None, fields: Mapping[str, Any]) -> Iterable[str]:
    """All that is wrong with a metric's fields."""
    target, evaluator = fields.get("target"), fields.get("evaluator")
    if target is not None and not math.isfinite(target):
        yield "The target has to be a finite number."
    if target is not None and fields.get("direction") == Direction.BOOLEAN:
        yield "A yes or no has no target; leave it empty."
    if fields.get("aggregation") == MetricDefinition.Aggregation.SHARE and fields.get("unit") not in (
        "",
        "share",
        None,
    ):
        yield "A share is counted over yes and no, or over shares: its unit is “share”, or none."
    if evaluator and evaluator not in registered_evaluators() and (row is None or evaluator != row.evaluator):
        yield f"There is no evaluator “{evaluator}”; there are {', '.join(registered_evaluators())}."
    if row is not None and MetricProfileItem.objects.filter(metric=row).exists():
        for name in FIXED_BY_USE:
            if name in fields and fields[name] != getattr(row, name):
                yield f"Gates use this metric: its {name} stays as it is. Make another metric."
