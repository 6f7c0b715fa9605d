"""Merchant text made plain: HTML to lines with their table cells, and sentences that talk to a model set aside."""

import html
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from vendors.local.facts.metafields import as_lines

Source = Literal["title", "description", "type", "tags"]
Span = tuple[int, int]

# Characters of a description without its markup, of one with it, and of a title.
MAX_DESCRIPTION, MAX_MARKUP, MAX_TITLE = 20_000, 200_000, 300

_ROW, _CELL, _HEAD, _BOLD, _UNBOLD = "\x1e", "\x1f", "\x1d", "\x1c", "\x1b"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b-\u200f\u2060\ufeff\u00ad\ud800-\udfff]")
_HIDDEN = re.compile(r"<!--|<(script|style|template)\b[^<>]*>", re.I)
_HIDDEN_ENDS = {name: re.compile(rf"</{name}\s*>", re.I) for name in ("script", "style", "template")}
_RAISED_FRACTION = re.compile(r"(?<=\d)<sup>(?=\s*\d)", re.I)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]*)[^<>]*>|<![^<>]*>|<\?[^<>]*>")
_BLOCKS = {
    *("p", "div", "br", "li", "ul", "ol", "tr", "table", "thead", "tbody", "tfoot", "section", "article", "hr"),
    *("blockquote", "figure", "pre", "dl", "dt", "main"),
}
_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6", "caption", "summary"}
_CELLS = {"td", "th", "dd"}
_BOLDS = {"b", "strong"}

# Characters that mean the same get one form; every replacement is one character long, so that positions stay true.
_ALIKE = {
    **dict.fromkeys("×✕✖⨯╳ｘХх", "x"),
    **dict.fromkeys("″”„‟〃＂˝", '"'),
    **dict.fromkeys("′’‘ʹʼ`´＇", "'"),
    **dict.fromkeys("–—−‐‑‒―﹣－", "-"),
    **dict.fromkeys("⁄∕／", "/"),
    **dict.fromkeys("øØ⌀∅Φφ", "ø"),
    **dict.fromkeys("•·▪◦●∙‣■►✓✔", "•"),
    "：": ":",
    "，": ",",
    "、": ",",
    "。": ".",
    "～": "-",
    "〜": "-",
}

_TO_A_MODEL = re.compile(
    r"\b(?:ignore|disregard|forget|bypass)\b.{0,40}\b(?:previous|prior|above|earlier|all|any|"
    r"every|instructions?|rules?|prompts?)\b"
    r"|\bsystem (?:prompt|message|note)\b|(?:^|[\s\[<(])(?:system|assistant|user|developer) ?(?:[:>\]]|override)"
    r"|\byou are (?:now )?(?:an? )?(?:\w+ )?(?:ai|assistant|model|chatbot|bot)\b|\bas an ai\b|"
    r"\blanguage model\b|\bllm\b|\bchatgpt\b"
    r"|\b(?:new|following|these|hidden|updated) instructions?\b|\binstructions?:|\bprompt injection\b|\bjailbreak\b"
    r"|\b(?:respond|reply|answer) (?:only |always )?with\b|\b(?:output|return|print|emit) (?:only|"
    r"json|exactly|the following|this)\b"
    r"|\b(?:set|change|override|report|make|write|use) (?:the |its |your |all )?"
    r"(?:width|height|depth|length|mount|mounting|dimensions?|confidence|scale|product.?type|"
    r"size)\b.{0,12}(?:\bto\b|\bas\b|=|:)"
    r"|<\|?[a-z_]+\|?>|\[/?inst\]|\{ ?[\"'][a-z_]+[\"'] ?:"
    r"|\bfor (?:any|all) (?:ai|llm|model|assistant)s?\b|\bnote to (?:the )?(?:ai|model|assistant)\b"
)
_STILL_TO_A_MODEL = re.compile(
    r"\b(?:set|say|report|write|return|output|answer|reply|pretend|instead|json|mount|must|always|"
    r"dimensions? (?:are|is)|"
    r"(?:width|height|depth|length) (?:is|to|=))\b"
)
# Shops space the spans of a specification by style sheets alone.
_SPANS = re.compile(r"</span>(?=<span[\s>])", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?;](?=\s|$)")


@dataclass(frozen=True)
class Line:
    """One line as a reader sees it; `cells` are spans of table cells, `ignored` spans address a model."""

    text: str
    source: Source
    heading: bool = False
    cells: tuple[Span, ...] = ()
    ignored: tuple[Span, ...] = ()

    @cached_property
    def folded(self) -> str:
        """Lower case, one form per look-alike, ignored spans blank; the same length as `text`."""
        folded = fold(self.text)
        for start, end in self.ignored:
            folded = folded[:start] + "|" * (end - start) + folded[end:]
        return folded


@dataclass(frozen=True)
class Document:
    """All that a merchant wrote about one product, line by line."""

    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        """The cleaned text; every quote is a part of it."""
        return "\n".join(line.text for line in self.lines)

    def of(self, *sources: Source) -> list[Line]:
        """The lines from these sources, in order."""
        return [line for line in self.lines if line.source in sources]


def fold(text: str) -> str:
    """Lower case without accents, character by character, never changing the length."""
    return "".join(map(_fold_character, text))


def _fold_character(character: str) -> str:
    if character.isascii():
        return character.lower()
    if character in _ALIKE:
        return _ALIKE[character]
    if character.isspace():
        return " "
    lowered = character.lower()
    base = unicodedata.normalize("NFKD", lowered)
    if base[:1].isascii() and base[:1].isalpha() and all(unicodedata.combining(mark) for mark in base[1:]):
        return base[0]
    if len(base) == 1 and base.isascii():
        return base
    return lowered if len(lowered) == 1 else character


def read_document(title: str, description: str, product_type: str = "", tags: tuple[str, ...] = ()) -> Document:
    """Clean lines of a product's title, description, type and tags; at most 20,000 characters of it."""
    lines = [_line(_plain(title)[:MAX_TITLE], "title")]
    lines += _description_lines(description[:MAX_MARKUP])
    lines += [_line(_plain(text)[:MAX_TITLE], source) for text, source in _labels(product_type, tags)]
    return Document(tuple(line for line in lines if line.text))


def _labels(product_type: str, tags: tuple[str, ...]) -> list[tuple[str, Source]]:
    labels: list[tuple[str, Source]] = [(product_type, "type")]
    return labels + [(tag, "tags") for tag in tags[:50]]


def _plain(text: str) -> str:
    """One line of text without markup."""
    text = _TAG.sub(" ", _without_hidden(_CONTROL.sub("", text[:MAX_DESCRIPTION])))
    return " ".join(html.unescape(text).split())


def _without_hidden(text: str) -> str:
    """The text without comments, scripts and style sheets; one that never ends hides nothing. Linear in the length."""
    kept: list[str] = []
    at = 0
    endless: set[str] = set()
    while (opening := _HIDDEN.search(text, at)) is not None:
        name = (opening[1] or "").lower()
        closing = None if name in endless else _hidden_end(text, name, opening.end())
        kept.append(text[at : opening.start() if closing else opening.end()])
        at = closing or opening.end()
        endless |= set() if closing else {name}
    return " ".join([*kept, text[at:]])


def _hidden_end(text: str, name: str, start: int) -> int | None:
    if not name:
        found = text.find("-->", start)
        return found + 3 if found >= 0 else None
    closing = _HIDDEN_ENDS[name].search(text, start)
    return closing.end() if closing else None


def _description_lines(description: str) -> list[Line]:
    marked = _without_hidden(_CONTROL.sub("", as_lines(description)))
    has_blocks = any(match[2] and match[2].lower() in _BLOCKS for match in _TAG.finditer(marked))
    marked = re.sub(r"\r\n?", "\n", marked)
    marked = re.sub(r"\n(?!\s*\n)" if has_blocks else r"\n", " " if has_blocks else _ROW, marked).replace("\n", _ROW)
    marked = _SPANS.sub(" ", marked)
    marked = _TAG.sub(_mark, _RAISED_FRACTION.sub(" ", marked))[:MAX_DESCRIPTION]
    # Some shops escape twice; a second pass reads `&amp;quot;` as the inch sign it was.
    unescaped = html.unescape(html.unescape(marked))
    return [line for row in unescaped.split(_ROW) if (line := _row_line(row)).text]


def _mark(tag: re.Match[str]) -> str:
    name = (tag[2] or "").lower()
    if name in _CELLS:
        return "" if tag[1] else _CELL
    if name in _HEADINGS:
        return _ROW if tag[1] else _ROW + _HEAD
    if name in _BLOCKS:
        return "" if name == "dt" and tag[1] else _ROW
    if name in _BOLDS:
        return _UNBOLD if tag[1] else _BOLD
    return ""


def _row_line(row: str) -> Line:
    heading = _HEAD in row or re.fullmatch(rf"\s*{_BOLD}[^{_UNBOLD}]*{_UNBOLD}[\s:]*", row) is not None
    row = re.sub(rf"[{_HEAD}{_BOLD}{_UNBOLD}]", "", row)
    if row.count("|") >= 2 and row.lstrip().startswith("|"):
        row = row.strip().strip("|").replace("|", _CELL)
    parts = [" ".join(part.split()) for part in re.split(rf"[{_CELL}\t]", row)]
    parts = parts[1:] if parts and not parts[0] and row.lstrip(" ").startswith(_CELL) else parts
    cells: list[Span] = []
    text = ""
    for part in parts:
        start = len(text) + (1 if text and part else 0)
        text = f"{text} {part}" if text and part else text + part
        cells.append((start, start + len(part)))
    return _line(text, "description", heading=heading, cells=tuple(cells) if len(cells) > 1 else ())


def _line(text: str, source: Source, *, heading: bool = False, cells: tuple[Span, ...] = ()) -> Line:
    return Line(text, source, heading, cells, _spans_to_a_model(fold(text), everything_after=source == "title"))


def _spans_to_a_model(folded: str, *, everything_after: bool) -> tuple[Span, ...]:
    """Sentences written for a model; in a title all that follows such a sentence goes with it."""
    spans: list[Span] = []
    start = 0
    for end in [match.end() for match in _SENTENCE_END.finditer(folded)] + [len(folded)]:
        sentence = folded[start:end]
        hit = _TO_A_MODEL.search(sentence)
        if hit:
            spans.append((start + hit.start(), end))
        elif spans and sentence.strip() and (everything_after or _STILL_TO_A_MODEL.search(sentence)):
            spans.append((start, end))
        start = end
    return tuple(spans)
