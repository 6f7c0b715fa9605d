"""Which of the runs that were lost with their worker may be tried together: one of them may have killed it.

A worker holds hundreds of runs, and the one that kills it takes the others along. They are all started anew, and all
look the same. So the more often a run has been lost, the fewer of its kind a worker takes at once, until the last start
is alone among suspects: whoever is parked after that has earned it, and nobody else has.
"""

from collections.abc import Iterable

from runs.claims import Claim

UNSUSPICIOUS_STARTS = 2


def may_hold(starts: int, capacity: int) -> int:
    """How many suspects a worker with `capacity` places holds at once, when one of them is at its `starts`-th start."""
    if starts <= UNSUSPICIOUS_STARTS:
        return capacity
    return max(1, capacity // {3: 4, 4: 50}.get(starts, capacity))


def divide(claims: Iterable[Claim], held: Iterable[Claim], capacity: int) -> tuple[list[Claim], list[Claim]]:
    """Which claimed runs a worker keeps beside those it holds, and which it puts off; the most suspicious first."""
    suspects = [claim.starts for claim in held if claim.starts > UNSUSPICIOUS_STARTS]
    kept: list[Claim] = []
    put_off: list[Claim] = []
    for claim in sorted(claims, key=lambda claim: -claim.starts):
        if claim.starts <= UNSUSPICIOUS_STARTS:
            kept.append(claim)
        elif len(suspects) < may_hold(max([claim.starts, *suspects]), capacity):
            suspects.append(claim.starts)
            kept.append(claim)
        else:
            put_off.append(claim)
    return kept, put_off
