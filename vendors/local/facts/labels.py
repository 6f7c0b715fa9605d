"""Axis labels: which one belongs to a number, and the order that a row of them gives."""

from vendors.local.facts import vocabulary as words
from vendors.local.facts.chains import Member
from vendors.local.facts.quantities import Item

_LINKS = {"colon", "dot", "dash", "open", "close", "u", "quote"}


def labels_before(pending: list[Item]) -> tuple[tuple[words.Axis, ...], int | None, str | None]:
    """The axis label (or order of axes) just read, the index where it starts, a unit given with it: `Width (cm):`."""
    unit: str | None = None
    plain = 0
    colon = False
    for at in range(len(pending) - 1, -1, -1):
        item = pending[at]
        if item.kind == "u" and (len(item.text) > 1 or (at and pending[at - 1].kind == "open")):
            unit = unit or words.UNITS[item.text]
        elif item.kind in {"a", "o"}:
            axes, start = _axes_until(pending, at)
            if _binds(item, plain, colon, several=len(axes) > 1):
                return axes, start, unit
            return (), None, unit
        elif item.kind == "w":
            plain += item.text not in words.FILLERS
        elif item.kind not in _LINKS:
            break
        colon = colon or item.kind == "colon"
        if plain > 5:
            break
    return (), None, unit


def _binds(label: Item, plain: int, colon: bool, *, several: bool) -> bool:
    """Whether a label reaches the number: nouns across a few words, adjectives and letters only closely."""
    if label.text == "ø":
        # "Ø top 55 cm".
        return plain <= 1
    if label.text in words.AXIS_NOUNS or several or colon:
        return plain <= 5 and (plain == 0 or label.text in words.AXIS_NOUNS or several)
    return plain == 0


def _axes_until(pending: list[Item], at: int) -> tuple[tuple[words.Axis, ...], int]:
    """The labels that end at `at`, back to the first of a row such as `W x D x H` or `(L/W/H)`."""
    axes: list[words.Axis] = list(pending[at].axes)
    start = at
    separated = False
    for k in range(at - 1, -1, -1):
        item = pending[k]
        if item.kind in {"x", "slash", "comma", "dash", "open", "close", "dot"} or item.text in {"and", "und"}:
            separated = separated or item.kind in {"x", "slash", "comma", "dash"} or item.text in {"and", "und"}
        elif item.kind in {"a", "o"} and separated:
            axes, start, separated = [*item.axes, *axes], k, False
        else:
            break
    return tuple(axes), start


def apply_order(members: list[Member], order: tuple[words.Axis, ...]) -> None:
    if any(member.axis for member in members) or len(order) < len(members):
        return
    given: list[words.Axis] = []
    for axis in order:
        # French `L x l x H`: longueur first, largeur second.
        given.append("width" if axis == "length" and "length" in given else axis)
    for member, axis in zip(members, given, strict=False):
        member.axis = axis


def second_length(members: list[Member]) -> None:
    """French `L 204 x l 148`: longueur first, largeur second."""
    lengths = [member for member in members if member.axis == "length"]
    if len(lengths) == 2 and not any(member.axis == "width" for member in members):
        lengths[1].axis = "width"
