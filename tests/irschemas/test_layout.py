"""Schemas as people read them."""

import json
from typing import Any

import pytest

from irschemas.layout import schema_text
from tests.irschemas.examples import SCHEMAS


@pytest.mark.parametrize("target", sorted(SCHEMAS))
def test_the_text_says_the_same_as_the_schema_and_stays_narrow(target: str) -> None:
    text = schema_text(SCHEMAS[target])
    assert json.loads(text) == SCHEMAS[target]
    assert max(len(line) for line in text.splitlines()) <= 160


def test_keywords_and_properties_stand_in_reading_order_whatever_order_they_were_kept_in() -> None:
    kept: dict[str, Any] = {
        "$defs": {},
        "properties": {"a": {"type": "null"}, "b": {"minimum": 0, "type": "number"}},
        "required": ["b", "a"],
        "type": "object",
        "title": "Example",
    }
    assert schema_text(kept) == (
        '{\n  "title": "Example",\n  "type": "object",\n  "required": ["b", "a"],\n'
        '  "properties": {"b": {"type": "number", "minimum": 0}, "a": {"type": "null"}},\n  "$defs": {}\n}'
    )


def test_a_schema_that_is_malformed_is_still_written() -> None:
    assert json.loads(schema_text({"required": [[]], "properties": {"a": 1}})) == {
        "required": [[]],
        "properties": {"a": 1},
    }
