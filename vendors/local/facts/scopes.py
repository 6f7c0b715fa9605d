"""What a measurement is about: the whole product, one of its parts, its package, or something else altogether."""

import re
from dataclasses import dataclass

from vendors.local.facts import vocabulary as words
from vendors.local.facts.kinds import Kind

OVERALL, NEUTRAL, REDUCED, VAGUE, PART, NEVER = 0.0, 1.0, 2.0, 3.0, 5.0, 9.0

_ALL_ROUND = re.compile(
    r"\b(?:arm to arm|canopy to rim|ceiling to (?:rim|bottom)|"
    r"front to back|back to front|side to side|corner to corner|top to bottom|"
    r"edge to edge|wall mount(?:ed)?|"
    r"(?:without|excluding|excl|before|un) ?(?:the )?(?:packag\w+|box|carton)|not (?:a )?package|"
    r"out of the box|easy to fit|sizes? (?:and )?fit|fit (?:and )?sizes?|perfect fit|full length)\b"
)
_EACH_PART = re.compile(
    r"\b(?:each|per|every) (?:cube|cell|section|slot|bin|cubby|tile|module|step|bay|niche|square)s?\b"
)
_HANGS_BY = re.compile(r"\b(?:chains?|cords?|cables?|rods?|downrods?|stems?|wires?|ropes?|kabel|cable|cavo|snoer)\b")
_WITHOUT_CORD = re.compile(
    r"\b(?:without|excluding|excl|ohne|sans|sin|senza|zonder) (?:the )?"
    r"(?:chain|cord|cable|rod|kette|kabel|chaine|cadena|catena)\b"
)
_DROP = re.compile(
    r"\b(?:min(?:imum)?|max(?:imum)?|adjustable)\W{0,2} (?:overall |total |hanging )*(?:height|drop)\b"
    r"|\b(?:reglable|regulable|regolabile|verstellbar|hohenverstellbar|verstelbaar|justerbar)\b"
)
_LEAF_UP = re.compile(r"\bleaf (?:up|raised|open)\b|\bleaves (?:up|raised|open)\b")
_LEAF_DOWN = re.compile(r"\b(?:leaf|leaves) (?:down|dropped|closed|folded)\b|\bwithout (?:the )?(?:leaf|leaves)\b")
_EXTENDED = re.compile(
    r"\b(?:ausziehbar|erweiterbar|extensible|allungabile|estensibile|uitschuifbaar|utdragbar|extendable|expandable) "
    r"(?:auf|bis|zu|jusqu|fino|hasta|tot|till|to|up)\b"
)
_CORD = re.compile(r"\b(?:hanging|drop|suspension) length\b")
# For these parts, the axes on which the part is nearly as large as the whole: second best where the whole is not given.
_NEARLY_WHOLE: dict[str, set[str]] = {
    "back": {"height"},
    "shade": {"width", "depth", "diameter", "length"},
    "top": {"width", "depth", "diameter", "length"},
    "mattress": {"width", "depth", "length"},
    "print": {"width", "height", "length", "diameter"},
    "frame": {"width", "depth", "height", "length", "diameter", "thickness"},
    "pile": {"height", "thickness"},
    "headboard": {"height", "width"},
    "pot": {"width", "depth", "height", "diameter"},
    "door": {"width", "height", "diameter"},
    "foam": {"height", "thickness"},
    "drop": {"height"},
}


@dataclass(frozen=True, slots=True)
class Scope:
    """What a measurement is about (`""` for the product itself) and how far to trust it: lower is better."""

    name: str
    tier: float

    @property
    def narrows(self) -> bool:
        return self.tier != NEUTRAL


WHOLE = Scope("", NEUTRAL)


def scope_of(text: str, kind: Kind | None) -> Scope:
    """The scope that some words around a measurement give it."""
    text = _WITHOUT_CORD.sub(" ", text)
    if kind is not None and kind.mount == "ceiling" and (_HANGS_BY.search(text) or _DROP.search(text)):
        return Scope("cord", NEVER) if _HANGS_BY.search(text) else Scope("drop", PART)
    spoken = _without_inclusions(_ALL_ROUND.sub(" ", text)).split()
    own = kind.own_words if kind else frozenset()
    said = [word for word in spoken if word not in own and word.removesuffix("s") not in own]
    present = set(said)
    if _CORD.search(text):
        return Scope("cord", NEVER)
    assembled = "assembled" in present or "unboxed" in present
    package = present & words.PACKAGE or any(word.startswith(words.BOXED) for word in said)
    if package and not (assembled and not present & {"carton", "package", "packaging", "packaged", "packed", "boxed"}):
        return Scope("package", NEVER)
    if _EXTENDED.search(text):
        return Scope("other", NEVER)
    if _LEAF_DOWN.search(text) or _LEAF_UP.search(text):
        return Scope("overall", OVERALL if _LEAF_DOWN.search(text) else REDUCED)
    state = _folding(present, kind)
    if state or present & (words.NEVER if not _is_wall_light(kind) else words.NEVER - {"extension"}):
        return state or Scope("other", NEVER)
    if _EACH_PART.search(text):
        return Scope("part", PART)
    if kind is not None and any(word in words.COMPANIONS and not kind.pattern.fullmatch(word) for word in said):
        return Scope("companion", PART)
    part = next((name for word in said if (name := _part(word))), None)
    if part:
        excluded = any(word in words.EXCLUDING for word in said)
        return Scope(part, REDUCED if excluded else PART)
    if "only" in present:
        return Scope("part", REDUCED)
    return Scope("overall", OVERALL) if present & words.OVERALL else WHOLE


def _part(word: str) -> str | None:
    return words.PARTS.get(word) or ("inside" if word.startswith(words.INSIDE) else None)


def _folding(present: set[str], kind: Kind | None) -> Scope | None:
    """A sofa bed stands folded in the room, a picnic table unfolded."""
    if not present & (words.FOLDED | words.UNFOLDED):
        return None
    stands_folded = kind is not None and kind.name in {"sofa bed", "sofa", "armchair", "pouf", "ottoman"}
    stands = present & (words.FOLDED if stands_folded else words.UNFOLDED)
    return Scope("overall", REDUCED) if stands else Scope("other", NEVER)


def _is_wall_light(kind: Kind | None) -> bool:
    return kind is not None and kind.name == "wall light"


def usable(scope: Scope, axis: str, kind: Kind | None, *, members: int) -> float | None:
    """The tier at which a reading of this scope may stand for the whole on this axis; None if never."""
    if scope.tier == NEVER:
        return None
    if scope.tier != PART:
        return scope.tier
    if scope.name == "shade" and kind is not None and kind.mount == "ceiling":
        return PART
    if scope.name == "frame" and members >= 2:
        return OVERALL + 0.5
    if scope.name == "seat":
        low = kind is not None and kind.name in {"stool", "bench", "ottoman", "pouf"}
        return PART if low and axis in {"height", "width", "depth", "length"} else None
    if scope.name == "foam" and not (kind and kind.has("lying")):
        return None
    return PART if axis in _NEARLY_WHOLE.get(scope.name, set()) else None


def mentions_size(text: str) -> bool:
    """Whether words announce measurements ("Dimensions", "Size")."""
    return bool(set(text.split()) & (words.SIZE_WORDS | words.OVERALL))


def _without_inclusions(text: str) -> str:
    """ "height including legs" is about the whole: drop what is included."""
    kept: list[str] = []
    skip = 0
    for word in text.split():
        if word in words.INCLUDING:
            skip = 3
        elif skip:
            skip -= 1
        else:
            kept.append(word)
    return " ".join(kept)
