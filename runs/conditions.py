"""Conditions of nodes: CEL expressions that name only what a decision may rest on, and that cannot hang a worker.

Publication checks an expression word by word, so that what is left is cheap: no macro, no regular expression, no
variable of its own, at most 500 characters and 16 brackets deep. Such an expression takes time in proportion to the
values that it names, and of those at most 10,000 are handed to the engine. (CEL: github.com/google/cel-spec.)
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cel

from runs.redaction import SECRET_KEYS

MAX_LENGTH = 500
MAX_DEPTH = 16
MAX_VALUES = 10_000
MAX_TEXT = 256 * 1024
MAX_VALUE_DEPTH = 32
MAX_INTEGER = 2**63

STEP_FIELDS = (
    "status",
    "attempt",
    "latency_ms",
    "candidates_in",
    "candidates_out",
    "drop_ratio",
    "confidence",
    "score",
    "cost_usd",
    "ir_valid",
    "ir_error_count",
    "reused",
    "error_code",
)
RUN_FIELDS = ("pipeline", "environment", "trigger", "mode", "subject_type")
SHOP_FIELDS = ("domain", "plan", "features")
NODE_ROOTS = ("metrics", "ir", "steps")
ROOTS = (*NODE_ROOTS, "run", "input", "params", "shop")
FUNCTIONS = ("size", "has", "int", "double", "string")
METHODS = ("size", "contains", "startsWith", "endsWith")
LOOPS = ("all", "exists", "exists_one", "map", "filter")
SECRET_NAMES = re.compile(r"(^|_)(token|secret|password|credentials?|(api|private|secret)_?key)$", re.IGNORECASE)

Path = tuple[str, ...]

TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<number>0x[0-9a-fA-F]+u?|(?:\d+\.\d+|\d+|\.\d+)(?:[eE][+-]?\d+)?u?)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<sign>&&|\|\||==|!=|<=|>=|[-<>+*/%!?:()\[\]{},.])
    )""",
    re.VERBOSE,
)


class ConditionInvalid(Exception):
    """A condition that cannot be published; the text says what is wrong with it."""


class ConditionError(Exception):
    """A condition that could not be decided for this run; the text says why."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A checked expression and the paths that it names, such as `("metrics", "generate", "faithfulness")`."""

    text: str
    paths: tuple[Path, ...]

    def names(self, root: str) -> bool:
        """Whether the expression names anything under a root."""
        return any(path[0] == root for path in self.paths)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def check_condition(text: str, ancestors: Collection[str]) -> Condition:
    """The condition of a node that has these ancestors.

    Raises:
        ConditionInvalid: it does not parse, loops, is too long or too deep, or names what it may not.
    """
    if len(text) > MAX_LENGTH:
        raise ConditionInvalid(f"it has {len(text)} characters; a condition has at most {MAX_LENGTH}")
    tokens = _tokens(text)
    _check_depth(tokens)
    paths = tuple(dict.fromkeys(_paths(tokens)))
    for path in paths:
        _check_path(path, ancestors)
    try:
        _program(text)
    except ValueError as error:
        raise ConditionInvalid(f"it is not a CEL expression: {_syntax(error)}") from error
    condition = Condition(text, paths)
    if not paths:
        _check_constant(condition)
    return condition


def evaluate_condition(condition: Condition, values: Mapping[str, Any]) -> bool:
    """What a condition says about these values (`{"metrics": {...}, "ir": {...}, ...}`).

    Raises:
        ConditionError: a value that it names is missing, null or of another kind, or the result is not true or false.
    """
    named = named_values(condition, values)
    _check_values(named)
    try:
        result = _program(condition.text).execute(named)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the engine's own panics are no `Exception`; they end the condition, not the worker
        raise ConditionError(_run_time(error)) from error
    if not isinstance(result, bool):
        raise ConditionError(f"its result is {_kind(result)}, not true or false")
    return result


def named_values(condition: Condition, values: Mapping[str, Any]) -> dict[str, Any]:
    """Only those parts of the values that the condition names, so that nothing else has to be handed to the engine."""
    picked: dict[str, Any] = {}
    whole: set[Path] = set()
    for path in sorted(condition.paths, key=len):
        if not any(path[:length] in whole for length in range(1, len(path) + 1)):
            whole.add(_pick(path, values, picked))
    return picked


def seen_values(condition: Condition, values: Mapping[str, Any]) -> dict[str, Any]:
    """The grounds of a decision by path: numbers, true, false, null and statuses that the condition names."""
    seen: dict[str, Any] = {}
    for path in condition.paths:
        value: Any = values
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is None or isinstance(value, (bool, int, float)) or path[0] == "steps":
            seen[".".join(path)] = value
    return seen


@lru_cache(maxsize=1024)
def _program(text: str) -> cel.Program:
    return cel.compile(text)


def _tokens(text: str) -> list[_Token]:
    tokens, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise ConditionInvalid(f"character {at + 1} ({text[at:].lstrip()[:1]!r}) has no place in a condition")
        tokens.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        at = match.end()
    return tokens


def _check_depth(tokens: list[_Token]) -> None:
    depth = unary = 0
    for token in tokens:
        depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}")) if token.kind == "sign" else 0
        unary = unary + 1 if token.text in ("!", "-") else 0
        if depth > MAX_DEPTH or unary > MAX_DEPTH:
            raise ConditionInvalid(f"it is nested more than {MAX_DEPTH} deep")


def _paths(tokens: list[_Token]) -> Iterator[Path]:
    """Every path that starts with a name: `a.b["c"].d`, as far as it is literal. Refuses calls that may not be."""
    position = 0
    while position < len(tokens):
        token, before = tokens[position], tokens[position - 1] if position else None
        following = tokens[position + 1].text if position + 1 < len(tokens) else ""
        if token.text == "." and token.kind == "sign" and not _is_operand(before):
            raise ConditionInvalid(f"a name starts with a point at character {token.at + 1}")
        if token.kind != "word" or token.text in ("true", "false", "null", "in"):
            position += 1
        elif following == "(":
            _check_call(token.text, METHODS if before and before.text == "." else FUNCTIONS)
            position += 1
        elif before and before.text == ".":
            _check_secret(token.text)
            position += 1
        else:
            path, position = _literal_path(tokens, position)
            yield path


def _is_operand(token: _Token | None) -> bool:
    return token is not None and (token.kind in ("word", "string") or token.text in (")", "]", "}"))


def _literal_path(tokens: list[_Token], position: int) -> tuple[Path, int]:
    """The path that starts here, and the position behind it."""
    path = [tokens[position].text]
    position += 1
    texts = [token.text for token in tokens]
    while position + 1 < len(tokens):
        following = tokens[position + 1]
        if texts[position] == "." and following.kind == "word" and texts[position + 2 : position + 3] != ["("]:
            path.append(following.text)
            position += 2
        elif (
            texts[position] == "["
            and following.kind == "string"
            and "\\" not in following.text
            and texts[position + 2 : position + 3] == ["]"]
        ):
            path.append(following.text[1:-1])
            position += 3
        else:
            break
    return tuple(path), position


def _check_call(name: str, allowed: Collection[str]) -> None:
    if name in LOOPS:
        raise ConditionInvalid(f"{name} is a macro that loops, and a condition may not loop")
    if name == "matches":
        raise ConditionInvalid("matches takes a regular expression; use contains, startsWith or endsWith")
    if name not in allowed:
        raise ConditionInvalid(f"{name} may not be called; there are {', '.join(sorted({*FUNCTIONS, *METHODS}))}")


def _check_path(path: Path, ancestors: Collection[str]) -> None:
    root, shown = path[0], ".".join(path)
    if root not in ROOTS:
        raise ConditionInvalid(f"there is no {root}; a condition names {', '.join(ROOTS)}")
    for name in path[1:]:
        _check_secret(name, shown)
    if len(path) == 1:
        raise ConditionInvalid(f"{root} is to be followed by a point and a name")
    if root in NODE_ROOTS and path[1] not in ancestors:
        raise ConditionInvalid(f"{shown} is about the node {path[1]}, which does not come before this one")
    if root == "steps" and len(path) < 3:
        raise ConditionInvalid(f"{shown} is to be followed by one of {', '.join(STEP_FIELDS)}")
    place = 2 if root == "steps" else 1
    allowed = {"steps": STEP_FIELDS, "run": RUN_FIELDS, "shop": SHOP_FIELDS}.get(root)
    if allowed and path[place] not in allowed:
        raise ConditionInvalid(f"{shown} may not be named; of {root} there are {', '.join(allowed)}")


def _check_secret(name: str, shown: str = "") -> None:
    if SECRET_KEYS.match(name) or SECRET_NAMES.search(name):
        raise ConditionInvalid(f"{shown or name} names a secret")


def _check_constant(condition: Condition) -> None:
    try:
        evaluate_condition(condition, {})
    except ConditionError as error:
        raise ConditionInvalid(str(error)) from error


def _pick(path: Path, values: Mapping[str, Any], picked: dict[str, Any]) -> Path:
    """Copy one path's value; returns the prefix that is there as a whole now."""
    value: Any = values
    for length, name in enumerate(path, start=1):
        if name not in value:
            return path
        value = value[name]
        if length == len(path) or not isinstance(value, Mapping):
            picked[name] = value
            return path[:length]
        picked = picked.setdefault(name, {})
    return path


def _check_values(named: Mapping[str, Any]) -> None:
    """Refuse values that the engine has no number for, that are too many, too long or too deep."""
    values = text = 0
    waiting: list[tuple[Any, int]] = [(named, 0)]
    while waiting:
        value, depth = waiting.pop()
        values += 1
        if isinstance(value, Mapping):
            waiting += [(item, depth + 1) for item in value.values()]
            text += sum(map(len, value))
        elif isinstance(value, list):
            waiting += [(item, depth + 1) for item in value]
        elif isinstance(value, str):
            text += len(value)
        elif isinstance(value, int) and not -MAX_INTEGER <= value < MAX_INTEGER:
            raise ConditionError("it names an integer of more than 64 bits")
        elif isinstance(value, float) and not math.isfinite(value):
            raise ConditionError("it names a number that is not finite")
        if values + len(waiting) > MAX_VALUES or text > MAX_TEXT or depth > MAX_VALUE_DEPTH:
            raise ConditionError(
                f"it names too much: at most {MAX_VALUES} values, {MAX_TEXT} characters, {MAX_VALUE_DEPTH} deep"
            )


def _syntax(error: ValueError) -> str:
    """The parser's first complaint without its drawing."""
    found = re.search(r"ERROR: <input>:\d+:(\d+): (.*)", str(error))
    return f"character {found[1]}: {found[2][:160]}" if found else str(error)[:200]


def _run_time(error: BaseException) -> str:
    if isinstance(error, KeyError):
        return f"what it names has no {str(error.args[0])[:80]!r}"
    if isinstance(error, TypeError) and str(error).startswith(("No such overload", "Unsupported operation")):
        return "it compares or combines null, or values of different kinds"
    return f"{type(error).__name__}: {error}"[:200]


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    named = {int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}
    return named.get(type(value), f"a {type(value).__name__}")
