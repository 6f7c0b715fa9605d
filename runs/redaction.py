"""What must never be stored: secrets, and a provider's thinking. Vendors leave both out; this is the second net."""

import re
from collections.abc import Mapping
from typing import Any

REDACTED = "[redacted]"
SECRET_KEYS = re.compile(
    r"^(x-)?(goog-)?(api[-_]?key|authorization|access[-_]?token|refresh[-_]?token|client[-_]?secret|password|cookie"
    r"|openai-organization|openai-project)$",
    re.IGNORECASE,
)
SECRET_VALUES = re.compile(
    r"\b(sk-[A-Za-z0-9_-]{16,}|AIza[0-9A-Za-z_-]{30,}|shp(at|rt|ss)_[0-9a-fA-F]{16,}|Bearer\s+\S{12,})"
)
THINKING_KEYS = frozenset({"thoughts", "thinking", "reasoning_content", "reasoning_details", "thoughtSignature"})


def redact_secrets(value: Any) -> Any:
    """The same JSON value with secrets blanked, by the name of their key or the shape of their text."""
    if isinstance(value, Mapping):
        return {key: REDACTED if SECRET_KEYS.match(str(key)) else redact_secrets(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact_secrets(item) for item in value]
    if isinstance(value, str):
        return SECRET_VALUES.sub(REDACTED, value)
    return value


def remove_thinking(value: Any) -> tuple[Any, bool]:
    """The same JSON value without thinking parts, and whether there were any.

    A part is thinking when its object says `"thought": true` or `"type": "thinking" | "reasoning"`, or stands under a
    key that providers use for it.
    """
    if isinstance(value, Mapping):
        kept, found = {}, False
        for key, item in value.items():
            if key in THINKING_KEYS or _is_thinking(item):
                found = True
                continue
            kept[key], inner = remove_thinking(item)
            found = found or inner
        return kept, found
    if isinstance(value, (list, tuple)):
        parts = [remove_thinking(item) for item in value if not _is_thinking(item)]
        return [part for part, _ in parts], len(parts) < len(value) or any(inner for _, inner in parts)
    return value, False


def _is_thinking(value: Any) -> bool:
    return isinstance(value, Mapping) and (
        value.get("thought") is True or value.get("type") in ("thinking", "reasoning", "redacted_thinking")
    )
