"""The life of a node and of a run, executed inline on a real database."""

from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from irschemas.services import activate_schema, create_schema
from runs.blobs import read_blob
from runs.models import Artifact, Run, RunError, Step
from runs.registry import on_finish, output
from runs.services import start_run
from tests.factories import ShopFactory
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline
from vendors.base import Image, RateLimited, Refused, Reply, Unavailable

pytestmark = pytest.mark.django_db


def test_nodes_run_in_dependency_order_and_the_run_completes() -> None:
    publish("noops", *chain("noop@1", "noop@1", "noop@1", "noop@1"))
    run = run_inline("noops")
    assert run.status == Run.Status.COMPLETED
    steps = list(run.steps.all())
    assert [step.node_key for step in steps] == ["a", "b", "c", "d"]
    assert all(step.status == Step.Status.COMPLETED and step.output_sha256 for step in steps)
    assert [step.started_at for step in steps] == sorted(step.started_at for step in steps)
    assert (run.steps_expected, run.steps_done) == (4, 4)
    assert run.latency_ms is not None and run.lease_until is None


def test_a_node_is_one_statement_and_a_run_of_four_takes_eight() -> None:
    publish("noops", *chain("noop@1", "noop@1", "noop@1", "noop@1"))
    run_inline("noops")  # a process reads the graph of a published version once
    with CaptureQueriesContext(connection) as queries:
        run_inline("noops")
    statements = [query["sql"] for query in queries if not query["sql"].startswith(("SAVEPOINT", "RELEASE", "BEGIN"))]
    # The version, the run, the claim's look, the schemas, the nodes; and the caller's look at the finished run.
    assert len(statements) == 1 + 1 + 1 + 1 + 4 + 1, statements
    assert sum("UPDATE runs_run" in text for text in statements) == 4


def test_a_node_gets_its_ancestors_answers_and_else_the_input() -> None:
    publish("two", {"key": "number", "step": "noop@1"}, {"key": "b", "step": "sieve@1"})
    run = run_inline("two", {"items": [1, 5, 12, 30], "limit": 12})
    assert run.status == Run.Status.COMPLETED, run.error_message
    step = run.steps.get(node_key="b")
    assert step.payload.ir == {"kept": [12, 30]}
    assert (step.candidates_in, step.candidates_out, step.drop_ratio) == (4, 2, 0.5)
    assert step.reasons == {"too_small": 2}
    assert step.why == "Kept 2 of 4."


def test_parallel_nodes_share_a_parent_and_join() -> None:
    publish(
        "diamond",
        {"key": "a", "step": "noop@1"},
        {"key": "b", "step": "noop@1", "depends_on": ["a"]},
        {"key": "c", "step": "noop@1", "depends_on": ["a"]},
        {"key": "d", "step": "noop@1", "depends_on": ["b", "c"]},
    )
    run = run_inline("diamond")
    assert run.status == Run.Status.COMPLETED
    assert run.steps.get(node_key="d").started_at >= run.steps.get(node_key="b").finished_at
    assert run.steps.get(node_key="d").started_at >= run.steps.get(node_key="c").finished_at


def test_a_bug_in_a_stage_fails_the_run_with_stage_code_and_message() -> None:
    publish("crash", *chain("noop@1", "crashing@1", "noop@1"))
    run = run_inline("crash")
    assert (run.status, run.error_stage, run.error_code) == (Run.Status.FAILED, "b", "stage_crashed")
    assert "ZeroDivisionError" in run.error_message and run.error_retryable is False
    assert [step.status for step in run.steps.all()] == ["completed", "failed", "cancelled"]
    assert "division" in RunError.objects.get(run=run).details["traceback"]


def test_an_answer_that_is_not_json_is_refused() -> None:
    publish("nan", *chain("not_json@1"))
    run = run_inline("nan")
    assert (run.status, run.error_code) == (Run.Status.FAILED, "ir_invalid")


def test_a_filter_that_does_not_count_fails() -> None:
    publish("uncounted", *chain("uncounted@1"))
    assert run_inline("uncounted").error_code == "filter_uncounted"


def test_retries_repeat_an_attempt_and_log_every_failure() -> None:
    node = {
        "key": "a",
        "step": "flaky@1",
        "retries": 2,
        "retry_on": ["vendor"],
        "params": {"failures": 2},
        "backoff": {"initial_ms": 1},
    }
    publish("flaky", node)
    run = run_inline("flaky")
    assert run.status == Run.Status.COMPLETED
    assert run.steps.get().attempt == 3
    assert list(RunError.objects.filter(run=run).values_list("attempt", "code")) == [(1, "flaked"), (2, "flaked")]


def test_retries_end_and_other_failures_are_not_repeated() -> None:
    publish(
        "flaky",
        {
            "key": "a",
            "step": "flaky@1",
            "retries": 1,
            "retry_on": ["vendor"],
            "params": {"failures": 9},
            "backoff": {"initial_ms": 1},
        },
    )
    assert run_inline("flaky").steps.get().attempt == 2
    publish(
        "stubborn", {"key": "a", "step": "flaky@1", "retries": 5, "retry_on": ["timeout"], "params": {"failures": 9}}
    )
    assert run_inline("stubborn").steps.get().attempt == 1


def test_ir_validation_enforced_fails_and_logged_only_notes() -> None:
    schema = create_schema(
        target="stage:asking",
        name="Asking",
        schema={
            "type": "object",
            "additionalProperties": False,
            "required": ["answer", "picture"],
            "properties": {"answer": {"type": "integer", "minimum": 10}, "picture": {"type": "null"}},
        },
    )
    activate_schema(schema_id=schema.id)
    publish("strict", *chain("asking@1"), ir_mode="enforce")
    publish("lax", *chain("asking@1"), ir_mode="log")
    strict = run_inline("strict", given=deps(ScriptedVendor([3])))
    assert (strict.status, strict.error_code) == (Run.Status.FAILED, "ir_invalid")
    assert "$.answer" in strict.error_message
    failed = strict.steps.get()
    assert (failed.ir_valid, failed.ir_error_count) == (False, 1)
    assert failed.payload.validation_errors[0]["json_path"] == "$.answer"
    lax = run_inline("lax", given=deps(ScriptedVendor([3])))
    assert lax.status == Run.Status.COMPLETED
    assert lax.steps.get().ir_valid is False
    good = run_inline("strict", given=deps(ScriptedVendor([30])))
    assert good.steps.get().ir_valid is True
    assert good.steps.get().ir_schema_id == schema.id


def test_an_invalid_answer_is_asked_again_when_policy_says_so() -> None:
    schema = create_schema(
        target="stage:asking",
        name="Asking",
        schema={
            "type": "object",
            "additionalProperties": False,
            "required": ["answer", "picture"],
            "properties": {"answer": {"type": "integer", "minimum": 10}, "picture": {"type": "null"}},
        },
    )
    activate_schema(schema_id=schema.id)
    publish(
        "again", *chain("asking@1", retries=1, retry_on=["ir_invalid"]), ir_mode="enforce", backoff={"initial_ms": 1}
    )
    vendor = ScriptedVendor([3, 30])
    run = run_inline("again", given=deps(vendor))
    assert run.status == Run.Status.COMPLETED
    assert len(vendor.calls) == 2


def test_everything_about_a_model_call_is_captured() -> None:
    publish("asking", *chain("asking@1"))
    picture = Image("drawing", PNG, "image/png")
    reply = Reply(
        model="scripted-1",
        data={"n": 1},
        images=(picture,),
        request={"ask": 1, "api_key": "sk-secret"},
        response={"parts": [{"thought": True, "text": "hmm"}, {"text": "1"}]},
        response_id="r-1",
        cost_usd=0.25,
        cost_source="vendor",
    )
    run = run_inline("asking", given=deps(ScriptedVendor([reply])))
    step = run.steps.get()
    assert (step.vendor, step.model, float(step.cost_usd), step.cost_source) == (
        "scripted",
        "scripted-1",
        0.25,
        "vendor",
    )
    assert step.tokens_in is None, "unknown is not zero"
    assert float(run.cost_usd) == 0.25
    kept = {artifact.role: artifact.blob for artifact in Artifact.objects.select_related("blob").filter(run=run)}
    assert {"request", "response", "reply", "image"} <= kept.keys()
    stored = read(kept["request"]) + read(kept["response"]) + read(kept["reply"])
    assert b"sk-secret" not in stored and b"hmm" not in stored
    assert step.payload.thinking_removed is True
    assert read(kept["image"]) == PNG
    assert step.payload.ir["picture"]["$blob"] == kept["image"].sha256
    assert step.payload.reasoning["call"]["response_id"] == "r-1"


def test_a_vendor_that_is_down_is_tried_again_and_then_the_next_route() -> None:
    publish("asking", *chain("asking@1"))
    down = ScriptedVendor([Unavailable("503", request={"ask": 1}, response={"status": 503})], name="down")
    up = ScriptedVendor([7], name="up")
    run = run_inline("asking", given=deps(down, up, move_on=["vendor_unavailable"]))
    assert run.status == Run.Status.COMPLETED
    assert run.steps.get().vendor == "up"
    error = RunError.objects.get(run=run)
    assert (error.code, error.vendor, error.attempt) == ("vendor_unavailable", "down", 1)
    assert Artifact.objects.filter(run=run, attempt=1, role="response").exists(), "a failing call is captured too"


def test_a_refusal_is_not_retried() -> None:
    publish("asking", *chain("asking@1", retries=3))
    vendor = ScriptedVendor([Refused("safety")])
    run = run_inline("asking", given=deps(vendor))
    assert (run.status, run.error_code, len(vendor.calls)) == (Run.Status.FAILED, "vendor_refused", 1)


def test_a_rate_limit_waits_as_long_as_the_vendor_says() -> None:
    publish("asking", *chain("asking@1", retries=1, backoff={"initial_ms": 0}))
    vendor = ScriptedVendor([RateLimited("slow down", retry_after_s=0.2), 1])
    run = run_inline("asking", given=deps(vendor))
    assert run.status == Run.Status.COMPLETED
    assert run.latency_ms >= 200


def test_the_domain_hears_of_results_and_ends_inside_the_transaction() -> None:
    heard: list[str] = []
    output("heard", "a")(lambda result: heard.append(result.ir["node"]) or [("thing", "42")])
    on_finish("heard")(lambda run: heard.append(run.status))
    publish("heard", *chain("noop@1"))
    run = run_inline("heard")
    assert heard == ["a", "completed"]
    assert run.links.get().target_id == "42"


def test_a_domain_that_refuses_a_result_fails_the_node() -> None:
    def refuse(result: object) -> list[tuple[str, str]]:
        raise ValueError("no such thing")

    output("refusing", "a")(refuse)
    publish("refusing", *chain("noop@1"))
    run = run_inline("refusing")
    assert (run.status, run.error_code) == (Run.Status.FAILED, "output_refused")


def test_the_same_idempotency_key_is_the_same_run_and_another_input_is_refused() -> None:
    from runs.errors import DuplicateKey

    publish("noops", *chain("noop@1"))
    shop = ShopFactory()
    first = start_run(pipeline="noops", shop=shop, input={"n": 1}, idempotency_key="k")
    assert start_run(pipeline="noops", shop=shop, input={"n": 1}, idempotency_key="k") == first
    with pytest.raises(DuplicateKey):
        start_run(pipeline="noops", shop=shop, input={"n": 2}, idempotency_key="k")
    assert start_run(pipeline="noops", shop=ShopFactory(), input={"n": 2}, idempotency_key="k") != first


def test_another_broken_rule_is_not_taken_for_a_repeated_key() -> None:
    publish("noops", *chain("noop@1"))
    without: Any = {"environment": None}
    with pytest.raises(IntegrityError, match="environment"):
        start_run(pipeline="noops", shop=ShopFactory(), input={}, idempotency_key="k", **without)


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


def read(blob: object) -> bytes:
    return read_blob(blob)
