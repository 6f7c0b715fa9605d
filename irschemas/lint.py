"""What is wrong with a schema before it is ever used: traps that the JSON Schema meta-schema lets through."""

import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator

from core.canonical import canonical_json
from irschemas import strict_json
from irschemas.formats import FORMATS
from irschemas.patterns import weakness
from irschemas.vocabulary import DIALECT, KEYWORDS, REFINING, ROOT_ONLY, Path, keywords, pointer, walk

MAX_DEPTH = 32
MAX_BYTES = 64 * 1024
LOCAL_REF = re.compile(r"#(/\$defs/[A-Za-z0-9_.-]+)?\Z")
SAYS_WHAT_IT_IS = frozenset({"type", "$ref", "const", "enum", "anyOf", "oneOf", "allOf"})
STAYS_ON_VALUE = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"})


def lint_schema(schema: Any) -> list[str]:
    """Every problem of a schema as `code #/where: what to do`, in the order they stand; empty when there is none.

    Codes: `not_json`, `not_an_object`, `too_big`, `too_deep`, `wrong_dialect`, `malformed`, `unknown_keyword`,
    `unknown_format`, `missing_type`, `open_object`, `undeclared_required`, `remote_ref`, `broken_ref`, `endless_ref`,
    `unsafe_pattern`, `unbounded_unique`.
    """
    blocking = list(_unreadable(schema))
    if blocking:
        return blocking
    problems = list(_malformed(schema))
    for path, part in sorted(walk(schema), key=lambda entry: pointer(entry[0])):
        problems.extend(f"{code} {pointer(path)}: {advice}" for code, advice in _lint_part(schema, path, part))
    return problems


def _unreadable(schema: Any) -> Iterator[str]:
    """What stops us from looking any further."""
    if not isinstance(schema, dict):
        yield "not_an_object #: write the schema as a JSON object."
        return
    for defect in strict_json.defects(schema):
        code = "too_deep" if defect.keyword == "depth" else "not_json"
        yield f"{code} {pointer(defect.path)}: expected {defect.expected}."
        return
    if (size := len(canonical_json(schema))) > MAX_BYTES:
        yield f"too_big #: it has {size} bytes; at most {MAX_BYTES} are allowed."
    if max(len(path) for path, _ in _nodes(schema)) > MAX_DEPTH:
        yield f"too_deep #: it is nested deeper than {MAX_DEPTH} levels; move parts to $defs."
    if schema.get("$schema", DIALECT) != DIALECT:
        yield f"wrong_dialect #: $schema has to be {DIALECT}, or be left out."


def _nodes(value: Any) -> Iterator[tuple[Path, Any]]:
    """Every JSON value inside a value, with its path."""
    pending: list[tuple[Path, Any]] = [((), value)]
    while pending:
        path, current = pending.pop()
        yield path, current
        if isinstance(current, dict):
            pending.extend(((*path, key), child) for key, child in current.items())
        elif isinstance(current, list):
            pending.extend(((*path, index), child) for index, child in enumerate(current))


def _malformed(schema: dict[str, Any]) -> Iterator[str]:
    """What the meta-schema refuses, such as `"type": "strnig"`."""
    for error in Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema):
        where = tuple(error.absolute_path)
        yield f"malformed {pointer(where)}: this is not a value that “{where[-1] if where else 'schema'}” can have."


def _lint_part(root: dict[str, Any], path: Path, part: Any) -> Iterator[tuple[str, str]]:
    """The problems of one schema inside the root; each is a code and an advice."""
    if isinstance(part, bool):
        if part and not _refines(path):
            yield "missing_type", 'say what is expected, for example {"type": "string"}.'
        return
    if not isinstance(part, dict):
        return
    for keyword in part.keys() - KEYWORDS - (ROOT_ONLY if not path else frozenset()):
        yield "unknown_keyword", f"the keyword “{keyword}” is not known here and would be ignored; is it misspelt?"
    if not _refines(path):
        if not SAYS_WHAT_IT_IS & part.keys():
            yield "missing_type", 'say what is expected, for example {"type": "string"}.'
        if _is_object(part) and not _is_closed(part):
            yield "open_object", 'add "additionalProperties": false, so that a misspelt property is found.'
    yield from _lint_names(path, part)
    yield from _lint_refs(root, part)
    yield from _lint_text(part)


def _refines(path: Path) -> bool:
    """Whether a schema only adds to what its parent says about the same value."""
    return bool(path) and keywords(path)[-1] in REFINING


def _is_object(part: dict[str, Any]) -> bool:
    kinds = part.get("type", [])
    return "object" in (kinds if isinstance(kinds, list) else [kinds]) or "properties" in part


def _is_closed(part: dict[str, Any]) -> bool:
    return part.get("additionalProperties") is False or part.get("unevaluatedProperties") is False


def _lint_names(path: Path, part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Required names that no property declares: nothing could ever be valid."""
    required, properties = part.get("required"), part.get("properties")
    composed = {"allOf", "$ref", "patternProperties", "anyOf", "oneOf"} & part.keys()
    if isinstance(required, list) and not composed and not _refines(path):
        declared = properties if isinstance(properties, dict) else {}
        for name in required:
            if isinstance(name, str) and name not in declared:
                yield "undeclared_required", f"“{name}” is required and not among the properties."
    if part.get("uniqueItems") is True and not isinstance(part.get("maxItems"), int):
        yield "unbounded_unique", "uniqueItems compares every pair; set maxItems beside it."


def _lint_refs(root: dict[str, Any], part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    reference = part.get("$ref")
    if not isinstance(reference, str):
        return
    if not LOCAL_REF.match(reference):
        yield "remote_ref", "a $ref has to point into this schema: # or #/$defs/name."
    elif target(root, reference) is None:
        yield "broken_ref", f"nothing stands at {reference}."
    elif _returns_to(root, part, reference):
        yield "endless_ref", f"{reference} leads back to itself without going into the value."


def target(root: dict[str, Any], reference: str) -> Any:
    """What a local reference points at, or None."""
    if reference == "#":
        return root
    definitions = root.get("$defs")
    return definitions.get(reference.removeprefix("#/$defs/")) if isinstance(definitions, dict) else None


def _returns_to(root: dict[str, Any], start: dict[str, Any], reference: str) -> bool:
    """Whether following references on the same value comes back to where it started."""
    pending, seen = [target(root, reference)], set()
    while pending:
        part = pending.pop()
        if part is start:
            return True
        if id(part) in seen or not isinstance(part, dict):
            continue
        seen.add(id(part))
        if isinstance(part.get("$ref"), str) and LOCAL_REF.match(part["$ref"]):
            pending.append(target(root, part["$ref"]))
        pending.extend(child for path, child in walk(part) if path and STAYS_ON_VALUE.issuperset(keywords(path)))
    return False


def _lint_text(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Formats nobody would check, and patterns that could run away."""
    if isinstance(part.get("format"), str) and part["format"] not in FORMATS:
        yield (
            "unknown_format",
            f"the format “{part['format']}” is not checked here; known: {', '.join(sorted(FORMATS))}.",
        )
    patterns = [part["pattern"]] if isinstance(part.get("pattern"), str) else []
    if isinstance(part.get("patternProperties"), dict):
        patterns.extend(part["patternProperties"])
    for pattern in patterns:
        if reason := weakness(pattern):
            yield "unsafe_pattern", f"the pattern {pattern[:60]!r} is refused: {reason}."
