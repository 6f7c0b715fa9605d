"""The schemas and metrics that ship with the code, read from `irschemas/library/`. Pure: no ORM."""

import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from core.canonical import json_hash
from irschemas import strict_json

LIBRARY = Path(__file__).resolve().parent / "library"
METRIC_DEFAULTS: dict[str, Any] = {
    "description": "", "unit": "", "target": None, "aggregation": "mean", "scope": "", "evaluator": "",
}  # fmt: skip
ITEM_DEFAULTS: dict[str, Any] = {"threshold": None, "must_pass": False, "weight": 1.0}


@dataclass(frozen=True)
class LibrarySchema:
    """One schema file: `library/stage/placement.json` is for the target `stage:placement`."""

    target: str
    name: str
    schema: dict[str, Any]

    @cached_property
    def sha256(self) -> str:
        """Of its canonical JSON, as in the database."""
        return json_hash(self.schema)


@dataclass(frozen=True)
class LibraryMetrics:
    """`metrics.toml` with its defaults filled in: fields by metric key; description and items by profile key."""

    metrics: dict[str, dict[str, Any]]
    profiles: dict[str, dict[str, Any]]


def library_schemas(root: Path = LIBRARY) -> list[LibrarySchema]:
    """Every schema file, by target.

    Raises:
        JsonInvalid: a file is not strict JSON.
    """
    found = []
    for file in sorted(root.glob("*/*.json")):
        schema = strict_json.parse(file.read_bytes())
        found.append(LibrarySchema(f"{file.parent.name}:{file.stem}", schema.get("title", file.stem), schema))
    return found


def library_metrics(root: Path = LIBRARY) -> LibraryMetrics:
    """Metric definitions and profiles; a profile's items keep their order."""
    read = tomllib.loads((root / "metrics.toml").read_text())
    metrics = {key: _with_floats(METRIC_DEFAULTS | fields) for key, fields in read["metrics"].items()}
    profiles = {
        key: {
            "description": fields["description"],
            "items": [_with_floats(ITEM_DEFAULTS | item) for item in fields["items"]],
        }
        for key, fields in read["profiles"].items()
    }
    return LibraryMetrics(metrics, profiles)


def _with_floats(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with numbers as the database gives them back, so that 3 and 3.0 are the same text."""
    return {
        name: float(value) if isinstance(value, int) and not isinstance(value, bool) else value
        for name, value in fields.items()
    }
