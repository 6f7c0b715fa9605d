"""Descriptions that are JSON, as apps write them into a shop's metafields, made lines of `name: value`."""

import json
import re
from typing import Any

MAX_DEPTH, MAX_LINES = 8, 400
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|[_.\-]+")


def as_lines(description: str) -> str:
    """The text itself, or a line for each value of the JSON object (or list) that it is.

    `{"width": {"value": 48, "unit": "cm"}}` and `{"width_cm": 48}` are `width: 48 cm` and `width cm: 48`.
    """
    if description.lstrip()[:1] not in {"{", "["}:
        return description
    try:
        found = json.loads(description)
    except (ValueError, RecursionError):
        return description
    return "\n".join(_lines(found, "", 0)[:MAX_LINES]) if isinstance(found, dict | list) else description


def _lines(value: Any, name: str, depth: int) -> list[str]:
    if depth > MAX_DEPTH:
        return []
    if isinstance(value, dict):
        named = value.get("name") or value.get("key") or value.get("label")
        if "value" in value and not isinstance(value["value"], dict | list):
            return [_line(str(named or name), f"{value['value']} {value.get('unit') or value.get('unitText') or ''}")]
        return [line for key, inner in value.items() for line in _lines(inner, f"{name} {key}", depth + 1)]
    if isinstance(value, list):
        return [line for inner in value for line in _lines(inner, name, depth + 1)]
    return [] if value is None or isinstance(value, bool) else [_line(name, str(value))]


def _line(name: str, value: str) -> str:
    spaced = " ".join(_HUMP.sub(" ", name).split())
    return f"{spaced}: {value.strip()}" if spaced else value.strip()
