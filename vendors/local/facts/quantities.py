"""Lengths in text: numbers of every spelling with their units, cut out of a folded line as a row of items."""

import re
from dataclasses import dataclass
from fractions import Fraction

from vendors.local.facts import vocabulary as words
from vendors.local.facts.text import Span

VULGAR = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5", "⅗": "3/5", "⅘": "4/5",
          "⅙": "1/6", "⅚": "5/6", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8"}  # fmt: skip
_V = "".join(VULGAR)
_SLASHED = r"\d{1,2}/(?:2|3|4|5|8|10|16|32|64)(?![\d/])"
_NUMBER = (
    rf"\d+[ -]{_SLASHED}|\d+ ?-?[{_V}]|[{_V}]|(?<![\d/x])(?:1|3|5|7|9|11|13|15)/(?:2|4|8|16|32)(?![\d/])"
    r"|\d{1,3}(?:,\d{3}){1,3}\.\d+|\d{1,3}(?:\.\d{3}){1,3},\d+|\d{1,3}(?: \d{3}){1,2}(?= ?mm)"
    r"|\d+[.,]\d+|(?<![\d\w])\.\d+|\d+"
)
_TOKEN = re.compile(
    rf"(?P<num>{_NUMBER})|(?P<word>ø|[^\W\d_]+)|(?P<mark>''|[\"'“”])|(?P<other>[%°²³$€£¥#@])|(?P<x>\*)|(?P<slash>/)"
    r"|(?P<dash>-)|(?P<open>[(\[])|(?P<close>[)\]])|(?P<colon>[:=≈])|(?P<comma>,)|(?P<stop>[.;|•!?…&])"
)
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
class Token:
    kind: str
    text: str
    start: int
    end: int


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
    tokens = _tokens(folded)
    items: list[Item] = []
    at = 0
    while at < len(tokens):
        item, at = _item(tokens, at, items)
        items.append(item)
    return items


def number(text: str) -> float:
    """The value of one number as spelled: fractions, decimal comma or point, thousands."""
    for sign, spelled in VULGAR.items():
        text = text.replace(sign, f" {spelled}")
    text = re.sub(r"(?<=\d)[ -]+(?=\d+/)", " ", text).replace("- ", " ").strip()
    if "/" in text:
        return float(sum(Fraction(part) for part in text.split()))
    text = text.replace(" ", "")
    if "," in text and "." in text:
        thousands = "," if text.rindex(",") < text.rindex(".") else "."
        text = text.replace(thousands, "")
    return float(text.replace(",", "."))


def _tokens(folded: str) -> list[Token]:
    closing = _closing_quotes(folded)
    tokens: list[Token] = []
    for match in _TOKEN.finditer(folded):
        kind, text = str(match.lastgroup), match.group()
        if kind == "mark":
            inches = text in {'"', "”", "''"} and match.start() not in closing
            text = '"' if inches else "'" if text == "'" and match.start() not in closing else "quote"
        if kind == "word":
            tokens += _split_word(text, match.start(), folded)
        else:
            tokens.append(Token(kind, text, match.start(), match.end()))
    return tokens


def _closing_quotes(folded: str) -> set[int]:
    """Double quotes that end a quotation, which must not be read as inches: `"Terra Forms No. 3"`."""
    closing: set[int] = set()
    opened: int | None = None
    for match in re.finditer(r"[\"“”]", folded):
        at = match.start()
        before, after = folded[at - 1 : at], folded[at + 1 : at + 2]
        after_number = before.isdigit() or before in VULGAR
        if opened is not None and (not after_number or _is_phrase(folded[opened + 1 : at])):
            closing.add(at)
            opened = None
        elif not after_number and after.strip():
            closing.add(at)
            opened = at
        elif not after_number:
            closing.add(at)
    return closing


def _is_phrase(quoted: str) -> bool:
    return bool(re.match(r"[^\W\d]", quoted)) and len(quoted) < 60


def _split_word(text: str, start: int, folded: str) -> list[Token]:
    """Letters stuck to numbers fall apart: `cmx`, `xd`, `inw`; orders such as `wxdxh` stay whole."""
    compound = words.COMPOUND_LABEL.fullmatch(text)
    if compound and _is_known(compound["about"]):
        spans = [compound.span(name) for name in ("about", "axis")]
        return [Token("word", text[a:b], start + a, start + b) for a, b in spans]
    touches = (
        folded[start - 1 : start].isdigit()
        or folded[start - 1 : start] in {'"', "'"}
        or folded[start - 1 : start] in VULGAR
    )
    ahead = folded[start + len(text) :].lstrip(" ")[:1]
    if words.ORDER.fullmatch(text) or not (touches or ahead.isdigit()):
        return [Token("word", text, start, start + len(text))]
    match = None if touches and text in words.OTHER_UNITS else words.GLUED.fullmatch(text)
    if not match or (not touches and not re.fullmatch(r"x(?:[wdhlbtp]|dia)?", text)):
        return [Token("word", text, start, start + len(text))]
    spans = [(match.start(name), match.end(name)) for name in ("unit", "after", "by", "before") if match[name]]
    return [Token("word", text[a:b], start + a, start + b) for a, b in spans]


def _is_known(about: str) -> bool:
    return about in words.WHOLES | words.OVERALL | words.PACKAGE | words.NEVER or about in words.PARTS


def _item(tokens: list[Token], at: int, before: list[Item]) -> tuple[Item, int]:
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
    short = (
        previous.text in words.UNITS
        or previous.text in words.AXIS_LETTERS
        or previous.text in {"no", "nr", "dim", "dims"}
    )
    return short and following is not None and (
        following.kind in {"num", "comma", "close", "open", "colon", "dash", "slash", "x"}
        or following.text in words.BY | words.AXIS_LETTERS.keys() | words.AXIS_ADJECTIVES.keys()
        or following.start == token.end
        or _names_what_went_before(tokens, at + 1)
    )  # fmt: skip


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
        return last.text not in words.UNITS
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


def span(items: list[Item]) -> Span:
    """From the first item's start to the last one's end."""
    return items[0].start, items[-1].end
