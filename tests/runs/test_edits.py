"""The door of a fork: what cannot be is refused in words, and nothing is written."""

import copy
from pathlib import Path
from typing import Any

import pytest

from core.errors import SeeItError
from prompts.library import library
from runs.changes import Changes
from runs.edits import fill_prompt, usual_prompt
from runs.errors import ChangesInvalid, NodeUnknown
from runs.fork_plan import plan_fork
from runs.inline import default_deps, execute_inline
from runs.models import Run
from runs.registry import find_stage
from runs.rerunning import rerun_run
from tests.factories import CompositeFactory, room_jpeg
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline
from tests.runs.finished import finished_composite

pytestmark = pytest.mark.django_db
NAME = "facts_extraction"
LIBRARY = library().production(NAME).template
HEADER, BODY = LIBRARY[: LIBRARY.index("<<system>>")], LIBRARY[LIBRARY.index("<<system>>") :]
LINE = HEADER.count("\n") + 1


@pytest.fixture
def asked() -> Run:
    publish("story", *chain("noop@1", "prompted@1", "noop@1"))
    return run_inline("story", {"title": "Oak stool"}, deps(ScriptedVendor([{"yes": True}])))


def refused(run: Run, changes: Changes, **more: Any) -> SeeItError:
    before = Run.objects.count()
    with pytest.raises(SeeItError) as caught:
        rerun_run(run, by="ada", changes=changes, inline_owner="x", **more)
    assert Run.objects.count() == before, "nothing is half-written"
    return caught.value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<<user>>\nName it.\n{{ price }}", rf"Line {LINE + 2}: the prompt uses `price`; its input has `description`,"),
        ("<<user>>\n{{ title.__class__.__mro__ }}", rf"Line {LINE + 1}: the name '__\w+__' is reserved"),
        ("<<user>>\n{{ title.upper() }}", rf"Line {LINE + 1}: Call is not part of the prompt language"),
        ("<<user>>\n{% while true %}x", rf"Line {LINE + 1}: Encountered unknown tag 'while'"),
        ("<<user>>\nx\n{% for a in title %}{% endfor %}", rf"Line {LINE + 2}: A loop goes over a list; this is text"),
        ("<<user>>\n{{ tags.first }}", rf"Line {LINE + 1}: A value is missing"),
        ("<<user>>\n" + "x" * 10_000_000, "larger than 64 KiB"),
        ("<<oracle>>\nx", rf"Line {LINE}: the role 'oracle' does not exist"),
        ("", "The prompt has no text"),
        ("---\nparams: {heat: 1}\n---\n<<user>>\nx", "params are not valid"),
        ("---\ninput: {type: object}\n---\n<<user>>\nx", "`input` has to stay as it is in the library"),
    ],
)
def test_a_prompt_that_cannot_be_asked_is_refused_with_the_line_and_the_reason(
    asked: Run, text: str, said: str
) -> None:
    whole = text if text.startswith("---") or not text else HEADER + text
    error = refused(asked, Changes(prompts={NAME: whole}))
    assert isinstance(error, ChangesInvalid) and error.details == {"prompt": NAME}
    with pytest.raises(ChangesInvalid, match=said):
        raise error


def test_a_prompt_is_filled_in_with_what_the_run_asked_with_and_edited_input_over_it(asked: Run) -> None:
    plan = plan_fork(asked, changes=Changes(prompts={NAME: BODY}))
    filled = fill_prompt(plan, NAME, "<<user>>\nWhat is {{ title | quote }}?")
    assert filled.recorded and filled.rendered.messages[-1].text == 'What is "Oak stool"?'
    [segment] = filled.rendered.segments
    assert filled.rendered.messages[segment.message].text[segment.start : segment.end] == '"Oak stool"'
    changed = plan_fork(asked, changes=Changes(prompts={NAME: BODY}, input={"title": "Bench"}))
    assert "Bench" in fill_prompt(changed, NAME, "<<user>>\nWhat is {{ title | quote }}?").rendered.text


def test_a_prompt_that_was_never_asked_is_filled_in_with_its_example(asked: Run) -> None:
    step = asked.steps.get(node_key="b")
    step.payload.delete()
    filled = fill_prompt(plan_fork(asked, from_node="b"), NAME, BODY)
    assert not filled.recorded and "Halden Wing Chair" in filled.rendered.text


def test_what_is_edited_decides_where_a_fork_starts(asked: Run) -> None:
    plan = plan_fork(asked, from_node="c", changes=Changes(prompts={NAME: BODY}))
    assert (plan.node, plan.executed, set(plan.reused), plan.moved) == ("b", ("b", "c"), {"a"}, True)
    assert plan.because["b"] == (f"its prompt {NAME} is edited",)
    assert plan_fork(asked, from_node="a", changes=Changes(prompts={NAME: BODY})).node == "a"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (Changes(prompts={"placement": BODY}), "asks with the prompt 'placement'; there are facts_extraction"),
        (Changes(input={"colour": "red"}), "reads the input 'colour'; there are title"),
        (Changes(routes={"placement": "local/local-1"}), "asks a model for 'placement'; there are facts"),
        (Changes(routes={"facts": "gone/x"}), "The vendor 'gone' is not set up here; there are local"),
        (Changes(routes={"facts": "x"}), "has to be vendor/model"),
        (Changes(input={"title": float("nan")}), "not JSON"),
        (Changes(input={"title": "a\0b"}), "NUL"),
        (Changes(input={"title": "x" * 300_000}), "more than 256 KiB"),
        (Changes(input={"title": {"$blob": "0" * 64}}), "pictures of its own run"),
        (Changes(input={"title": {"$blob": ["x"]}}), "pictures of its own run"),
        (Changes(answers={"z": {}}), "no node 'z'"),
        (Changes(answers={"c": {}}), "Nothing would be executed"),
    ],
)
def test_a_change_that_nothing_looks_at_or_takes_is_refused(asked: Run, changes: Changes, said: str) -> None:
    assert said in refused(asked, changes).message


def test_a_vendor_that_does_not_do_the_task_is_refused(asked: Run) -> None:
    painter = ScriptedVendor([], name="painter", tasks=("composite",))
    error = refused(asked, Changes(routes={"facts": "painter/p-1"}), vendors={"painter": painter})
    assert error.message == "painter does not do facts; it does composite."


def test_a_node_that_was_asked_for_by_a_wrong_name_is_refused(asked: Run) -> None:
    assert isinstance(refused(asked, Changes(), from_node="z"), NodeUnknown)


def test_a_step_whose_texts_were_not_kept_is_executed_again(asked: Run) -> None:
    asked.steps.get(node_key="b").payload.delete()
    fork = rerun_run(asked, from_node="c", by="ada", inline_owner="x")
    assert fork.fork_node == "b" and execute_inline(fork, deps(ScriptedVendor([{}]))).status == "completed"


def test_an_edited_answer_is_a_humans_step_and_everything_after_it_is_executed(tmp_path: Path) -> None:
    publish("story", *chain("noop@1", "prompted@1", "computed@1"))
    run = run_inline("story", {}, deps(ScriptedVendor([{"yes": True}])))
    vendor = ScriptedVendor([{}])
    fork = rerun_run(run, by="ada", changes=Changes(answers={"b": {"answer": {"yes": False}}}), inline_owner="x")
    fork = execute_inline(fork, deps(vendor))
    step = fork.steps.select_related("payload").get(node_key="b")
    assert (fork.status, fork.fork_node, vendor.calls) == ("completed", "c", [])
    assert (step.type, step.status, step.vendor, step.reused_from) == ("human", "completed", "", None)
    assert step.why == "Edited by ada: answer.yes true → false."
    assert step.payload.ir == {"answer": {"yes": False}}
    assert step.payload.reasoning["edited"]["step"] == str(run.steps.get(node_key="b").pk)
    assert fork.fork_changes == {"answers": {"b": step.output_sha256}}
    again = rerun_run(fork, from_node="c", by="bob", inline_owner="x")
    assert again.fork_changes == fork.fork_changes, "the answer by hand is taken over"
    assert again.steps.get(node_key="b").type == "human"
    anew = rerun_run(fork, from_node="b", by="bob", inline_owner="x")
    assert anew.fork_changes == {} and anew.steps.get(node_key="b").type == "llm", "or asked for again"


# -- a composite


def test_the_stages_of_this_release_say_whom_they_ask() -> None:
    asks = {key: (stage.task, stage.prompt) for key in ("cutout@1", "facts@1", "placement@1", "composite@1")
            if (stage := find_stage(key))}  # fmt: skip
    assert asks == {
        "cutout@1": ("cutout", ""),
        "facts@1": ("facts", "facts_extraction"),
        "placement@1": ("placement", "placement"),
        "composite@1": ("composite", "composite"),
    }


def test_a_composite_takes_an_edited_tap_and_edited_facts_and_says_so(published: None) -> None:
    run = finished_composite()
    tapped = rerun_run(run, from_node="composite", by="ada", changes=Changes(input={"tap": {"x": 0.3, "y": 0.8}}))
    assert (tapped.fork_node, tapped.input["tap"]) == ("placement", {"x": 0.3, "y": 0.8})
    facts = copy.deepcopy(run.steps.get(node_key="facts").payload.ir)
    facts["dimensions_m"]["height"] = 0.9
    fork = rerun_run(run, by="ada", changes=Changes(input={"facts": facts}), inline_owner="inline")
    step = fork.steps.get(node_key="facts")
    assert (fork.fork_node, step.type, step.ir_valid) == ("placement", "human", True)
    assert "dimensions_m.height" in step.why and step.ir_schema is not None
    assert fork.input == run.input and "facts" not in fork.input


NOT_TAKEN: list[tuple[dict[str, Any], str]] = [
    ({"tap": {"x": 1.4, "y": 0.5}}, "tap.x: Input should be less than or equal to 1"),
    ({"tap": {"x": 0.4}}, "tap.y: Field required"),
    ({"tap": {"x": "0.4", "y": 0.5}}, "tap.x"),
    ({"tap": [0.4, 0.5]}, "tap"),
    ({"hints": {"hint": "onto the roof"}}, "hints.hint"),
    ({"room": None}, "room"),
    ({"merchant_overrides": {"mount": "moon"}}, "mount"),
    ({"facts": {"title": "x"}}, "The edited answer of facts does not follow its schema."),
    ({"tip": {"x": 0.4, "y": 0.5}}, "reads the input 'tip'"),
]


def test_what_a_composites_stages_do_not_take_is_refused(published: None) -> None:
    run = finished_composite()
    for given, said in NOT_TAKEN:
        assert said in refused(run, Changes(input=given)).message
    room = {"photo": CompositeFactory(photo=room_jpeg(seed=5)).run.input["room"]["photo"], "f35_mm": None}
    assert "pictures of its own run" in refused(run, Changes(input={"room": room})).message, "another shopper's photo"


def test_the_prompt_that_a_fork_would_ask_with_is_the_edited_one_of_the_run_it_goes_on_from(asked: Run) -> None:
    assert usual_prompt(asked, NAME).source == "library"
    text = LIBRARY.replace("product data specialist", "carpenter")
    fork = rerun_run(asked, by="ada", changes=Changes(prompts={NAME: text}), inline_owner="x")
    fork = execute_inline(fork, deps(ScriptedVendor([{}])))
    assert (usual_prompt(fork, NAME).source, usual_prompt(fork, NAME).template) == ("edit", text)


def test_the_installations_vendors_are_asked_by_default(asked: Run) -> None:
    fork = rerun_run(asked, by="ada", changes=Changes(routes={"facts": "local/local-1"}), inline_owner="x")
    assert execute_inline(fork, default_deps()).steps.get(node_key="b").vendor == "local"
