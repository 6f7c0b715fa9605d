"""A large picture on its way out and in: never more than three times its size in memory."""

import pytest

from bench.adapters import MB, MEMORY_TARGET, candidates, memory_multiple, picture

LARGE, SMALL = picture(4 * MB), picture(20_000)
NAMES = [candidate.name for candidate in candidates(SMALL, b"x")]


@pytest.mark.parametrize("number", range(5), ids=NAMES)
def test_a_large_picture_is_never_a_text_in_memory_on_its_way_out(number: int) -> None:
    assert memory_multiple(candidates(LARGE, SMALL.content)[number], len(LARGE.content)) <= 1.5


@pytest.mark.parametrize("number", [1, 3, 4], ids=[NAMES[1], *NAMES[3:]])
def test_a_large_picture_is_held_at_most_three_times_on_its_way_in(number: int) -> None:
    assert memory_multiple(candidates(SMALL, LARGE.content)[number], 4 * MB, held=False) <= MEMORY_TARGET
