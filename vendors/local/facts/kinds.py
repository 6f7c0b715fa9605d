"""What a product can be: one noun of the lexicon and what is usual for it."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

Mount = Literal["floor", "wall", "ceiling", "tabletop", "unknown"]

_COMPOUND_HEADS = {
    *("tisch", "stuhl", "sessel", "schrank", "regal", "leuchte", "teppich", "spiegel"),
    *("kommode", "bett", "sofa", "hocker", "vase"),
    *("kast", "tafel", "stoel", "lamp", "bord", "stol", "skap", "lampa", "soffa", "vorhang"),
}

_OWN_WORDS = {
    "chest": ("box", "boxes"),
    "planter": ("box", "boxes"),
    "jewelry box": ("box", "boxes"),
    "plant": ("canopy",),
    "parasol": ("canopy",),
}


@dataclass(frozen=True)
class Kind:
    """One product noun with what is usual for it.

    `typical` is width, depth, height in metres. `pair` says what two unlabelled numbers mean: `wd` seen from above or
    `wh` seen from the front. `lead` is the axis of a single unlabelled number. `movable` kinds change their mount by a
    word such as "wall-mounted" or "standing". `family` is the broader kind.
    """

    name: str
    words: str
    mount: Mount
    typical: tuple[float, float, float]
    pair: Literal["wd", "wh"] = "wd"
    lead: Literal["width", "height", "diameter"] = "width"
    family: str = ""
    movable: bool = False
    traits: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches any of the kind's nouns, singular or plural, spaces or hyphens alike."""
        nouns = sorted((noun.strip() for noun in self.words.split(",")), key=len, reverse=True)
        joined = "|".join(re.escape(noun).replace(r"\ ", "[ -]?") for noun in nouns)
        # German, Dutch and Swedish put nouns together, the head last: "Eichentisch", "Ledersofa".
        heads = "|".join(noun for noun in nouns if noun in _COMPOUND_HEADS)
        compounds = rf"|(?P<compound>(?<![a-z])[a-z]{{3,20}}(?:{heads})e?n?(?![a-z]))" if heads else ""
        return re.compile(rf"(?<![a-z])(?:{joined})(?:e?s)?(?![a-z]){compounds}")

    @cached_property
    def own_words(self) -> frozenset[str]:
        """Words that name the thing itself where they would name a part of others: a planter's box, a tree's canopy.

        A poster is a part of the picture it hangs in, so flat things have their own name alone.
        """
        nouns = set() if self.has("flat") else {noun for noun in self.words.split(",") if " " not in noun}
        return frozenset({*self.name.split(), *nouns, *_OWN_WORDS.get(self.name, ())})

    def has(self, trait: str) -> bool:
        """Whether it is `flat` (hangs, thin), `lying` (thickness is its height), a `bed` (length is depth), ..."""
        return trait in self.traits

    @property
    def lengthways(self) -> bool:
        """Whether its length runs away from who stands before it, as a bed's and a runner's."""
        return self.has("bed") or (self.has("lying") and self.typical[1] > self.typical[0])
