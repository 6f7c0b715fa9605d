"""What changed from one text to another, word by word, for people to read."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

Kind = Literal["same", "gone", "new", "gap"]

CONTEXT_LINES = 3
MAX_CELLS = 4_000_000  # of the comparison of two blocks, in words; beyond it a block is replaced whole
CONFETTI = 0.3  # blocks that share less than this are read better one after the other
WORD = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text: in both, only in the old one, only in the new one; of a gap the number of lines left out."""

    kind: Kind
    text: str
    lines: int = 0


@dataclass(frozen=True, slots=True)
class TextDiff:
    """Two texts as one: the old one without what is new, the new one without what is gone."""

    pieces: tuple[Piece, ...]

    @property
    def same(self) -> bool:
        """Whether nothing changed."""
        return all(piece.kind in ("same", "gap") for piece in self.pieces)

    @property
    def words_new(self) -> int:
        """How many words came."""
        return self._words("new")

    @property
    def words_gone(self) -> int:
        """How many words went."""
        return self._words("gone")

    def _words(self, kind: Kind) -> int:
        return sum(len(piece.text.split()) for piece in self.pieces if piece.kind == kind)


def diff_texts(before: str, after: str, *, context: int | None = CONTEXT_LINES) -> TextDiff:
    """Compare by lines, and changed lines by words.

    Only `context` lines around a change are kept, with a gap where more were the same; None keeps everything.
    """
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    pieces: list[Piece] = []
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for tag, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            pieces.append(Piece("same", "".join(old[old_start:old_end])))
        else:
            pieces.extend(_diff_words("".join(old[old_start:old_end]), "".join(new[new_start:new_end])))
    return TextDiff(tuple(_fold(_joined(pieces), context)))


def _diff_words(before: str, after: str) -> Iterator[Piece]:
    """Two blocks of lines by words; blocks with hardly a word in common one after the other."""
    old, new = WORD.findall(before), WORD.findall(after)
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    if len(old) * len(new) > MAX_CELLS or matcher.ratio() < CONFETTI:
        yield from _replaced(before, after)
        return
    gone, come = "", ""
    for tag, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        left, right = "".join(old[old_start:old_end]), "".join(new[new_start:new_end])
        if tag == "equal" and not (_is_bridge(left) and (gone or come)):
            yield from _replaced(gone, come)
            yield Piece("same", left)
            gone, come = "", ""
        else:
            gone, come = gone + left, come + right
    yield from _replaced(gone, come)


def _is_bridge(text: str) -> bool:
    """A space between two changed words belongs to the change; a line's end does not."""
    return text.isspace() and "\n" not in text


def _replaced(before: str, after: str) -> Iterator[Piece]:
    """What went and what came; a space that both end with stays outside."""
    shared = ""
    while before and after and before[-1] == after[-1] and before[-1].isspace():
        shared, before, after = before[-1] + shared, before[:-1], after[:-1]
    if before:
        yield Piece("gone", before)
    if after:
        yield Piece("new", after)
    if shared:
        yield Piece("same", shared)


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Neighbours of one kind as one piece."""
    found: list[Piece] = []
    for piece in pieces:
        if found and found[-1].kind == piece.kind:
            found[-1] = Piece(piece.kind, found[-1].text + piece.text)
        elif piece.text:
            found.append(piece)
    return found


def _fold(pieces: Sequence[Piece], context: int | None) -> Iterator[Piece]:
    """Leave out the middle of long stretches that are the same, and say how many lines that were."""
    last = len(pieces) - 1
    for number, piece in enumerate(pieces):
        if context is None or piece.kind != "same" or not last:
            yield piece
            continue
        lines = piece.text.splitlines(keepends=True)
        # A line that is changed in part stands in two pieces: its halves are no context.
        head = context + (not pieces[number - 1].text.endswith("\n")) if number else 0
        tail = context + (not piece.text.endswith("\n")) if number < last else 0
        if len(lines) <= head + tail + 1:
            yield piece
            continue
        if head:
            yield Piece("same", "".join(lines[:head]))
        yield Piece("gap", "", len(lines) - head - tail)
        if tail:
            yield Piece("same", "".join(lines[-tail:]))
