"""Measurements written together, and what neighbours in a list lend each other: units and labels."""

from dataclasses import dataclass
from itertools import pairwise

from vendors.local.facts import vocabulary as words
from vendors.local.facts.quantities import Item, Quantity
from vendors.local.facts.scopes import WHOLE, Scope
from vendors.local.facts.text import Span

MAX_MEMBERS = 4


@dataclass(frozen=True, slots=True)
class Section:
    """What a heading or a line without numbers says about the lines after it."""

    scope: Scope = WHOLE
    unit: str | None = None
    order: tuple[words.Axis, ...] = ()
    sizes: bool = False


@dataclass(slots=True)
class Member:
    """One place of a chain: a quantity with its equivalents in other units, and its axis if it is labelled."""

    quantities: list[Quantity]
    axis: words.Axis | None = None
    label: str = ""
    spelled_out: bool = False
    by_letter: bool = False


@dataclass(slots=True)
class Chain:
    """Measurements written together; a lone one is a chain of one."""

    members: list[Member]
    span: Span
    scope: Scope = WHOLE
    unit: str | None = None
    vague: bool = False
    unsure: bool = False
    announced: bool = False
    after_part: bool = False
    called: str = ""

    @property
    def labelled(self) -> int:
        return sum(member.axis is not None for member in self.members)

    @property
    def has_unit(self) -> bool:
        return self.unit is not None or any(q.unit for member in self.members for q in member.quantities)


def share_units(chains: list[Chain]) -> None:
    """`W 84, D 36, H 33 in`: a chain without a unit takes its right neighbour's, or else its left one's."""
    for ordered in (chains[::-1], chains):
        unit: str | None = None
        for chain in ordered:
            given = next((q.unit for member in chain.members[::-1] for q in member.quantities if q.unit), chain.unit)
            unit = given or unit
            longest = max(q.high for member in chain.members for q in member.quantities)
            if not chain.has_unit and unit and longest * words.METRES[unit] <= 6:
                chain.unit = unit


def share_labels(chains: list[Chain], items: list[Item]) -> None:
    """A label holds for a whole list: `60 cm, 45 cm or 30 cm long`, `Heights: 15, 20 and 25 cm`."""
    for chain, following in zip(chains[-2::-1], chains[:0:-1], strict=True):
        one, other = chain.members[0], following.members[0]
        behind = other.axis is not None and following.span[0] == other.quantities[0].start
        if behind and one.axis is None and one.quantities[0].unit and _listed(chain, following, items):
            one.axis, one.spelled_out, chain.scope = other.axis, True, following.scope
    for chain, following in pairwise(chains):
        one, other = chain.members[0], following.members[0]
        # `W: 44cm (top) 60cm (base)`: each says what it is of.
        ends = chain.scope.narrows and following.scope.narrows and chain.scope != following.scope
        before = one.axis is not None and (ends or (one.spelled_out and not following.scope.narrows))
        if before and other.axis is None and _listed(chain, following, items):
            other.axis, other.spelled_out = one.axis, True
            following.scope = following.scope if ends else chain.scope


def _listed(chain: Chain, following: Chain, items: list[Item]) -> bool:
    """Whether two single lengths are neighbours in a list."""
    near = 0 < following.span[0] - chain.span[1] < 8
    if not near or len(chain.members) > 1 or len(following.members) > 1:
        return False
    end = chain.members[0].quantities[-1].end
    between = [item for item in items if end <= item.start < following.span[0]]
    bracketed = bool(between) and between[0].kind == "open" and between[-1].kind == "close"
    return bracketed or (
        bool(between) and all(item.kind in {"comma", "close"} or item.text in words.LISTING for item in between)
    )
