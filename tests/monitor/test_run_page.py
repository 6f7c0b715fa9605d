"""The run page: everything that is recorded, in a fixed number of queries."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs.blobs import delete_pictures
from runs.models import Run
from tests.factories import cutout_png
from tests.monitor.factories import (
    MetricFactory,
    RunErrorFactory,
    RunFactory,
    StepFactory,
    artifact,
    composite_run,
)

pytestmark = pytest.mark.django_db
EVIL = "</pre><script>alert(1)</script>"


def page_of(console: Client, run: Run) -> str:
    answer = console.get(f"/admin/runs/run/{run.pk}/change/")
    assert answer.status_code == 200
    return answer.content.decode()


def headline(console: Client, run: Run) -> str:
    return console.get(f"/admin/runs/run/{run.pk}/change/").context["page"].headline


def test_the_headline_tells_what_is_recorded(console: Client) -> None:
    run = composite_run(latency_ms=3200)
    step = run.steps.get(node_key="composite")
    MetricFactory(step=step, must_pass=True)
    MetricFactory(step=step, passed=False)
    RunErrorFactory(step=step, attempt=1)
    expected = (
        f"Completed in 3.2 s: {run.subject_label} was put into the room, select kept 2 of 6 candidates, "
        "1 of 2 metrics passed (1 required)."
    )
    assert headline(console, run) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"status": "failed", "error_stage": "placement", "error_message": "No room.", "latency_ms": 900},
         "Failed at placement after 900 ms: No room."),
        ({"status": "cancelled", "steps_done": 1}, "Cancelled after 1 of 2 steps."),
    ],
)  # fmt: skip
def test_runs_that_came_to_nothing_say_how(console: Client, values: dict[str, Any], expected: str) -> None:
    assert headline(console, RunFactory(**values)) == expected


def test_a_run_under_way_says_where_it_is(console: Client) -> None:
    lease = timezone.now() + timedelta(minutes=1)
    run = RunFactory(status="running", phase="placement", lease_until=lease, steps_done=1)
    assert headline(console, run) == "Working on placement, 1 of 2 steps done."
    assert headline(console, RunFactory(status="pending")) == "Waiting for a worker."


def test_queries_do_not_grow_with_steps_and_evidence(console: Client) -> None:
    small, large = composite_run(), composite_run()
    for number in range(10):
        step = StepFactory(run=large, payload={"ir": {"n": number}, "variables": {"a": 1}})
        RunErrorFactory(step=step)
        MetricFactory(step=step)
        for role in ("prompt", "request", "response"):
            artifact(large, role, {"n": number}, step=step, role=role)
    counts = []
    for run in (small, large):
        with CaptureQueriesContext(connection) as queries:
            page_of(console, run)
        counts.append(len(queries))
    assert counts[1] <= counts[0] + 1 <= 20


def test_a_run_of_many_steps_reads_their_texts_on_demand(console: Client) -> None:
    run = RunFactory(pipeline_slug="reported")
    steps = [StepFactory(run=run, payload={"ir": {"secret": "only when opened"}}) for _ in range(25)]
    assert "only when opened" not in page_of(console, run)
    body = console.get(f"/admin/evidence/steps/{steps[0].pk}/body/").content.decode()
    assert "only when opened" in body


def test_models_and_merchants_text_never_becomes_markup(console: Client) -> None:
    run = RunFactory(subject_label=EVIL, input={"title": EVIL})
    step = StepFactory(run=run, why=EVIL, reasons={EVIL: 3}, payload={"ir": {"text": EVIL}, "variables": {"v": EVIL}})
    RunErrorFactory(step=step, message=EVIL, details={"traceback": EVIL})
    artifact(run, "prompt", {"template": EVIL, "messages": [{"role": "user", "text": EVIL}]}, step=step, role="prompt")
    assert EVIL not in page_of(console, run)
    asked = console.get(f"/admin/evidence/steps/{step.pk}/asked/1/").content.decode()
    assert EVIL not in asked
    assert "&lt;script&gt;alert(1)" in asked


def test_a_step_shows_what_it_was_asked(console: Client) -> None:
    run = composite_run()
    step = run.steps.get(node_key="placement")
    sent = {"template": "system: be exact", "messages": [{"role": "system", "text": "Be exact."}],
            "filled": [[0, 3, 8, "how.much"]]}  # fmt: skip
    artifact(run, "prompt", sent, step=step, role="prompt")
    request = {"parts": [{"$image": "room", "sha256": run.summary["pictures"]["room"]}], "temperature": 0}
    artifact(run, "request", request, step=step, role="request")
    with CaptureQueriesContext(connection) as queries:
        asked = console.get(f"/admin/evidence/steps/{step.pk}/asked/1/").content.decode()
    assert 'Be <span class="filled" title="how.much">exact</span>.' in asked
    assert "Raw request" in asked
    assert 'alt="room"' in asked
    assert len(queries) <= 6


def test_unknown_cost_and_tokens_stay_unknown(console: Client) -> None:
    run = RunFactory(cost_usd=None, tokens_in=None)
    StepFactory(run=run, vendor="gemini", model="g", cost_usd=Decimal("0.039"), cost_source="price_table")
    page = page_of(console, run)
    assert '<dt>Cost</dt><dd><span class="unknown">unknown</span></dd>' in page
    assert "$0.039" in page


def test_a_truncated_field_says_so_and_leads_to_the_whole(console: Client) -> None:
    step = StepFactory(payload={"variables": {"truncated": True, "bytes": 70_000, "preview": "{"},
                                "truncated": ["variables"]})  # fmt: skip
    whole = artifact(step.run, "variables", {"all": "of it"}, step=step, role="payload")
    page = page_of(console, step.run)
    assert "the whole value (70,000 bytes)" in page
    assert f"/admin/evidence/artifacts/{whole.pk}/" in page


def test_a_failed_attempt_keeps_its_error_metrics_and_picture(console: Client) -> None:
    run = composite_run()
    step = run.steps.get(node_key="composite")
    type(step).objects.filter(pk=step.pk).update(attempt=2)
    RunErrorFactory(step=step, attempt=1, code="gate_rejected", message="The shadow floats.")
    reason = {"reason": "0.2 where 0.02 is allowed"}
    MetricFactory(step=step, attempt=1, key="contact_gap", passed=False, details=reason)
    page = page_of(console, run)
    assert "attempt 1 failed" in page
    assert "The shadow floats." in page
    assert "0.2 where 0.02 is allowed" in page


def test_invalid_ir_shows_the_place_that_is_wrong(console: Client) -> None:
    problem = {"json_path": "$.candidates[0].box", "schema_path": "#", "keyword": "required", "expected": "a box",
               "found_type": "nothing"}  # fmt: skip
    step = StepFactory(ir_valid=False, ir_error_count=1, payload={"validation_errors": [problem]})
    page = page_of(console, step.run)
    assert "$.candidates[0].box" in page
    assert "IR invalid" in page


def test_deleted_pictures_are_said_to_be_gone(console: Client) -> None:
    run = composite_run()
    with time_machine.travel("2026-11-20T17:05:00Z", tick=False):
        delete_pictures(run, why="retention")
    page = page_of(console, run)
    assert page.count("picture gone by retention on 2026-11-20, 17:05") >= 3
    assert "/1280/" not in page
    assert "Kept 2 of 6 places." in page


def test_runs_that_failed_alike_are_counted_and_linked(console: Client) -> None:
    failed = {"status": "failed", "error_signature": "facts: timeout: took # s", "error_stage": "facts"}
    alone = page_of(console, RunFactory(**failed))
    assert 'id="alike"' not in alone
    RunFactory(mode="fork", **failed)
    page = page_of(console, RunFactory(**failed))
    assert "?range=all&amp;mode=live&amp;signature=facts%3A%20timeout%3A%20took%20%23%20s" in page
    assert "2 runs failed like this one" in page
    again = page_of(console, RunFactory(mode="fork", **failed))
    assert "2 runs failed like this one" in again, "a re-run is none of them"


def test_a_pipeline_without_its_own_pictures_gets_the_gallery(console: Client) -> None:
    run = RunFactory(pipeline_slug="somebody-elses")
    artifact(run, "chart", cutout_png())
    page = page_of(console, run)
    assert "<figcaption>chart" in page


def test_other_runs_of_the_same_product_are_linked(console: Client) -> None:
    first = composite_run(subject_id="one-product")
    second = composite_run(subject_id="one-product")
    assert f"/admin/runs/run/{first.pk}/change/" in page_of(console, second)


def test_a_live_page_asks_only_for_what_changed_and_stops_when_it_is_over(console: Client) -> None:
    lease = timezone.now() + timedelta(minutes=1)
    run = RunFactory(status="running", phase="placement", lease_until=lease)
    page = console.get(f"/admin/runs/run/{run.pk}/change/")
    url = f"/admin/evidence/runs/{run.pk}/live/"
    seen = page.context["page"].version
    assert "every 1s" in page.content.decode()
    with CaptureQueriesContext(connection) as queries:
        assert console.get(url, {"seen": seen}).status_code == 204
    assert len(queries) <= 3
    Run.objects.filter(pk=run.pk).update(status="completed", updated_at=timezone.now())
    changed = console.get(url, {"seen": seen})
    assert changed.status_code == 200
    assert "every 1s" not in changed.content.decode()


def test_a_run_that_does_not_exist_sends_back_to_the_list(console: Client) -> None:
    assert console.get("/admin/runs/run/01ARZ3NDEKTSV4RRFFQ69G5FAV/change/").status_code == 302
    assert console.get("/admin/runs/run/nonsense/change/").status_code == 302


def test_attempts_say_what_they_cost_and_which_were_lost_with_their_worker(console: Client) -> None:
    run = composite_run(starts=4)
    step = run.steps.get(node_key="composite")
    type(step).objects.filter(pk=step.pk).update(attempt=5)
    for attempt in (1, 2, 3):
        RunErrorFactory(step=step, attempt=attempt, code="worker_lost", message="The worker ended.")
    RunErrorFactory(step=step, attempt=4, vendor="gemini", model="g-2", latency_ms=2400, cost_usd=Decimal("0.039"))
    page = page_of(console, run)
    assert page.count("lost with its worker") == 3
    assert "survived 3 lost workers" in page
    for told in ("attempt 4 failed", "gemini/g-2", "2.4 s", "$0.039"):
        assert told in page


def test_a_skipped_step_shows_its_condition_and_what_it_found(console: Client) -> None:
    reasons = {"condition": "metrics.generate.faithfulness >= 0.8", "value": False,
               "seen": {"metrics.generate.faithfulness": 0.4}}  # fmt: skip
    step = StepFactory(status="skipped", reasons=reasons, node_key="publish", type="api")
    page = page_of(console, step.run)
    assert "metrics.generate.faithfulness &gt;= 0.8</code> is false." in page
    assert "<dt><code>metrics.generate.faithfulness</code></dt><dd>0.4</dd>" in page
    joined = {"join": "all_success", "failed": ["facts"]}
    page = page_of(console, StepFactory(status="skipped", reasons=joined, type="api").run)
    assert 'failed: <a href="#node-facts">facts</a>' in page


def test_a_resting_run_says_when_it_goes_on(console: Client) -> None:
    due = timezone.now() + timedelta(seconds=40)
    run = RunFactory(status="pending", due_at=due, starts=1, phase="facts")
    StepFactory(run=run, node_key="facts", status="pending", attempt=2, due_at=due)
    page = page_of(console, run)
    assert f'next attempt due <span data-until="{due.isoformat()}"' in page
    assert "Resting; it goes on with facts when that is due." in page
    assert f'data-until="{due.isoformat()}"' in page


def test_a_parked_run_shows_the_way_out(console: Client) -> None:
    run = RunFactory(status="failed", error_code="worker_lost", error_message="Parked: started 5 times.", starts=5)
    page = page_of(console, run)
    assert ">parked<" in page
    assert "4 lost workers" in page


def test_a_call_that_waited_for_a_limit_says_for_which(console: Client) -> None:
    limit = {"vendor": "gemini", "limit": "per_minute", "waited_ms": 3100}
    page = page_of(console, StepFactory(payload={"reasoning": {"limit": limit}}).run)
    assert "waited 3.1 s for per minute of gemini" in page
