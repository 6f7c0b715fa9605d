"""The vendor `openai` against a server on loopback that is as strict as the real one, and the shapes of its kin."""

import asyncio
import json

import pytest

from core.canonical import canonical_json
from irschemas.library import library_schemas
from tests.vendor_servers import openai as wire
from tests.vendor_servers.server import Response, VendorServer, status
from tests.vendors.contract import NetworkContract
from tests.vendors.scenes import cutout, jpeg, picture, room_photo
from vendors.base import (
    BadResponse,
    Call,
    Image,
    KeyRefused,
    Message,
    QuotaExhausted,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unavailable,
    Usage,
)
from vendors.openai.failures import duration
from vendors.openai.vendor import OpenAIVendor
from vendors.schemas import for_gemini, for_strict, without_nulls

ROOM, CUTOUT = jpeg("room", room_photo()), picture("cutout", cutout())
MESSAGES = (Message("system", "You measure."), Message("user", "How large is it?"))
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["ok"],
    "properties": {"ok": {"type": "boolean"}, "note": {"type": "string", "maxLength": 7}},
}


def facts(**changes):
    given = {"task": "facts", "model": wire.TEXT_MODEL, "messages": MESSAGES, "images": (CUTOUT,), "seed": 7,
             "response_schema": SCHEMA, "params": {"prefer": "left"}}  # fmt: skip
    return Call(**given | changes)


def composite(**changes):
    given = {"task": "composite", "model": wire.DRAWING_MODEL, "messages": MESSAGES, "images": (ROOM, CUTOUT)}
    return Call(**given | changes)


@pytest.fixture(scope="module")
def account():
    return wire.OpenAI(pictures=[("image/png", CUTOUT.content)])


@pytest.fixture(scope="module")
def running(account):
    with VendorServer(account.answer) as running:
        yield running


@pytest.fixture
def server(running, account):
    running.forget()
    account.asked.clear()
    account.texts = ({"ok": True, "note": None},)
    return running


@pytest.fixture
def vendor(server):
    return OpenAIVendor(wire.KEY, f"{server.url}/v1")


def ask(vendor, call):
    return asyncio.run(vendor.call(call))


class TestContract(NetworkContract):
    @pytest.fixture
    def key(self):
        return wire.KEY

    @pytest.fixture
    def with_key(self):
        return lambda key, url: OpenAIVendor(key, f"{url}/v1")

    @pytest.fixture
    def good_calls(self):
        return [facts(), facts(task="placement", images=(ROOM, CUTOUT)), composite(),
                composite(model=wire.CHAT_PICTURE_MODEL)]  # fmt: skip


def test_a_question_is_what_chat_completions_take(vendor, account):
    reply = ask(vendor, facts(params={"detail": "high", "reasoning_effort": "low", "max_output_tokens": 900}))
    (asked,) = account.asked
    assert asked["messages"][0] == {"role": "system", "content": "You measure."}
    kinds = [part["type"] for part in asked["messages"][1]["content"]]
    assert kinds == ["text", "image_url", "text"]
    assert asked["messages"][1]["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert asked["response_format"]["json_schema"] == {
        "name": "facts",
        "strict": True,
        "schema": {
            "type": "object",
            "additionalProperties": False,
            "required": ["ok", "note"],
            "properties": {"ok": {"type": "boolean"}, "note": {"type": ["string", "null"]}},
        },
    }
    assert {name: asked[name] for name in ("seed", "reasoning_effort", "max_completion_tokens")} == {
        "seed": 7, "reasoning_effort": "low", "max_completion_tokens": 900,
    }  # fmt: skip
    assert reply.data == {"ok": True}, "a null that stands for nothing is nothing"


@pytest.mark.parametrize("mode", ["json_object", "none"])
def test_a_server_that_knows_no_schemas_is_told_in_words(vendor, account, mode):
    ask(vendor, facts(params={"response_format": mode, "length_field": "max_completion_tokens"}))
    (asked,) = account.asked
    assert asked.get("response_format") == ({"type": "json_object"} if mode == "json_object" else None)
    assert '"required":["ok"]' in asked["messages"][0]["content"]


def test_a_model_that_only_draws_is_asked_to_edit(vendor, account):
    reply = ask(vendor, composite(params={"quality": "high", "image_size": "1536x1024"}))
    (asked,) = account.asked
    assert asked["prompt"].startswith('Picture 1 is "room".\nPicture 2 is "cutout".\n\nYou measure.')
    assert (len(asked["images"]), asked["size"], asked["quality"]) == (2, "1536x1024", "high")
    assert [(image.role, image.media_type, image.content) for image in reply.images] == [
        ("result", "image/png", CUTOUT.content)
    ]
    assert reply.usage == Usage(100, 0, None, None, 1056, 1, tokens_in_image=800)


def test_a_chat_that_draws_answers_with_pictures(vendor, account):
    reply = ask(vendor, composite(model=wire.CHAT_PICTURE_MODEL, params={"image_size": "2K"}))
    assert account.asked[0]["modalities"] == ["image", "text"]
    assert account.asked[0]["image_config"] == {"image_size": "2K"}
    assert reply.images[0].content == CUTOUT.content
    assert reply.text == "Done."


def test_the_reply_says_who_answered_and_holds_no_thought(vendor):
    reply = ask(vendor, facts())
    assert (reply.model, reply.model_version) == (wire.TEXT_MODEL, f"{wire.TEXT_MODEL}-2026-09-22")
    assert (reply.response_id, reply.finish_reason) == ("chatcmpl-0", "stop")
    kept = canonical_json([reply.request, reply.response, reply.text]).decode()
    assert reply.thinking_removed
    assert [word for word in ("SECRET-THOUGHT", "reasoning_content", wire.KEY, "base64") if word in kept] == []


def test_tokens_are_in_exclusive_buckets(vendor, server):
    usage = ask(vendor, facts()).usage
    assert (usage.tokens_in, usage.tokens_cached, usage.tokens_thinking) == (80, 20, 64)
    assert usage.tokens_out == len('{"ok": true, "note": null}') // 4
    body = wire.chat_answer("m", {"ok": True})
    server.plan(Response({key: value for key, value in body.items() if key != "usage"}))
    assert ask(vendor, facts()).usage == Usage()
    plain = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    server.plan(Response(body | {"usage": plain}))
    assert ask(vendor, facts()).usage == Usage(5, 2, None, None, None, 0)


def test_a_cost_that_the_service_tells_is_taken(vendor, server):
    body = wire.chat_answer("m", {"ok": True})
    server.plan(Response(body | {"usage": body["usage"] | {"cost": 0.00231}}))
    reply = ask(vendor, facts())
    assert (reply.cost_usd, reply.cost_source) == (0.00231, "vendor")
    assert ask(vendor, facts()).cost_usd is None


def test_an_answer_that_was_cut_off_is_not_taken_for_an_edit(vendor, server):
    choice = {"finish_reason": "length", "message": {"content": '{"ok": true}'}}
    server.plan(Response({"choices": [choice], "data": None}))
    with pytest.raises(BadResponse, match="cut off"):
        asyncio.run(vendor.call(facts()))


def test_input_that_a_moderation_flags_is_no_word_about_the_key(vendor, server):
    told = {"code": 403, "message": "flagged", "metadata": {"reasons": [], "flagged_input": "a title"}}
    server.plan(status(403, {"error": told}))
    with pytest.raises(Refused) as caught:
        asyncio.run(vendor.call(facts()))
    assert caught.value.category == "moderation"


@pytest.mark.parametrize("cost", [b"1e999", b"1e40", b"1" + b"0" * 400, b"-1", b"true"])
def test_a_sum_that_no_call_costs_is_no_cost(vendor, server, cost):
    body = {"choices": [{"finish_reason": "stop", "message": {"content": '{"ok": true}'}}], "usage": {"cost": "COST"}}
    server.plan(Response(json.dumps(body).encode().replace(b'"COST"', cost)))
    if cost == b"1e999":
        with pytest.raises(BadResponse, match="too large"):
            asyncio.run(vendor.call(facts()))
    else:
        assert asyncio.run(vendor.call(facts())).cost_usd is None


def test_a_server_without_keys_is_asked_without_one(server, account):
    account.key = None
    try:
        assert ask(OpenAIVendor("", f"{server.url}/v1"), facts()).data == {"ok": True}
    finally:
        account.key = wire.KEY
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize("ours", library_schemas(), ids=lambda ours: ours.target)
def test_every_schema_of_ours_is_taken_in_strict_mode(ours):
    wire._check_strict(for_strict(ours.schema), "()")


def test_a_long_list_has_no_length_for_the_service_to_compile():
    schema = {"type": "array", "maxItems": 200, "items": {"type": "array", "maxItems": 5, "items": {"type": "string"}}}
    for change in (for_strict, for_gemini):
        assert change(schema) == {
            "type": "array", "items": {"type": "array", "maxItems": 5, "items": {"type": "string"}}
        }  # fmt: skip


def test_nulls_come_out_only_where_a_property_may_be_missing():
    schema = {
        "type": "object",
        "required": ["a"],
        "properties": {
            "a": {"type": ["number", "null"]},
            "b": {"$ref": "#/$defs/b"},
            "c": {"type": ["string", "null"]},
            "list": {"type": "array", "items": {"$ref": "#/$defs/b"}},
        },
        "$defs": {"b": {"type": "object", "required": [], "properties": {"x": {"type": "number"}}}},
    }
    answer = {"a": None, "b": {"x": None}, "c": None, "list": [{"x": None}, {"x": 1}]}
    assert without_nulls(schema, answer) == {"a": None, "b": {}, "c": None, "list": [{}, {"x": 1}]}
    assert without_nulls(schema, {"a": 1, "b": None}) == {"a": 1}


def choice(**changes):
    body = wire.chat_answer(wire.TEXT_MODEL, {"ok": True})
    body["choices"][0] |= changes
    return Response(body)


def spoken(**changes):
    return Response(wire.chat_answer(wire.TEXT_MODEL, changes.pop("text", None), **changes))


ROUTER_FLAGGED = {"error": {"code": 403, "message": "Input flagged", "metadata": {"reasons": ["violence"]}}}
LIMITED = wire.error(429, "Rate limit reached", "requests", "rate_limit_exceeded")
ERRORS = {
    "wrong key": (wire.INVALID_KEY, KeyRefused, {}),
    "no credits, openai": (wire.error(429, "You exceeded your quota", "insufficient_quota", "insufficient_quota"),
                           QuotaExhausted, {"retryable": False}),
    "no credits, openrouter": (status(402, {"error": {"code": 402, "message": "Insufficient credits"}}),
                               QuotaExhausted, {}),
    "slow down": (Response(LIMITED.body, 429, {"Retry-After": "7"}), RateLimited, {"retry_after_s": 7.0}),
    "slow down, in ms": (Response(LIMITED.body, 429, {"retry-after-ms": "1500"}), RateLimited, {"retry_after_s": 1.5}),
    "slow down, bucket": (Response(LIMITED.body, 429, {"x-ratelimit-remaining-tokens": "0",
                          "x-ratelimit-reset-tokens": "6m0.5s", "x-ratelimit-remaining-requests": "9",
                          "x-ratelimit-reset-requests": "1h"}), RateLimited, {"retry_after_s": 360.5}),
    "slow down, no word": (LIMITED, RateLimited, {"retry_after_s": None}),
    "context too long": (wire.error(400, "maximum context length", "invalid_request_error", "context_length_exceeded"),
                         Rejected, {"retryable": False}),
    "no model": (wire.error(404, "does not exist", "invalid_request_error", "model_not_found"), Rejected, {}),
    "policy": (wire.error(400, "rejected by the safety system", "image_generation_user_error", "moderation_blocked"),
               Refused, {"category": "moderation_blocked"}),
    "flagged, openrouter": (status(403, ROUTER_FLAGGED), Refused, {"category": "violence"}),
    "flat, vllm": (status(400, {"object": "error", "message": "bad", "type": "BadRequestError", "param": None,
                                "code": 400}), Rejected, {}),
    "nested, vllm": (status(404, {"error": {"message": "The model `x` does not exist.", "type": "NotFoundError",
                                            "param": None, "code": 404}}), Rejected, {}),
    "a text, ollama": (status(500, {"error": "llama runner process has terminated"}), Unavailable, {}),
    "no model, ollama": (status(404, {"error": {"message": "model 'x' not found", "type": "not_found_error",
                                                "param": None, "code": None}}), Rejected, {}),
    "a detail": (status(422, {"detail": [{"loc": ["body"], "msg": "field required"}]}), Rejected, {}),
    "server error": (wire.error(500, "The server had an error", "server_error"), Unavailable, {"retryable": True}),
    "gateway timeout": (status(504, b"upstream request timeout"), TimedOut, {}),
    "429 in a 200": (Response({"error": {"code": 429, "message": "upstream", "metadata": {}}}), RateLimited, {}),
    "502 in a choice": (choice(error={"code": 502, "message": "Provider returned error"}, finish_reason="error"),
                        Unavailable, {}),
    "no choices": (Response({"id": "x", "choices": []}), BadResponse, {}),
    "an array": (Response([1]), BadResponse, {}),
    "refusal": (spoken(refusal="I cannot help with that."), Refused, {"category": "refusal"}),
    "content filter": (choice(finish_reason="content_filter"), Refused, {"category": "content_filter"}),
    "cut off": (choice(finish_reason="length"), BadResponse, {}),
    "tool call": (choice(finish_reason="tool_calls"), BadResponse, {}),
    "nothing said": (spoken(text=""), BadResponse, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_what_it_means_whoever_wrote_it(vendor, server, name):
    answer, kind, known = ERRORS[name]
    server.plan(answer)
    with pytest.raises(Exception) as caught:
        ask(vendor, facts())
    error = caught.value
    assert type(error) is kind
    assert {key: getattr(error, key) for key in known} == known
    assert error.response["status"]
    assert "\n" not in error.message
    assert len(server.requests) == 1


def test_a_refusal_that_was_billed_says_what_it_used(vendor, server):
    server.plan(choice(finish_reason="content_filter"))
    with pytest.raises(Refused) as caught:
        ask(vendor, facts())
    assert caught.value.usage.tokens_in == 80


@pytest.mark.parametrize("text", ["Sure! The size is 5.", "```json\n{}\n```", '{"ok": tru'])
def test_prose_is_an_answer_without_data_for_whoever_asked_to_judge(vendor, account, text):
    account.texts = (text,)
    reply = ask(vendor, facts())
    assert (reply.text, reply.data) == (text, None)


@pytest.mark.parametrize(
    ("text", "seconds"), [("6m0s", 360), ("20ms", 0.02), ("1h2m3.5s", 3723.5), ("soon", None), ("5", None), ("", None)]
)
def test_durations_are_read_as_they_are_written(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (facts(model="a b"), "no name of a model"),
        (facts(messages=()), "needs a user message"),
        (composite(images=()), "works on pictures"),
        (facts(images=(Image("cutout", b"GIF89a", "image/gif"),)), "cannot be sent"),
        (facts(params={"response_format": "xml"}), "param response_format"),
        (composite(params={"image_size": "huge"}), "param image_size"),
    ],
)
def test_a_call_that_the_service_would_refuse_is_not_sent(vendor, server, call, match):
    with pytest.raises(Rejected, match=match):
        ask(vendor, call)
    assert server.requests == []


def test_a_schema_that_is_not_strict_would_be_refused(server, vendor):
    """What this file proves rests on the server's strictness."""
    from vendors.openai import request

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(request, "for_strict", lambda schema: schema)
        with pytest.raises(Rejected, match="Invalid schema"):
            ask(vendor, facts())
    assert json.loads(server.requests[0].body)["model"] == wire.TEXT_MODEL
