"""Lengths as merchants spell them."""

import pytest

from vendors.local.facts.quantities import read_items
from vendors.local.facts.text import fold
from vendors.local.facts.tokens import number


def lengths(text):
    """All lengths of a text in metres, millimetre-exact; ranges as (low, high)."""
    quantities = [item.quantity for item in read_items(fold(text)) if item.quantity and item.quantity.unit]
    ends = [quantity.metres("cm") for quantity in quantities]
    return [round(low, 4) if low == high else (round(low, 4), round(high, 4)) for low, high in ends]


@pytest.mark.parametrize(
    ("spelled", "value"),
    [
        ("84", 84),
        ("23 1/2", 23.5),
        ("23-1/2", 23.5),
        ("½", 0.5),
        ("15¾", 15.75),
        ("15 ¾", 15.75),
        ("1,5", 1.5),
        ("43.3", 43.3),
        ("1,234.5", 1234.5),
        ("1.234,5", 1234.5),
        ("1 100", 1100),
        (".75", 0.75),
        ("3/4", 0.75),
    ],
)
def test_numbers_of_every_spelling(spelled, value):
    assert number(spelled) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "metres"),
    [
        ('84"', [2.1336]),
        ("84″", [2.1336]),
        ("84''", [2.1336]),
        ("84 in.", [2.1336]),
        ("84 inches", [2.1336]),
        ("84-inch", [2.1336]),
        ("7 ft", [2.1336]),
        ("7'", [2.1336]),
        ("7-foot", [2.1336]),
        ("6'2\"", [1.8796]),
        ("6' 2\"", [1.8796]),
        ("6 ft 2 in", [1.8796]),
        ("6ft2in", [1.8796]),
        ("6'-2\"", [1.8796]),
        ("6’2”", [1.8796]),
        ("5'3 x 7'6", [1.6002, 2.286]),
        ("213 cm", [2.13]),
        ("2.13m", [2.13]),
        ("2,13 m", [2.13]),
        ("1100mm", [1.1]),
        ("1 m 80", [1.8]),
        ("1m80", [1.8]),
        ("2 m 05 cm", [2.05]),
        ("2 m 20 kg", [2.0]),
        ("2 m, 20 cm", [2.0, 0.2]),
        ("1.100 mm", [1.1]),
        ("1,100 mm", [1.1]),
        ("1 100 mm", [1.1]),
        ('23 1/2"', [0.5969]),
        ('23½"', [0.5969]),
        ('18-24"', [(0.4572, 0.6096)]),
        ("60–75 cm", [(0.6, 0.75)]),
        ("60 to 75 cm", [(0.6, 0.75)]),
        ('18" - 24"', [(0.4572, 0.6096)]),
    ],
)
def test_lengths_of_every_unit(text, metres):
    assert lengths(text) == metres


@pytest.mark.parametrize(
    "text",
    [
        "120 kg",
        "60W",
        "2700K",
        "230 V",
        "250 gsm",
        "3-seater",
        "set of 2 in walnut",
        "2 in 1",
        "20 m²",
        "3 m2",
        "12 sq ft",
        "$84",
        "€ 120",
        "No. 3",
        "RAL 7016",
        "E27",
        "50 %",
        "the 1970's",
        '"Terra Forms No. 3" print',
        "“Dune 7” canvas",
        "2 boxes",
        "5 years",
    ],
)
def test_numbers_that_are_no_lengths(text):
    assert lengths(text) == []
