"""Reference codes: short, found again, and never taken for another."""

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from core.ids import Ulid, new_id
from runs.models import Run
from runs.references import ALPHABET, read_reference, reference_of
from tests.monitor.factories import RunFactory

IDS = st.integers(0, 2**128 - 1).map(lambda number: Ulid(int=number))


@given(IDS)
def test_a_code_read_in_any_spelling_is_the_end_of_its_run(run_id: Ulid) -> None:
    code = reference_of(run_id)
    end = run_id.int & (1 << 35) - 1
    spoken = code.replace("-", " ").replace("0", "O").replace("1", "l")
    assert read_reference(code) == read_reference(code.lower()) == read_reference(f" {spoken} ") == end
    assert code.replace("-", "")[:7] == str(run_id)[-7:]


@given(IDS, st.integers(0, 7), st.integers(1, 31))
def test_one_wrong_character_is_noticed(run_id: Ulid, place: int, by: int) -> None:
    code = list(reference_of(run_id).replace("-", ""))
    code[place] = ALPHABET[(ALPHABET.index(code[place]) + by) % 32]
    assert read_reference("".join(code)) is None


@given(IDS, st.integers(0, 6))
def test_two_neighbours_that_changed_places_are_noticed(run_id: Ulid, place: int) -> None:
    code = list(reference_of(run_id).replace("-", ""))
    if code[place] != code[place + 1]:
        code[place], code[place + 1] = code[place + 1], code[place]
        assert read_reference("".join(code)) is None


@pytest.mark.parametrize("text", ["", "7K3M", "halden sofa", "UUUU-UUUU", "7K3M-9QX2-1", "😀" * 8])
def test_what_is_no_code_is_none(text: str) -> None:
    assert read_reference(text) is None


@pytest.mark.django_db
def test_a_run_is_found_by_its_code_through_the_index() -> None:
    run, _ = RunFactory(), RunFactory()
    end = read_reference(run.reference)
    assert end is not None
    assert list(Run.objects.with_end(end)) == [run]
    twin = RunFactory(id=Ulid(int=new_id().int >> 36 << 36 | run.pk.int & (1 << 36) - 1 ^ 1 << 35))
    assert set(Run.objects.with_end(end)) == {run, twin}
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # two rows are read faster without an index
    assert "run_reference" in Run.objects.with_end(end).explain()
