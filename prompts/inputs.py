"""Values against a JSON Schema (Draft 2020-12), every problem in one plain line that never repeats the value itself."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from core.canonical import canonical_json
from prompts.filters import kind

MAX_PROBLEMS = 20


def problems(schema: Mapping[str, Any], value: Any) -> list[str]:
    """What is wrong with a value, at most 20 lines, in the order of their paths; empty when it is valid."""
    try:
        canonical_json(value)
    except (TypeError, ValueError, RecursionError):
        return ["it is not plain JSON (text, finite numbers, true, false, null, lists, objects)."]
    errors = islice(Draft202012Validator(schema).iter_errors(value), MAX_PROBLEMS)
    return [_line(error) for error in sorted(errors, key=lambda error: error.json_path)]


def _line(error: ValidationError) -> str:
    where = error.json_path.removeprefix("$").removeprefix(".") or "it"
    expected = error.validator_value
    match error.validator:
        case "required":
            missing = [name for name in expected if name not in error.instance]
            return f"{where} lacks {', '.join(missing)}."
        case "additionalProperties":
            known = error.schema.get("properties", {})
            extra = sorted(str(name)[:40] for name in error.instance if name not in known)[:5]
            return f"{where} has unknown names: {', '.join(extra)}."
        case "type":
            names = " or ".join([expected] if isinstance(expected, str) else expected)
            return f"{where} has to be {names}, not {kind(error.instance)}."
        case "enum":
            return f"{where} has to be one of {', '.join(map(str, expected))}."
        case _:
            return f"{where} breaks the rule {error.validator}: {str(expected)[:80]}."
