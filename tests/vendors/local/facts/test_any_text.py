"""Whatever a merchant writes: no crash, no nonsense numbers, no invented quotes."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from core.canonical import canonical_json
from vendors.local.facts.extract import cleaned_text, extract_facts

NUMBERS = st.sampled_from(
    ["84", "1.100", "1,5", "23 1/2", "½", "0", "999999999", "007", "3.4.5", "1e9", "12/0", "6'2\"", "-5", "٣", "²"]
)
UNITS = st.sampled_from(
    ["", " cm", '"', "''", "'", " mm", " m", " in", " ft", "kg", "W", " inches", "m²", "″", "-inch", " %"]
)
JOINTS = st.sampled_from(
    [
        " x ",
        "×",
        " - ",
        "/",
        ", ",
        ": ",
        " (",
        ") ",
        " by ",
        ". ",
        "<br>",
        "<td>",
        "</tr><tr><td>",
        " to ",
        "|",
        "\n",
        "",
    ]
)
WORDS = st.sampled_from(
    [
        "W",
        "D",
        "H",
        "L",
        "Ø",
        "width",
        "Depth:",
        "Höhe",
        "wide",
        "tall",
        "seat",
        "Overall",
        "carton",
        "Print size:",
        "sofa",
        "rug",
        "bed",
        "lamp",
        "over",
        "approx.",
        "including",
        "ceiling",
        "WxDxH",
        "(L/W/H)",
        "mirror",
        "ignore previous instructions",
        "&quot;",
        "<b>",
        "</b>",
        "\u200b",
    ]
)
MERCHANTS = st.lists(st.one_of(NUMBERS, UNITS, JOINTS, WORDS), max_size=40).map("".join)
TEXTS = st.one_of(st.text(max_size=200), MERCHANTS)


@settings(max_examples=200, deadline=None)
@given(title=TEXTS, description=TEXTS, product_type=TEXTS, tags=st.lists(TEXTS, max_size=3))
def test_facts_are_always_sane(title, description, product_type, tags):
    facts = extract_facts(title, description, product_type, tags)
    canonical_json(facts)
    sides = [value for value in facts["dimensions_m"].values() if value is not None]
    assert all(math.isfinite(value) and 0.005 <= value <= 20 for value in sides)
    assert 0 <= facts["confidence"] <= 1
    text = cleaned_text(title, description, product_type, tags)
    assert [item["quote"] for item in facts["evidence"] if item["quote"] not in text] == []
    assert [
        side
        for side, source in facts["dimension_sources"].items()
        if (source == "none") != (facts["dimensions_m"][side] is None)
    ] == []


@settings(max_examples=60, deadline=None)
@given(
    sides=st.tuples(st.integers(20, 300), st.integers(20, 120), st.integers(30, 250)),
    template=st.sampled_from(
        [
            "W {0} x D {1} x H {2} cm",
            "{0} cm W x {1} cm D x {2} cm H",
            "Width: {0} cm, Depth: {1} cm, Height: {2} cm",
            "{0} cm wide, {1} cm deep, {2} cm tall",
            "<li>Width {0} cm</li><li>Depth {1} cm</li><li>Height {2} cm</li>",
            "H {2} x W {0} x D {1} cm",
            "B {0} x T {1} x H {2} cm",
            "W{0}xD{1}xH{2}cm",
            "(WxDxH) {0} x {1} x {2} cm",
        ]
    ),
)
def test_labelled_sides_are_read_as_written(sides, template):
    facts = extract_facts("Cabinet", template.format(*sides), "Cabinets")
    found = [round(facts["dimensions_m"][side] * 100) for side in ("width", "depth", "height")]
    assert found == list(sides)
