"""Texts compared word by word: nothing lost on either side, and readable."""

from hypothesis import given, settings
from hypothesis import strategies as st

from core.text_diff import Piece, TextDiff, diff_texts

TEXT = st.text(alphabet="ab \n.{}", max_size=60)


def side(diff: TextDiff, *kinds: str) -> str:
    return "".join(piece.text for piece in diff.pieces if piece.kind in kinds)


@settings(max_examples=200, deadline=None)
@given(TEXT, TEXT)
def test_both_texts_can_be_read_back_from_the_difference(before: str, after: str) -> None:
    diff = diff_texts(before, after, context=None)
    assert side(diff, "same", "gone") == before
    assert side(diff, "same", "new") == after
    assert diff.same == (before == after)


def test_one_word_is_marked_and_not_its_line() -> None:
    diff = diff_texts("Put it on the floor.\n", "Put it on the wall.\n")
    assert diff.pieces == (
        Piece("same", "Put it on the "), Piece("gone", "floor"), Piece("new", "wall"), Piece("same", ".\n"),
    )  # fmt: skip
    assert (diff.words_new, diff.words_gone) == (1, 1)


def test_neighbouring_words_are_one_change_and_lines_are_not() -> None:
    diff = diff_texts("keep a red sofa here\n", "keep one blue sofa here\n")
    assert [piece.text for piece in diff.pieces if piece.kind != "same"] == ["a red", "one blue"]


def test_lines_with_nothing_in_common_stand_one_after_the_other() -> None:
    diff = diff_texts("alpha beta gamma\n", "one two three four\n")
    assert [piece.kind for piece in diff.pieces] == ["gone", "new", "same"]
    assert diff.pieces[0].text == "alpha beta gamma"


def test_what_is_far_from_a_change_is_left_out_and_counted() -> None:
    lines = [f"line {number}\n" for number in range(30)]
    changed = [*lines[:15], "line fifteen\n", *lines[16:]]
    diff = diff_texts("".join(lines), "".join(changed))
    assert [piece.lines for piece in diff.pieces if piece.kind == "gap"] == [12, 11]
    assert side(diff, "same").count("\n") == 7


def test_equal_texts_are_the_same_whole() -> None:
    assert diff_texts("a\nb\n", "a\nb\n").pieces == (Piece("same", "a\nb\n"),)


def test_huge_blocks_are_replaced_whole_instead_of_compared_for_minutes() -> None:
    before, after = "a " * 5000, "b a " * 5000
    assert [piece.kind for piece in diff_texts(before, after).pieces] == ["gone", "new", "same"]
