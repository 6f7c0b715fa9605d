"""What a fork is given differently: kept on the fork, honoured by the engine, and nowhere else."""

from dataclasses import replace
from typing import Any

import pytest

from prompts.library import library
from prompts.services import create_override
from runs.changes import Changes
from runs.context import Deps
from runs.errors import ChangesInvalid
from runs.inline import execute_inline
from runs.models import Run
from runs.rerunning import rerun_run
from tests.factories import ShopFactory
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline
from vendors.base import Unavailable
from vendors.routes import Route, Routes

pytestmark = pytest.mark.django_db
NAME = "facts_extraction"
EDITED = library().production(NAME).template.replace("You are a product data specialist", "You are a careful carpenter")


def asked_once(**extra: Any) -> tuple[Run, ScriptedVendor]:
    publish("story", *chain("prompted@1", "noop@1", retries=0))
    vendor = ScriptedVendor([{"yes": True}])
    return run_inline("story", {}, deps(vendor), **extra), vendor


def fork_of(run: Run, changes: Changes, given: Deps, node: str | None = None) -> Run:
    fork = rerun_run(run, from_node=node, by="ada", changes=changes, inline_owner="x", vendors=given.vendors)
    return execute_inline(fork, given)


def test_an_edited_prompt_is_asked_by_the_fork_alone_and_wins_over_the_shops_override() -> None:
    shop = ShopFactory()
    run, vendor = asked_once(shop=shop)
    patched = EDITED.replace("careful carpenter", "patient tailor")
    create_override(shop=shop, prompt_name=NAME, template=patched, reason="sizes", created_by="bob")
    fork = fork_of(run, Changes(prompts={NAME: EDITED}), deps(vendor))
    step = fork.steps.get(node_key="a")
    assert "careful carpenter" in vendor.calls[-1].messages[0].text
    assert (step.prompt_source, step.prompt_name) == ("edit", NAME)
    assert step.prompt_version == f"sha256:{step.prompt_sha256[:12]}"
    assert fork.fork_changes == {"prompts": {NAME: {"template": EDITED}}} and fork.is_trial
    later = run_inline("story", {}, deps(vendor), shop=shop)
    assert (later.steps.get(node_key="a").prompt_source, later.fork_changes) == ("override", {})
    assert not later.is_trial


def test_a_fork_of_a_fork_keeps_what_was_changed() -> None:
    run, vendor = asked_once()
    fork = fork_of(run, Changes(prompts={NAME: EDITED}, input={"title": "Stool"}), deps(vendor))
    again = fork_of(fork, Changes(input={"title": "Bench"}), deps(vendor))
    assert again.steps.get(node_key="a").prompt_source == "edit"
    assert again.fork_changes == {"prompts": {NAME: {"template": EDITED}}, "input": {"title": "Bench"}}


def test_a_chosen_model_is_asked_and_no_other_is_tried() -> None:
    run, _ = asked_once()
    first, second = ScriptedVendor([{}], name="first"), ScriptedVendor([Unavailable("away")], name="second")
    both = replace(
        deps(first, second),
        routes=Routes({"facts": (Route("first", "f-1"), Route("second", "s-1", {"heat": 1}, ("vendor_unavailable",)))}),
    )
    fork = fork_of(run, Changes(routes={"facts": "second/s-1"}), both)
    assert (fork.status, fork.error_code) == ("failed", "vendor_unavailable")
    assert (len(first.calls), len(second.calls)) == (0, 1)
    assert second.calls[0].params["heat"] == 1, "it keeps the params of its route"
    fork = fork_of(run, Changes(routes={"facts": "second/not/routed"}), both)
    assert second.calls[-1].model == "not/routed" and "heat" not in second.calls[-1].params
    assert fork.steps.get(node_key="a").model == "not/routed"


def test_a_vendor_that_the_worker_does_not_have_fails_the_step_in_words() -> None:
    run, vendor = asked_once()
    known = {"gone": ScriptedVendor([], name="gone")}
    changes = Changes(routes={"facts": "gone/model-1"})
    fork = rerun_run(run, by="ada", changes=changes, inline_owner="x", vendors=known)
    fork = execute_inline(fork, deps(vendor))
    assert (fork.status, fork.error_code) == ("failed", "vendor_not_set_up")
    assert "'gone'" in fork.error_message


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        ({"prompt": {}}, "prompt"),
        ({"prompts": {"facts": "text"}}, "prompts.facts"),
        ({"routes": {"facts": "nowhere"}}, "route of facts"),
        ({"routes": {"facts": 3}}, "routes.facts"),
        (["x"], "changes"),
        ({"input": []}, "input"),
    ],
)
def test_what_is_no_change_is_refused_by_its_place(raw: Any, place: str) -> None:
    with pytest.raises(ChangesInvalid, match=place):
        Changes.from_json(raw)


def test_changes_are_read_as_they_were_written() -> None:
    given = Changes({NAME: EDITED}, {"tap": {"x": 0.5, "y": 0.5}}, {"facts": "gemini/gemini-3-pro"})
    assert Changes.from_json(given.to_json()) == given
    assert Changes.from_json({}) == Changes() and not Changes()


def test_a_run_whose_changes_cannot_be_read_ends_in_words() -> None:
    publish("story", *chain("noop@1"))
    run = run_inline("story")
    fork = rerun_run(run, from_node="a", by="ada", inline_owner="x")
    Run.objects.filter(pk=fork.pk).update(fork_changes={"routes": {"facts": "x"}})
    fork = execute_inline(fork, deps())
    assert (fork.status, fork.error_code) == ("failed", "changes_invalid")
