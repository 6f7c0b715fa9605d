"""The sweep over studio photos counts wrong answers, and leaves out what nobody could see."""

import numpy as np

from bench.figures import Figure
from bench.studio import Trial, boundary_mae, count, figures, grid, unseen_share

SQUARE = np.zeros((60, 60), np.float32)
SQUARE[20:40, 20:40] = 1.0


def trial(iou: float, *, accepted: bool, kind: str = "white", unseen: float = 0.0) -> Trial:
    return Trial("chair", kind, iou, 0.01, 0.02, accepted, (), unseen)


def figure(plain: list[Trial], what: str) -> Figure:
    return next(each for each in figures(plain, []).figures if each.what.startswith(what))


def test_wrong_answers_are_counted_both_ways() -> None:
    tried = [trial(0.7, accepted=True), trial(0.95, accepted=False), trial(0.99, accepted=True)]
    assert figure(tried, "Accepted with").ours == 1
    assert figure(tried, "Refused with").ours == 1
    assert count(tried, True, 0.95, 1.0) == 1 and count([trial(1.0, accepted=True)], True, 0.95, 1.0) == 1


def test_a_product_nobody_could_see_counts_neither_as_bad_nor_as_wrongly_refused() -> None:
    unseen = trial(0.92, accepted=False, unseen=0.5)
    tried = [unseen, trial(0.99, accepted=True)]
    assert figure(tried, "all (1): 1 - IoU, mean").ours < 1.1
    assert figure(tried, "Refused with").ours == 0
    assert "(0.920*)" in grid(tried[:1])


def test_an_accepted_cutout_of_what_nobody_could_see_is_still_a_wrong_answer() -> None:
    assert figure([trial(0.5, accepted=True, unseen=0.9), trial(0.99, accepted=True)], "Accepted with").ours == 1


def test_the_outline_that_cannot_be_seen_is_measured_in_the_photo() -> None:
    photo = np.full((60, 60, 3), 240, np.uint8)
    assert unseen_share(photo, SQUARE) == 1.0
    photo[20:40, 20:40] = 120
    assert unseen_share(photo, SQUARE) == 0.0


def test_the_error_at_the_outline_leaves_the_inside_out() -> None:
    wrong = SQUARE.copy()
    wrong[29:31, 29:31] = 0.0
    assert boundary_mae(wrong, SQUARE) == 0.0
    wrong[20] = 0.0
    assert boundary_mae(wrong, SQUARE) > 0.02
