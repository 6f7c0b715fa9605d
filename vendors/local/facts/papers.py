"""Prints sold by the name of their paper: A2 is 42 x 59.4 cm (ISO 216)."""

import re

from vendors.local.facts.kinds import Kind
from vendors.local.facts.readings import Group, Reading
from vendors.local.facts.scopes import Scope
from vendors.local.facts.text import Document, Line

# Millimetres, upright.
SIZES = {
    "a0": (841, 1189), "a1": (594, 841), "a2": (420, 594), "a3": (297, 420), "a4": (210, 297), "a5": (148, 210),
    "b0": (1000, 1414), "b1": (707, 1000), "b2": (500, 707), "b3": (353, 500), "b4": (250, 353), "b5": (176, 250),
}  # fmt: skip
_NAMED = re.compile(r"(?<![\w.])(?:din[ -]?)?(?P<size>[ab][0-5])(?!\w)")
_LANDSCAPE = re.compile(r"\b(?:landscape format|landscape orientation|horizontal|querformat|format paysage)\b")
# A size in figures is a better claim than a name.
_PAPER = Scope("", 1.5)


def paper_sizes(document: Document, kind: Kind | None) -> list[Group]:
    """A group for each paper that a picture's title names, or else its description; none for other kinds."""
    if kind is None or kind.name not in {"wall art", "picture frame"}:
        return []
    lying = any(_LANDSCAPE.search(line.folded) for line in document.lines)
    for source in ("title", "description"):
        named = [(line, match) for line in document.lines if line.source == source for match in _papers(line)]
        if named:
            return [_group(line, match, lying=lying) for line, match in named[:6]]
    return []


def _papers(line: Line) -> list[re.Match[str]]:
    return list(_NAMED.finditer(line.folded))


def _group(line: Line, match: re.Match[str], *, lying: bool) -> Group:
    width, height = sorted((side / 1000 for side in SIZES[match["size"]]), reverse=lying)
    return Group(
        [
            Reading("width", width, width, _PAPER, line, match.span(), members=2, step=0.001),
            Reading("height", height, height, _PAPER, line, match.span(), members=2, step=0.001),
        ]
    )
