"""Whether a product stands on the floor, hangs on the wall or from the ceiling, or stands on a table."""

import re
from dataclasses import dataclass

from vendors.local.facts.find_kind import Found
from vendors.local.facts.kinds import Mount
from vendors.local.facts.text import Document, Line

_WALL = (
    r"wall[ -]?(?:mount(?:ed|ing|able)?|hung|hanging|art|lamp|light|clock|mirror|shelf|desk|decor)|"
    r"floating|hanging on (?:the |a )?wall|wandmontage|wandhangend"
)
_CEILING = (
    r"colgante|de techo|da soffitto|de plafond|sospensione|hanglamp|taklampa|pendel\w*|"
    r"ceiling[ -]?(?:mount(?:ed)?|light|lamp|hung|fixture)|pendant|suspended|suspension|hang(?:s|"
    r"ing)? from (?:the |a )?ceiling|chandelier"
)
_FLOOR = (
    r"floor[ -]?standing|free[ -]?standing|floor (?:lamp|mirror|vase|clock)|standing (?:lamp|"
    r"mirror)|leaning|leaner|cheval|stands on the floor|full[ -]length|grandfather|grandmother|longcase"
)
_TABLETOP = r"table[ -]?top|counter[ -]?top|desk[ -]?top|table (?:lamp|clock|mirror)|mantel|mantle|bedside lamp"
_WORDS: tuple[tuple[Mount, re.Pattern[str]], ...] = (
    ("floor", re.compile(rf"\b(?:{_FLOOR})\b")),
    ("ceiling", re.compile(rf"\b(?:{_CEILING})\b")),
    ("wall", re.compile(rf"\b(?:{_WALL})\b")),
    ("tabletop", re.compile(rf"\b(?:{_TABLETOP})\b")),
)
_PROSE: tuple[tuple[Mount, re.Pattern[str]], ...] = (
    (
        "ceiling",
        re.compile(
            r"\bhang(?:s|ing)? from (?:the |your |a )?ceiling\b|\bceiling[ -]mounted\b|\bceiling (?:rose|canopy)\b"
        ),
    ),
    (
        "wall",
        re.compile(
            r"\bwall[ -](?:mounted|hung)\b|\bready to hang\b|\bhangs? on (?:the |your |a )?wall\b|"
            r"\bd-rings?\b|\bhanging hardware\b"
        ),
    ),
    (
        "floor",
        re.compile(r"\bfree[ -]?standing\b|\bfloor[ -]standing\b|\blean(?:s|ing)? against\b|\bstands on the floor\b"),
    ),
    (
        "tabletop",
        re.compile(
            r"\btable[ -]?top\b|\bcounter[ -]?top\b|\bon (?:a|your|the) (?:desk|sideboard|shelf|mantel|"
            r"nightstand|windowsill)\b"
        ),
    ),
)
_MAYBE = re.compile(
    r"\b(?:can|may|could|also|or|optional(?:ly)?|either|anti-?tip|anti-?topple|secur\w+|anchors?|bracket|not|no|if)\b"
)
SMALL_ON_TABLE, TALL_ON_FLOOR, HIGH_SHELF = 0.45, 0.6, 1.0


@dataclass(frozen=True)
class FoundMount:
    """A mount with the words that say so."""

    mount: Mount
    quote: str = ""


def find_mount(document: Document, found: Found, height: float | None) -> FoundMount:
    """The mount: the kind's own; for kinds that come both ways, a word in title, type or tags, prose, size."""
    kind = found.kind
    named = _named(document.of("title", "type", "tags"), _WORDS)
    if kind is None:
        return named or _named(document.of("description"), _PROSE, firm=True) or FoundMount("unknown")
    if kind.movable:
        changed = named or _named(document.of("description"), _PROSE, firm=True)
        if changed and not (
            kind.mount == "floor" and changed.mount == "tabletop" and height and height > TALL_ON_FLOOR
        ):
            return changed
    if kind.has("small") and height:
        if kind.mount == "floor" and height < SMALL_ON_TABLE:
            return FoundMount("tabletop", found.quote)
        if kind.mount == "tabletop" and height > TALL_ON_FLOOR:
            return FoundMount("floor", found.quote)
    if kind.name == "shelf" and height and height > HIGH_SHELF:
        return FoundMount("floor", found.quote)
    if kind.name == "lamp":
        return FoundMount("floor" if height and height > 1.0 else "tabletop", found.quote)
    return FoundMount(kind.mount, found.quote)


def _named(
    lines: list[Line], patterns: tuple[tuple[Mount, re.Pattern[str]], ...], *, firm: bool = False
) -> FoundMount | None:
    for mount, pattern in patterns:
        for line in lines:
            match = pattern.search(line.folded)
            if match and not (firm and _MAYBE.search(line.folded[max(0, match.start() - 40) : match.end() + 12])):
                return FoundMount(mount, line.text[slice(*match.span())])
    return None
