"""What makes failures alike: the same stage, code and sentence once everything that differs from run to run is out.

A gate that rejected a picture is named by the metrics that failed, whatever their values were.
"""

import re
from collections.abc import Sequence

LIMIT = 255
SAID_LIMIT = 160
# In this order: what is quoted, addresses, ids and hashes (with a digit in them), then every number that is left.
VARYING = (
    (re.compile(r"\"[^\"\n]*\"|“[^”\n]*”|«[^»\n]*»|`[^`\n]*`|(?<!\w)'[^'\n]*'(?!\w)"), "“…”"),
    (re.compile(r"\b[a-z][a-z0-9+.-]*://\S+"), "<url>"),
    (re.compile(r"\b(?=[0-9a-f-]*\d)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b(?=[0-9A-Za-z]*\d)[0-9A-HJKMNP-TV-Z]{26}\b"), "<id>"),
    (re.compile(r"\b(?:sha256:)?(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{12,64}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"(?<![\w#])[+-]?\d[\d.,:]*(?<![.,:])|\d+(?:[.,]\d+)*"), "#"),
)
GATE = "gate_rejected"


def error_signature(*, stage: str, code: str, message: str, failed_metrics: Sequence[str] = ()) -> str:
    """The signature of a run's failure: `composite: gate_rejected: contact_gap, on_support`; at most 255 characters."""
    said = ", ".join(sorted(failed_metrics)) if code == GATE and failed_metrics else normalise(message)
    return ": ".join(part for part in (stage, code, said) if part)[:LIMIT]


def normalise(message: str) -> str:
    """A failure's sentence without numbers, ids, addresses and quoted text, on one line, at most 160 characters."""
    for pattern, stands in VARYING:
        message = pattern.sub(stands, message)
    return " ".join(message.split())[:SAID_LIMIT].rstrip()
