"""`manage.py check_vendor` against servers on loopback: what works, what does not, and what to do about it."""

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from tests.vendor_servers import gemini, openai
from tests.vendor_servers.server import VendorServer


@pytest.fixture
def account() -> gemini.Gemini:
    return gemini.Gemini()


@pytest.fixture
def server(account: gemini.Gemini, settings: Any) -> Iterator[VendorServer]:
    with VendorServer(account.answer) as running:
        settings.VENDORS = {"GEMINI_API_KEY": gemini.KEY, "GEMINI_BASE_URL": running.url}
        yield running


def check(*arguments: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command("check_vendor", *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_what_works_is_said_with_its_cost(server: VendorServer) -> None:
    code, out, err = check("gemini")
    assert (code, err) == (0, "")
    assert out.splitlines()[:2] == [
        "gemini: the key is accepted.",
        f"Routed models that it knows: {gemini.TEXT_MODEL}, {gemini.PICTURE_MODEL}.",
    ]
    assert "The answer follows the schema." in out
    assert "Cost of this call: $0.000" in out and "(prices:" in out
    assert [request.method for request in server.requests] == ["GET", "POST"], "one free call and one cheap one"
    assert gemini.KEY not in out


def test_one_json_object_for_programs(server: VendorServer) -> None:
    told = json.loads(check("gemini", "--json")[1])
    assert (told["key"], told["unknown_models"], told["error"], told["followed_schema"]) == ("accepted", [], None, True)


def test_a_wrong_key_is_said_with_what_to_do(server: VendorServer, settings: Any) -> None:
    settings.VENDORS = {**settings.VENDORS, "GEMINI_API_KEY": "a-wrong-key-of-somebody"}
    code, _, err = check("gemini")
    assert code == 3
    assert err.startswith("vendor_key_refused: ") and "Check GEMINI_API_KEY" in err
    assert err.count("\n") == 1 and "a-wrong-key" not in err
    assert len(server.requests) == 1, "no call that costs anything"


def test_a_routed_model_that_is_gone_is_named(server: VendorServer, account: gemini.Gemini) -> None:
    account.models = {gemini.TEXT_MODEL: "text"}
    code, _, err = check("gemini")
    assert (code, gemini.PICTURE_MODEL in err) == (3, True)


def test_a_service_that_is_not_there(settings: Any) -> None:
    settings.VENDORS = {"GEMINI_API_KEY": gemini.KEY, "GEMINI_BASE_URL": "http://127.0.0.1:1"}
    code, _, err = check("gemini")
    assert (code, "Check the network, and GEMINI_BASE_URL" in err) == (3, True)


@pytest.mark.parametrize(
    ("name", "says"), [("gemini", "gemini is not set up: set GEMINI_API_KEY."), ("gemny", "There is no vendor 'gemny'")]
)
def test_a_vendor_that_is_not_set_up_is_bad_input(name: str, says: str) -> None:
    code, _, err = check(name)
    assert code == 2
    assert err.startswith(says) and err.count("\n") == 1


def test_a_server_of_ones_own_that_ignores_schemas_is_told_so(settings: Any) -> None:
    account = openai.OpenAI(key=None, texts=("Sure, it works!",))
    with VendorServer(account.answer) as running:
        settings.VENDORS = {"OPENAI_BASE_URL": f"{running.url}/v1"}
        code, out, _ = check("openai", "--model", openai.TEXT_MODEL)
    assert code == 0
    assert "does NOT follow the schema: see response_format" in out
