"""What a measurement gives: figures, each beside a peer or a limit of the same run, and a target where there is one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MEDIAN, SLOWEST = 0.5, 0.95


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. Smaller is better; `target` is the largest that will do."""

    what: str
    ours: float
    unit: str
    beside: str = ""
    peer: float | None = None
    target: float | None = None

    @property
    def ratio(self) -> float | None:
        """Ours in multiples of what it stands beside."""
        return self.ours / self.peer if self.peer else None

    @property
    def met(self) -> bool | None:
        """Whether the target holds; None without one."""
        return None if self.target is None else self.ours <= self.target

    def cells(self) -> list[str]:
        """The figure as a row of a table."""
        peer = "" if self.peer is None else f"{self.beside}: {amount(self.peer, self.unit)}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2g}×" if self.ratio < 100 else f"{self.ratio:.0f}×"
        target = "" if self.target is None else f"≤ {amount(self.target, self.unit)}"
        met = {None: "", True: "met", False: "NOT MET"}[self.met]
        return [self.what, amount(self.ours, self.unit), peer, ratio, target, met]


COLUMNS = ["Measured", "Ours", "Beside", "Ratio", "Target", ""]


@dataclass(slots=True)
class Section:
    """One measurement: how it was taken, its figures, and what they mean."""

    title: str
    how: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which `share` of the values lie, interpolated between neighbours.

    Raises:
        ValueError: there are no values.
    """
    ordered: Sequence[float] = sorted(values)
    if not ordered:
        raise ValueError("no values")
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def amount(value: float, unit: str) -> str:
    """A number with its unit, as many digits as mean something."""
    if value == int(value) or abs(value) >= 1000:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return f"{text} {unit}".strip()


def spread(
    what: str,
    values: Sequence[float],
    unit: str,
    *,
    beside: str = "",
    peer: Sequence[float] = (),
    targets: tuple[float | None, float | None] = (None, None),
) -> list[Figure]:
    """Median and 95th percentile of some values beside a peer's, with a target for each."""
    return [
        Figure(
            f"{what}, {name}",
            percentile(values, share),
            unit,
            beside,
            percentile(peer, share) if peer else None,
            target,
        )
        for name, share, target in (("p50", MEDIAN, targets[0]), ("p95", SLOWEST, targets[1]))
    ]
