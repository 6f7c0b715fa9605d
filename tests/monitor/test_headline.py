"""The sentence at the top: what happened and why, and no number that is not recorded."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irschemas.models import MetricDefinition
from monitor.headline import Headline, write_headline
from monitor.steps import AttemptView, MetricRow, StepView
from runs.models import MetricResult, Run, RunError, Step, StepPayload

PLACE = {"id": "c1", "mount": "floor", "distance_m": 2.1, "contact": {"x": 0.5, "y": 0.41}, "px_per_m": 120.0}
ROOM = {"room": {"horizon_y": 0.44, "doubts": []}}


def run(**values: Any) -> Run:
    given = {"pipeline_slug": "composite", "status": "completed", "subject_label": "Halden sofa", "latency_ms": 3200}
    return Run(**{**given, "steps_expected": 4, "steps_done": 2, **values})


def view(node: str, ir: Any = None, metrics: tuple[MetricRow, ...] = (), errors: tuple[RunError, ...] = (),
         **values: Any) -> StepView:  # fmt: skip
    step = Step(node_key=node, name=node, status=values.pop("status", "completed"), attempt=len(errors) + 1, **values)
    attempts = [AttemptView(number, error) for number, error in enumerate(errors, 1)]
    return StepView(step, StepPayload(ir=ir), [*attempts, AttemptView(step.attempt, metrics=list(metrics))])


def metric(key: str, value: float, threshold: float, direction: str = "lower", **values: Any) -> MetricRow:
    passed = value <= threshold if direction == "lower" else value >= threshold
    result = {"key": key, "value": value, "threshold": threshold, "passed": passed, "must_pass": True, **values}
    return MetricRow(MetricResult(**result), MetricDefinition(key=key, name=key, direction=direction, unit="share"))


def failed_at_gate(**values: Any) -> tuple[Run, list[StepView]]:
    metrics = (
        metric("on_support", 0.2, 0.85, "higher"), metric("contact_shadow", 0.97, 0.92), metric("seam", 1.0, 4.0),
    )  # fmt: skip
    views = [
        view("placement", ROOM),
        view("select", {"selected": PLACE}),
        view("composite", {"result": {}}, metrics, status="failed"),
    ]
    given = {"status": "failed", "error_stage": "composite", "error_code": "gate_rejected", "error_message": "x"}
    return run(**{**given, **values}), views


def test_a_refused_picture_says_where_the_product_was_put_and_what_is_wrong_with_it() -> None:
    assert write_headline(*failed_at_gate()).sentence == (
        "Halden sofa was put on the floor, 2.1 m from the camera, but only 20 % of its foot rests on the floor (it "
        "touches at 41 % of the photo's height, the horizon is at 44 %) and it seems to float: there is hardly any "
        "shadow where it touches; the gate failed on_support (20 %, at least 85 % is required) and contact_shadow "
        "(97 %, at most 92 % is required)."
    )


def test_another_pipelines_gate_is_told_in_general_words() -> None:
    told = write_headline(*failed_at_gate(pipeline_slug="elsewhere")).sentence
    assert told.startswith("Failed at composite after 3.2 s; the gate failed on_support (20 %, at least 85 %")
    assert "floor" not in told


def test_no_place_for_the_product_says_what_was_in_the_way() -> None:
    dropped = {"overlaps_furniture": 40, "out_of_frame": 15, "too_far": 4, "low_rank": 1}
    views = [
        view("placement", {"room": {"doubts": ["too_dark"]}}),
        view("select", {"selected": None}, status="failed", candidates_in=60, candidates_out=0, reasons=dropped),
    ]
    failed = run(status="failed", error_stage="select", error_code="no_placement", error_message="No room.")
    assert write_headline(failed, views).sentence == (
        "No place was found for Halden sofa; the photo is too dark: select dropped all 60 candidates: "
        "overlaps furniture 40, out of frame 15, too far 4."
    )


def test_a_photo_refused_without_any_candidate_is_told_in_the_runs_own_words() -> None:
    failed = run(status="failed", error_stage="select", error_code="no_placement", error_message="The photo is dark.")
    views = [view("select", status="failed", candidates_in=0, candidates_out=0)]
    assert write_headline(failed, views).sentence == "Failed at select after 3.2 s: The photo is dark."


def error(vendor: str, model: str, code: str) -> RunError:
    return RunError(vendor=vendor, model=model, code=code, stage="facts")


@pytest.mark.parametrize(
    ("values", "views", "note"),
    [
        ({}, [view("facts", errors=(error("gemini", "g", "vendor_timeout"),) * 2, vendor="local", model="l")],
         "facts: gemini/g failed (vendor_timeout, 2 times), local/l took over."),
        ({}, [view("facts", errors=(error("gemini", "g", "timeout"), error("openai", "o", "vendor_refused")),
                   vendor="local", model="l")],
         "facts: gemini/g failed (timeout), then openai/o failed (vendor_refused), local/l took over."),
        ({}, [view("facts", errors=(error("gemini", "g", "timeout"),), vendor="gemini", model="g")],
         "facts: gemini/g failed (timeout)."),
        ({}, [view("place", prompt_name="placement", prompt_version="sha256:0a", prompt_source="override")],
         "place was asked with the shop's own placement prompt (sha256:0a)."),
        ({}, [view("place", prompt_name="placement", prompt_version="sha256:0a", prompt_source="edit")],
         "place was asked with a placement prompt that was edited for this run."),
        ({}, [view("place", prompt_name="placement", prompt_version="v5", prompt_source="experiment")],
         "place was asked with the experimental placement v5."),
        ({"degraded": True}, [view("shadow", status="failed", error_code="vendor_error")],
         "It went on without shadow, which failed (vendor_error)."),
        ({"mode": "recorded"}, [], "A replay: every model's answer is the original's recording."),
        ({"mode": "fork", "fork_changes": {"prompts": {"placement": {"template": "t"}}, "routes": {"facts": "a/b"}}},
         [], "Run again with a prompt of its own: placement; a model of its own: facts."),
        ({}, [view("composite", metrics=(metric("seam", 5.0, 4.0, must_pass=False, unit="levels"),))],
         "Not required, but failed: seam (5 levels, at most 4 levels is required)."),
    ],
)  # fmt: skip
def test_what_else_one_has_to_know_is_a_note(values: dict[str, Any], views: list[StepView], note: str) -> None:
    assert write_headline(run(**values), views).notes == (note,)


def test_a_plain_good_run_has_nothing_to_note() -> None:
    views = [view("select", {"selected": PLACE}, type="filter", candidates_in=60, candidates_out=4, drop_ratio=0.93)]
    assert write_headline(run(), views) == Headline(
        "Completed in 3.2 s: Halden sofa was put on the floor, 2.1 m from the camera, select kept 4 of 60 candidates."
    )


NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
SHARE = st.floats(0, 1, allow_nan=False).map(lambda value: round(value, 4))


@settings(max_examples=60, deadline=None)
@given(SHARE, SHARE, SHARE, SHARE, st.integers(0, 90), st.floats(0.1, 9).map(lambda value: round(value, 1)),
       st.sampled_from(["composite", "prep", "elsewhere"]), st.sampled_from(["gate_rejected", "timeout"]),
       st.sampled_from(["failed", "completed", "running", "cancelled"]))  # fmt: skip
def test_no_number_is_told_that_no_row_holds(
    value: float, threshold: float, contact: float, horizon: float, count: int, distance: float, slug: str, code: str,
    status: str,
) -> None:  # fmt: skip
    place = {**PLACE, "contact": {"x": 0.5, "y": contact}, "distance_m": distance}
    metrics = (metric("on_support", value, threshold, "higher"), metric("scale_error", value, threshold))
    views = [
        view("placement", {"room": {"horizon_y": horizon, "doubts": ["too_dark"]}}),
        view("select", {"selected": place}, type="filter", candidates_in=91, candidates_out=count,
             drop_ratio=1 - count / 91, reasons={"too_far": count, "low_rank": 3}),
        view("composite", {}, metrics, (error("gemini", "g", "timeout"),) * 2,
             status="failed" if status == "failed" else "completed"),
    ]  # fmt: skip
    told = write_headline(
        run(pipeline_slug=slug, status=status, error_stage="composite", error_code=code, error_message="Because."),
        views,
    )
    shares = {f"{share * 100:.1f}".removesuffix(".0") for share in (value, threshold, contact, horizon)}
    figures = {f"{share:,.4g}" for share in (value, threshold)}
    counted = {str(number) for number in (91, count, 3, 2, 4, *range(3))}  # candidates, attempts, metrics, steps
    recorded = shares | figures | counted | {f"{distance:.1f}", "3.2"}
    assert set(NUMBER.findall(" ".join([told.sentence, *told.notes]))) <= recorded
