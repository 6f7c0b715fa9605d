"""`manage.py composite` and `manage.py cutout` as somebody types them."""

import json
from pathlib import Path

import pytest
from django.core.management import call_command
from PIL import Image

from core.canonical import sha256_hex
from runs.models import Run
from storefront.demo_catalog import load_catalog
from tests.factories import room_jpeg

pytestmark = pytest.mark.django_db
SOFA, ROOM = load_catalog().products[0], load_catalog().rooms[0]
TEXTS = {"title": SOFA.title, "description": SOFA.description_html, "product_type": SOFA.product_type}


def failed(capsys: pytest.CaptureFixture[str], *arguments: str, **options: object) -> tuple[int, str]:
    """Exit code and standard error of a command that has to fail."""
    with pytest.raises(SystemExit) as left:
        call_command(*arguments, **options)
    text = capsys.readouterr().err
    assert text.count("\n") == 1, "one plain line"
    assert "Traceback" not in text
    return int(left.value.code), text


def test_a_picture_from_two_files(published: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.jpg"
    call_command("composite", product=SOFA.photo_path, room=ROOM.photo_path, out=out, json=True, **TEXTS)
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    run = Run.objects.get(pk=report["run"])
    assert report["status"] == run.status == "completed"
    assert report["facts"]["dimensions_m"]["width"] == pytest.approx(2.134, abs=0.01)
    assert report["cutout"]["accepted"] is True
    assert report["gate"]["passed"] is True and report["gate"]["metrics"]
    assert report["error"] is None
    assert [step["node"] for step in report["steps"]] == ["facts", "placement", "select", "composite"]
    chosen = report["selected"]
    assert chosen in report["placement"]["candidates"]
    select = report["steps"][2]
    assert select["candidates_in"] > select["candidates_out"] >= 1 and 0 < select["drop_ratio"] < 1
    assert report["result"]["path"] == str(out)
    assert report["result"]["sha256"] == sha256_hex(out.read_bytes())
    with Image.open(out) as picture, Image.open(ROOM.photo_path) as room:
        assert picture.size == room.size == (report["result"]["width"], report["result"]["height"])


def test_the_same_files_give_the_same_bytes(
    published: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.jpg", "b.jpg"):
        call_command("composite", product=SOFA.photo_path, room=ROOM.photo_path, out=tmp_path / name, **TEXTS)
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()


@pytest.mark.parametrize("which", ["product", "room"])
def test_a_missing_file_is_one_line_and_exit_2(which: str, published: None, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"product": SOFA.photo_path, "room": ROOM.photo_path, which: Path("/nowhere/photo.jpg")}
    code, text = failed(capsys, "composite", **files)
    assert code == 2 and which in text and "/nowhere/photo.jpg" in text


def test_a_broken_room_is_one_line_and_exit_2(
    published: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "room.jpg"
    broken.write_bytes(ROOM.photo_path.read_bytes()[:5000])
    code, text = failed(capsys, "composite", product=SOFA.photo_path, room=broken)
    assert code == 2 and "photo" in text.lower()


def test_a_broken_product_is_one_line_and_not_a_picture(
    published: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "sofa.jpg"
    broken.write_bytes(b"<html>not found</html>")
    code, text = failed(capsys, "composite", product=broken, room=ROOM.photo_path)
    assert code == 2 and "product photo" in text


@pytest.mark.parametrize("tap", ["1", "a,b", "0.5,1.5", "0.5,0.5,0.5"])
def test_a_malformed_tap_is_refused(tap: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = failed(capsys, "composite", product=SOFA.photo_path, room=ROOM.photo_path, tap=tap)
    assert code == 2 and tap in text


def test_a_cutout_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "cutout.png"
    call_command("cutout", SOFA.photo_path, out=out, json=True)
    report = json.loads(capsys.readouterr().out)
    assert report["accepted"] is True and report["sha256"] == sha256_hex(out.read_bytes())
    with Image.open(out) as picture:
        assert picture.mode == "RGBA" and picture.getextrema()[3] == (0, 255)


def test_a_cutout_says_what_it_did_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "cutout.png"
    call_command("cutout", SOFA.photo_path, out=out)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"Wrote {out}") and "removed the background" in lines[0]


def test_a_refused_cutout_is_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluttered, out = tmp_path / "cluttered.jpg", tmp_path / "cutout.png"
    cluttered.write_bytes(room_jpeg(900, 700))
    code, text = failed(capsys, "cutout", cluttered, out=out)
    assert code == 3 and text.startswith("cutout_rejected") and not out.exists()
