"""Evaluators of answers alone, by hand-made pages."""

from typing import Any

import pytest

from irschemas.metrics import evaluate, grade
from irschemas.models import MetricDefinition
from irschemas.publishing import sync_library
from irschemas.records import Profile, ProfileItem
from irschemas.services import load_profile
from tests.irschemas.examples import good


def measured(evaluator: str, ir: Any) -> dict[str, Any]:
    asked = Profile("x", (ProfileItem("x", evaluator, None, "higher", False, 1.0, ""),))
    return {value.key: value.value for value in evaluate(asked, ir, {}, {})}


def page(*boxes: tuple[float, float, float, float]) -> dict[str, Any]:
    return {"regions": [{"box": dict(zip(("x0", "y0", "x1", "y1"), box, strict=True))} for box in boxes]}


@pytest.mark.parametrize(
    ("boxes", "coverage", "overlap"),
    [
        ([(0, 0, 1, 1)], 1.0, 0.0),
        ([(0, 0, 1, 0.5), (0, 0.5, 1, 1)], 1.0, 0.0),
        ([(0, 0, 0.5, 1), (0.25, 0, 0.75, 1)], 0.75, 0.25),
        ([(0, 0, 1, 1), (0.25, 0.25, 0.75, 0.75), (0.25, 0.25, 0.75, 0.75)], 1.0, 0.25),
        ([(-1, 0, 2, 0.5)], 0.5, 0.0),
    ],
)
def test_a_cut_page_is_measured_by_area(boxes: list[Any], coverage: float, overlap: float) -> None:
    found = measured("layout_split", page(*boxes))
    assert found == {"split_coverage": pytest.approx(coverage), "overlap_ratio": pytest.approx(overlap)}


@pytest.mark.parametrize(
    ("html", "valid"),
    [
        ("<section><p>One<p>Two</section>", True),
        ("<ul><li>One<li>Two</ul><img src='a'><br>", True),
        ("<svg><path d='M0 0'/></svg>", True),
        ("<section><div></section>", False),
        ("<div>", False),
        ("</div>", False),
        ("<b><i></b></i>", False),
    ],
)
def test_markup_has_to_hold_together(html: str, valid: bool) -> None:
    assert measured("module_markup", {"modules": [{"html": html}]}) == {"html_validity": valid}


@pytest.mark.parametrize("ir", [None, [], {}, {"regions": None, "modules": 3}, {"regions": [3], "modules": [3]}])
def test_an_answer_of_another_kind_is_not_measured(ir: Any) -> None:
    assert set(measured("layout_split", ir).values()) == set(measured("module_markup", ir).values()) == {None}


@pytest.mark.django_db
def test_the_librarys_gate_of_a_cut_page_works_as_it_ships() -> None:
    sync_library()
    gate = load_profile("split_profile_v1")
    whole, part = page((0, 0, 1, 1)), good("stage:layout_split")
    assert grade(gate, evaluate(gate, whole, {}, {})).passed
    assert grade(gate, evaluate(gate, part, {}, {})).failed_keys == ("split_coverage",)
    assert MetricDefinition.objects.get(key="html_validity").evaluator == "module_markup"
