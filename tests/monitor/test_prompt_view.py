"""What was asked: values marked where they were filled in, and the prompt beside the library's and a good run's."""

from collections.abc import Sequence
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from core.text_diff import TextDiff
from monitor.asked import sent_messages
from prompts.library import library
from prompts.selection import Selection, complete_edit, library_selection, render_selection
from runs.models import Run, Step
from tests.factories import ShopFactory
from tests.monitor.factories import RunFactory, StepFactory, artifact

pytestmark = pytest.mark.django_db
NAME = "facts_extraction"
VARIABLES = {"title": "Oak <b>chair</b>", "description": "A chair, 45 cm wide.", "product_type": "Chairs",
             "tags": ["oak", "oak"]}  # fmt: skip


def asked_step(run: Run, selection: Selection, **values: Any) -> Step:
    """A step with its prompt recorded as the engine records it."""
    rendered = render_selection(selection, VARIABLES)
    step = StepFactory(
        run=run, node_key="facts", prompt_name=NAME, prompt_version=selection.version, prompt_source=selection.source,
        payload={"variables": VARIABLES}, **values,
    )  # fmt: skip
    sent = {
        "template": selection.template,
        "messages": [{"role": message.role, "text": message.text} for message in rendered.messages],
        "filled": [[part.message, part.start, part.end, part.name] for part in rendered.segments],
    }
    artifact(run, "prompt", sent, step=step, role="prompt")
    return step


def current() -> Selection:
    return library_selection(NAME, library().production(NAME).version)


def edited(old: str, new: str) -> Selection:
    return complete_edit(NAME, current().template.replace(old, new))


def diff(console: Client, step: Step, against: str) -> Any:
    answer = console.get(f"/admin/evidence/steps/{step.pk}/asked/1/against/{against}/")
    assert answer.status_code == 200
    return answer.context["diff"]


def changed(texts: TextDiff) -> Sequence[tuple[str, str]]:
    return [(piece.kind, piece.text.strip()) for piece in texts.pieces if piece.kind in ("gone", "new")]


def test_values_are_marked_where_they_were_filled_in_also_in_loops_and_filters(console: Client) -> None:
    step = asked_step(RunFactory(), current())
    page = console.get(f"/admin/evidence/steps/{step.pk}/asked/1/").content.decode()
    assert '<span class="filled" title="title">&quot;Oak &lt;b&gt;chair&lt;/b&gt;&quot;</span>' in page
    assert "<b>chair" not in page
    sent = render_selection(current(), VARIABLES)
    raw = {"messages": [{"role": item.role, "text": item.text} for item in sent.messages],
           "filled": [[item.message, item.start, item.end, item.name] for item in sent.segments]}  # fmt: skip
    messages = sent_messages(raw)
    assert [message.text for message in messages] == [message.text for message in sent.messages]
    marked = [part for message in messages for part in message.parts if part.name]
    assert [part.text for part in marked if part.name.startswith("tag")].count('"oak"') in (0, 2)
    assert any("45 cm" in part.text for part in marked)
    assert not any("45 cm" in part.text for message in messages for part in message.parts if not part.name)


def test_the_librarys_own_prompt_is_said_to_be_that(console: Client) -> None:
    told = diff(console, asked_step(RunFactory(), current()), "library")
    assert told.note == "It is the library's current version, word for word."


def test_an_edited_prompt_differs_by_its_words_as_a_file_and_as_sent(console: Client) -> None:
    step = asked_step(RunFactory(), edited("do not fill them", "NEVER fill them"))
    told = diff(console, step, "library")
    assert changed(told.template) == changed(told.sent) == [("gone", "do not"), ("new", "NEVER")]


def test_the_last_good_run_of_the_shop_is_the_peer_and_not_a_failed_one_or_anothers(console: Client) -> None:
    shop = ShopFactory()
    good = asked_step(RunFactory(shop=shop), current())
    asked_step(RunFactory(), edited("do not", "never"))  # another shop's
    asked_step(RunFactory(shop=shop, status="failed"), edited("do not", "never"))
    asked_step(RunFactory(shop=shop, mode="fork"), edited("do not", "never"))
    told = diff(console, asked_step(RunFactory(shop=shop), current()), "good")
    assert told.run == good.run
    assert told.template.same and told.sent.same


def test_without_a_peer_or_a_prompt_that_is_said(console: Client) -> None:
    alone = asked_step(RunFactory(), current())
    assert diff(console, alone, "good").note == "No other run of this shop has asked here and ended well."
    bare = StepFactory(prompt_name=NAME)
    assert diff(console, bare, "good").note == diff(console, bare, "library").note == "This prompt is gone."
    gone = StepFactory(prompt_name="no_such_prompt")
    artifact(gone.run, "prompt", {"template": "t", "messages": []}, step=gone, role="prompt")
    assert diff(console, gone, "library").note == "The library has no such prompt."


def test_an_unknown_peer_is_not_found_and_nobody_unasked_reads_prompts(console: Client, client: Client) -> None:
    step = asked_step(RunFactory(), current())
    url = f"/admin/evidence/steps/{step.pk}/asked/1/against/"
    assert console.get(f"{url}mine/").status_code == 404
    client.force_login(User.objects.create_user("staff", is_staff=True))
    assert client.get(f"{url}library/").status_code == 403
