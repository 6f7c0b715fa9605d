"""What came of choosing a route: the one that is taken, those passed over and why; kept as evidence of the attempt."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from runs.errors import AttemptFailed
from vendors.routes import Route

BUDGET_REASONS = ("cost", "latency")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A route that was passed over: a word for programs (`feature`, `cost`, `latency`, `rest`, or an error's code)."""

    route: str
    reason: str
    why: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A task's routes in order, the one that an attempt takes, and those passed over on the way to it.

    `index` is None where none could be taken. `left` says whether another could have been taken when the attempt ended.
    """

    task: str
    routes: tuple[Route, ...]
    index: int | None
    skipped: tuple[Skipped, ...] = ()
    left: bool = False

    def fell_back_from(self, features: Mapping[str, Any]) -> str:
        """The route that a shop with these features would have been answered by, where it was another's turn."""
        first = next((route for route in self.routes if not route.feature or features.get(route.feature) is True), None)
        return first.name if first is not None and self.index is not None and first != self.route else ""

    @property
    def route(self) -> Route:
        """The route that is taken.

        Raises:
            AttemptFailed: there is none, and why: `no_route`, `vendor_not_set_up`, `budget_exceeded`, or the code of
                the error after which a service is not asked any more.
        """
        if self.index is None:
            raise self._none()
        return self.routes[self.index]

    def to_json(self) -> dict[str, Any]:
        """How an attempt's rules keep it."""
        return {
            "routes": [asdict(route) for route in self.routes],
            "taken": self.index,
            "skipped": [asdict(skip) for skip in self.skipped],
            "left": self.left,
        }

    @classmethod
    def from_json(cls, task: str, raw: Mapping[str, Any], routes: Sequence[Route]) -> "Choice":
        """A choice as it was kept; `routes` are its own, read already."""
        skipped = tuple(Skipped(**skip) for skip in raw.get("skipped", ()))
        taken = raw["taken"]
        left = raw.get("left", taken is not None and taken < len(routes) - 1)
        return cls(task, tuple(routes), taken, skipped, bool(left))

    def _none(self) -> AttemptFailed:
        """Why nothing can be asked; what is about money or time is said before what is about one service."""
        if not self.routes:
            return AttemptFailed("no_route", f"No model is routed to the task {self.task!r}.")
        told = "; ".join(skip.why for skip in self.skipped)
        by_budget = any(skip.reason in BUDGET_REASONS for skip in self.skipped)
        reasons = [skip.reason for skip in self.skipped if skip.reason != "feature"]
        code = "budget_exceeded" if by_budget else reasons[0] if reasons else "no_route"
        details = {"skipped_routes": [asdict(skip) for skip in self.skipped]}
        return AttemptFailed(code, f"No model is left for {self.task}. {told}."[:1000], details=details)
