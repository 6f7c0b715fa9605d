"""Regular expressions in schemas: read the way JSON Schema means them, and refused where they could run away.

JSON Schema's patterns are ECMA-262: `$` is the very end and `\\d` is 0 to 9. Python's `$` lets a newline follow and its
`\\d` takes every script's digits, so patterns are translated before use. Python's engine backtracks; a pattern such as
`^(a+)+$` takes a second for 24 characters, so what can backtrack badly is refused when a schema is written.
"""

import re
from re import _constants as ops  # type: ignore[attr-defined]  # what `re` itself uses; there is no public parser
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

MAX_TEXT = 10_000
FEW = 3  # a repetition that varies by more than this counts as long
MAX_CHOICES = 8  # short optional parts multiply: (FEW + 1) ** MAX_CHOICES ways at worst
REPEATS = (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT)
ALPHABET = [chr(code) for code in range(128)] + ["é", "Ω", "中"]


def translate(pattern: str) -> str:
    """A pattern in ECMA-262's meaning, as Python text: `$` at the very end only, ASCII classes.

    Raises:
        re.error: it is no regular expression.
    """
    translated = "(?a:" + "".join(_pieces(pattern)) + ")"
    re.compile(translated)
    return translated


def _pieces(pattern: str) -> list[str]:
    """The pattern cut into escapes, brackets and single characters, with each bare `$` replaced."""
    pieces, inside_class, index = [], False, 0
    while index < len(pattern):
        character = pattern[index]
        if character == "\\":
            pieces.append(pattern[index : index + 2])
            index += 2
            continue
        if character == "[" and not inside_class:
            inside_class = True
        elif character == "]":
            inside_class = False
        pieces.append(r"\Z" if character == "$" and not inside_class else character)
        index += 1
    return pieces


def weakness(pattern: str) -> str | None:
    """Why a pattern must not be used, in words, or None when it runs in about linear time."""
    try:
        tree = parser.parse(translate(pattern))
    except (re.error, OverflowError, RecursionError):
        return "it is not a regular expression"
    if _choices(tree) > MAX_CHOICES:
        return "it has too many optional parts"
    return _weak_shape(tree, repeated=False) or _weak_sequence(tree)


def _choices(tree: Any) -> int:
    """How many times matching has to choose, fixed repetitions multiplied out."""
    total = 0
    for op, argument in tree:
        inside = sum(_choices(inner) for inner in _inside(op, argument))
        if op in REPEATS:
            fixed = argument[0] == argument[1]
            total += inside * min(argument[1], MAX_CHOICES + 1) if fixed else 1 + inside
        else:
            total += inside + (op is ops.BRANCH)
    return total


def _weak_shape(tree: Any, *, repeated: bool) -> str | None:
    """Back references, look-around, and anything with a choice inside something that repeats."""
    for op, argument in tree:
        if op in (ops.GROUPREF, ops.GROUPREF_EXISTS, ops.ASSERT, ops.ASSERT_NOT):
            return "back references and look-around are not allowed"
        if op is ops.BRANCH and repeated:
            return "alternatives inside a repetition can run away"
        if op in REPEATS and repeated and argument[0] != argument[1]:
            return "a repetition inside a repetition can run away"
        inner_repeated = repeated or (op in REPEATS and argument[1] > 1 and argument[0] != argument[1])
        for inner in _inside(op, argument):
            found = _weak_shape(inner, repeated=inner_repeated)
            if found:
                return found
    return None


def _inside(op: Any, argument: Any) -> list[Any]:
    """The sub-patterns of one item of a parsed pattern."""
    if op in REPEATS:
        return [argument[2]]
    if op is ops.SUBPATTERN:
        return [argument[3]]
    if op is ops.ATOMIC_GROUP:
        return [argument]
    return list(argument[1]) if op is ops.BRANCH else []


def _weak_sequence(tree: Any) -> str | None:
    """Two long repetitions that can eat each other's text, or one that a search may start anywhere."""
    flat = _flatten(tree)
    anchored = bool(flat) and flat[0][0] is ops.AT and flat[0][1] in (ops.AT_BEGINNING, ops.AT_BEGINNING_STRING)
    open_set: set[str] = set()
    for op, argument in flat:
        letters = _letters(op, argument)
        if _is_long(op, argument):
            if letters & open_set:
                return "two repetitions of overlapping characters side by side can run away"
            if not anchored:
                return "a long repetition needs ^ at the start of the pattern"
            open_set |= letters
        elif op is not ops.AT and not _optional(op, argument):
            open_set &= letters
    return None


def _flatten(tree: Any) -> list[tuple[Any, Any]]:
    """The items of a pattern with plain groups opened up; branches stay one item."""
    flat: list[tuple[Any, Any]] = []
    for op, argument in tree:
        if op is ops.SUBPATTERN:
            flat.extend(_flatten(argument[3]))
        elif op is ops.ATOMIC_GROUP:
            flat.extend(_flatten(argument))
        else:
            flat.append((op, argument))
    return flat


def _is_long(op: Any, argument: Any) -> bool:
    """Whether an item repeats a varying number of times, up to many; a branch counts by its arms."""
    if op in REPEATS:
        return bool(argument[1] - argument[0] > FEW)
    if op is ops.BRANCH:
        return any(_is_long(*item) for arm in argument[1] for item in _flatten(arm))
    return False


def _optional(op: Any, argument: Any) -> bool:
    """Whether an item may match nothing, so that it separates nothing."""
    if op in REPEATS:
        return bool(argument[0] == 0)
    return bool(op is ops.BRANCH)


def _letters(op: Any, argument: Any) -> set[str]:
    """The characters, of a sample alphabet, that an item's text can consist of; too many is on the safe side."""
    if op is ops.LITERAL:
        return {chr(argument)}
    if op in (ops.IN, ops.ANY, ops.NOT_LITERAL, ops.CATEGORY):
        return _matching(op, argument)
    found: set[str] = set()
    for inner in _inside(op, argument):
        for item in inner:
            found |= _letters(*item)
    return found


def _matching(op: Any, argument: Any) -> set[str]:
    """The characters of the sample alphabet that a one-character item takes."""
    if op is ops.ANY:
        return set(ALPHABET)
    if op is ops.NOT_LITERAL:
        return {letter for letter in ALPHABET if ord(letter) != argument}
    members = argument if op is ops.IN else [(ops.CATEGORY, argument)]
    negated = bool(members) and members[0][0] is ops.NEGATE
    inside = {letter for letter in ALPHABET if any(_is_member(letter, *member) for member in members)}
    return set(ALPHABET) - inside if negated else inside


def _is_member(letter: str, op: Any, argument: Any) -> bool:
    """Whether a character class's member takes a character; categories by `re`'s own ASCII meaning."""
    if op is ops.LITERAL:
        return bool(ord(letter) == argument)
    if op is ops.RANGE:
        return bool(argument[0] <= ord(letter) <= argument[1])
    if op is ops.CATEGORY:
        return re.match(f"(?a:{CATEGORIES[argument]})", letter) is not None
    return False


CATEGORIES = {
    ops.CATEGORY_DIGIT: r"\d",
    ops.CATEGORY_NOT_DIGIT: r"\D",
    ops.CATEGORY_SPACE: r"\s",
    ops.CATEGORY_NOT_SPACE: r"\S",
    ops.CATEGORY_WORD: r"\w",
    ops.CATEGORY_NOT_WORD: r"\W",
}
