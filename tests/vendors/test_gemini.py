"""The vendor `gemini` against a server on loopback that is as strict as the real one."""

import asyncio
import json
from dataclasses import replace

import pytest

from core.canonical import canonical_json
from tests.vendor_servers import gemini as wire
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
from vendors.gemini.vendor import GeminiVendor

ROOM, CUTOUT = jpeg("room", room_photo()), picture("cutout", cutout())
MESSAGES = (Message("system", "You measure."), Message("user", "How large is it?"))
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "required": ["ok"],
    "properties": {"ok": {"type": "boolean"}, "hex": {"type": "string", "pattern": "^#", "maxLength": 7}},
}


def facts(**changes):
    given = {"task": "facts", "model": wire.TEXT_MODEL, "messages": MESSAGES, "images": (CUTOUT,), "seed": 7,
             "response_schema": SCHEMA, "params": {"thinking_level": "low", "prefer": "left"}}  # fmt: skip
    return Call(**given | changes)


def composite(**changes):
    given = {"task": "composite", "model": wire.PICTURE_MODEL, "messages": MESSAGES, "images": (ROOM, CUTOUT)}
    return Call(**given | changes)


@pytest.fixture(scope="module")
def account():
    return wire.Gemini(pictures=[("image/jpeg", ROOM.content)])


@pytest.fixture(scope="module")
def running(account):
    with VendorServer(account.answer) as running:
        yield running


@pytest.fixture
def server(running, account):
    running.forget()
    account.asked.clear()
    account.texts = ({"ok": True},)
    return running


@pytest.fixture
def vendor(server):
    return GeminiVendor(wire.KEY, server.url)


def ask(vendor, call):
    return asyncio.run(vendor.call(call))


class TestContract(NetworkContract):
    @pytest.fixture
    def key(self):
        return wire.KEY

    @pytest.fixture
    def with_key(self):
        return GeminiVendor

    @pytest.fixture
    def good_calls(self):
        return [facts(), facts(task="placement", images=(ROOM, CUTOUT)), composite()]


def test_the_request_is_what_the_service_documents(vendor, account):
    ask(vendor, facts())
    (asked,) = account.asked
    assert asked["systemInstruction"] == {"parts": [{"text": "You measure."}]}
    (content,) = asked["contents"]
    assert [sorted(part) for part in content["parts"]] == [["text"], ["inlineData"], ["text"]]
    assert content["parts"][0]["text"] == 'Picture "cutout":'
    assert asked["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {
            "type": "object",
            "additionalProperties": False,
            "required": ["ok"],
            "properties": {"ok": {"type": "boolean"}, "hex": {"type": "string"}},
        },
        "thinkingConfig": {"thinkingLevel": "LOW"},
        "seed": 7,
    }


def test_a_picture_is_asked_for_in_the_rooms_shape(vendor, account):
    reply = ask(vendor, composite(params={"image_size": "2K", "scale": 1.1}))
    assert account.asked[0]["generationConfig"] == {
        "responseModalities": ["IMAGE"],
        "imageConfig": {"aspectRatio": "4:3", "imageSize": "2K"},
    }
    assert [(image.role, image.media_type) for image in reply.images] == [("result", "image/jpeg")]
    assert reply.images[0].content == ROOM.content
    odd = picture("room", room_photo()[:, :301])
    ask(vendor, composite(images=(odd, CUTOUT)))
    assert "imageConfig" not in account.asked[1]["generationConfig"], "a shape that it does not know is left to it"


def test_a_conversation_keeps_its_turns_and_its_pictures_in_the_first(vendor, account):
    more = (Message("model", "not json"), Message("user", "JSON, please."))
    ask(vendor, facts(messages=MESSAGES + more))
    roles = [(content["role"], len(content["parts"])) for content in account.asked[0]["contents"]]
    assert roles == [("user", 3), ("model", 1), ("user", 1)]


def test_the_reply_says_who_answered_and_holds_no_thought(vendor):
    reply = ask(vendor, facts())
    assert (reply.data, reply.text, reply.finish_reason) == ({"ok": True}, '{"ok": true}', "STOP")
    assert (reply.model, reply.model_version) == (wire.TEXT_MODEL, f"{wire.TEXT_MODEL}-001")
    assert reply.response_id == "resp-0"
    kept = canonical_json([reply.request, reply.response, reply.text]).decode()
    assert reply.thinking_removed
    assert [word for word in ("SECRET-THOUGHT", "thoughtSignature", 'thought":true', wire.KEY) if word in kept] == []


def test_tokens_are_in_exclusive_buckets(vendor, account, server):
    usage = ask(vendor, facts()).usage
    asked = account.asked[0]
    assert usage == Usage(wire.prompt_tokens(asked), 3, 0, 64, 0, 0)
    drawn = ask(vendor, composite()).usage
    assert (drawn.tokens_out, drawn.tokens_image, drawn.images) == (0, wire.PICTURE_TOKENS, 1)
    body = wire.text_answer(wire.TEXT_MODEL, {"ok": True})
    body["usageMetadata"] |= {"cachedContentTokenCount": 50, "toolUsePromptTokenCount": 6}
    body["usageMetadata"]["totalTokenCount"] += 6
    server.plan(Response(body))
    cached = ask(vendor, facts()).usage
    assert (cached.tokens_in, cached.tokens_cached) == (90 + 6 - 50, 50)


def test_what_the_service_does_not_say_is_unknown_and_not_zero(vendor, server):
    body = wire.text_answer(wire.TEXT_MODEL, {"ok": True})
    server.plan(Response({key: value for key, value in body.items() if key != "usageMetadata"}))
    assert ask(vendor, facts()).usage == Usage()
    server.plan(Response(body | {"usageMetadata": {"promptTokenCount": 90}}))
    usage = ask(vendor, facts()).usage
    assert (usage.tokens_in, usage.tokens_out, usage.tokens_thinking) == (90, None, None)


def test_prose_is_an_answer_without_data_for_whoever_asked_to_judge(vendor, account):
    account.texts = ("Of course! Here is the JSON: {}", "```json\n{}\n```", '{"ok": NaN}')
    replies = [ask(vendor, facts()) for _ in range(3)]
    assert [reply.data for reply in replies] == [None, None, None]
    assert replies[0].text.startswith("Of course")


DAY, MINUTE = "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "GenerateRequestsPerMinutePerProjectPerModel"
ERRORS = {
    "slow down": (wire.quota_error(MINUTE, "45.837906927s"), RateLimited, {"retry_after_s": 45.837906927}),
    "slow down, a header": (status(429, b"", retry_after="12"), RateLimited, {"retry_after_s": 12.0}),
    "slow down, for how long": (wire.quota_error(MINUTE), RateLimited, {"retry_after_s": None}),
    "used up for today": (wire.quota_error(DAY, "3600s"), QuotaExhausted, {"retryable": False}),
    "no key": (wire.error(403, "PERMISSION_DENIED", "unregistered callers"), KeyRefused, {"retryable": False}),
    "key of nobody": (wire.INVALID_KEY, KeyRefused, {}),
    "no billing": (wire.error(400, "FAILED_PRECONDITION", "Please enable billing."), KeyRefused, {}),
    "bad argument": (wire.error(400, "INVALID_ARGUMENT", "Invalid value"), Rejected, {"retryable": False}),
    "no model": (wire.error(404, "NOT_FOUND", "models/x is not found"), Rejected, {}),
    "internal": (wire.error(500, "INTERNAL", "An internal error"), Unavailable, {"retryable": True}),
    "overloaded": (wire.error(503, "UNAVAILABLE", "The model is overloaded."), Unavailable, {}),
    "deadline": (wire.error(504, "DEADLINE_EXCEEDED", "Deadline expired"), TimedOut, {}),
    "429 in a 200": (Response(wire.quota_error(MINUTE, "2s").body), RateLimited, {"retry_after_s": 2.0}),
    "503 in a 200": (Response(wire.error(503, "UNAVAILABLE", "overloaded").body), Unavailable, {}),
    "blocked": (wire.blocked("PROHIBITED_CONTENT"), Refused, {"category": "PROHIBITED_CONTENT"}),
    "no candidates": (Response({"usageMetadata": {"promptTokenCount": 9}}), BadResponse, {}),
    "empty candidates": (Response({"candidates": []}), BadResponse, {}),
    "an array": (Response([]), BadResponse, {}),
    "no text": (wire.finished("STOP"), BadResponse, {}),
    "parts of nothing": (
        Response({"candidates": [{"finishReason": "STOP", "content": {"parts": [7]}}]}), BadResponse, {}),
} | {
    reason: (wire.finished(reason, message="Because."), kind, {"category": reason} if kind is Refused else {})
    for kind, reasons in {
        Refused: ["SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
                  "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"],
        Rejected: ["LANGUAGE"],
        BadResponse: ["MAX_TOKENS", "OTHER", "IMAGE_OTHER", "NO_IMAGE", "MALFORMED_RESPONSE", "MALFORMED_FUNCTION_CALL",
                      "UNEXPECTED_TOOL_CALL", "FINISH_REASON_UNSPECIFIED", "A_REASON_OF_NEXT_YEAR", ""],
    }.items()
    for reason in reasons
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_what_it_means(vendor, server, name):
    answer, kind, facts_known = ERRORS[name]
    server.plan(answer)
    with pytest.raises(Exception) as caught:
        ask(vendor, facts())
    error = caught.value
    assert type(error) is kind
    assert {key: getattr(error, key) for key in facts_known} == facts_known
    assert error.request["url"].endswith(":generateContent")
    assert error.response["status"]
    assert len(server.requests) == 1


def test_a_refusal_that_was_billed_says_what_it_used(vendor, server):
    server.plan(wire.finished("SAFETY", text="I would rather"))
    with pytest.raises(Refused) as caught:
        ask(vendor, facts())
    assert (caught.value.usage.tokens_in, caught.value.usage.tokens_out) == (90, 10)


def test_a_picture_answer_without_a_picture_is_a_bad_one(vendor, server):
    server.plan(Response(wire.text_answer(wire.PICTURE_MODEL, "Here is your picture!")))
    with pytest.raises(BadResponse, match="without a picture"):
        ask(vendor, composite())


def test_a_picture_that_is_no_base64_is_a_bad_answer(vendor, server):
    body = wire.picture_answer(wire.PICTURE_MODEL, "image/png", CUTOUT.content)
    body["candidates"][0]["content"]["parts"][0]["inlineData"]["data"] = "not*base64" * 800
    server.plan(Response(body))
    with pytest.raises(BadResponse, match="not base64"):
        ask(vendor, composite())


def test_a_picture_is_what_its_bytes_are_whatever_the_service_calls_it(vendor, server):
    server.plan(Response(wire.picture_answer(wire.PICTURE_MODEL, "text/html", CUTOUT.content)))
    assert ask(vendor, composite()).images[0].media_type == "image/png"
    server.plan(Response(wire.picture_answer(wire.PICTURE_MODEL, "image/png", b"<script>alert(1)</script>")))
    with pytest.raises(BadResponse, match="neither PNG, JPEG nor WebP"):
        ask(vendor, composite())


def test_a_picture_whose_tokens_are_not_told_apart_is_not_priced_as_text(vendor, server):
    body = wire.picture_answer(wire.PICTURE_MODEL, "image/png", CUTOUT.content)
    body["usageMetadata"]["candidatesTokensDetails"] = []
    server.plan(Response(body))
    usage = ask(vendor, composite()).usage
    assert (usage.tokens_out, usage.tokens_image) == (0, body["usageMetadata"]["candidatesTokenCount"])


def test_what_no_database_takes_is_replaced_and_absurd_counts_are_unknown(vendor, server):
    body = wire.text_answer(wire.TEXT_MODEL, '{"ok": true, "note": "a\\ud83d\\u0000"}')
    body["modelVersion"], body["usageMetadata"]["promptTokenCount"] = "m\ud83d\0", 10**20
    server.plan(Response(body))
    reply = ask(vendor, facts())
    assert (reply.data["note"], reply.model_version) == ("a\ufffd\ufffd", "m\ufffd\ufffd")
    assert reply.usage.tokens_in is None
    server.plan(Response(wire.text_answer(wire.TEXT_MODEL, '{"ok": 1e999}')))
    assert ask(vendor, facts()).data is None, "infinity is no JSON"


def test_pictures_in_the_other_alphabet_are_read_and_none_is_kept_inline(vendor, server):
    content = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 64
    body = wire.picture_answer(wire.PICTURE_MODEL, "image/png", content)
    data = body["candidates"][0]["content"]["parts"][0]["inlineData"]
    data["data"] = data["data"].replace("+", "-").replace("/", "_").rstrip("=")
    server.plan(Response(body))
    reply = ask(vendor, composite())
    assert reply.images[0].content == content
    assert len(json.dumps(reply.response)) < 2000


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (composite(model="../v1/models"), "no name of a Gemini model"),
        (facts(messages=()), "needs a user message"),
        (facts(images=(Image("cutout", b"GIF89a", "image/gif"),)), "does not take the picture cutout"),
        (facts(params={"thinking_level": "very"}), "param thinking_level"),
        (facts(params={"max_output_tokens": 0}), "param max_output_tokens"),
        (composite(params={"aspect_ratio": "7:5"}), "param aspect_ratio"),
    ],
)
def test_a_call_that_the_service_would_refuse_is_not_sent(vendor, server, call, match):
    with pytest.raises(Rejected, match=match):
        ask(vendor, call)
    assert server.requests == []


@pytest.mark.parametrize("change", [{"temperature": 1}, {"responseJsonSchema": {"maxLength": 3}}, {"seed": "7"}])
def test_the_server_is_as_strict_as_the_real_one(server, vendor, change):
    """What this file proves rests on that."""
    from vendors.gemini import vendor as module

    body = module.request_body(facts(), module.read_params(module.GeminiParams, {}))
    body["generationConfig"] |= change
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "request_body", lambda *_: body)
        with pytest.raises(Rejected, match=r"Unknown name|Invalid value|unknown keyword"):
            ask(vendor, facts())


def test_a_large_picture_goes_out_whole(vendor, account):
    import base64

    large = Image("cutout", CUTOUT.content + bytes(range(256)) * 4096, "image/png")
    ask(vendor, replace(facts(), images=(large,)))
    data = account.asked[0]["contents"][0]["parts"][1]["inlineData"]["data"]
    assert base64.b64decode(data) == large.content
