"""Which of a task's routes an attempt takes: the first that is open to the run's shop, affordable, quick enough and up.

A route that is passed over is no failed attempt: the reason is recorded with the step, and the next one is taken.
"""

from collections.abc import Callable
from decimal import Decimal

from runs.choices import Choice, Skipped
from runs.context import Deps, RunContext
from runs.policy import REST_WORTH_WAITING_S
from vendors.base import RateLimited
from vendors.routes import Route

SHORTEST_CALL_S = 1.0  # with less time left than this, nobody is asked


class Chooser:
    """Chooses on behalf of one node of one run, by what is known at this moment."""

    def __init__(self, context: RunContext, deps: Deps, node_key: str, task: str) -> None:
        self._context, self._deps, self._node_key, self._task = context, deps, node_key, task
        self.routes: tuple[Route, ...] = context.run.changes.routes_for(task, deps.routes)
        self._pinned = task in context.run.changes.routes  # by a person, who has seen what it costs

    def choose(self, start: int, *, more: Decimal = Decimal(0)) -> Choice:
        """The first route from `start` on that can be taken, if there is one; past the end it is the last one again.

        `more` are dollars spent that the run does not count yet.
        """
        skipped: list[Skipped] = []
        for index in range(max(0, min(start, len(self.routes) - 1)), len(self.routes)):
            found = self._passed_over(index, more)
            if found is None:
                return Choice(self._task, self.routes, index, tuple(skipped))
            skipped.append(found)
        return Choice(self._task, self.routes, None, tuple(skipped))

    def is_left(self, after: int, more: Decimal) -> bool:
        """Whether a route behind this one could be taken if the attempt failed now."""
        return after + 1 < len(self.routes) and self.choose(after + 1, more=more).index is not None

    def _passed_over(self, index: int, more: Decimal) -> Skipped | None:
        route = self.routes[index]
        if route.vendor not in self._deps.vendors:  # chosen for this run where another installation's workers had it
            return Skipped(route.name, "vendor_not_set_up", f"The vendor {route.vendor!r} is not set up here")
        rules: tuple[Callable[[Route], Skipped | None], ...] = (
            self._closed,
            *(() if self._pinned else (self._feature, lambda route: self._too_dear(route, more), self._too_late)),
        )
        found = next((found for rule in rules if (found := rule(route))), None)
        return found or (None if self._pinned else self._rests(index))

    def _closed(self, route: Route) -> Skipped | None:
        rest = self._deps.limiter.resting(route.vendor)
        if rest is None or not rest.closed_by:
            return None
        why = f"{route.vendor} is not asked for another {rest.seconds:.0f} s: its last answer was {rest.closed_by}"
        return Skipped(route.name, rest.closed_by, why)

    def _rests(self, index: int) -> Skipped | None:
        """A service that wants a long rest is not waited for where the next route can answer."""
        route = self.routes[index]
        rest = self._deps.limiter.resting(route.vendor)
        if rest is None or rest.seconds <= REST_WORTH_WAITING_S or not route.moves_on(RateLimited.code):
            return None
        if not self.is_left(index, Decimal(0)):
            return None
        return Skipped(route.name, "rest", f"{route.vendor} has asked for a rest of another {rest.seconds:.0f} s")

    def _feature(self, route: Route) -> Skipped | None:
        shop = self._context.run.shop
        if not route.feature or (shop is not None and shop.features.get(route.feature) is True):
            return None
        return Skipped(route.name, "feature", f"{route.name} is for shops with the feature {route.feature!r}")

    def _too_dear(self, route: Route, more: Decimal) -> Skipped | None:
        most = self._deps.routes.run.max_cost_usd
        if most is None or not self._is_paid(route):
            return None
        spent = self._context.spent_usd(but=self._node_key) + more
        estimate = self._deps.prices.estimate(route.vendor, route.model, self._deps.clock())
        if spent + (estimate or 0) <= most and spent < most:
            return None
        about = "an unknown amount" if estimate is None else f"about ${estimate:.4f}"
        why = f"{route.name} would cost {about}; the run has spent ${spent:.4f} and may spend ${most:.4f}"
        return Skipped(route.name, "cost", why)

    def _too_late(self, route: Route) -> Skipped | None:
        left = self.seconds_left(route)
        if left is None or left >= SHORTEST_CALL_S:
            return None
        most = self._deps.routes.run.max_latency_s
        return Skipped(
            route.name, "latency", f"The run has taken all of the {most:g} s in which it may ask {route.vendor}"
        )

    def seconds_left(self, route: Route) -> float | None:
        """How long a call may still take for a run that somebody waits for; None where nothing limits it."""
        most, run = self._deps.routes.run.max_latency_s, self._context.run
        if self._pinned or most is None or run.priority > 0 or not self._is_remote(route) or run.started_at is None:
            return None
        return most - (self._deps.clock() - run.started_at).total_seconds()

    def _is_remote(self, route: Route) -> bool:
        return self._deps.vendors[route.vendor].kind == "network"

    def _is_paid(self, route: Route) -> bool:
        return self._deps.prices.estimate(route.vendor, route.model, self._deps.clock()) != 0
