"""A recorded answer as a form: its plain values, each with what its IR schema says of it."""

import copy
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["number", "choice", "text"]
MAX_FIELDS = 24
MAX_DEPTH = 2
LONG = 200


@dataclass(frozen=True, slots=True)
class AnswerField:
    """One value of an answer; `path` is dotted, and an empty `value` stands for null."""

    path: str
    label: str
    kind: Kind
    value: str
    choices: tuple[str, ...] = ()
    lowest: float | None = None
    highest: float | None = None
    hint: str = ""

    def read(self, text: str) -> Any:
        """What somebody typed, as the answer has it.

        Raises:
            ValueError: it is no number.
        """
        if self.kind != "number":
            return text
        if not text.strip():
            return None
        number = float(text.replace(",", "."))
        if not math.isfinite(number):
            raise ValueError(text)
        return number


@dataclass(frozen=True, slots=True)
class FieldGroup:
    """Fields of one object within the answer; `name` is empty for the answer's own."""

    name: str
    fields: tuple[AnswerField, ...]


def answer_fields(schema: Mapping[str, Any], answer: Any) -> list[FieldGroup]:
    """The plain values of an answer, at most 24 and at most one object deep, in the schema's order."""
    if not isinstance(answer, Mapping):
        return []
    groups: dict[str, list[AnswerField]] = {}
    for number, field in enumerate(_fields(schema, schema, answer, ())):
        if number >= MAX_FIELDS:
            break
        groups.setdefault(field.path.rpartition(".")[0], []).append(field)
    return [FieldGroup(name, tuple(fields)) for name, fields in groups.items()]


def with_value(answer: Any, path: str, value: Any) -> Any:
    """A copy of an answer with another value under a dotted path."""
    changed = copy.deepcopy(answer)
    *parents, last = path.split(".")
    holder = changed
    for name in parents:
        holder = holder[name]
    holder[last] = value
    return changed


def _fields(
    root: Mapping[str, Any], schema: Mapping[str, Any], answer: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[AnswerField]:
    properties = schema.get("properties", {})
    # The database keeps the members of an object in an order of its own; lists stay as they were written.
    for name in dict.fromkeys([*schema.get("required", ()), *properties]):
        if name not in answer or name not in properties:
            continue
        declared = properties[name]
        rule, value, here = _resolved(root, declared), answer[name], (*path, name)
        if isinstance(value, Mapping) and "$blob" not in value and len(here) < MAX_DEPTH:
            yield from _fields(root, rule, value, here)
        else:
            field = _field(rule, value, here)
            if field is not None:
                yield field


def _resolved(root: Mapping[str, Any], rule: Mapping[str, Any]) -> Mapping[str, Any]:
    """A rule with its local reference followed, once."""
    reference = rule.get("$ref", "")
    found: Any = root
    for part in reference.removeprefix("#/").split("/") if reference.startswith("#/") else ():
        found = found.get(part, {}) if isinstance(found, Mapping) else {}
    return {**found, **rule} if reference and isinstance(found, Mapping) else rule


def _field(rule: Mapping[str, Any], value: Any, path: tuple[str, ...]) -> AnswerField | None:
    types = rule.get("type", ())
    names = {types} if isinstance(types, str) else set(types)
    dotted, label, hint = ".".join(path), path[-1].replace("_", " "), str(rule.get("description", ""))
    if "enum" in rule and isinstance(value, str) and all(isinstance(item, str) for item in rule["enum"]):
        return AnswerField(dotted, label, "choice", value, tuple(rule["enum"]), hint=hint)
    if names & {"number", "integer"} and (value is None or _is_number(value)):
        shown = "" if value is None else json.dumps(value)
        return AnswerField(dotted, label, "number", shown, (), rule.get("minimum"), rule.get("maximum"), hint)
    if names == {"string"} and isinstance(value, str) and len(value) <= LONG and "\n" not in value:
        return AnswerField(dotted, label, "text", value, hint=hint)
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
