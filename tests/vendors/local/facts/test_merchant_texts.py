"""The facts of merchant texts of every form."""

import pytest

from tests.vendors.local.facts.merchant_texts import TEXTS
from vendors.local.facts.extract import cleaned_text, extract_facts

TOLERANCE_M = 0.006
IDS = [f"{number:03d} {row[0][:30]}" for number, row in enumerate(TEXTS)]


def stated(*, width, depth, height):
    return {
        side: metres for side, metres in (("width", width), ("depth", depth), ("height", height)) if metres is not None
    }


@pytest.mark.parametrize("row", TEXTS, ids=IDS)
def test_sides_and_mount_are_those_a_careful_reader_takes(row):
    title, description, product_type, width, depth, height, mount = row
    facts = extract_facts(title, description, product_type)
    expected = stated(width=width, depth=depth, height=height)
    found = {side: facts["dimensions_m"][side] for side in expected}
    assert found == pytest.approx(expected, abs=TOLERANCE_M)
    assert {facts["dimension_sources"][side] for side in expected} <= {"text"}
    assert facts["mount"] == mount


@pytest.mark.parametrize("row", TEXTS, ids=IDS)
def test_each_stated_side_has_a_verbatim_quote(row):
    title, description, product_type = row[:3]
    facts = extract_facts(title, description, product_type)
    text = cleaned_text(title, description, product_type)
    quoted = {item["field"] for item in facts["evidence"]}
    assert {side for side, source in facts["dimension_sources"].items() if source == "text"} <= quoted
    assert [item["quote"] for item in facts["evidence"] if item["quote"] not in text] == []


def test_the_table_holds_enough_forms():
    assert len(TEXTS) >= 140
