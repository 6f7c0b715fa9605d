"""The filters of the prompt language, and what happens to every value on its way into a message.

A merchant's text is data (docs/decisions/0016). `quote` and `json` print it as a JSON string, which is its fence:
quotation marks and line breaks inside are escaped, so the text cannot end its own fence, and what chat templates and
prompts use as markers is escaped without loss. A value that is printed without them keeps its line breaks and has its
markers replaced.
"""

import json as json_module
import re
from collections.abc import Callable
from typing import Any, NoReturn

from jinja2 import Undefined, UndefinedError

from prompts.errors import PromptRenderFailed, PromptTooLarge

MAX_BYTES = 64 * 1024
# What a chat template, or a prompt's own layout, takes for a sign: doubled brackets, tokens of the usual templates
# (ChatML, Llama, Gemma, Mistral), tags named like a role, code fences.
MARKER = re.compile(
    r"<<|>>|<\||\|>|```"
    r"|\[/?(?:INST|SYS|SYSTEM|USER|ASSISTANT)\]"
    r"|</?(?:s|bos|eos|(?:start|end)_of_(?:turn|image|audio)"
    r"|(?:system|user|assistant|model|developer|tool|human|instructions?|prompt)(?:[_-]?(?:message|prompt|turn|call))?)"
    r"(?:\s[^<>]{0,80})?/?>",
    re.IGNORECASE,
)
REPLACED = str.maketrans({"<": "‹", ">": "›", "[": "⟦", "]": "⟧", "`": "ˋ"})
# A line that begins as if another speaker went on, where line breaks are kept.
SPEAKER = re.compile(
    r"^(?=[\s>*#_-]{0,20}(?:system|assistant|user|human|developer|model|ai|instructions?|important)\b[\s*_]{0,5}[:\uff1a])"
    r"|^(?=\s{0,20}#{1,6}\s)|^(?=\s{0,20}-{3,}\s*$)",
    re.IGNORECASE | re.MULTILINE,
)
# Text that a model reads and a person does not see: tags, bidirectional controls, characters without a width, and the
# longer runs of joiners and variation selectors in which bytes can be hidden. One joiner has its use in scripts and
# emoji.
INVISIBLE = re.compile(
    "[\U000e0000-\U000e0fff\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u00ad\u034f\u115f\u1160"
    "\u17b4\u17b5\u180b-\u180f\u3164\uffa0]|[\u200c\u200d\ufe00-\ufe0f]{3,}"
)
BRACKET = re.compile(r"[<>\[\]`]")
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class Quoted(str):
    """Text that has its fence already."""


class Printed(str):
    """Text that came from a value; `source` is the dotted name it was printed from."""

    source: str = ""

    def __str__(self) -> "Printed":
        # Compiled templates wrap each value in `str()`; a subclass survives that only by returning itself.
        return self


def kind(value: Any) -> str:
    """What a person calls a JSON value: `text`, `a number`, `a list`, ..."""
    if value is None:
        return "null"
    names: dict[type, str] = {bool: "true or false", str: "text", dict: "an object", list: "a list"}
    return names.get(type(value), "a number" if isinstance(value, (int, float)) else type(value).__name__)


def refuse_undefined(value: Undefined) -> NoReturn:
    """Say which name is missing."""
    try:
        str(value)
    except UndefinedError as error:
        raise PromptRenderFailed(f"A value is missing: {error.message}.") from error
    raise PromptRenderFailed("A value is missing.")


def _defined(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that refuses a missing value instead of printing nothing."""

    def checked(value: Any, *arguments: Any) -> Any:
        if isinstance(value, Undefined):
            refuse_undefined(value)
        return filter_(value, *arguments)

    return checked


def cap(value: Any, limit: Any) -> Any:
    """At most `limit` characters of a text, saying how many were cut, or at most `limit` items of a list."""
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise PromptRenderFailed("`cap` takes a whole number.")
    if isinstance(value, list):
        return value[:limit]
    if not isinstance(value, str):
        raise PromptRenderFailed(f"`cap` shortens a text or a list; this is {kind(value)}.")
    cut = len(value) - limit
    return value if cut <= 0 else f"{value[:limit]}… [{cut} more characters]"


def quote(value: Any) -> Quoted:
    """A text as a JSON string on one line."""
    if not isinstance(value, str):
        raise PromptRenderFailed(f"`quote` fences a text; this is {kind(value)}. Use `json`.")
    return json(value)


def json(value: Any) -> Quoted:
    """Any JSON value on one line, keys in their order, markers and controls escaped without loss (`\\u003c`)."""
    try:
        text = json_module.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise PromptRenderFailed(f"`json` prints plain JSON values only ({error}).") from error
    text = MARKER.sub(lambda marker: BRACKET.sub(_escaped, marker[0]), _visible(text))
    return Quoted(_bounded(CONTROL.sub(_escaped, text)))


def rounded(value: Any, digits: Any = 0) -> Any:
    """A number with at most `digits` decimals (0 to 6), a whole number without a point."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise PromptRenderFailed(f"`round` takes a number; this is {kind(value)}.")
    if isinstance(digits, bool) or digits not in range(7):
        raise PromptRenderFailed("`round` takes 0 to 6 digits.")
    return round(value, digits) if digits else round(value)


def printed(value: Any, source: str) -> Printed:
    """The last thing that happens to every value: text is made harmless, null and containers are refused."""
    if isinstance(value, Undefined):
        refuse_undefined(value)
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, (int, float)):
        text = json(value)
    elif isinstance(value, Quoted):
        text = value
    elif isinstance(value, str):
        text = MARKER.sub(lambda marker: marker[0].translate(REPLACED), _visible(value))
        text = CONTROL.sub(" ", SPEAKER.sub("· ", text))
    else:
        name = source or "A value"
        raise PromptRenderFailed(f"{name} is {kind(value)} and cannot be printed; ask with `if` first, or use `json`.")
    result = Printed(_bounded(text))
    result.source = source
    return result


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _visible(text: str) -> str:
    """The text without invisible characters, and with lone surrogates replaced (they have no bytes)."""
    return INVISIBLE.sub("", text.encode("utf-8", "replace").decode())


def _bounded(text: str) -> str:
    if len(text) > MAX_BYTES:
        raise PromptTooLarge("A value prints as more than 64 KiB; cap it.")
    return text


NAMED: dict[str, Callable[..., Any]] = {
    "cap": _defined(cap),
    "json": _defined(json),
    "quote": _defined(quote),
    "round": _defined(rounded),
}
