"""The more often a run was lost, the fewer of its kind are tried together."""

from uuid import uuid4

import pytest

from runs.claims import Claim
from runs.suspects import divide, may_hold


def claims(*starts: int) -> list[Claim]:
    return [Claim(uuid4(), 1, "w", count) for count in starts]


def kept(found: list[Claim], held: list[Claim], capacity: int = 100) -> list[int]:
    return [claim.starts for claim in divide(found, held, capacity)[0]]


@pytest.mark.parametrize(("starts", "places"), [(1, 100), (2, 100), (3, 25), (4, 2), (5, 1), (6, 1)])
def test_how_many_suspects_a_worker_holds(starts: int, places: int) -> None:
    assert may_hold(starts, 100) == places
    assert may_hold(starts, 1) == 1


def test_runs_that_nobody_suspects_are_all_kept() -> None:
    assert kept(claims(1, 2, 1), claims(2, 5)) == [2, 1, 1]


def test_the_most_suspicious_is_alone_among_suspects_and_the_rest_is_put_off() -> None:
    found = claims(3, 5, 1, 4)
    keep, put_off = divide(found, [], 100)
    assert [claim.starts for claim in keep] == [5, 1]
    assert [claim.starts for claim in put_off] == [4, 3]


def test_what_a_worker_holds_counts() -> None:
    assert kept(claims(5), claims(3)) == []
    assert kept(claims(3), claims(5)) == []
    assert kept(claims(4, 4, 4), []) == [4, 4]
    assert len(kept(claims(*[3] * 40), claims(*[3] * 10))) == 15
