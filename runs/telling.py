"""How a pipeline tells its runs in its own words: registered by the app that owns it, asked by whoever shows runs.

A teller says what a run did, as half a sentence, from what is recorded and from nothing else: no number that no row
holds. It says nothing ("") where the record does not say it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runs.models import Run, Step


@dataclass(frozen=True, slots=True)
class Judged:
    """One metric of the last attempt of a step, in the words of its definition."""

    key: str
    name: str
    value: float | None
    threshold: float | None
    passed: bool | None
    must_pass: bool
    unit: str = ""
    direction: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """What is recorded of a run: its steps and their answers (IR) by node key, and what was measured."""

    run: Run
    steps: Mapping[str, Step] = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)
    judged: tuple[Judged, ...] = ()

    def answer(self, node: str, *keys: str) -> Any:
        """What a node answered under these keys; None where it did not."""
        found = self.answers.get(node)
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found


@dataclass(frozen=True, slots=True)
class Words:
    """A pipeline's own words: what the run did, and what a failed metric means where it was seen."""

    did: Callable[[Story], str]
    means: Callable[[Story, Judged], str]


_words: dict[str, Words] = {}


def tell(pipeline: str, words: Words) -> None:
    """Register a pipeline's own words."""
    _words[pipeline] = words


def words_of(pipeline: str) -> Words | None:
    """A pipeline's own words, or None."""
    return _words.get(pipeline)
