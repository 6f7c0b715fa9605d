"""What is kept of a call: what went over the wire, without secrets and thoughts, of a failed one as of a good one."""

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runs.blobs import read_blob, store_blob
from runs.exchange import LONGEST_KEPT, MAX_KEPT, capture_error
from runs.models import Artifact, Run, RunError
from runs.recording import Recorder
from tests.factories import cutout_png
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline
from tests.vendor_servers import gemini as wire
from tests.vendor_servers.server import HTML, Half, Never, Reset, VendorServer, status
from vendors.base import BadResponse
from vendors.gemini.vendor import GeminiVendor
from vendors.prices import load_prices
from vendors.routes import Route, Routes
from vendors.wire import as_sent

pytestmark = pytest.mark.django_db
PRICES = load_prices(Path(__file__).parents[2] / "config" / "prices.toml")


@pytest.fixture(scope="module")
def running() -> Iterator[VendorServer]:
    with VendorServer(wire.Gemini(texts=[{"title": "Oak chair"}]).answer) as server:
        yield server


@pytest.fixture
def server(running: VendorServer) -> VendorServer:
    running.forget()
    return running


def shown(server: VendorServer, *, timeout_s: float = 5.0) -> Run:
    publish("seeing", *chain("seeing@1", retries=0))
    picture = store_blob(shop=None, content=cutout_png(), media_type="image/png", retention="evidence")
    route = Route("gemini", wire.TEXT_MODEL, timeout_s=timeout_s)
    made = replace(deps(), routes=Routes({"facts": (route,)}), prices=PRICES)
    made = replace(made, vendors={"gemini": GeminiVendor(wire.KEY, server.url)})
    return run_inline("seeing", {"picture": picture.to_json()}, made)


def kept(run: Run, role: str) -> Any:
    blob = Artifact.objects.get(run=run, role=role).blob
    assert blob is not None
    return json.loads(read_blob(blob))


def everything(run: Run) -> bytes:
    blobs = [artifact.blob for artifact in Artifact.objects.filter(run=run).select_related("blob")]
    return b"".join(read_blob(blob) for blob in blobs if blob is not None)


def test_with_its_pictures_a_kept_request_is_what_was_sent_byte_for_byte(server: VendorServer) -> None:
    run = shown(server)
    (sent,) = server.requests
    request = kept(run, "request")
    assert as_sent(request["body"], lambda sha256: cutout_png()) == sent.body
    assert (request["method"], request["url"]) == ("POST", server.url + sent.path)
    assert {name.lower(): value for name, value in request["headers"].items()}.items() <= sent.headers.items()


def test_neither_key_nor_thought_is_kept_and_the_answer_is(server: VendorServer) -> None:
    run = shown(server)
    assert sent_key(server) == wire.KEY
    stored = everything(run) + json.dumps(list(run.steps.values()), default=str).encode()
    assert wire.KEY.encode() not in stored
    assert b"SECRET-THOUGHT" not in stored
    response = kept(run, "response")
    assert response["status"] == 200
    assert response["body"]["candidates"][0]["content"]["parts"] == [{"text": '{"title": "Oak chair"}'}]
    assert run.steps.get().payload.thinking_removed


def sent_key(server: VendorServer) -> str:
    return server.requests[0].headers["x-goog-api-key"]


def test_what_the_call_cost_is_what_the_service_counts(server: VendorServer) -> None:
    run = shown(server)
    usage = kept(run, "response")["body"]["usageMetadata"]
    out = usage["candidatesTokenCount"] + usage["thoughtsTokenCount"]
    expected = (usage["promptTokenCount"] * Decimal("0.75") + out * Decimal("3.75")) / 1_000_000
    assert (run.cost_usd, run.cost_unknown) == (round(expected, 6), 0)


@pytest.mark.parametrize(
    ("fault", "code", "answered", "cost"),
    [
        (Never(), "vendor_timeout", None, None),
        (Reset(), "vendor_unavailable", None, None),
        (Half(), "vendor_bad_response", 200, None),
        (HTML, "vendor_unavailable", 502, 0),
        (status(503, {"error": {"code": 503}}, x_request_id="req-7", retry_after="0"), "vendor_unavailable", 503, 0),
        (wire.quota_error("GenerateRequestsPerMinute", "0.1s"), "vendor_rate_limited", 429, 0),
        (wire.quota_error("GenerateRequestsPerDayPerProject"), "vendor_quota_exhausted", 429, 0),
        (wire.finished("SAFETY"), "vendor_refused", 200, Decimal("0.000105")),
    ],
)
def test_a_call_that_failed_is_kept_as_fully_as_a_good_one(
    server: VendorServer, fault: Any, code: str, answered: int | None, cost: Decimal | None
) -> None:
    server.plan(fault)
    run = shown(server, timeout_s=0.3 if isinstance(fault, Never) else 5.0)
    error = RunError.objects.get(run=run)
    assert (run.status, error.code, error.cost_usd) == ("failed", code, cost)
    assert (run.cost_usd, run.cost_unknown) == (cost, int(cost is None))
    assert as_sent(kept(run, "request")["body"], lambda sha256: cutout_png()) == server.requests[0].body
    if answered is None:
        assert not Artifact.objects.filter(run=run, role="response").exists()
    else:
        response = kept(run, "response")
        assert response["status"] == answered
        assert response["headers"].get("x-request-id") == ("req-7" if answered == 503 else None)


def test_a_service_that_cannot_be_reached_costs_nothing_and_the_request_is_kept() -> None:
    with VendorServer(wire.Gemini().answer) as server:
        pass
    run = shown(server)
    assert (run.error_code, run.cost_usd, run.cost_unknown) == ("vendor_unavailable", 0, 0)
    assert RunError.objects.get(run=run).cost_source == "unbilled"
    assert kept(run, "request")["method"] == "POST"


def test_what_is_too_large_is_cut_and_says_so() -> None:
    made = deps(ScriptedVendor([]))
    for body in ({"text": "x" * MAX_KEPT, "status": 1}, {"texts": ["y" * 1000] * (MAX_KEPT // 900)}):
        recorder = Recorder(made.store, "none")
        capture_error(BadResponse("?", response={"status": 200, "body": body}), recorder)
        (draft,) = recorder.recording.artifacts
        stored = json.loads(draft.blob.body or made.store.read("none", draft.blob.sha256))
        assert stored["truncated"]["bytes"] > MAX_KEPT
        assert draft.blob.size < MAX_KEPT
    assert stored["preview"].startswith('{"status":200,"body":{"texts":["yyy')
    assert LONGEST_KEPT < MAX_KEPT
