"""Gemini on a bad day: a share of its answers is one of all that can go wrong, and it keeps books of its own.

What it has billed, what it has delivered and what must not be asked again is judged from its side alone: by requests,
their idempotency keys and its clock.
"""

import random
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from tests.vendor_servers import gemini as wire
from tests.vendor_servers.server import (
    HTML,
    Answer,
    Connection,
    Cut,
    Fault,
    Half,
    Never,
    Reset,
    Response,
    VendorServer,
    _read,
)  # fmt: skip

INPUT, OUTPUT = Decimal("0.75"), Decimal("3.75")  # dollars for a million tokens of gemini-3.8-flash
MICRO = Decimal("0.000001")
WAIT_S = 0.3


@dataclass(frozen=True)
class Kind:
    """Something that may happen to a request: whether it may be asked again, and whether we can know what it cost."""

    name: str
    play: Fault | Response | None = None
    final: bool = False
    delivered: bool = True
    wait_s: float = 0.0


GOOD = Kind("good", final=True)
EXHAUSTED = Kind("quota", wire.quota_error("GenerateRequestsPerDayPerProjectPerModel"), final=True)
TROUBLE: Sequence[Kind] = (
    Kind("slow down", wire.quota_error("GenerateRequestsPerMinutePerProjectPerModel", f"{WAIT_S}s"), wait_s=WAIT_S),
    Kind("500", wire.error(500, "INTERNAL", "An internal error has occurred.")),
    Kind("503", wire.error(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")),
    Kind("HTML", HTML),
    Kind("time-out", Never(), delivered=False),
    Kind("reset", Reset(), delivered=False),
    Kind("half", Half(), delivered=False),
    Kind("no JSON", Cut(), delivered=False),
    Kind("refused", wire.finished("SAFETY"), final=True),
    Kind("blocked", wire.blocked("PROHIBITED_CONTENT"), final=True),
    Kind("rejected", wire.error(400, "INVALID_ARGUMENT", "Request contains an invalid argument."), final=True),
)


@dataclass
class Books:
    """What the service knows of its calls, in order: key, what became of it, when, and what it bills for."""

    calls: list[tuple[str, Kind, float]] = field(default_factory=list)
    billed: Decimal = Decimal(0)

    def count(self, *kinds: Kind) -> int:
        """How many calls came to one of these."""
        return sum(kind in kinds for _, kind, _ in self.calls)

    @property
    def undelivered(self) -> int:
        """Calls of which the other side cannot know what they cost."""
        return sum(not kind.delivered for _, kind, _ in self.calls)

    @property
    def wrong(self) -> list[str]:
        """Calls that should not have been made: repeated after an answer that is final, or before its wait was over."""
        found = []
        earlier: dict[str, list[tuple[Kind, float]]] = defaultdict(list)
        for key, kind, at in self.calls:
            for before, when in earlier[key]:
                if before.final:
                    found.append(f"{key[:12]} was asked again after: {before.name}")
                elif at - when < before.wait_s:
                    found.append(f"{key[:12]} was asked again after {at - when:.2f} s of {before.wait_s:g}")
            earlier[key].append((kind, at))
        return found


class FlakyGemini(VendorServer):
    """The server; `share` of the calls go wrong."""

    def __init__(self, text: Any, *, share: float = 0.3, seed: int = 0) -> None:
        super().__init__(wire.Gemini(texts=[text]).answer)
        self._random = random.Random(seed)
        self._share, self._exhausted = share, False
        self.books = Books()

    def exhaust(self) -> None:
        """There is no quota left for today."""
        self._exhausted = True

    def trouble(self) -> Kind:
        """What becomes of the next call."""
        if self._exhausted:
            return EXHAUSTED
        return self._random.choice(TROUBLE) if self._random.random() < self._share else GOOD

    async def _exchange(self, connection: Connection) -> bool:
        request = await _read(connection.reader)
        kind = self.trouble()
        self.books.calls.append((request.headers["idempotency-key"], kind, time.monotonic()))
        if isinstance(kind.play, Fault):
            return await kind.play.play(connection, lambda: self._handler(request))
        response = kind.play or self._handler(request)
        self.books.billed += bill(response)
        return await Answer(response).play(connection, lambda: response)


def bill(response: Response) -> Decimal:
    """What an answer costs, by the usage that it states; an error costs nothing."""
    usage = response.body.get("usageMetadata") if isinstance(response.body, dict) else None
    if response.status != 200 or usage is None:
        return Decimal(0)
    out = usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0)
    exact: Decimal = (usage["promptTokenCount"] * INPUT + out * OUTPUT) / 1_000_000
    return exact.quantize(MICRO, ROUND_HALF_EVEN)


def disagreements(books: Books, costs: Iterable[tuple[Decimal | None, int]]) -> list[str]:
    """Where a service's books and those of the runs differ; `costs` are each run's known sum and its unknown calls."""
    costs = list(costs)
    spent = sum((cost or Decimal(0) for cost, _ in costs), Decimal(0))
    unknown = sum(count for _, count in costs)
    found = books.wrong
    if spent != books.billed:
        found.append(f"the runs cost ${spent}, the service billed ${books.billed}")
    if unknown != books.undelivered:
        found.append(f"{unknown} calls of unknown cost, {books.undelivered} answers undelivered")
    return found
