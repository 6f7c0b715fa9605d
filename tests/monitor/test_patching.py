"""From a fork's prompt to its shop's override: patched, seen by the next run, taken back."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from monitor.patches import read_patches
from prompts.library import library
from prompts.models import PromptOverride
from prompts.services import create_override, load_live_overrides
from runs.models import Run
from runs.services import publish_dag
from tests.factories import ShopFactory
from tests.monitor.factories import MetricFactory, RunFactory, StepFactory

pytestmark = pytest.mark.django_db
LEFT = library().production("placement").template.replace("scale: 1.0", "scale: 1.0, prefer: left")
USED = {"prompt_name": "placement", "prompt_version": "v3", "prompt_source": "library"}


@pytest.fixture
def forked() -> tuple[Run, Run]:
    """A run, and its fork with another prompt that came through."""
    run = RunFactory()
    StepFactory(run=run, node_key="placement", **USED)
    return run, fork_of(run, LEFT)


def fork_of(run: Run, template: str, **values: Any) -> Run:
    changes = {"prompts": {"placement": {"template": template}}}
    fork = RunFactory(shop=run.shop, parent=run, mode="fork", fork_node="placement", fork_changes=changes, **values)
    StepFactory(run=fork, node_key="placement", prompt_name="placement", prompt_source="edit")
    return fork


def act(client: Client, runs: tuple[Run, Run], verb: str = "", **values: str) -> HttpResponse:
    name = f"admin:monitor_patch{verb}"
    data = {"prompt": "placement", "reason": "The lamp floats", "seen": "", **values}
    return client.post(reverse(name, args=[str(run.pk) for run in runs]), data)


def test_one_button_makes_the_forks_prompt_its_shops(console: Client, forked: tuple[Run, Run]) -> None:
    before = timezone.now()
    answer = act(console, forked)
    override = PromptOverride.objects.get()
    assert answer.status_code == 200 and "No run has used it yet" in answer.content.decode()
    assert (override.shop, override.template, override.base_version) == (forked[0].shop, LEFT, "v3")
    assert (override.reason, override.created_by, override.source_run) == (
        "The lamp floats", "operator", forked[1].pk
    )  # fmt: skip
    assert timedelta(hours=71, minutes=59) < override.expires_at - before <= timedelta(hours=72, seconds=5)
    assert LogEntry.objects.filter(object_id=str(override.pk)).exists()
    assert load_live_overrides(forked[0].shop)["placement"].template == LEFT


def test_the_next_run_that_uses_it_verifies_it(console: Client, forked: tuple[Run, Run]) -> None:
    act(console, forked)
    [patch] = read_patches(*forked)
    asked_with = {"prompt_name": "placement", "prompt_version": patch.live.version_label, "prompt_source": "override"}
    StepFactory(run=RunFactory(), **asked_with)  # another shop's
    earlier = timezone.now() - timedelta(days=9)  # the same text as a patch of last week
    StepFactory(run=RunFactory(shop=forked[0].shop), node_key="placement", created_at=earlier, **asked_with)
    StepFactory(run=RunFactory(shop=forked[0].shop), node_key="placement", **USED)
    used = StepFactory(run=RunFactory(shop=forked[0].shop), node_key="placement", **asked_with)
    MetricFactory(step=used)
    panel = reverse("admin:monitor_patch_panel", args=[str(run.pk) for run in forked]) + "?prompt=placement"
    page = console.get(panel).content.decode()
    assert [use.run for use in read_patches(*forked)[0].uses] == [used.run]
    assert "verified</span> by a shopper's run" in page and "every 2s" not in page
    MetricFactory(step=used, passed=False)
    assert "not good" in console.get(panel).content.decode()


def test_it_is_taken_back_from_the_same_place(console: Client, forked: tuple[Run, Run]) -> None:
    act(console, forked)
    override = PromptOverride.objects.get()
    answer = act(console, forked, "_revoke", override=str(override.pk))
    override.refresh_from_db()
    assert override.revoked_by == "operator"
    assert "gets the library" in answer.content.decode()
    other = create_override(
        shop=ShopFactory(), prompt_name="placement", template=LEFT, reason="Doors", created_by="ada"
    )
    assert act(console, forked, "_revoke", override=str(other.pk)).status_code == 404
    assert other.is_live(timezone.now())


def test_who_was_overtaken_confirms_before_going_over_it(console: Client, forked: tuple[Run, Run]) -> None:
    ada = create_override(
        shop=forked[0].shop, prompt_name="placement", template="{{ facts.title }}", reason="Doors", created_by="ada"
    )
    answer = act(console, forked)
    assert (answer.status_code, answer["Content-Type"]) == (409, "text/plain; charset=utf-8")
    assert "ada has patched placement" in answer.content.decode() and "“Doors”" in answer.content.decode()
    assert json.loads(answer["HX-Trigger"]) == {"patchmoved": {"seen": str(ada.pk)}}
    assert PromptOverride.objects.get() == ada
    assert act(console, forked, seen=str(ada.pk)).status_code == 200
    assert PromptOverride.objects.open().get().created_by == "operator"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"reason": " "}, "needs a reason"),
        ({"hours": "0"}, "how many hours"),
        ({"hours": "soon"}, "how many hours"),
        ({"hours": "400"}, "14 days"),
        ({"prompt": "composite"}, "nothing to patch with"),
        ({"prompt": "nonsense"}, "nothing to patch with"),
    ],
)
def test_what_cannot_be_patched_is_said_and_nothing_is_stored(
    client: Client, forked: tuple[Run, Run], values: dict[str, str], said: str
) -> None:
    client.force_login(staff("view_run", "add_promptoverride"))
    answer = act(client, forked, **values)
    assert (answer.status_code, said in answer.content.decode()) == (422, True), answer.content
    assert not PromptOverride.objects.exists()


@pytest.mark.parametrize("template", ["{{ colour }}", "{{ facts.__class__ }}", "x" * 70_000])
def test_a_prompt_that_the_library_no_longer_feeds_is_refused(console: Client, template: str) -> None:
    run = RunFactory()
    assert act(console, (run, fork_of(run, template))).status_code == 422
    assert not PromptOverride.objects.exists()


def test_a_fork_that_failed_patches_nobody(console: Client) -> None:
    run = RunFactory()
    fork = fork_of(run, LEFT, status="failed")
    assert "has not come through" in act(console, (run, fork)).content.decode()
    page = console.get(reverse("admin:monitor_compare", args=[str(run.pk), str(fork.pk)])).content.decode()
    assert 'data-key="p"' not in page and not PromptOverride.objects.exists()


def test_the_shop_that_is_patched_is_the_forks_own(console: Client, forked: tuple[Run, Run]) -> None:
    stranger = RunFactory()
    assert act(console, (stranger, forked[1])).status_code == 200
    assert PromptOverride.objects.get().shop == forked[1].shop != stranger.shop
    assert act(console, (stranger, RunFactory())).status_code == 422


def test_the_dialog_says_what_a_patch_does_not_carry(console: Client, forked: tuple[Run, Run]) -> None:
    changes = {**forked[1].fork_changes, "input": {"tap": None}, "routes": {"composite": "local/local-1"}}
    Run.objects.filter(pk=forked[1].pk).update(fork_changes=changes)
    page = console.get(reverse("admin:monitor_compare", args=[str(run.pk) for run in forked])).content.decode()
    assert "was also given the input tap, local/local-1 for composite. The patch carries the prompt alone" in page


def staff(*codenames: str) -> User:
    user = User.objects.create_user("vera", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


def test_without_the_permission_there_is_no_button_and_no_patch(client: Client, forked: tuple[Run, Run]) -> None:
    client.force_login(staff("view_run"))
    page = client.get(reverse("admin:monitor_compare", args=[str(run.pk) for run in forked])).content.decode()
    assert "Patch Shop" not in page and "patch-dialog" not in page
    for verb in ("", "_revoke", "_verify"):
        assert act(client, forked, verb).status_code == 403
    client.force_login(User.objects.create_superuser("root"))
    page = client.get(reverse("admin:monitor_compare", args=[str(run.pk) for run in forked])).content.decode()
    assert "patch-dialog-placement" in page and "90 days" in page


def test_trying_it_runs_the_original_again_without_the_edit(console: Client) -> None:
    version, _ = publish_dag("composite", {"nodes": [{"key": "facts", "step": "facts@1"}]})
    run = RunFactory(pipeline_version=version)
    StepFactory(run=run, node_key="facts", **USED)
    again = fork_of(fork_of(run, LEFT), LEFT.replace("left", "right"))
    StepFactory(run=again, node_key="facts", seq=0, prompt_name="placement")
    answer = act(console, (run, again), "_verify")
    made = Run.objects.latest("id")
    assert (answer.status_code, made.parent, made.fork_changes, made.mode) == (204, run, {}, "fork")
    assert answer["HX-Redirect"] == reverse("admin:monitor_compare", args=[str(run.pk), str(made.pk)])


def test_a_run_that_was_asked_with_a_patch_shows_it_and_can_take_it_back(
    console: Client, forked: tuple[Run, Run]
) -> None:
    act(console, forked)
    live = PromptOverride.objects.get()
    used = RunFactory(shop=forked[0].shop, parent=forked[0], mode="fork", fork_node="placement")
    asked_with = {"prompt_name": "placement", "prompt_version": live.version_label, "prompt_source": "override"}
    StepFactory(run=used, node_key="placement", prompt_sha256=live.sha256, **asked_with)
    runs = (forked[0], used)
    page = console.get(reverse("admin:monitor_compare", args=[str(run.pk) for run in runs])).content.decode()
    assert "gets this placement prompt" in page and "Revoke" in page and "by a fork" in page
    assert "Try it now" not in page, "it was tried"
    answer = act(console, runs, "_revoke", override=str(live.pk)).content.decode()
    assert "gets the library's placement prompt." in answer
    assert load_live_overrides(forked[0].shop) == {}
