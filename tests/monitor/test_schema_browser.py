"""Schemas in a real browser: checked as one types, saved, reviewed, agreed to, put in force, put back."""

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from irschemas.models import IRSchema
from tests.irschemas.test_activation import answered, version
from tests.monitor.test_console_browser import Operator

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_schema_is_edited_tried_agreed_to_put_in_force_and_put_back(
    live_server: Any,
    session: str,
    chromium: Browser,
) -> None:
    first = version(9, active=True)
    answered(first, 1, 7)
    operator = Operator(chromium, live_server.url, session, "desk", "light")
    page = operator.opens("/admin/irschemas/irschema/")
    page.get_by_role("link", name="Edit").click()
    document = page.get_by_label("Schema")
    text = document.input_value()
    document.fill(text.replace('"integer"', '"intger"'))
    expect(page.locator("#check")).to_contain_text("malformed #/properties/a/type")
    document.fill(text.replace("9", "4"))
    expect(page.locator("#check")).to_contain_text("1 of the last 2 would fail")
    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_role("heading", name="stage:example v2")).to_be_visible()
    page.get_by_label("An answer as JSON").fill(json.dumps({"a": 70}))
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#trial")).to_contain_text("$.a expected at most 4; found an integer")
    expect(page.locator("#review")).to_contain_text("1 of 2 would fail")
    page.get_by_role("button", name="Activate…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Put v2 in force").click()  # the browser asks for the ticks first
    assert IRSchema.objects.active().get() == first
    for box in dialog.get_by_role("checkbox").all():
        box.check()
    dialog.get_by_role("button", name="Put v2 in force").click()
    expect(page.get_by_text("stage:example v2 is in force for the next answers.")).to_be_visible()
    page.get_by_role("button", name="Roll back to v1").click()
    expect(page.get_by_text("Rolled back: stage:example v1 is in force")).to_be_visible()
    assert IRSchema.objects.active().get() == first
    assert operator.trouble() == []
