"""People and mannequins are warned of; furniture in the colours of skin is not."""

from collections.abc import Callable

import numpy as np
import pytest

from bench.products import DRAWN, Pen, backdrops, drawn, set_before
from imaging.colour import to_lab
from imaging.cutout import cut_out
from imaging.people import shows_person

SIDE = 800
LIGHT, DARK = (226, 180, 154), (118, 80, 60)
MANNEQUIN, TAN, WALNUT = (206, 204, 200), (176, 122, 82), (112, 78, 56)


def sofa(pen: Pen, colour: tuple[int, int, int]) -> None:
    """Two cushions, arms and feet."""
    pen.box(0.14, 0.52, 0.86, 0.72, colour)
    for left in (0.2, 0.51):
        pen.box(left, 0.46, left + 0.29, 0.62, tuple(value * 1.12 for value in colour))  # type: ignore[arg-type]
    for left in (0.16, 0.8):
        pen.box(left, 0.72, left + 0.03, 0.78, (50, 40, 34))


def seated_person(pen: Pen, skin: tuple[int, int, int]) -> None:
    """Somebody with dark hair and a green jumper on a grey sofa."""
    sofa(pen, (128, 130, 134))
    pen.polygon([(0.42, 0.36), (0.58, 0.36), (0.62, 0.6), (0.38, 0.6)], (52, 98, 74))
    pen.ellipse((0.5, 0.245), (0.062, 0.08), (46, 34, 28))
    pen.ellipse((0.5, 0.275), (0.05, 0.068), skin)
    for x in (0.4, 0.6):
        pen.ellipse((x, 0.6), (0.028, 0.02), skin)
    pen.box(0.4, 0.6, 0.6, 0.84, (40, 48, 72))


def standing_mannequin(pen: Pen) -> None:
    """A faceless figure in a coat."""
    pen.ellipse((0.5, 0.14), (0.052, 0.07), MANNEQUIN)
    pen.box(0.475, 0.19, 0.525, 0.25, MANNEQUIN)
    pen.polygon([(0.47, 0.235), (0.53, 0.235), (0.63, 0.28), (0.6, 0.62), (0.4, 0.62), (0.37, 0.28)], (62, 74, 108))
    for x in (0.44, 0.52):
        pen.box(x, 0.62, x + 0.045, 0.92, MANNEQUIN)


def round_stool(pen: Pen) -> None:
    """Walnut, round and upright, as a face would be, with legs."""
    pen.ellipse((0.5, 0.4), (0.2, 0.08), WALNUT)
    for x in (0.36, 0.62):
        pen.line([(x, 0.42), (x, 0.86)], 0.025, WALNUT)


def table_lamp(pen: Pen) -> None:
    """A shade with a knob, on a waisted foot."""
    pen.ellipse((0.5, 0.19), (0.014, 0.014), WALNUT)
    pen.polygon([(0.42, 0.21), (0.58, 0.21), (0.66, 0.44), (0.34, 0.44)], (224, 208, 178))
    pen.line([(0.5, 0.44), (0.5, 0.6)], 0.02, TAN)
    pen.ellipse((0.5, 0.7), (0.1, 0.13), TAN)


def warnings_for(draw: Callable[[Pen], None]) -> list[str]:
    pen = Pen(SIDE)
    draw(pen)
    photo = set_before(pen.subject("drawn"), backdrops(SIDE, SIDE)["off_white"], quality=90, shadow=0.3, seed=1)
    return cut_out(photo).warnings


@pytest.mark.parametrize(
    "draw",
    [lambda pen: seated_person(pen, LIGHT), lambda pen: seated_person(pen, DARK), standing_mannequin],
    ids=["light skin", "dark skin", "mannequin"],
)
def test_a_person_is_warned_of_and_not_refused(draw: Callable[[Pen], None]) -> None:
    assert warnings_for(draw) == ["person"]


@pytest.mark.parametrize(
    "draw",
    [lambda pen: sofa(pen, TAN), lambda pen: sofa(pen, LIGHT), lambda pen: sofa(pen, WALNUT), round_stool, table_lamp],
    ids=["tan leather", "pink sofa", "walnut", "round stool", "lamp"],
)
def test_furniture_in_the_colours_of_skin_is_none(draw: Callable[[Pen], None]) -> None:
    assert warnings_for(draw) == []


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_no_drawn_product_has_a_persons_signs(name: str) -> None:
    subject = drawn(name, 400)
    photo = np.rint(subject.colour * subject.alpha[..., None] + 240 * (1 - subject.alpha[..., None])).astype(np.uint8)
    assert not shows_person(to_lab(photo), subject.alpha > 0.5)
