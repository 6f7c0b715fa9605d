"""Write a schema for people: in the order one reads it, short parts on one line."""

import json
from typing import Any

from irschemas.vocabulary import rewrite

FIRST = ("$schema", "$id", "title", "description", "$ref", "type", "const", "enum", "additionalProperties", "required")
LAST = ("properties", "patternProperties", "items", "allOf", "anyOf", "oneOf", "if", "then", "else", "$defs")
WIDTH = 110


def schema_text(schema: Any) -> str:
    """The schema as indented JSON, at most about 110 characters wide.

    The database keeps no order of keys, so keywords get the usual one, and properties that of `required`.
    """
    return _write(rewrite(schema, _in_reading_order), 0)


def _in_reading_order(part: dict[str, Any]) -> dict[str, Any]:
    """One object schema with its keywords, and its properties, in reading order."""
    properties, required = part.get("properties"), part.get("required")
    if isinstance(properties, dict) and isinstance(required, list):
        rank = {name: index for index, name in enumerate(required) if isinstance(name, str)}
        part["properties"] = dict(sorted(properties.items(), key=lambda entry: rank.get(entry[0], len(rank))))
    return {keyword: part[keyword] for keyword in sorted(part, key=_keyword_rank)}


def _keyword_rank(keyword: str) -> tuple[int, int, str]:
    if keyword in FIRST:
        return 0, FIRST.index(keyword), ""
    return (2, LAST.index(keyword), "") if keyword in LAST else (1, 0, keyword)


def _write(value: Any, indent: int, used: int = 0) -> str:
    """A JSON value on one line where it fits, else one entry a line."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or not value or indent + used + len(line) <= WIDTH:
        return line
    inner = " " * (indent + 2)
    if isinstance(value, list):
        entries = [_write(item, indent + 2) for item in value]
    else:
        names = {name: json.dumps(name, ensure_ascii=False) + ": " for name in value}
        entries = [names[name] + _write(item, indent + 2, len(names[name])) for name, item in value.items()]
    opening, closing = ("[", "]") if isinstance(value, list) else ("{", "}")
    body = ",\n".join(inner + entry for entry in entries)
    return f"{opening}\n{body}\n{' ' * indent}{closing}"
