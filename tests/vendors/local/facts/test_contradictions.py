"""What a text says twice and differently, or cannot mean: reported with what was chosen and why."""

import numpy as np
import pytest

from vendors.local.facts.extract import extract_facts


def told(facts):
    """Conflicts as {field: (values, chosen)}; each with a reason."""
    assert all(conflict["why"] for conflict in facts["conflicts"])
    return {conflict["field"]: (conflict["values"], conflict["chosen"]) for conflict in facts["conflicts"]}


def cutout(width, height):
    return np.full((height, width, 4), 200, np.uint8)


def test_the_description_wins_over_the_title():
    facts = extract_facts("Loft Sofa 240 cm", "Width 200 cm, depth 95 cm, height 75 cm", "Sofas")
    assert told(facts) == {"width": ([2.0, 2.4], 2.0)}
    assert "title" in facts["conflicts"][0]["why"]


def test_inches_that_are_not_the_centimetres_are_told():
    facts = extract_facts("Sideboard", '63" x 16" x 30" (160 x 40 x 67 cm)', "Sideboards")
    assert told(facts) == {"height": ([0.762, 0.67], 0.762)}


def test_inches_rounded_from_centimetres_are_no_contradiction_and_the_finer_is_used():
    facts = extract_facts("Runner", "2'7\" x 9'10\" (80 x 300 cm)", "Rugs")
    assert (facts["dimensions_m"]["width"], told(facts)) == (0.8, {})


def test_the_variant_that_the_title_names_is_used_and_the_others_told():
    text = "Choose 8x10, 11x14, 18x24 or 24x36 inches."
    facts = extract_facts("Print, 18x24 in", text, "Art Prints")
    assert (facts["dimensions_m"]["width"], facts["dimensions_m"]["height"]) == (0.4572, 0.6096)
    assert told(facts)["width"] == ([0.4572, 0.2032, 0.2794, 0.6096], 0.4572)


def test_sizes_on_offer_without_a_choice_are_told():
    facts = extract_facts("Jute Rug", "<ul><li>4' x 6'</li><li>5' x 8'</li></ul>", "Rugs")
    assert set(told(facts)) == {"width", "depth"}


def test_a_picture_whose_sides_fit_its_cutout_only_exchanged_is_exchanged():
    facts = extract_facts("Canvas print", "Width 60 cm, height 90 cm", "Wall Art", (), cutout(180, 120))
    assert (facts["dimensions_m"]["width"], facts["dimensions_m"]["height"]) == (0.9, 0.6)
    assert told(facts) == {"width": ([0.6, 0.9], 0.9), "height": ([0.6, 0.9], 0.6)}


@pytest.mark.parametrize(
    ("title", "text", "kind", "shape"),
    [
        ("Canvas print", "60 x 61 cm", "Wall Art", (200, 80)),
        ("Cabinet", "Width 60 cm, depth 40 cm, height 180 cm", "Cabinets", (180, 60)),
        ("Table lamp", "Width 50 cm, height 30 cm, depth 50 cm", "Lamps", (60, 150)),
    ],
)
def test_sides_unlike_the_cutout_are_told_and_kept(title, text, kind, shape):
    plain, seen = (extract_facts(title, text, kind, (), rgba) for rgba in (None, cutout(*shape)))
    assert seen["dimensions_m"]["width"] == plain["dimensions_m"]["width"]
    assert (set(told(plain)), set(told(seen))) == (set(), {"width", "height"})


@pytest.mark.parametrize("shape", [(200, 90), (150, 100), (100, 80)])
def test_a_sofa_seen_from_the_front_or_a_corner_is_no_contradiction(shape):
    text = "W 210 x D 92 x H 84 cm"
    assert told(extract_facts("Sofa", text, "Sofas", (), cutout(*shape))) == {}


@pytest.mark.parametrize(
    ("title", "text", "fields"),
    [
        ("Sofa", "Width 91 cm, depth 213 cm, height 84 cm", {"width", "depth"}),
        ("Dining Table", "W 180 x D 90 x H 15 cm", {"height"}),
        ("Wardrobe", "Height 200 cm, width 1200 cm, depth 58 cm", {"width"}),
        ("Floor Mirror", "180 x 60 cm", {"width", "height"}),
    ],
)
def test_what_its_kind_never_is_and_what_was_guessed_is_told(title, text, fields):
    assert set(told(extract_facts(title, text, ""))) == fields


def test_what_every_sofa_is_goes_without_remark():
    assert told(extract_facts("Sofa", "W 213 x D 91 x H 84 cm", "Sofas")) == {}


def test_a_contradiction_lowers_the_confidence():
    clear, torn = (extract_facts("Sofa", text, "Sofas") for text in ("Width 200 cm", "Width 200 cm. Width 240 cm."))
    assert torn["confidence"] < clear["confidence"]


def test_numbers_said_of_an_unknown_thing_yield_to_others_and_never_stand_silently():
    said = "Scratch post 9 x 9 x 40 cm."
    alone = extract_facts("Cat tree Kimba", said, "Pets")
    assert {"width", "depth", "height"} <= {conflict["field"] for conflict in alone["conflicts"]}
    beside = extract_facts("Cat tree Kimba", f"{said} W 60 x D 50 x H 145 cm.", "Pets")
    assert beside["dimensions_m"] == {"width": 0.6, "depth": 0.5, "height": 1.45}


def test_a_mirror_s_pair_that_starts_with_the_longer_side_is_a_guess_without_a_picture():
    facts = extract_facts("Ash mirror", "90 x 60 cm", "Mirrors")
    assert {"width", "height"} <= {conflict["field"] for conflict in facts["conflicts"]}
    assert not extract_facts("Ash mirror", "60 x 90 cm", "Mirrors")["conflicts"]


def test_a_part_larger_than_the_whole_is_reported():
    facts = extract_facts(
        "Floor lamp Tri", "Shade Ø 30 cm. W 40 x D 40 x H 150 cm. Base: 55 cm in diameter.", "Floor Lamps"
    )
    told = {conflict["field"]: conflict["values"] for conflict in facts["conflicts"]}
    assert told == {"width": [0.4, 0.55], "depth": [0.4, 0.55]}
