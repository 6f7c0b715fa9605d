"""The facts of merchant texts of every form; sides (metres) that a text leaves open are null.

Each batch was written unseen and read once before anything was mended: `first_run` says what came of that (`silent` is
wrong without a conflict), `unstated` names sides that must not be read, `still_wrong` marks what is not read yet.
"""

import json
from functools import cache
from pathlib import Path

import pytest

from vendors.local.facts.extract import cleaned_text, extract_facts

SIDES = ("width", "depth", "height")
TOLERANCE_M, TOLERANCE = 0.006, 0.01
HERE = Path(__file__).parent
FILES = [HERE / "merchant_texts.jsonl", *sorted(HERE.glob("batches/*.jsonl"))]
TEXTS = [json.loads(line) for file in FILES for line in file.read_text("utf-8").split("\n") if line]
XFAIL = pytest.mark.xfail(strict=True, reason="not read yet")
READ_OR_NOT = [pytest.param(row, marks=XFAIL if row.get("still_wrong") else ()) for row in TEXTS]
IDS = [f"{number:03d} {row['title'][:30]}" for number, row in enumerate(TEXTS)]


def texts_of(row):
    return row["title"], row["description"], row["product_type"]


@cache
def facts_of(title, description, product_type):
    return extract_facts(title, description, product_type)


@pytest.mark.parametrize("row", READ_OR_NOT, ids=IDS)
def test_sides_and_mount_are_those_a_careful_reader_takes(row):
    facts = facts_of(*texts_of(row))
    expected = {side: row[side] for side in SIDES if row[side] is not None}
    found = {side: facts["dimensions_m"][side] for side in expected}
    assert found == pytest.approx(expected, abs=TOLERANCE_M, rel=TOLERANCE)
    assert {facts["dimension_sources"][side] for side in expected} <= {"text"}
    assert row["mount"] in (None, facts["mount"])
    assert {facts["dimension_sources"][side] for side in row.get("unstated", ())} <= {"estimated", "none"}
    assert set(row.get("conflicts", ())) <= {conflict["field"] for conflict in facts["conflicts"]}


def test_each_stated_side_has_a_verbatim_quote():
    unquoted, invented = [], []
    for row in TEXTS:
        facts, text = facts_of(*texts_of(row)), cleaned_text(*texts_of(row))
        quoted = {item["field"] for item in facts["evidence"]}
        stated = {side for side, source in facts["dimension_sources"].items() if source == "text"}
        unquoted += [row["title"]] if stated - quoted else []
        invented += [item["quote"] for item in facts["evidence"] if item["quote"] not in text]
    assert (unquoted, invented) == ([], [])


def test_the_table_holds_enough_forms():
    assert len(TEXTS) >= 200
