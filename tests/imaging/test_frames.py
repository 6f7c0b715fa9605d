"""What hangs on a wall is no wall, whatever its colour; and what hangs is bounded by walls, ceiling and other lamps."""

from dataclasses import replace

import numpy as np
import pytest

from imaging.candidates import wall_candidates
from imaging.checks import check_placement
from imaging.frames import enclosed_areas
from imaging.placement import Product, judge, propose
from tests.imaging.scenes import read_drawn_room

SIZE = (300, 400)
PRINT = Product(0.7, 0.03, 0.5, "wall", 1.4)


def pane(x0: int, y0: int, x1: int, y1: int, *, edges: int = 4) -> np.ndarray:
    """What is marked of a wall in which one rectangle is parted off by a dark frame, of which some sides have edges."""
    wall = np.ones(SIZE, bool)
    wall[y0 - 3 : y1 + 3, x0 - 3 : x1 + 3] = False
    wall[y0:y1, x0:x1] = True
    sides = [(x0, y0, x1, y0), (x0, y1, x1, y1), (x0, y0, x0, y1), (x1, y0, x1, y1)]
    return enclosed_areas(wall, np.zeros(SIZE, bool), np.array(sides[:edges], float).reshape(-1, 4))


def test_a_pane_of_the_walls_own_colour_is_no_wall() -> None:
    found = pane(100, 80, 150, 140)
    assert found[90:130, 110:140].all() and found.sum() < 57 * 67


@pytest.mark.parametrize(
    ("corners", "edges"),
    [((100, 80, 150, 140), 1), ((100, 80, 104, 200), 4), ((20, 20, 380, 200), 4)],
    ids=["no edges", "a strip", "most of the wall"],
)
def test_what_no_frame_encloses_stays_wall(corners: tuple[int, int, int, int], edges: int) -> None:
    assert not pane(*corners, edges=edges).any()


def test_no_piece_hangs_round_a_corner_or_above_the_ceiling() -> None:
    room = read_drawn_room()
    wide = Product(3.0, 0.03, 0.4, "wall", 7.5)
    beyond = [each for each in wall_candidates(room, wide, None) if each.box[2] > 0.85]
    assert beyond and all(check_placement(room, wide, each).reason is not None for each in beyond)
    low = replace(room, ceiling_m=1.2)
    assert {verdict.accepted for verdict in judge(low, PRINT, propose(low, PRINT))} <= {False}


def test_an_unsure_wall_makes_a_place_less_likely() -> None:
    room = read_drawn_room()
    unsure = replace(room, read_walls=[replace(wall, support=0.0) for wall in room.walls])
    best = [max(verdict.score for verdict in judge(each, PRINT, propose(each, PRINT))) for each in (room, unsure)]
    assert best[1] < best[0] - 0.05
