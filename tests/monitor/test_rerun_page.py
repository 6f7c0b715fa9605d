"""The re-run page without a browser: who may, what it shows, what it refuses, and that nobody's work is lost."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.test import Client

from prompts.library import library
from prompts.services import create_override
from runs.blobs import delete_pictures
from runs.inline import execute_inline
from runs.models import Run, Step
from runs.rerunning import rerun_run
from runs.services import publish_pipeline
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline
from tests.runs.finished import finished_composite

pytestmark = pytest.mark.django_db
PLACEMENT = library().production("placement").template


@pytest.fixture
def run(db: None) -> Run:
    publish_pipeline(Path(settings.BASE_DIR) / "storefront" / "pipelines" / "composite.json")
    return finished_composite()


def address(run: Run, more: str = "") -> str:
    return f"/admin/runs/run/{run.pk}/rerun/{more}"


def asked(console: Client, run: Run, more: str = "check/", **form: str) -> str:
    answer = console.post(address(run, more), {name.replace("__", ":"): value for name, value in form.items()})
    assert answer.status_code == 200
    return answer.content.decode()


def started(console: Client, run: Run, **form: str) -> Run:
    answer = console.post(address(run), {name.replace("__", ":"): value for name, value in form.items()})
    fork = Run.objects.filter(parent=run).latest("id")
    assert answer.headers["HX-Redirect"] == f"/admin/runs/run/{run.pk}/compare/{fork.pk}/"
    return fork


def reader(*permissions: str) -> Client:
    user = User.objects.create_user(f"reader-{len(permissions)}", password="a-long-password-1", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def test_without_the_permission_there_is_no_button_and_the_page_says_no(run: Run) -> None:
    client = reader("view_run")
    assert "rerun" not in client.get(f"/admin/runs/run/{run.pk}/change/").content.decode()
    for answer in (client.get(address(run)), client.post(address(run)), client.post(address(run, "check/"))):
        assert answer.status_code == 403
    assert Run.objects.count() == 1
    assert Client().get(address(run)).status_code == 302

    page = reader("view_run", "change_run").get(f"/admin/runs/run/{run.pk}/change/").content.decode()
    for node in ("facts", "placement", "select", "composite"):
        assert f'{address(run)}?from={node}"' in page, "with it the run page leads there from every step"


def test_the_page_opens_at_the_node_and_what_nobody_touches_changes_nothing(
    console: Client, published: None, run: Run
) -> None:
    page = console.get(address(run, "?from=placement")).content.decode()
    assert '<details class="card fork-node" id="edit-placement" open>' in page
    assert "3 nodes run, 1 reused" in page and "Nothing is changed" in page
    assert 'name="prompt:placement"' in page and "as routed: local/local-1" in page
    assert 'name="field:facts:dimensions_m.height" value="0.84"' in page

    raw = console.get(address(run)).context["page"]
    form = {f"prompt__{node.prompt.name}": node.prompt.text.replace("\n", "\r\n") for node in raw.nodes if node.prompt}
    form |= {f"answer__{node.key}": node.raw for node in raw.nodes if node.raw}
    form |= {f"field__{node.key}__{item.path}": item.value for node in raw.nodes for group in node.fields
             for item in group.fields}  # fmt: skip
    fork = started(console, run, **form, **{"from": "select", "x__tap": "", "y__tap": "", "input__hints": "null"})
    assert (fork.fork_changes, fork.fork_node, fork.input) == ({}, "select", run.input)


def test_everything_that_can_be_changed_arrives_in_the_fork(console: Client, published: None, run: Run) -> None:
    edited = PLACEMENT.replace("<<user>>", "<<user>>\nBe bold.", 1)
    fork = started(
        console, run, prompt__placement=edited, x__tap="25,5", y__tap="50", route__composite="local/local-1",
        input__hints='{"hint": "left"}', field__facts__mount="wall",
        **{"field:facts:dimensions_m.height": "1,02"},
    )  # fmt: skip
    assert fork.fork_changes["prompts"] == {"placement": {"template": edited}}
    assert fork.fork_changes["routes"] == {"composite": "local/local-1"}
    assert (fork.input["tap"], fork.input["hints"]) == ({"x": 0.255, "y": 0.5}, {"hint": "left"})
    facts = fork.steps.select_related("payload").get(node_key="facts")
    assert (facts.type, facts.payload.ir["mount"], facts.payload.ir["dimensions_m"]["height"]) == (
        "human",
        "wall",
        1.02,
    )
    assert facts.why.startswith("Edited by operator: ")
    page = console.get(f"/admin/runs/run/{fork.pk}/change/").content.decode()
    assert "a prompt of its own: placement; input of its own: hints and tap" in page, "the run page says what was tried"


def test_what_is_typed_is_filled_in_with_the_variable_parts_marked(console: Client, run: Run) -> None:
    text = PLACEMENT.replace("<<user>>", "<<user>>\nMount: {{ facts.mount | quote }}", 1)
    answer = asked(console, run, prompt__placement=text)
    assert "Mount: </pre>" not in answer
    assert '<mark class="filled" title="facts.mount">&quot;floor&quot;</mark>' in answer
    assert "<ins>Mount" in answer and 'id="state-placement" hx-swap-oob="true">runs' in answer


def test_an_edit_of_words_that_nobody_would_read_is_said_and_one_of_params_is_not(console: Client, run: Run) -> None:
    unread = "local/local-1 computes and reads no words: of the prompt placement only the params"
    assert unread not in asked(console, run, prompt__placement=PLACEMENT)
    assert unread in asked(console, run, prompt__placement=PLACEMENT.replace("<<user>>", "<<user>>\nBe bold.", 1))
    assert unread not in asked(console, run, prompt__placement=PLACEMENT.replace("margin: 0.05", "margin: 0.5", 1))


REFUSED = [
    ({"prompt__placement": "<<user>>\n{{ nonsense }}"}, "Line 2: the prompt uses `nonsense`"),
    (
        {"prompt__placement": "<<user>>\n{{ facts.__class__ }}"},
        "Line 2: the name &#x27;__class__&#x27; is reserved",
    ),
    ({"x__tap": "40", "y__tap": ""}, "both numbers are needed"),
    ({"x__tap": "140", "y__tap": "20"}, "less than or equal to 1"),
    ({"answer__facts": "{"}, "The answer of facts is not JSON"),
    ({"answer__facts": "{}"}, "does not follow its schema"),
    ({"field__facts__dimensions_m.height": "tall"}, "&#x27;tall&#x27; is not a number"),
    ({"field__facts__dimensions_m.height": "900"}, "does not follow its schema"),
    ({"overlay": "[1]"}, "has to be an object"),
    ({"overlay": '{"tip": 1}'}, "reads the input &#x27;tip&#x27;"),
    ({"other__placement": "gemini"}, "has to be vendor/model"),
    ({"other__placement": "nobody/x"}, "The vendor &#x27;nobody&#x27; is not set up here"),
    ({"from": "z"}, "This run has no node &#x27;z&#x27;"),
]


def test_what_cannot_be_is_said_while_typing_and_nothing_is_started(console: Client, published: None, run: Run) -> None:
    for form, said in REFUSED:
        for more in ("check/", ""):
            answer = asked(console, run, more, **form)
            assert said in answer
            assert 'hx-disabled-elt="this" disabled>Re-run' in answer
    assert Run.objects.count() == 1


def test_texts_of_merchants_and_staff_are_escaped(console: Client, run: Run) -> None:
    evil = "<script>alert(1)</script>"
    Run.objects.filter(pk=run.pk).update(subject_label=evil)
    step = run.steps.get(node_key="placement")
    step.payload.variables["facts"]["title"] = evil
    step.payload.save()
    answer = asked(console, run, prompt__placement=PLACEMENT + evil) + console.get(address(run)).content.decode()
    assert evil not in answer and "&lt;script&gt;" in answer


def test_a_shops_new_override_is_what_would_be_asked_and_the_runs_own_text_is_at_hand(
    console: Client, run: Run
) -> None:
    patched = PLACEMENT.replace("surveyor", "tailor")
    assert run.shop is not None
    create_override(shop=run.shop, prompt_name="placement", template=patched, reason="x", created_by="bob")
    page = console.get(address(run, "?from=placement"))
    [editor] = [node.prompt for node in page.context["page"].nodes if node.key == "placement"]
    assert (editor.text, editor.used, editor.moved) == (patched, PLACEMENT, True)
    assert "The run itself asked with v3." in page.content.decode()
    assert started(console, run, **{"from": "placement"}, prompt__placement=patched).fork_changes == {}
    assert list(started(console, run, prompt__placement=PLACEMENT).fork_changes) == ["prompts"]


def test_two_operators_each_make_a_fork_and_see_each_others(console: Client, run: Run) -> None:
    other = reader("view_run", "change_run")
    mine = started(console, run, prompt__placement=PLACEMENT + "\nBe bold.")
    theirs = started(other, run, prompt__placement=PLACEMENT + "\nBe shy.")
    assert mine.fork_changes != theirs.fork_changes
    page = console.get(address(run)).content.decode()
    assert all(f"/compare/{fork.pk}/" in page for fork in (mine, theirs))


def test_a_run_that_cannot_be_run_again_says_why_instead(console: Client, run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(status="pending")
    page = console.get(address(run)).content.decode()
    assert "This run has not ended yet." in page and "<textarea" not in page
    assert console.post(address(run, "check/")).status_code == 409
    Run.objects.filter(pk=run.pk).update(status="completed")
    delete_pictures(run)
    assert "A picture that this would need has been deleted." in asked(console, run, "")
    assert console.get("/admin/runs/run/nonsense/rerun/").status_code == 404


def test_a_fork_that_goes_on_from_a_fork_begins_with_what_that_was_given(console: Client) -> None:
    publish("story", *chain("prompted@1", "noop@1"))
    run = run_inline("story", {}, deps(ScriptedVendor([{}])))
    text = library().production("facts_extraction").template + "\nBe brief."
    fork = started(console, run, prompt__facts_extraction=text)
    Run.objects.filter(pk=fork.pk).update(status="failed", error_stage="a")
    page = console.get(address(fork))
    assert page.context["page"].nodes[0].prompt.text == text
    assert started(console, fork, prompt__facts_extraction=text).fork_changes == fork.fork_changes


def test_a_run_of_another_pipeline_is_changed_by_its_json(console: Client) -> None:
    publish("numbers", *chain("computed@1", "noop@1"))
    run = run_inline("numbers", {"number": 2})
    fork = started(console, run, overlay='{"number": 5}', input__number="5")
    assert fork.input == {"number": 5}
    assert Step.objects.filter(run=execute_inline(_inline(fork), deps()), node_key="a").get().payload.ir["double"] == 10


def _inline(fork: Run) -> Any:
    return rerun_run(_ended(fork), from_node="a", by="ada", inline_owner="x")


def _ended(fork: Run) -> Run:
    Run.objects.filter(pk=fork.pk).update(status="cancelled")
    return fork
