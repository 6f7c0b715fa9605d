"""Which keywords hold schemas, and which only refine the same value (JSON Schema Core 2020-12, sections 10 and 11)."""

from collections.abc import Callable, Iterator
from typing import Any

DIALECT = "https://json-schema.org/draft/2020-12/schema"

MAPS = frozenset({"properties", "patternProperties", "$defs", "dependentSchemas"})
LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
SINGLES = frozenset(
    {
        "items", "additionalProperties", "unevaluatedProperties", "unevaluatedItems", "contains", "propertyNames",
        "not", "if", "then", "else",
    }
)  # fmt: skip
# A schema under one of these refines the value that its parent describes; it need not repeat type or closedness.
REFINING = frozenset({"allOf", "not", "if", "then", "else", "dependentSchemas", "contains", "propertyNames"})
PLAIN = frozenset(
    {
        "$schema", "$ref", "$comment",
        "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly",
        "type", "enum", "const", "format", "pattern", "minLength", "maxLength",
        "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
        "required", "dependentRequired", "minProperties", "maxProperties",
        "minItems", "maxItems", "uniqueItems", "minContains", "maxContains",
        "propertyOrdering",
    }
)  # fmt: skip
KEYWORDS = MAPS | LISTS | SINGLES | PLAIN
ROOT_ONLY = frozenset({"$id"})

Path = tuple[str | int, ...]


def children(schema: Any) -> Iterator[tuple[Path, Any]]:
    """The schemas directly inside a schema, with their path from it; malformed parts are passed over."""
    if not isinstance(schema, dict):
        return
    for keyword, value in schema.items():
        if keyword in MAPS and isinstance(value, dict):
            yield from (((keyword, name), child) for name, child in value.items())
        elif keyword in LISTS and isinstance(value, list):
            yield from (((keyword, index), child) for index, child in enumerate(value))
        elif keyword in SINGLES:
            yield (keyword,), value


def walk(schema: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """A schema and every schema inside it, parents first."""
    pending = [(path, schema)]
    while pending:
        here, current = pending.pop()
        yield here, current
        pending.extend((here + step, child) for step, child in children(current))


def rewrite(schema: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """A copy of a schema with `change` applied to every object schema in it, innermost first."""
    if not isinstance(schema, dict):
        return schema
    copy = dict(schema)
    for keyword, value in schema.items():
        if keyword in MAPS and isinstance(value, dict):
            copy[keyword] = {name: rewrite(child, change) for name, child in value.items()}
        elif keyword in LISTS and isinstance(value, list):
            copy[keyword] = [rewrite(child, change) for child in value]
        elif keyword in SINGLES:
            copy[keyword] = rewrite(value, change)
    return change(copy)


def keywords(path: Path) -> list[str]:
    """The keywords along a path from a schema to a schema inside it, without the property names and indexes between."""
    found: list[str] = []
    index = 0
    while index < len(path):
        keyword = str(path[index])
        found.append(keyword)
        index += 2 if keyword in MAPS or keyword in LISTS else 1
    return found


def pointer(path: Path) -> str:
    """A path as a JSON pointer in a fragment: `#/properties/room` (RFC 6901)."""
    return "#" + "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
