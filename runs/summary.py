"""What a list shows of a run: one typed reader and writer of `Run.summary`."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class RunSummary:
    """Titles, latencies, prompt versions, models, pictures and validations of a run, by node or name."""

    title: str = ""
    product_type: str = ""
    latencies: dict[str, int] = field(default_factory=dict)
    prompt_versions: dict[str, str] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)
    degraded: list[str] = field(default_factory=list)
    fallbacks: dict[str, str] = field(default_factory=dict)  # by node: the route that should have answered
    validation: dict[str, dict[str, Any]] = field(default_factory=dict)
    verdict: dict[str, Any] = field(default_factory=dict)  # of a replay: `runs.verdicts`
    origin: dict[str, Any] = field(default_factory=dict)  # of an imported run: where it came from

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "RunSummary":
        """Read a stored summary; keys of a newer release are left out."""
        known = {name: raw[name] for name in cls.__dataclass_fields__ if name in raw}
        return cls(**known)

    def copy(self) -> "RunSummary":
        """One of its own, to be changed."""
        return RunSummary.from_json(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """The form stored on the run."""
        return asdict(self)
