"""`manage.py rerun` as somebody types it."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from core.ids import new_id
from runs.models import Run
from storefront.demo_catalog import load_catalog
from tests.commands.test_composite_command import SOFA, TEXTS, failed
from tests.runs.engine import chain, publish, run_inline
from tests.runs.finished import finished_composite

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
    edited = tmp_path / "no-shadow.prompt"
    edited.write_text("---\nparams: {shadow: 0.7}\n---\n")
    given = {"prompt": [f"composite={edited}"], "model": ["composite=local/local-1"]}
    call_command("rerun", again["run"], node="composite", **given, json=True)
    third = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert third["result"]["sha256"] != first["result"]["sha256"], "the edit shows"
    step = third["steps"][-1]
    assert (step["prompt"], step["prompt_version"][:7], step["model"]) == ("composite", "sha256:", "local-1")
    assert Run.objects.get(pk=third["run"]).fork_changes["routes"] == {"composite": "local/local-1"}


def test_edited_facts_and_a_tap_come_from_a_file_and_the_estimate_comes_first(
    published: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished_composite()
    facts = run.steps.get(node_key="facts").payload.ir | {"mount": "ceiling"}
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps({"facts": facts, "tap": {"x": 0.5, "y": 0.9}}))
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        call_command("rerun", str(run.pk), input=changed)
    captured = capsys.readouterr()
    fork = Run.objects.get(parent=run)
    assert left.value.code == 3, "a lamp on the ceiling of a photo of nothing"
    assert captured.out.startswith("Estimate   0 USD (computed here), about 1 s; 3 nodes run, 0 reused, 1 by hand")
    assert (fork.steps.get(node_key="facts").type, fork.input["tap"]) == ("human", {"x": 0.5, "y": 0.9})


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


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"prompt": ["placement"]}, "--prompt placement: expected a name, an equals sign and a value."),
    ({"prompt": ["a=x", "a=y"]}, "--prompt: a is given twice."),
    ({"prompt": ["placement=/nowhere/x.prompt"]}, "/nowhere/x.prompt cannot be read as text: No such file"),
    ({"prompt": ["placement=bad.prompt"]}, "changes_invalid: The prompt placement: Line 2: "),
    ({"prompt": ["placement=binary.prompt"]}, "cannot be read as text: not UTF-8"),
    ({"input": "list.json"}, "has to hold a JSON object"),
    ({"input": "bad.prompt"}, "is not JSON"),
    ({"input": "tap.json"}, "validation: The edited input, tap.x: Input should be less than or equal to 1"),
    ({"model": ["placement=gone/x"]}, "The vendor 'gone' is not set up here"),
    ({"model": ["placement=local"]}, "has to be vendor/model"),
    ({"model": ["story=local/x"]}, "asks a model for 'story'"),
]


def test_a_change_that_cannot_be_is_one_line_and_exit_2(
    published: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.prompt").write_text("<<user>>\n{{ nonsense }}")
    Path("binary.prompt").write_bytes(b"\xff\xfe\x00")
    Path("list.json").write_text("[]")
    Path("tap.json").write_text('{"tap": {"x": 7, "y": 0.5}}')
    run = finished_composite()
    capsys.readouterr()
    for options, said in REFUSED:
        given = {name: Path(value) if name == "input" else value for name, value in options.items()}
        code, text = failed(capsys, "rerun", str(run.pk), **given)
        assert code == 2 and said in text
    assert Run.objects.count() == 1
