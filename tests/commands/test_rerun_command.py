"""`manage.py rerun` as somebody types it."""

import json
from pathlib import Path

import pytest
from django.core.management import call_command

from core.ids import new_id
from runs.models import Run
from storefront.demo_catalog import load_catalog
from tests.commands.test_composite_command import SOFA, TEXTS, failed
from tests.runs.engine import chain, publish, run_inline

pytestmark = pytest.mark.django_db


def test_a_composite_is_made_again_from_its_selection_on(
    published: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    room = load_catalog().rooms[0].photo_path
    call_command("composite", product=SOFA.photo_path, room=room, json=True, **TEXTS)
    first = json.loads(capsys.readouterr().out.splitlines()[-1])
    out = tmp_path / "again.jpg"
    call_command("rerun", first["run"], node="select", out=out, json=True)
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert again.keys() == first.keys()
    assert (again["status"], again["error"]) == ("completed", None)
    for name in ("facts", "placement", "selected"):
        assert again[name] == first[name], f"{name} is the same"
    assert again["result"]["sha256"] == first["result"]["sha256"] and out.exists()
    assert again["cutout"] == first["cutout"] | {"warnings": again["cutout"]["warnings"]}
    fork = Run.objects.get(pk=again["run"])
    reused = list(fork.steps.exclude(reused_from=None).values_list("node_key", flat=True))
    assert (str(fork.parent_id), reused) == (first["run"], ["facts", "placement"])


def test_a_run_that_fails_again_ends_with_three(capsys: pytest.CaptureFixture[str]) -> None:
    publish("noops", *chain("noop@1", "crashing@1"))
    run = run_inline("noops")
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        call_command("rerun", str(run.pk), json=True)
    captured = capsys.readouterr()
    report = json.loads(captured.out.splitlines()[-1])
    assert left.value.code == 3
    assert (report["status"], report["error"]["stage"]) == ("failed", "b")


def test_what_cannot_be_run_again_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    publish("noops", *chain("noop@1"))
    run = run_inline("noops")
    capsys.readouterr()
    assert failed(capsys, "rerun", "nonsense") == (
        2, "nonsense is not the id of a run: expected 26 characters such as 01JD8Q4Y4ZP1V6C3K9M2N5R7ST.\n"
    )  # fmt: skip
    assert "There is no run" in failed(capsys, "rerun", str(new_id()))[1]
    assert "node_unknown" in failed(capsys, "rerun", str(run.pk), node="z")[1]
