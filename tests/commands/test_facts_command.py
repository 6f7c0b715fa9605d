"""`manage.py facts` as somebody types it."""

import json
from pathlib import Path

import pytest
from django.core.management import call_command

from storefront.demo_catalog import load_catalog
from tests.commands.test_composite_command import failed
from tests.factories import room_jpeg

SOFA = load_catalog().products[0]
ROWS = [
    {"title": "Halden Sofa", "description": '84" W x 36" D x 33" H', "product_type": "Sofas"},
    {"title": "Wandspiegel", "description": None, "product_type": "Mirrors"},
    {"title": "Vase\u2028Ada", "description": "H 30 cm, Ø 12 cm"},
]


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.split("\n") if line]


def test_the_facts_of_one_text(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("facts", **ROWS[0], json=True)
    (facts,) = printed(capsys)
    assert facts["dimensions_m"] == pytest.approx({"width": 2.134, "depth": 0.914, "height": 0.838}, abs=0.001)
    assert facts["mount"] == "floor" and facts["title"] == "Halden Sofa"


def test_a_file_of_texts_gives_a_line_for_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_text("\ufeff" + "\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS), "utf-8")
    call_command("facts", texts=texts, json=True)
    found = printed(capsys)
    assert [facts["product_type"] for facts in found] == ["sofa", "mirror", "vase"]
    assert found[1]["dimension_sources"]["width"] == "estimated"
    assert found[2]["dimensions_m"] == {"width": 0.12, "depth": 0.12, "height": 0.3}


def test_the_photo_gives_shape_and_colours(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("facts", title="Sofa", image=SOFA.photo_path, json=True)
    (facts,) = printed(capsys)
    assert facts["colors"] and set(facts["dimension_sources"].values()) == {"estimated"}


def test_a_photo_that_cannot_be_cut_out_is_left_out_with_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluttered = tmp_path / "cluttered.jpg"
    cluttered.write_bytes(room_jpeg(900, 700))
    call_command("facts", title="Sofa", description="W 213 cm", image=cluttered, json=True)
    said = capsys.readouterr()
    assert json.loads(said.out)["dimensions_m"]["width"] == 2.13
    assert said.err.startswith("Note: the photo is not used") and said.err.count("\n") == 1


@pytest.mark.parametrize("name", ["title", "description", "product_type"])
def test_empty_words_are_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = failed(capsys, "facts", **{name: " "}, json=True)
    assert code == 2 and f"--{name.replace('_', '-')} is empty" in text


def test_without_json_a_person_reads_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("facts", **ROWS[0])
    assert capsys.readouterr().out == "sofa, floor, 213 x 91 x 84 cm\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"title": "Sofa"}\n{"title": \n', "line 2: not a line of JSON"),
        (b'{"title": "Sofa"}\n\xff\xfe{}\n', "line 2: not a line of JSON"),
        (b"[" * 100_000, "line 1: not a line of JSON"),
        (b'\n["Sofa"]\n', "line 2: a JSON object"),
        (b'{"title": 7}\n', "line 1: The variable title"),
    ],
)
def test_a_faulty_file_is_one_line_and_nothing_is_printed(
    content: bytes, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_bytes(content)
    code, text = failed(capsys, "facts", texts=texts, json=True)
    assert code == 2 and says in text
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "options", [{}, {"texts": Path("a.jsonl"), "title": "Sofa"}, {"texts": Path("/nowhere/a.jsonl")}]
)
def test_nothing_to_read_or_too_much_is_refused(options: dict, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = failed(capsys, "facts", **options)
    assert code == 2 and ("--texts" in text or "/nowhere/a.jsonl" in text)


@pytest.mark.parametrize(("content", "says"), [(None, "cannot be read"), (b"<html>", "photo")])
def test_a_bad_photo_is_refused(
    content: bytes | None, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "sofa.jpg"
    if content is not None:
        photo.write_bytes(content)
    code, text = failed(capsys, "facts", title="Sofa", image=photo)
    assert code == 2 and says in text
