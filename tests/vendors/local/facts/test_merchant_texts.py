"""The facts of merchant texts of every form; sides (metres) that a text leaves open are null."""

import json
from pathlib import Path

import pytest

from vendors.local.facts.extract import cleaned_text, extract_facts

SIDES = ("width", "depth", "height")
TOLERANCE_M = 0.006
TEXTS = [json.loads(line) for line in Path(__file__).with_name("merchant_texts.jsonl").read_text("utf-8").splitlines()]
IDS = [f"{number:03d} {row['title'][:30]}" for number, row in enumerate(TEXTS)]


def texts_of(row):
    return row["title"], row["description"], row["product_type"]


@pytest.mark.parametrize("row", TEXTS, ids=IDS)
def test_sides_and_mount_are_those_a_careful_reader_takes(row):
    facts = extract_facts(*texts_of(row))
    expected = {side: row[side] for side in SIDES if row[side] is not None}
    found = {side: facts["dimensions_m"][side] for side in expected}
    assert found == pytest.approx(expected, abs=TOLERANCE_M)
    assert {facts["dimension_sources"][side] for side in expected} <= {"text"}
    assert facts["mount"] == row["mount"]


@pytest.mark.parametrize("row", TEXTS, ids=IDS)
def test_each_stated_side_has_a_verbatim_quote(row):
    facts = extract_facts(*texts_of(row))
    text = cleaned_text(*texts_of(row))
    quoted = {item["field"] for item in facts["evidence"]}
    assert {side for side, source in facts["dimension_sources"].items() if source == "text"} <= quoted
    assert [item["quote"] for item in facts["evidence"] if item["quote"] not in text] == []


def test_the_table_holds_enough_forms():
    assert len(TEXTS) >= 200
