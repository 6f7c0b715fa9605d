"""The sizes a product is sold in: `Small: … Large: …`, `S / M / L`, `2-seater: …`, and the one that its title names."""

import re
from dataclasses import dataclass
from functools import lru_cache

_LETTERS = {"xs", "s", "m", "l", "xl", "xxl"}
_NAMES = {
    *("small", "medium", "large", "mini", "tall", "short", "wide", "narrow", "round", "square", "oval"),
    *("single", "double", "twin", "queen", "king", "full", "super", "california"),
    *("klein", "mittel", "gross", "petit", "moyen", "grand", "pequeno", "mediano", "grande", "piccolo", "medio"),
}
_SEATS = r"(?P<seats>[1-6]|one|two|three|four|five)[ -]?(?:seater|seat|sitzer|places|plazas|posti|zits)"
_SEATS_IN_WORDS = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5"}
_PAPER = "[ab][0-5]"
_EXTRA = r"extra[ -](?:large|small|long|wide|tall)"
_WORD = re.compile(rf"\b{_SEATS}\b|{_EXTRA}|{_PAPER}|[^\W\d_]+")
_LABEL = re.compile(
    rf"(?<!\w)(?:(?:{_SEATS}|{_EXTRA}|{_PAPER}|{'|'.join(sorted(_NAMES, key=len, reverse=True))})"
    r"(?=(?: (?:size|table|king|sofa|version))? ?(?:[:(=]|-(?!\w)| \d| ø))|(?P<letter>xxl|xl|xs|[sml])(?= ?[:=(]))"
)


@dataclass(frozen=True, slots=True)
class Label:
    """A size's name before its measurements, and where it stands in the folded line."""

    names: frozenset[str]
    start: int
    end: int
    is_letter: bool


@lru_cache(maxsize=32)
def size_names(folded: str) -> frozenset[str]:
    """The sizes that some folded words name: "large", "xl", "3 seats"."""
    return frozenset(name for match in _WORD.finditer(folded) if (name := _name(match)))


def labels_in(folded: str) -> list[Label]:
    """The sizes a folded line sets measurements under, in order."""
    return [
        Label(size_names(match.group()), *match.span(), is_letter=bool(match["letter"]))
        for match in _LABEL.finditer(folded)
    ]


def without_letters(folded: str) -> str:
    """The line with `S:`, `M:`, `L:` blanked as sizes, where they stand in a row: there `L` is no length."""
    letters = [label for label in labels_in(folded) if label.is_letter]
    names = {folded[label.start : label.end] for label in letters}
    if len(names) < 2 or names <= {"l"}:
        return folded
    for label in letters:
        folded = folded[: label.start] + "|" * (label.end - label.start) + " " + folded[label.end + 1 :]
    return folded


def names_at(labels: list[Label], at: int) -> frozenset[str] | None:
    """The size whose measurements stand at this place; None where the line does not tell sizes apart."""
    if not labels or (len(labels) == 1 and labels[0].start > 0):
        return None
    before = [label for label in labels if label.start <= at]
    return before[-1].names if before else frozenset()


def _name(match: re.Match[str]) -> str:
    seats = match["seats"]
    if seats:
        return f"{_SEATS_IN_WORDS.get(seats, seats)} seats"
    name = match.group().replace("-", " ")
    known = name in _NAMES | _LETTERS or name.startswith("extra ") or re.fullmatch(_PAPER, name)
    return name if known else ""
