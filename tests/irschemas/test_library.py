"""The library that ships: sound schemas that fit what stages give, and a sync that respects operators."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from core.ids import new_id
from irschemas.geometry import check_sight
from irschemas.library import LIBRARY, library_metrics
from irschemas.lint import lint_schema
from irschemas.models import IRSchema, MetricDefinition
from irschemas.profiles import save_profile, take_librarys
from irschemas.publishing import sync_library
from irschemas.records import ActiveSchema
from irschemas.services import activate_schema, active_schemas, create_schema, edit_schema, load_profile
from irschemas.validation import Validation, validate_active
from tests.irschemas.examples import GOOD, PLACEMENT, SCHEMAS, closed, good


def check(target: str, value: Any) -> Validation:
    return validate_active(ActiveSchema(new_id(), target, 1, SCHEMAS[target], "0" * 64), value)


def errors(target: str, value: Any) -> list[tuple[str, str]]:
    return [(problem.json_path, problem.keyword) for problem in check(target, value).errors]


@pytest.mark.parametrize("target", sorted(SCHEMAS))
def test_every_library_schema_passes_its_own_lint(target: str) -> None:
    assert lint_schema(SCHEMAS[target]) == []


@pytest.mark.parametrize("target", sorted(SCHEMAS))
def test_every_library_schema_takes_a_good_answer_and_nothing_beside_it(target: str) -> None:
    assert check(target, good(target)).summary() == ""
    assert errors(target, good(target) | {"surprise": 1}) == [("$", "additionalProperties")]
    assert not check(target, {}).passed
    assert sorted(GOOD) == sorted(SCHEMAS)


@pytest.mark.parametrize("metres", [0, 0.0005, 20.5, -1, "2 m", float("nan")])
def test_a_dimension_is_a_sane_length_or_null(metres: Any) -> None:
    facts = good("stage:facts")
    facts["dimensions_m"]["width"] = metres
    assert [path for path, _ in errors("stage:facts", facts)] == ["$.dimensions_m.width"]


def test_facts_are_exactly_as_the_contract_names_them() -> None:
    facts = good("stage:facts")
    facts["mount"] = "hanging"
    facts["dimension_sources"]["depth"] = "guess"
    facts["colors"][0]["hex"] = "#2f5a4e\n"
    del facts["style"]
    assert errors("stage:facts", facts) == [
        ("$", "required"),
        ("$.colors[0].hex", "pattern"),
        ("$.dimension_sources.depth", "enum"),
        ("$.mount", "enum"),
    ]


def test_a_box_may_reach_out_of_the_photo_but_not_be_inside_out() -> None:
    answer = good("stage:placement")
    answer["candidates"][0]["box"] = {"x0": -0.2, "y0": 0.1, "x1": 1.3, "y1": 1.1}
    assert check("stage:placement", answer).passed
    answer["candidates"][1]["box"] = {"x0": 0.5, "y0": 0.9, "x1": 0.5, "y1": 0.2}
    assert errors("stage:placement", answer) == [("$.candidates[1].box", "geometry")] * 2


@pytest.mark.parametrize(
    "box",
    [
        {"x0": 1.1, "y0": 0.2, "x1": 1.4, "y1": 0.6},
        {"x0": -0.6, "y0": 0.2, "x1": 0.0, "y1": 0.6},
        {"x0": 0.2, "y0": 1.0, "x1": 0.4, "y1": 1.5},
        {"x0": 0.2, "y0": -0.9, "x1": 0.4, "y1": -0.1},
    ],
)
def test_a_box_that_lies_beside_the_photo_is_refused(box: dict[str, float]) -> None:
    answer = good("stage:placement")
    answer["candidates"][0]["box"] = box
    assert [(found.json_path, found.keyword) for found in check_sight(answer)] == [("$.candidates[0].box", "outside")]
    assert check("stage:placement", answer).passed, "what computes from a camera may put things beside the picture"


def test_a_contact_point_lies_at_its_own_box() -> None:
    answer = good("stage:placement")
    answer["candidates"][0] |= {"box": {"x0": 0.2, "y0": 0.4, "x1": 0.4, "y1": 0.8}, "contact": {"x": 0.3, "y": 0.85}}
    assert check_sight(answer) == ()
    answer["candidates"][0]["contact"] = {"x": 0.9, "y": 0.05}
    assert [(found.json_path, found.keyword) for found in check_sight(answer)] == [
        ("$.candidates[0].contact.x", "contact"),
        ("$.candidates[0].contact.y", "contact"),
    ]


def test_a_box_in_pixels_is_refused() -> None:
    answer = good("stage:select")
    answer["selected"]["box"]["x1"] = 800
    assert errors("stage:select", answer) == [("$.selected.box.x1", "maximum")]


def test_candidates_need_an_id_each_and_are_between_one_and_two_hundred() -> None:
    answer = good("stage:placement")
    answer["candidates"] = [dict(PLACEMENT), dict(PLACEMENT)]
    assert errors("stage:placement", answer) == [("$.candidates[1].id", "unique_ids")]
    answer["candidates"] = []
    assert errors("stage:placement", answer) == [("$.candidates", "minItems")]
    answer["candidates"] = [PLACEMENT | {"id": f"p{number}"} for number in range(201)]
    assert errors("stage:placement", answer) == [("$.candidates", "maxItems")]


def test_a_picture_is_named_by_the_hash_of_its_bytes() -> None:
    answer = good("stage:composite")
    answer["result"]["$blob"] = "../../etc/passwd"
    answer["product_mask"] = {"$blob": "ab" * 32}
    assert errors("stage:composite", answer) == [("$.product_mask", "required"), ("$.result.$blob", "pattern")]


def test_profiles_only_name_metrics_that_are_defined() -> None:
    library = library_metrics()
    named = {item["metric"] for profile in library.profiles.values() for item in profile["items"]}
    assert named <= set(library.metrics)
    assert all(fields["description"] for fields in library.metrics.values())


def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(LIBRARY, tmp_path / "library"))


def tighten(root: Path, title: str = "Changed") -> None:
    file = root / "stage" / "select.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"title": title}))


def loosen_gate(root: Path) -> None:
    file = root / "metrics.toml"
    file.write_text(file.read_text().replace("threshold = 0.2,", "threshold = 0.35,"))


@pytest.mark.django_db
def test_the_first_sync_publishes_everything_and_the_second_nothing() -> None:
    report = sync_library()
    assert len(report.published) == len(report.activated) == len(SCHEMAS)
    assert set(active_schemas(SCHEMAS)) == set(SCHEMAS)
    assert MetricDefinition.objects.count() == len(library_metrics().metrics)
    again = sync_library()
    assert not again.changed and not again.held_back


@pytest.mark.django_db
def test_the_composite_gate_asks_for_what_the_evaluator_measures() -> None:
    sync_library()
    gate = load_profile("composite_gate_v1")
    assert gate.evaluators == ("composite_picture",)
    assert len(gate.items) == 22
    assert {item.metric_key for item in gate.items if item.direction == "boolean"} == {"size_kept"}


@pytest.mark.django_db
def test_a_changed_file_becomes_a_new_version_in_force(tmp_path: Path) -> None:
    sync_library()
    tighten(root := copied(tmp_path))
    report = sync_library(root)
    assert report.published == report.activated == ["stage:select v2"]
    assert IRSchema.objects.get(target="stage:select", version=1).status == "retired"


@pytest.mark.django_db
def test_an_operators_newer_version_stays_in_force_until_they_change_it(tmp_path: Path) -> None:
    sync_library()
    mine = edit_schema(
        schema_id=active_schemas(["stage:select"])["stage:select"].id, schema=closed({"x": {"type": "null"}})
    )
    activate_schema(schema_id=mine.pk)
    assert not sync_library().changed
    tighten(root := copied(tmp_path))
    report = sync_library(root)
    assert (report.published, report.activated, report.held_back) == (["stage:select v3"], [], ["stage:select v3"])
    assert active_schemas(["stage:select"])["stage:select"].version == 2
    assert not sync_library(root).changed


@pytest.mark.django_db
def test_an_operators_draft_does_not_hold_the_library_back(tmp_path: Path) -> None:
    sync_library()
    create_schema(target="stage:select", name="Idea", schema=closed({"x": {"type": "null"}}))
    tighten(root := copied(tmp_path))
    assert sync_library(root).activated == ["stage:select v3"]


@pytest.mark.django_db
def test_a_broken_library_file_changes_nothing_of_its_target(tmp_path: Path) -> None:
    root = copied(tmp_path)
    (root / "stage" / "select.json").write_text('{"type": "object"}')
    with pytest.raises(Exception, match="open_object"):
        sync_library(root)
    assert not IRSchema.objects.filter(target="stage:select").exists()


@pytest.mark.django_db
def test_a_changed_threshold_in_the_library_takes_effect(tmp_path: Path) -> None:
    sync_library()
    loosen_gate(root := copied(tmp_path))
    assert sync_library(root).updated == ["composite_gate_v1"]
    assert {item.metric_key: item.threshold for item in load_profile("composite_gate_v1").items}["scale_error"] == 0.35


@pytest.mark.django_db
def test_an_operators_gate_is_not_overwritten_until_the_librarys_is_taken_over(tmp_path: Path) -> None:
    sync_library()
    first = load_profile("composite_gate_v1")
    items = [item | {"threshold": 3.5} if item["metric"] == "seam" else item for item in gate_items()]
    save_profile(key="composite_gate_v1", description="Mine", items=items)
    assert not sync_library().held_back
    loosen_gate(root := copied(tmp_path))
    report = sync_library(root)
    assert (report.updated, report.held_back) == ([], ["composite_gate_v1"])
    assert threshold("seam") == 3.5
    take_librarys(key="composite_gate_v1")
    assert (threshold("seam"), load_profile("composite_gate_v1").items) == (7.0, first.items)
    assert sync_library(root).updated == ["composite_gate_v1"]
    assert (threshold("scale_error"), load_profile("composite_gate_v1").revision) == (0.35, 4)


def gate_items() -> list[dict[str, Any]]:
    return [dict(item) for item in library_metrics().profiles["composite_gate_v1"]["items"]]


def threshold(key: str) -> float | None:
    return {item.metric_key: item.threshold for item in load_profile("composite_gate_v1").items}[key]
