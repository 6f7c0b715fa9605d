"""JSON without the liberties that Python takes: no NaN, no repeated keys, no runaway depth or size."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from irschemas.errors import JsonInvalid

MAX_DEPTH = 64
MAX_VALUES = 200_000
MAX_KEY_LENGTH = 1_000

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Defect:
    """Something in a Python value that JSON has no form for, or that is too much; `path` leads to it."""

    path: Path
    keyword: str
    expected: str
    found: Any


def parse(text: str | bytes) -> Any:
    """Read JSON strictly (RFC 8259; names in an object are unique).

    Raises:
        JsonInvalid: it is not JSON, holds NaN or Infinity, repeats a key, or is nested too deep.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_pairs)
    except json.JSONDecodeError as error:
        raise JsonInvalid(f"This is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except UnicodeDecodeError:
        raise JsonInvalid("This is not JSON: it is not UTF-8 text.") from None
    except RecursionError:
        raise JsonInvalid("This JSON is nested too deep.") from None
    except ValueError as error:
        raise JsonInvalid("This JSON holds a number that is too long.") from error


def _refuse_constant(name: str) -> Any:
    raise JsonInvalid(f"{name} is not JSON; leave the value out or write null.")


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise JsonInvalid("This JSON names the same key twice in one object.")
    return found


def defects(value: Any) -> Iterator[Defect]:
    """What keeps a Python value from being JSON, in order of appearance; never recurses, so depth cannot hurt it."""
    pending: list[tuple[Path, Any]] = [((), value)]
    seen = 0
    while pending:
        path, current = pending.pop()
        seen += 1
        if seen > MAX_VALUES:
            yield Defect((), "size", f"at most {MAX_VALUES} values", value)
            return
        if isinstance(current, (dict, list)):
            if len(path) >= MAX_DEPTH:
                yield Defect((), "depth", f"nesting of at most {MAX_DEPTH} levels", value)
                return
            yield from _bad_keys(path, current)
            entries = current.items() if isinstance(current, dict) else enumerate(current)
            pending.extend(reversed([((*path, step), child) for step, child in entries]))
        elif isinstance(current, float):
            if not math.isfinite(current):
                yield Defect(path, "number", "a finite number", current)
        elif not (current is None or isinstance(current, (str, bool, int))):
            yield Defect(path, "json", "a JSON value", current)


def _bad_keys(path: Path, current: Any) -> Iterator[Defect]:
    if isinstance(current, dict) and any(not isinstance(key, str) or len(key) > MAX_KEY_LENGTH for key in current):
        yield Defect(path, "json", f"text of at most {MAX_KEY_LENGTH} characters as property names", current)


def has_integral_float(value: Any) -> bool:
    """Whether a number such as 1.0 stands anywhere in a JSON value; JSON Schema counts it as an integer."""
    pending = [value]
    while pending:
        current = pending.pop()
        if isinstance(current, float) and current.is_integer():
            return True
        if isinstance(current, dict):
            pending.extend(current.values())
        elif isinstance(current, list):
            pending.extend(current)
    return False
