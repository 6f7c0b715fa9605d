"""Lengths in text: numbers with their units, ranges and labels, made of a line's tokens as a row of items."""

import re
from dataclasses import dataclass

from vendors.local.facts import vocabulary as words
from vendors.local.facts.tokens import VULGAR, Token, number, tokens_of

_NAMING = {
    "no",
    "nr",
    "num",
    "number",
    "model",
    "modell",
    "sku",
    "art",
    "ref",
    "item",
    "page",
    "ral",
    "style",
    "version",
    "vol",
    "series",
}
_PHRASES: dict[str, words.Axis] = {
    "front to back": "depth", "back to front": "depth", "side to side": "width", "left to right": "width",
    "end to end": "length", "top to bottom": "height",
}  # fmt: skip
_MONEY = {"$", "€", "£", "¥", "#", "@"}
_AREA = {"²", "³"}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number or a range as written, its unit if it has one, and where it stands in the line."""

    low: float
    high: float
    unit: str | None
    start: int
    end: int
    digits: str = ""

    @property
    def step(self) -> float:
        """How finely it is written: the smallest step of its spelling, in its own unit (1 for `80`, 0.1 for `31.5`)."""
        if self.unit == "ft" and self.low % 1:
            return 1 / 12
        if "/" in self.digits or set(self.digits) & VULGAR.keys():
            return 0.125
        whole, _, decimals = self.digits.replace(",", ".").rpartition(".")
        return 10.0 ** -len(decimals) if whole else 1.0

    def metres(self, unit: str) -> tuple[float, float]:
        """Low and high end in metres, the quantity's own unit first.

        A dot or comma before three digits groups thousands where that gives a length found in rooms (`1.100 mm`).
        """
        factor = words.METRES[self.unit or unit]
        low, high = self.low * factor, self.high * factor
        if (
            low == high
            and re.fullmatch(r"\d{1,3}[.,]\d{3}", self.digits)
            and low < 0.02
            and (self.unit or unit) == "mm"
        ):
            return low * 1000, high * 1000
        return low, high


@dataclass(frozen=True, slots=True)
class Item:
    """A quantity (`q`), axis label (`a`), order of axes (`o`), unit (`u`), word (`w`) or punctuation by its name."""

    kind: str
    text: str
    start: int
    end: int
    quantity: Quantity | None = None
    axes: tuple[words.Axis, ...] = ()


def read_items(folded: str) -> list[Item]:
    """The items of one folded line, in order."""
    tokens = tokens_of(folded)
    items: list[Item] = []
    at = 0
    while at < len(tokens):
        item, at = _item(tokens, at)
        items.append(item)
    return items


def _item(tokens: list[Token], at: int) -> tuple[Item, int]:
    token = tokens[at]
    if token.kind == "num":
        quantity, after = _quantity(tokens, at)
        if quantity:
            return Item("q", token.text, quantity.start, quantity.end, quantity=quantity), after
        return Item("n", token.text, token.start, token.end), at + 1
    if token.kind == "word" and (axis := _PHRASES.get(" ".join(other.text for other in tokens[at : at + 3]))):
        return Item("a", token.text, token.start, tokens[at + 2].end, axes=(axis,)), at + 3
    if token.kind == "word":
        return _word_item(token, tokens, at), at + 1
    if token.kind == "stop" and _abbreviates(tokens, at):
        return Item("dot", ".", token.start, token.end), at + 1
    return Item(token.kind, token.text, token.start, token.end), at + 1


def _word_item(token: Token, tokens: list[Token], at: int) -> Item:
    text = token.text
    known = words.AXIS_NOUNS.get(text) or words.AXIS_ADJECTIVES.get(text) or words.AXIS_LETTERS.get(text)
    if text in words.BY:
        return Item("x", text, token.start, token.end)
    if words.ORDER.fullmatch(text) or text in words.ORDER_WORDS:
        letters = [letter for letter in text if letter != "x"]
        return Item("o", text, token.start, token.end, axes=tuple(words.AXIS_LETTERS[letter] for letter in letters))
    if known and not _belongs_to_a_noun(tokens, at):
        return Item("a", text, token.start, token.end, axes=(known,))
    if text in words.UNITS and (text != "in" or _stray_inch(tokens, at)):
        return Item("u", text, token.start, token.end)
    return Item("w", text, token.start, token.end)


def _belongs_to_a_noun(tokens: list[Token], at: int) -> bool:
    """`drop leaf`, `full length mirror`: no labels."""
    pair = " ".join(token.text for token in tokens[max(0, at - 1) : at + 2] if token.kind != "dash")
    return "drop lea" in pair or ("full length" in pair and at + 1 < len(tokens) and tokens[at + 1].kind == "word")


def _stray_inch(tokens: list[Token], at: int) -> bool:
    return at + 1 < len(tokens) and tokens[at + 1].kind == "close"


def _abbreviates(tokens: list[Token], at: int) -> bool:
    """Whether a full stop ends an abbreviation (`in.`, `W.`, `approx.`) rather than a sentence."""
    token, previous = tokens[at], tokens[at - 1] if at else None
    if token.text != "." or previous is None or previous.kind != "word" or previous.end != token.start:
        return False
    following = tokens[at + 1] if at + 1 < len(tokens) else None
    if previous.text in words.UNSURE | words.INCLUDING | words.EXCLUDING | {"dia", "diam", "max", "min"} - {
        "with",
        "mit",
        "avec",
    }:
        return following is not None
    if previous.text == "long" and (at < 2 or tokens[at - 2].kind in {"comma", "stop", "colon", "slash"}):
        # French `Long. 150, Prof. 40`.
        return following is not None and following.kind == "num"
    short = (
        previous.text in words.UNITS
        or previous.text in words.AXIS_LETTERS
        or previous.text in {"no", "nr", "dim", "dims"}
    )
    return short and following is not None and not _leads_a_row(tokens, at + 1) and (
        following.kind in {"num", "comma", "close", "open", "colon", "dash", "slash", "x"}
        or following.text in words.BY | words.AXIS_LETTERS.keys() | words.AXIS_ADJECTIVES.keys()
        or following.start == token.end
        or _names_what_went_before(tokens, at + 1)
    )  # fmt: skip


def _leads_a_row(tokens: list[Token], at: int) -> bool:
    """Whether a letter begins a row of labels before their numbers: the W in `40 cm. W 60 x D 50`."""
    row = [token for token in tokens[at : at + 6] if token.text not in words.UNITS]
    kinds = [token.kind for token in row[:5]]
    letters = len(row) > 3 and row[0].text in words.AXIS_LETTERS and row[3].text in words.AXIS_LETTERS
    return letters and kinds[1] == "num" and row[2].text in words.BY and kinds[4:] == ["num"]


def _names_what_went_before(tokens: list[Token], at: int) -> bool:
    """Whether words such as `diameter,` or `overall height;` label the number before them and lead to none."""
    said = [token.text for token in tokens[at : at + 4] if token.kind == "word"]
    known = words.OVERALL | words.PARTS.keys() | words.AXIS_NOUNS.keys()
    count = next((number for number, word in enumerate(said) if word not in known), len(said))
    if not any(word in words.AXIS_NOUNS for word in said[:count]):
        return False
    return at + count >= len(tokens) or tokens[at + count].kind in {"comma", "stop", "close", "slash"}


def _quantity(tokens: list[Token], at: int) -> tuple[Quantity | None, int]:
    """The quantity that starts at this number, and the index after it; None for prices, weights, counts and codes."""
    token = tokens[at]
    if _is_code(tokens, at):
        return None, at + 1
    low = high = number(token.text)
    unit, after = _unit(tokens, at + 1)
    if _counts_something(tokens, after if unit else at + 1, unit):
        return None, at + 1
    ranged = _range(tokens, after, unit)
    if ranged:
        high, unit, after = ranged
    elif unit == "ft":
        inches, after = _inches_after_feet(tokens, after)
        low = high = low + inches / 12
    elif unit == "m":
        centimetres, after = _centimetres_after_metres(tokens, after)
        low = high = low + centimetres / 100
    return Quantity(min(low, high), max(low, high), unit, token.start, tokens[after - 1].end, token.text), after


def _is_code(tokens: list[Token], at: int) -> bool:
    """`No. 3`, `RAL 7016`, `E27`, `KX-300`, `$84`."""
    before = tokens[max(0, at - 3) : at]
    if not before:
        return False
    last = before[-1]
    touching = last.end == tokens[at].start
    if last.kind == "other" and last.text in _MONEY:
        return True
    if (
        last.kind == "word"
        and touching
        and last.text not in words.AXIS_LETTERS
        and last.text not in words.BY | words.AXIS_NOUNS.keys()
    ):
        # Signs stand beside numbers without a space: `約90cm`.
        return last.text not in words.UNITS and last.text[0] < "\u3000"
    if (
        last.kind == "dash"
        and touching
        and len(before) > 1
        and before[-2].kind == "word"
        and before[-2].end == last.start
    ):
        return before[-2].text not in words.AXIS_NOUNS and before[-2].text not in words.AXIS_LETTERS
    named = [token.text for token in before if token.text != "."]
    return bool(named) and named[-1] in _NAMING


def _unit(tokens: list[Token], at: int) -> tuple[str | None, int]:
    if at < len(tokens) and tokens[at].kind == "dash" and at + 1 < len(tokens) and tokens[at + 1].text in words.UNITS:
        at += 1
    if at >= len(tokens) or tokens[at].text not in words.UNITS:
        return None, at
    token = tokens[at]
    unit = words.UNITS[token.text]
    following = tokens[at + 1] if at + 1 < len(tokens) else None
    touching = at > 0 and tokens[at - 1].end == token.start
    if token.text == "'" and (
        not touching
        or (
            following is not None
            and following.kind == "word"
            and following.start == token.end
            and (len(following.text) > 1 or following.text == "s")
        )
    ):
        return None, at
    if token.text == "in" and not touching and not _ends_a_length(tokens, at):
        return None, at
    return unit, at + 1


def _ends_a_length(tokens: list[Token], at: int) -> bool:
    """Whether a free-standing `in` is the unit: what follows is no plain word ("set of 2 in walnut") and no number."""
    if at + 1 >= len(tokens):
        return True
    following = tokens[at + 1]
    if following.kind == "num":
        return False
    if following.kind != "word":
        return True
    known = (
        words.AXIS_NOUNS.keys()
        | words.AXIS_ADJECTIVES.keys()
        | words.AXIS_LETTERS.keys()
        | words.BY
        | words.OVERALL
        | words.PACKAGE
        | words.PARTS.keys()
    )
    if following.text in {"and", "or", "from"} | words.AXIS_LETTERS.keys() | words.AXIS_ADJECTIVES.keys() | words.BY:
        return True
    # "84 in width" names the axis with a preposition; "84 in overall width" names the unit.
    return following.text in known - words.AXIS_NOUNS.keys()


def _counts_something(tokens: list[Token], at: int, unit: str | None) -> bool:
    """Whether the number counts another thing than length: kilograms, watts, areas, per cent, seats."""
    if at >= len(tokens):
        return False
    token = tokens[at]
    touching = at > 0 and tokens[at - 1].end == token.start
    if unit is not None:
        squared = token.text in _AREA or (token.kind == "num" and token.text in {"2", "3"} and touching)
        return (squared and unit not in {"ft"}) or (token.text in _AREA)
    if token.kind == "dash" and at + 1 < len(tokens) and tokens[at + 1].text in words.OTHER_UNITS:
        return True
    return token.kind == "other" or (token.kind == "word" and token.text in words.OTHER_UNITS)


def _range(tokens: list[Token], at: int, unit: str | None) -> tuple[float, str | None, int] | None:
    """The upper end of `18-24"`, `60 to 75 cm`, `18" - 24"`; three numbers in a row of dashes are no range."""
    if unit is not None and at + 1 < len(tokens) and tokens[at].text == "." and tokens[at + 1].text in {"to", "-"}:
        at += 1
    if (
        at + 1 >= len(tokens)
        or not (tokens[at].kind == "dash" or tokens[at].text in {"to", "bis", "a"})
        or tokens[at + 1].kind != "num"
    ):
        return None
    upper_unit, after = _unit(tokens, at + 2)
    again = after + 1 < len(tokens) and tokens[after].kind == "dash" and tokens[after + 1].kind == "num"
    if again or upper_unit is None or _counts_something(tokens, after, upper_unit):
        return None
    if unit is not None and unit != upper_unit:
        return None
    return number(tokens[at + 1].text), upper_unit, after


def _centimetres_after_metres(tokens: list[Token], at: int) -> tuple[float, int]:
    """The centimetres in `1 m 80`, `1m80` and `2 m 05 cm`; none in `2 m 20 kg`."""
    if at >= len(tokens) or not re.fullmatch(r"\d{2}", tokens[at].text) or tokens[at - 1].text != "m":
        return 0.0, at
    unit, end = _unit(tokens, at + 1)
    if unit not in {None, "cm"} or _counts_something(tokens, at + 1, None) or _is_by(tokens, at + 1):
        return 0.0, at
    return number(tokens[at].text), end


def _is_by(tokens: list[Token], at: int) -> bool:
    return at < len(tokens) and (tokens[at].kind == "x" or tokens[at].text in words.BY)


def _inches_after_feet(tokens: list[Token], at: int) -> tuple[float, int]:
    """The inches in `6'2"`, `6' 2"`, `6 ft 2 in`, `6'-2"`, `5'3`; none in `5' x 8'` or `5'-8'`."""
    after = at + 1 if at < len(tokens) and tokens[at].kind in {"dash", "stop", "dot"} else at
    if after >= len(tokens) or tokens[after].kind != "num":
        return 0.0, at
    inches = number(tokens[after].text)
    unit, end = _unit(tokens, after + 1)
    touching = tokens[after].start == tokens[at - 1].end
    if inches >= 12 or not (unit == "in" or (unit is None and touching and after == at)):
        return 0.0, at
    return inches, end
