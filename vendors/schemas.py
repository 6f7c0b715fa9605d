"""JSON Schemas in the subsets that services take: what they do not know is left out, since they refuse all of it else.

An answer is held against the whole schema afterwards, so what a subset cannot say is asked for in vain, never given up.
"""

from collections.abc import Mapping
from typing import Any

# Gemini API reference, GenerationConfig.responseJsonSchema.
GEMINI = frozenset({
    "$defs", "$ref", "type", "format", "title", "description", "enum", "items", "prefixItems", "minItems", "maxItems",
    "minimum", "maximum", "anyOf", "oneOf", "properties", "additionalProperties", "required",
})  # fmt: skip
# OpenAI, Structured model outputs, "Supported schemas".
STRICT = frozenset({
    "$defs", "$ref", "type", "format", "description", "enum", "const", "items", "minItems", "maxItems", "pattern",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "anyOf", "properties",
    "additionalProperties", "required",
})  # fmt: skip
STRICT_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
# Services compile a schema into a grammar; long lists multiply it until they refuse it ("too many states for serving").
LONGEST_LIST = 30
_NAMED = ("properties", "$defs")
_LISTED = ("anyOf", "oneOf", "prefixItems")


def for_gemini(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema as Gemini takes it; a strict bound becomes a loose one, a constant a choice of one."""
    return dict(_rewrite(schema, _gemini))


def for_strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema as OpenAI's strict mode takes it: closed objects, every property required, optional ones may be null.

    `without_nulls` undoes the latter in an answer.
    """
    return dict(_rewrite(schema, _strict))


def without_nulls(schema: Mapping[str, Any], value: Any) -> Any:
    """An answer without the nulls that stand for properties which the schema does not require."""
    return _strip(schema, schema, value)


def _rewrite(part: Any, change: Any) -> Any:
    """Apply a change to every schema inside a schema, the inner ones first."""
    if not isinstance(part, Mapping):
        return part
    new: dict[str, Any] = {}
    for key, value in part.items():
        if key in _NAMED and isinstance(value, Mapping):
            new[key] = {name: _rewrite(inner, change) for name, inner in value.items()}
        elif key in _LISTED and isinstance(value, list):
            new[key] = [_rewrite(inner, change) for inner in value]
        elif key in ("items", "additionalProperties"):
            new[key] = _rewrite(value, change)
        else:
            new[key] = value
    return change(new)


def _gemini(part: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in part:
        return {key: value for key, value in part.items() if key.startswith("$")}
    if "const" in part:
        part["enum"] = [part["const"]]
    for strict, loose in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if strict in part:
            part.setdefault(loose, part[strict])
    return {key: value for key, value in _shortened(part).items() if key in GEMINI}


def _strict(part: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in part:
        return {key: value for key, value in part.items() if key in ("$ref", "$defs")}
    if "oneOf" in part:
        part.setdefault("anyOf", part["oneOf"])
    if part.get("format") not in STRICT_FORMATS:
        part.pop("format", None)
    part = {key: value for key, value in _shortened(part).items() if key in STRICT}
    if "properties" in part or part.get("type") == "object":
        required = part.get("required", [])
        part["properties"] = {
            name: inner if name in required else _nullable(inner) for name, inner in part.get("properties", {}).items()
        }
        part["required"], part["additionalProperties"] = list(part["properties"]), False
    return part


def _shortened(part: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != "maxItems" or value <= LONGEST_LIST}


def _nullable(part: Any) -> Any:
    kinds = part.get("type") if isinstance(part, dict) else None
    if kinds is None or "enum" in part or "const" in part:
        return {"anyOf": [part, {"type": "null"}]}
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    return {**part, "type": kinds if "null" in kinds else [*kinds, "null"]}


def _strip(root: Mapping[str, Any], part: Any, value: Any) -> Any:
    part = _resolved(root, part)
    if isinstance(value, list):
        return [_strip(root, part.get("items", {}), item) for item in value]
    if not isinstance(value, dict):
        return value
    known, required = part.get("properties", {}), part.get("required", [])
    return {
        name: _strip(root, known.get(name, {}), item)
        for name, item in value.items()
        if item is not None or name in required or name not in known or _may_be_null(_resolved(root, known[name]))
    }


def _may_be_null(part: Mapping[str, Any]) -> bool:
    return "null" in part.get("type", ()) or "type" not in part


def _resolved(root: Mapping[str, Any], part: Any, depth: int = 10) -> Mapping[str, Any]:
    """A part of a schema, or what it refers to."""
    if not isinstance(part, Mapping):
        return {}
    reference = part.get("$ref")
    if not isinstance(reference, str) or not depth:
        return part
    found: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(step, {}) if isinstance(found, Mapping) else {}
    return _resolved(root, found, depth - 1)
