"""Which product noun a merchant means, and the words that say so."""

import re
from dataclasses import dataclass

from vendors.local.facts.kind_table import BY_NAME, KINDS
from vendors.local.facts.kinds import Kind
from vendors.local.facts.text import Document, Line, Span


@dataclass(frozen=True)
class Found:
    """A kind and the words that name it; `line` is None when nothing names one."""

    kind: Kind | None
    line: Line | None = None
    span: Span = (0, 0)

    @property
    def quote(self) -> str:
        return self.line.text[slice(*self.span)] if self.line else ""


# The head noun stands before these: a "sofa with chaise", a "bookcase for records".
_HEAD_ENDS = re.compile(
    r"\bw/|\b(?:with|for|in|including|incl|inkl|mit|fur|avec|pour|con|featuring|made)\b|[(\[|]| - |,"
)
_UPRIGHT = re.compile(r"\b(?:lean(?:ing|er|s)|full[ -](?:length|body)|floor|(?:free[ -]?)?standing|cheval|dressing)\b")
_WEIGHTS = {"title": 3.0, "type": 2.6, "tags": 0.8, "description": 0.9}


def find_kind(document: Document) -> Found:
    """The kind that title, type, tags and first sentences agree on best; a title's last noun is its head noun."""
    scores: dict[str, float] = {}
    first: dict[str, tuple[float, Line, Span]] = {}
    described = document.of("description")[:3]
    heads: set[str] = set()
    for line in [*document.of("title", "type", "tags"), *described]:
        weight = _WEIGHTS[line.source]
        for rank, (kind, span) in enumerate(_ranked(line)):
            heads |= {kind.name} if line.source == "title" and rank == 0 else set()
            score = weight * (1.0, 0.45, 0.3)[min(rank, 2)] + 0.12 * (span[1] - span[0]) / 6
            if line.source == "tags":
                score = min(score, 0.9)
            scores[kind.name] = scores.get(kind.name, 0.0) + score
            if kind.name not in first or score > first[kind.name][0]:
                first[kind.name] = (score, line, span)
    if not scores:
        return Found(None)
    prominent = {name for name, (_, line, _) in first.items() if line.source in {"title", "type"}}
    # A "bench" that only stands before the head noun "stool" does not profit from its family.
    beside = {name for name in prominent if first[name][1].source == "title" and BY_NAME[name].family in heads}
    totals = {
        name: score + (_from_family(name, scores) if name in prominent - beside else 0.0)
        for name, score in scores.items()
    }
    best = max(totals, key=lambda name: (totals[name], name))
    _, line, span = first[best]
    if best == "mirror" and any(_UPRIGHT.search(line.folded) for line in document.of("title", "type", "tags")):
        best = "floor mirror"
    return Found(BY_NAME[best], line, span)


def _from_family(name: str, scores: dict[str, float]) -> float:
    """A lounge chair profits from a type of "Chairs"."""
    family = BY_NAME[name].family
    return scores.get(family, 0.0) + 0.01 if family else 0.0


def _ranked(line: Line) -> list[tuple[Kind, Span]]:
    """Kinds named in a line, head noun first: in prose the first noun, in a title the last one before "with"."""
    found = _matches(line.folded if line.source != "description" else line.folded[:200])
    if line.source == "description":
        return found[:2]
    ends = _HEAD_ENDS.search(line.folded)
    head_end = ends.start() if ends and any(span[1] <= ends.start() for _, span in found) else len(line.folded)
    head = [match for match in found if match[1][1] <= head_end]
    return head[::-1] + [match for match in found if match[1][1] > head_end]


def _matches(folded: str) -> list[tuple[Kind, Span]]:
    """Longest matches first, none inside another, in reading order."""
    matches = [(kind, match) for kind in KINDS for match in kind.pattern.finditer(folded)]
    # A noun of the lexicon ("Wandregal") before one put together ("...regal").
    matches.sort(key=lambda hit: (hit[1].start() - hit[1].end(), hit[1].start(), hit[1].lastgroup == "compound"))
    hits = [(kind, match.span()) for kind, match in matches]
    kept: list[tuple[Kind, Span]] = []
    for kind, span in hits:
        if all(span[1] <= other[0] or span[0] >= other[1] for _, other in kept):
            kept.append((kind, span))
    return sorted(kept, key=lambda hit: hit[1][0])
