"""Two runs beside each other: why they differ, their metrics, answers, prompts and pictures."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from core.ids import new_id
from irschemas.models import MetricDefinition
from monitor.compare import ComparePage, read_compare
from runs.models import Artifact, Run, Step, StepPayload
from tests.factories import ShopFactory, room_jpeg
from tests.monitor.factories import MetricFactory, RunFactory, StepFactory, artifact, blob, composite_run

pytestmark = pytest.mark.django_db
PROMPT = {"prompt_name": "placement", "prompt_version": "v3", "prompt_sha256": "3" * 64, "prompt_source": "library"}
MOST_QUERIES = 30
EDITED = PROMPT | {"prompt_version": "sha256:abcdefabcdef", "prompt_sha256": "a" * 64, "prompt_source": "edit"}


def page_url(before: Run, after: Run, name: str = "monitor_compare") -> str:
    return reverse(f"admin:{name}", args=[str(before.pk), str(after.pk)])


def pair(**values: Any) -> tuple[Run, Run]:
    """Two runs of one shop about the same thing."""
    before = RunFactory(**values)
    after = RunFactory(shop=before.shop, subject_id=before.subject_id, subject_label=before.subject_label, **values)
    return before, after


def steps(before: Run, after: Run, old: dict[str, Any], new: dict[str, Any], key: str = "placement") -> list[Step]:
    return [StepFactory(run=before, node_key=key, **old), StepFactory(run=after, node_key=key, **new)]


def causes(before: Run, after: Run) -> list[tuple[str, str, str, str]]:
    return [(cause.node, cause.what, cause.before, cause.after) for cause in read_compare(before, after).causes]


# -- why different


def test_nothing_changed_is_said(console: Client) -> None:
    before, after = pair()
    steps(before, after, PROMPT, PROMPT)
    assert causes(before, after) == []
    assert "Nothing changed:" in console.get(page_url(before, after)).content.decode()


def test_every_recorded_choice_that_differs_is_a_cause_and_nothing_else_is() -> None:
    before, after = pair()
    steps(
        before, after,
        PROMPT | {"vendor": "local", "model": "a", "latency_ms": 5, "why": "x", "input_sha256": "1",
                  "payload": {"params": {"margin": 0.1}, "ir": {"place": 1}}},
        EDITED | {"vendor": "gemini", "model": "b", "latency_ms": 9, "why": "y", "input_sha256": "2",
                  "payload": {"params": {"margin": 0.2}, "ir": {"place": 2}}},
    )  # fmt: skip
    Run.objects.filter(pk=after.pk).update(release="abc", input={"tap": {"x": 0.5}})
    Run.objects.filter(pk=before.pk).update(input={"tap": {"x": 0.25}})
    assert causes(Run.objects.get(pk=before.pk), Run.objects.get(pk=after.pk)) == [
        ("", "release", "none", "abc"),
        ("", "input tap.x", "0.25", "0.5"),
        ("placement", "prompt", "placement v3 (library)", "placement sha256:abcdefabcdef (edit)"),
        ("placement", "model", "local/a", "gemini/b"),
        ("placement", "param margin", "0.1", "0.2"),
    ]


def test_another_prompt_of_which_no_word_was_read_is_explained(console: Client) -> None:
    before, after = pair()
    local = {"vendor": "local", "model": "local-1", "output_sha256": "1" * 64}
    _, asked = steps(before, after, PROMPT | local, EDITED | local)
    said = "The answer is the same: local/local-1 takes the params of a prompt and reads no words."
    assert said in console.get(page_url(before, after)).content.decode()
    Step.objects.filter(pk=asked.pk).update(output_sha256="2" * 64)
    assert said not in console.get(page_url(before, after)).content.decode()


def test_a_fork_is_changed_further_from_its_comparison_once_it_is_over(console: Client) -> None:
    before, fork = pair(status="completed")
    again = f"/admin/runs/run/{fork.pk}/rerun/?from=placement"
    assert again not in console.get(page_url(before, fork)).content.decode(), "a run that is no fork"
    Run.objects.filter(pk=fork.pk).update(parent=before, mode="fork", fork_node="placement")
    assert again in console.get(page_url(before, fork)).content.decode()
    Run.objects.filter(pk=fork.pk).update(status="pending", started_at=None, finished_at=None)
    assert again not in console.get(page_url(before, fork)).content.decode()


def test_the_same_text_from_another_source_and_another_gate_are_causes() -> None:
    before, after = pair()
    old, new = steps(before, after, PROMPT, PROMPT | {"prompt_source": "override"})
    MetricFactory(step=old, key="on_support", threshold=1.0, profile_key="gate_v1")
    MetricFactory(step=new, key="on_support", threshold=0.5, profile_key="gate_v2")
    assert causes(before, after) == [
        ("placement", "prompt source", "library", "override"),
        ("placement", "metric profile", "gate_v1", "gate_v2"),
        ("placement", "threshold of on_support", "1", "0.5"),
    ]


def test_another_revision_of_the_same_gate_is_a_cause() -> None:
    before, after = pair()
    old, new = steps(before, after, PROMPT, PROMPT)
    for step, revision in ((old, 1), (new, 2)):
        MetricFactory(step=step, key="on_support", profile_key="gate_v1", profile_revision=revision)
    assert causes(before, after) == [("placement", "metric profile", "gate_v1, revision 1", "gate_v1, revision 2")]


def test_an_answer_that_a_person_gave_is_one_cause() -> None:
    before, after = pair()
    steps(before, after, PROMPT | {"vendor": "local", "model": "a"}, {"type": "human"})
    assert causes(before, after) == [("placement", "answered by", "the stage", "a person")]
    Step.objects.filter(run=before, node_key="placement").update(type="human", output_sha256="1", why="Edited by ada.")
    Step.objects.filter(run=after, node_key="placement").update(output_sha256="1")
    assert causes(before, after) == [], "the same answer by hand"
    Step.objects.filter(run=after, node_key="placement").update(output_sha256="2", why="Edited by bob.")
    assert causes(before, after) == [("placement", "answer by hand", "Edited by ada.", "Edited by bob.")]


def test_a_node_that_has_not_been_asked_yet_is_no_cause() -> None:
    before, after = pair()
    steps(before, after, PROMPT, {"status": "pending"})
    assert causes(before, after) == []


def test_runs_of_two_pipelines_and_shops_say_so_and_compare_what_both_have(console: Client) -> None:
    before = RunFactory(pipeline_slug="prep")
    after = RunFactory(pipeline_slug="composite", shop=ShopFactory())
    steps(before, after, {}, {}, "facts")
    StepFactory(run=after, node_key="placement")
    page = console.get(page_url(before, after)).content.decode()
    assert "These runs are of two shops" in page and "These runs are of two pipelines" in page
    assert {cause[1] for cause in causes(before, after)} == {"shop", "pipeline"}


# -- metrics, answers, prompts


def metric(key: str, direction: str) -> None:
    MetricDefinition.objects.update_or_create(key=key, defaults={"name": key.title(), "direction": direction})


def test_metrics_go_by_the_definitions_direction() -> None:
    before, after = pair()
    old, new = steps(before, after, {}, {}, "composite")
    for key, direction, was, now in [
        ("drift", "lower", 0.4, 0.1), ("alpha", "higher", 0.9, 0.8), ("clean", "boolean", 0.0, 1.0),
        ("still", "lower", 0.3, 0.3), ("noise", "lower", 0.3, 0.301),
    ]:  # fmt: skip
        metric(key, direction)
        MetricFactory(step=old, key=key, value=was, passed=was > 0)
        MetricFactory(step=new, key=key, value=now, passed=True)
    MetricFactory(step=new, key="unheard_of", value=1.0)
    page = read_compare(before, after)
    assert [(pair.row.result.key, pair.verdict, pair.turned) for pair in page.metrics] == [
        ("clean", "better", "passes"), ("alpha", "worse", ""), ("drift", "better", ""),
        ("unheard_of", "only one", ""), ("noise", "hardly worse", ""), ("still", "same", ""),
    ]  # fmt: skip
    assert page.verdict.startswith(
        "Metrics of B: 2 better (clean, drift), 1 worse (alpha), 2 as before. Clean now pass"
    )


def test_answers_differ_by_path_with_unit_and_items_by_their_id() -> None:
    before, after = pair()
    steps(
        before, after,
        {"payload": {"ir": {"places": [{"id": "p1", "distance_m": 2.0}, {"id": "p2", "distance_m": 3.0}], "n": 1}}},
        {"payload": {"ir": {"places": [{"id": "p2", "distance_m": 4.5}], "n": 1, "yaw_deg": -4}}},
    )  # fmt: skip
    [node] = read_compare(before, after).answers
    assert [(row.path, row.kind, row.before, row.after, row.delta, row.unit) for row in node.answer.rows] == [
        ("places[p1]", "removed", '{"id": "p1", "distance_m": 2.0}', "", None, ""),
        ("places[p2].distance_m", "changed", "3.0", "4.5", 1.5, "m"),
        ("yaw_deg", "added", "", "-4", None, "°"),
    ]


def asked(run: Run, step: Step, template: str, text: str) -> Artifact:
    sent = {"template": template, "messages": [{"role": "user", "text": text}]}
    return artifact(run, "prompt", sent, step=step, role="prompt")


def test_prompts_differ_word_by_word_and_one_that_is_gone_is_named(console: Client) -> None:
    before, after = pair()
    old, new = steps(before, after, PROMPT, EDITED)
    asked(before, old, "Put it {{ where }}.", "Put it left.")
    sent = asked(after, new, "Stand it <b>{{ where }}</b>.", "Stand it <b>left</b>.")
    [prompt] = read_compare(before, after).prompts
    assert [piece.text for piece in prompt.template.pieces if piece.kind == "gone"] == ["Put"]
    page = console.get(page_url(before, after)).content.decode()
    assert "&lt;b&gt;" in page and "<b>{{" not in page
    Artifact.objects.filter(pk=sent.pk).update(blob=None)
    assert console.get(page_url(before, after)).status_code == 200


def test_the_page_reads_two_runs_and_asks_no_more_for_more_steps(
    console: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    before = composite_run()
    after = composite_run(shop=before.shop)
    for number in range(20):
        steps(before, after, {}, {}, f"node_{number}")
    with django_assert_max_num_queries(MOST_QUERIES):
        console.get(page_url(before, after))


# -- pictures


def viewers(page: ComparePage) -> dict[str, tuple[bool, bool]]:
    return {pair.name: (pair.same, pair.comparable) for pair in page.pictures}


def test_pictures_are_paired_by_name_and_equal_ones_are_not_shown_twice() -> None:
    before = composite_run()
    after = composite_run(shop=before.shop)
    made = blob(after, room_jpeg(seed=8), "image/jpeg")
    Artifact.objects.filter(run=after, name="result").update(blob=made)
    assert viewers(read_compare(before, after)) == {
        "result": (False, True), "cutout": (True, True), "room": (True, True)
    }  # fmt: skip


def test_a_picture_that_is_gone_leaves_the_rest(console: Client) -> None:
    before = composite_run()
    after = composite_run(shop=before.shop)
    went = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
    gone = Artifact.objects.filter(run=before, name="result")
    gone.update(blob=None, deleted_at=went, deleted_for="retention")
    StepPayload.objects.filter(step__run=before, step__node_key="composite").update(ir={"result": None})
    Run.objects.filter(pk=before.pk).update(summary={})
    page = console.get(page_url(before, after))
    assert page.status_code == 200
    assert "picture gone by retention on 2026-11-01" in page.content.decode()
    assert not viewers(page.context["compare"])["result"][1]


# -- the way there


def follow(console: Client, run: Run, wanted: str) -> str:
    answer = console.get(page_url_with(run), {"with": wanted}, follow=True)
    return answer.redirect_chain[-1][0] + "".join(f" {message}" for message in answer.context["messages"])


def page_url_with(run: Run) -> str:
    return reverse("admin:monitor_compare_with", args=[str(run.pk)])


def test_a_run_is_compared_with_its_parent_the_last_good_run_or_any_other(console: Client) -> None:
    good, run = pair()
    RunFactory(shop=good.shop, subject_id=good.subject_id, mode="fork")
    RunFactory(shop=good.shop, subject_id=good.subject_id, status="failed")
    fork = RunFactory(shop=good.shop, parent=run, mode="fork")
    stranger = RunFactory()
    assert follow(console, run, "good") == page_url(good, run)
    assert follow(console, fork, "parent") == page_url(run, fork)
    assert follow(console, run, f" {str(stranger.pk).lower()} ") == page_url(stranger, run)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [("parent", "was not forked"), ("nonsense<b>", "There is no run “nonsense<b>”"), ("good", "has ended well")],
)
def test_what_there_is_not_is_said_on_the_runs_page(console: Client, wanted: str, said: str) -> None:
    run = RunFactory()
    found = follow(console, run, wanted)
    assert found.startswith(reverse("admin:runs_run_change", args=[str(run.pk)])) and said in found
    assert follow(console, run, str(run.pk)).endswith("there is nothing to compare.")


def test_unknown_runs_are_404_and_one_run_twice_leads_to_it(console: Client) -> None:
    run = RunFactory()
    for other in ("nonsense", str(new_id())):
        assert console.get(f"/admin/runs/run/{run.pk}/compare/{other}/").status_code == 404
    assert console.get(page_url(run, run)).url == reverse("admin:runs_run_change", args=[str(run.pk)])


def test_who_may_not_view_runs_sees_none_of_it(client: Client) -> None:
    before, after = pair()
    client.force_login(User.objects.create_user("eve", is_staff=True))
    for address in (page_url(before, after), page_url(before, after, "monitor_compare_live"), page_url_with(after)):
        assert client.get(address).status_code == 403
    reader = User.objects.create_user("vera", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_run"))
    client.force_login(reader)
    assert client.get(page_url(before, after)).status_code == 200


def test_a_page_that_has_seen_the_latest_has_nothing_to_fetch(console: Client) -> None:
    before, after = pair(status="pending")
    page = console.get(page_url(before, after))
    live = page_url(before, after, "monitor_compare_live")
    seen = page.context["compare"].version
    assert console.get(live, {"seen": seen}).status_code == 204
    Run.objects.filter(pk=after.pk).update(status="completed")
    assert 'hx-trigger="every 1s"' in console.get(live, {"seen": seen}).content.decode()
