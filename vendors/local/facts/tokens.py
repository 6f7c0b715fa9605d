"""A folded line cut into numbers, words, marks and punctuation; letters stuck to numbers fall apart."""

import re
from dataclasses import dataclass
from fractions import Fraction

from vendors.local.facts import vocabulary as words

VULGAR = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5", "⅗": "3/5", "⅘": "4/5",
          "⅙": "1/6", "⅚": "5/6", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8"}  # fmt: skip
_V = "".join(VULGAR)
# Words of kana and signs end where Latin letters begin: `x奥行45`.
_SIGNS = "\u3005\u3040-\u30ff\u4e00-\u9fff"
_SLASHED = r"\d{1,2}/(?:2|3|4|5|8|10|16|32|64)(?![\d/])"
# "four feet tall" is a length, "on four feet" is none.
_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_IN_WORDS = {word: number for number, word in enumerate(_WORDS, 1)}
_SPELLED = (
    rf"(?<!\w)(?:{'|'.join(_IN_WORDS)})(?=[ -](?:feet|foot|inch|inches|met(?:er|re)s?)[ -]"
    r"(?:wide|tall|long|high|deep|thick|across|round|square|in diameter|by)\b)"
)
_NUMBER = (
    rf"\d+[ -]{_SLASHED}|\d+ ?-?[{_V}]|[{_V}]|(?<![\d/x])(?:1|3|5|7|9|11|13|15)/(?:2|4|8|16|32)(?![\d/])"
    r"|\d{1,3}(?:,\d{3}){1,3}\.\d+|\d{1,3}(?:\.\d{3}){1,3},\d+|\d{1,3}(?: \d{3}){1,2}(?= ?mm)"
    rf"|\d+[.,]\d+|(?<![\d\w])\.\d+|\d+|{_SPELLED}"
)
_TOKEN = re.compile(
    rf"(?P<num>{_NUMBER})|(?P<word>ø|[{_SIGNS}]+|[^\W\d_{_SIGNS}]+)|(?P<mark>''|[\"'“”])|(?P<other>[%°²³$€£¥#@])|(?P<x>\*)|(?P<slash>/)"
    r"|(?P<dash>-)|(?P<open>[(\[])|(?P<close>[)\]])|(?P<colon>[:=≈])|(?P<comma>,)|(?P<stop>[.;|•!?…&])"
)


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    start: int
    end: int


def tokens_of(folded: str) -> list[Token]:
    """The tokens of one folded line, in order; blanks and characters that mean nothing here are left out."""
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
    if len(text) > 1 and text[-1] == "約":
        # "厚さ約1.5cm": thickness about.
        end = start + len(text)
        return [*_split_word(text[:-1], start, folded), Token("word", "約", end - 1, end)]
    compound = words.COMPOUND_LABEL.fullmatch(text) or words.COMPOUND_SIGNS.fullmatch(text)
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


def number(text: str) -> float:
    """The value of one number as spelled: fractions, decimal comma or point, thousands."""
    if text in _IN_WORDS:
        return float(_IN_WORDS[text])
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
