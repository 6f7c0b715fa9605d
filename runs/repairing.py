"""Answers in words where JSON was asked for: held against what was asked, and sent back once to be mended.

A model that answers in prose, in a code fence or in another shape has failed its attempt (`vendor_bad_response`). The
next attempt on the same route shows it its answer and what is wrong with it; whatever that comes to, it is not asked
to mend it again. Each is an attempt of its own, with its own evidence and cost.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from irschemas.geometry import check_sight
from irschemas.records import ActiveSchema
from irschemas.validation import Checker, Validation
from runs.errors import AttemptFailed
from vendors.base import BadResponse, Call, Message, Reply

SHOWN_PROBLEMS = 10
SHOWN_CHARACTERS = 20_000
NOT_JSON = "$: expected one JSON value and nothing else, no words around it and no code fence; found text."


@dataclass(frozen=True, slots=True)
class Repair:
    """An answer to be mended: whose it is (`vendor/model`), what it said, and what is wrong with it."""

    route: str
    answer: str
    problems: tuple[str, ...]


def answer_schema(active: ActiveSchema | None, names: Sequence[str] | None) -> dict[str, Any] | None:
    """The schema of what a model is to answer: these properties of a stage's answer, all of it where none is named.

    None where nothing in JSON is asked for (`names` is None), or no schema is active.
    """
    if active is None or names is None:
        return None
    schema = {key: value for key, value in active.schema.items() if key != "$schema"}
    if names:
        known = schema.get("properties", {})
        if not set(names) <= known.keys():  # a schema of one's own that calls things by other names
            return None
        schema["properties"] = {name: known[name] for name in names}
        schema["required"] = [name for name in schema.get("required", []) if name in names]
        schema.pop("title", None), schema.pop("description", None)
    return _without_unused(schema)


def _without_unused(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without definitions that nothing in it refers to."""
    parts = schema.pop("$defs", {})
    used: dict[str, Any] = {}
    text = json.dumps(schema)
    while more := [name for name in parts if name not in used and f'"#/$defs/{name}"' in text]:
        used |= {name: parts[name] for name in more}
        text += json.dumps([parts[name] for name in more])
    return {**schema, "$defs": used} if used else schema


def problems_of(call: Call, target: str, reply: Reply) -> tuple[str, ...]:
    """What is wrong with an answer in words, one sentence each; nothing for one that was not given in words."""
    if call.response_schema is None or reply.text is None:
        return ()
    if reply.data is None:
        return (NOT_JSON,)
    found: Validation = Checker(call.response_schema, target)(reply.data)
    sentences = [str(problem) for problem in found.errors or check_sight(reply.data)]
    more = max(found.error_count, len(sentences)) - SHOWN_PROBLEMS
    return (*sentences[:SHOWN_PROBLEMS], *([f"And {more} more."] if more > 0 else []))


def refuse(route: str, problems: Sequence[str], *, mended: bool) -> AttemptFailed:
    """The failed attempt that such an answer is; one that was to mend another asks for no further repair."""
    again = " again" if mended else ""
    text = f"{route} answered{again} against what was asked. {' '.join(problems[:3])}"
    details: dict[str, Any] = {"problems": list(problems)} | ({} if mended else {"repair": route})
    return AttemptFailed(BadResponse.code, text[:1000], kind="vendor", retryable=not mended, details=details)


def ask_again(messages: Sequence[Message], repair: Repair) -> tuple[Message, ...]:
    """The question, with the answer to be mended and what is wrong with it."""
    listed = "\n".join(f"- {problem}" for problem in repair.problems)
    asked = f"Your answer cannot be used:\n{listed}\n\nAnswer the question again, with one JSON value and nothing else."
    return (*messages, Message("model", repair.answer), Message("user", asked))


def repair_of(route: str, answer: str, problems: Sequence[str]) -> Repair:
    """What the next attempt is to have mended; an endless answer is shown from its beginning."""
    shown = answer if len(answer) <= SHOWN_CHARACTERS else f"{answer[:SHOWN_CHARACTERS]}…"
    return Repair(route, shown or "(nothing)", tuple(problems))
