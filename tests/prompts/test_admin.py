"""The override's form in the operator console."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from prompts import services
from prompts.library import library
from prompts.models import PromptOverride
from prompts.services import create_override
from shops.models import Shop
from tests.factories import ShopFactory

pytestmark = pytest.mark.django_db
ADD = "admin:prompts_promptoverride_add"
CHANGE = "admin:prompts_promptoverride_change"
LIST = "admin:prompts_promptoverride_changelist"
LEFT = "---\nparams: {prefer: left}\n---\n"


@pytest.fixture
def shop() -> Shop:
    return ShopFactory()


def test_an_empty_list_says_how_a_shop_gets_a_prompt_of_its_own(admin_client: Client) -> None:
    assert "Re-run from here" in admin_client.get(reverse(LIST)).content.decode()
    page = admin_client.get(reverse(LIST), {"q": "lamp"}).content.decode()
    assert "Nothing here matches." in page
    assert "Re-run from here" not in page


def patch(shop: Shop, template: str = LEFT) -> PromptOverride:
    return create_override(shop=shop, prompt_name="placement", template=template, reason="Doors", created_by="ada")


def form(shop: Shop, **changes: str) -> dict[str, str]:
    expires = timezone.now() + timedelta(hours=72)
    return {
        "shop": str(shop.pk),
        "prompt_name": "placement",
        "base_version": "",
        "reason": "Lamps in front of doors",
        "expires_at_0": expires.strftime("%Y-%m-%d"),
        "expires_at_1": expires.strftime("%H:%M:%S"),
        "template": library()
        .production("placement")
        .template.replace("scale: 1.0", "scale: 0.8")
        .replace("\n", "\r\n"),
        **changes,
    }


def test_the_form_starts_from_production(admin_client: Client, shop: Shop) -> None:
    page = admin_client.get(reverse(ADD), {"prompt_name": "placement", "shop": str(shop.pk)})
    initial = page.context["adminform"].form.initial
    assert initial["template"] == library().production("placement").template
    assert initial["expires_at"] > timezone.now() + timedelta(hours=71)


def test_the_form_starts_from_the_shops_live_override(admin_client: Client, shop: Shop) -> None:
    override = patch(shop)
    page = admin_client.get(reverse(ADD), {"prompt_name": "placement", "shop": str(shop.pk)})
    assert page.context["adminform"].form.initial["template"] == override.template


def test_the_form_starts_from_any_older_override(admin_client: Client, shop: Shop) -> None:
    override = patch(shop)
    page = admin_client.get(reverse(ADD), {"from": str(override.pk)})
    initial = page.context["adminform"].form.initial
    assert (initial["template"], initial["shop"]) == (override.template, str(shop.pk))


@pytest.mark.parametrize("query", [{"from": "nonsense"}, {"shop": "nonsense"}, {"prompt_name": "nonsense"}])
def test_a_strange_query_gives_an_empty_form(admin_client: Client, query: dict[str, str]) -> None:
    page = admin_client.get(reverse(ADD), query)
    assert page.status_code == 200
    assert "template" not in page.context["adminform"].form.initial


def test_saving_the_form_makes_an_override(admin_client: Client, shop: Shop) -> None:
    answer = admin_client.post(reverse(ADD), form(shop))
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    override = PromptOverride.objects.get()
    assert (override.params["scale"], override.created_by, override.base_version) == (0.8, "admin", "v3")
    assert "\r" not in override.template
    assert LogEntry.objects.get().object_id == str(override.pk)


def test_saving_over_the_override_one_has_seen_closes_it(admin_client: Client, shop: Shop) -> None:
    earlier = patch(shop)
    page = admin_client.get(reverse(ADD), {"prompt_name": "placement", "shop": str(shop.pk)})
    seen = page.context["adminform"].form.initial["seen"]
    assert admin_client.post(reverse(ADD), form(shop, seen=seen)).status_code == 302
    earlier.refresh_from_db()
    assert (seen, earlier.revoked_by) == (str(earlier.pk), "admin")


def test_who_was_overtaken_is_told_and_saves_once_more(admin_client: Client, shop: Shop) -> None:
    overtaking = patch(shop)
    answer = admin_client.post(reverse(ADD), form(shop))
    told = answer.context["adminform"].form
    assert "ada has patched placement for this shop" in str(told.errors["__all__"])
    assert "Doors" in str(told.errors["__all__"]) and "scale: 0.8" in told.data["template"]
    assert PromptOverride.objects.get().is_live(timezone.now())
    assert admin_client.post(reverse(ADD), form(shop, seen=told.data["seen"])).status_code == 302
    overtaking.refresh_from_db()
    assert overtaking.revoked_by == "admin"


def test_who_is_overtaken_between_look_and_writing_is_told_too(
    admin_client: Client, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch(shop)
    check = services.check_seen
    looks = iter([lambda *_: None])  # the form's own look came a moment too early
    monkeypatch.setattr(services, "check_seen", lambda *seen: next(looks, check)(*seen))
    answer = admin_client.post(reverse(ADD), form(shop))
    assert "ada has patched" in str(answer.context["adminform"].form.errors["__all__"])
    assert PromptOverride.objects.get().created_by == "ada"


def test_only_who_may_extend_lets_an_override_last_longer(client: Client, shop: Shop) -> None:
    far = (timezone.now() + timedelta(days=60)).strftime("%Y-%m-%d")
    editor = User.objects.create_user("editor", is_staff=True)
    editor.user_permissions.add(Permission.objects.get(codename="add_promptoverride"))
    client.force_login(editor)
    assert 'name="lasting"' not in client.get(reverse(ADD)).content.decode()
    values = form(shop, expires_at_0=far, lasting="on")
    assert "14 days" in str(client.post(reverse(ADD), values).context["adminform"].form.errors["expires_at"])
    editor.user_permissions.add(Permission.objects.get(codename="extend_promptoverride"))
    assert client.post(reverse(ADD), values).status_code == 302


def test_the_page_lists_all_overrides_of_the_shop_and_prompt(admin_client: Client, shop: Shop) -> None:
    first, _, stranger = patch(shop), patch(shop), patch(ShopFactory())
    page = admin_client.get(reverse(CHANGE, args=[str(first.pk)])).content.decode()
    assert page.count("replaced by ada") == 1
    assert str(stranger.pk) not in page


def test_the_drift_report_says_what_a_shop_misses(admin_client: Client, shop: Shop) -> None:
    url = reverse("admin:prompts_promptoverride_drift")
    assert "No live override has drifted" in admin_client.get(url).content.decode()
    override = create_override(
        shop=shop, prompt_name="placement", template=LEFT, base_version="v2", reason="Doors", created_by="ada"
    )
    page = admin_client.get(url).content.decode()
    assert "Made from v2, production is v3" in page and "What the library has changed since" in page
    anew = admin_client.get(reverse(ADD), {"from": str(override.pk), "base": "production"})
    initial = anew.context["adminform"].form.initial
    assert (initial["base_version"], initial["template"], initial["seen"]) == ("", override.template, str(override.pk))


def test_the_drift_report_is_for_those_who_may_see_overrides(client: Client) -> None:
    client.force_login(User.objects.create_user("eve", is_staff=True))
    assert client.get(reverse("admin:prompts_promptoverride_drift")).status_code == 403


@pytest.mark.parametrize(
    ("changes", "field", "why"),
    [
        ({"template": "{{ colour }}"}, "template", "uses `colour`"),
        ({"template": ""}, "template", "required"),
        ({"reason": "  "}, "reason", "required"),
        ({"expires_at_0": "2020-01-01"}, "expires_at", "future"),
        ({"expires_at_0": "2990-01-01"}, "expires_at", "14 days"),
        ({"base_version": "v4", "prompt_name": "composite"}, "template", "no version v4"),
    ],
)
def test_mistakes_are_shown_at_their_field(
    admin_client: Client, shop: Shop, changes: dict[str, str], field: str, why: str
) -> None:
    answer = admin_client.post(reverse(ADD), form(shop, **changes))
    assert answer.status_code == 200
    assert why in str(answer.context["adminform"].form.errors[field])
    assert not PromptOverride.objects.exists()


def test_an_override_can_be_read_and_closed_but_not_edited(admin_client: Client, shop: Shop) -> None:
    override = patch(shop)
    url = reverse(CHANGE, args=[str(override.pk)])
    page = admin_client.get(url).content.decode()
    assert "<ins>" in page and "prefer: left" in page
    assert 'name="template"' not in page
    admin_client.post(url, {"close": "on", "template": "other", "reason": "other"})
    override.refresh_from_db()
    assert (override.revoked_by, override.reason) == ("admin", "Doors")
    assert 'name="close"' not in admin_client.get(url).content.decode()


def test_saving_without_the_tick_leaves_it_live(admin_client: Client, shop: Shop) -> None:
    override = patch(shop)
    admin_client.post(reverse(CHANGE, args=[str(override.pk)]), {})
    override.refresh_from_db()
    assert override.revoked_at is None


def test_selected_overrides_are_closed_together(admin_client: Client, shop: Shop) -> None:
    overrides = [patch(shop), patch(ShopFactory())]
    data = {"action": "close_selected", "_selected_action": [str(override.pk) for override in overrides]}
    admin_client.post(reverse(LIST), data)
    assert PromptOverride.objects.open().count() == 0


@pytest.mark.parametrize(("state", "count"), [("live", 1), ("expired", 2), ("closed", 1), ("", 4)])
def test_the_list_filters_by_state(admin_client: Client, shop: Shop, state: str, count: int) -> None:
    patch(shop)
    patch(shop)
    expired = patch(ShopFactory())
    past = timezone.now() - timedelta(days=1)
    over = patch(ShopFactory())  # and closed when another took its place
    rows = PromptOverride.objects.filter(pk__in=[expired.pk, over.pk])
    rows.update(created_at=past - timedelta(days=1), expires_at=past)
    rows.filter(pk=over.pk).update(revoked_at=past + timedelta(hours=1), revoked_by="grace")
    page = admin_client.get(reverse(LIST), {"state": state} if state else {})
    assert len(page.context["cl"].result_list) == count


def test_overrides_are_never_deleted(admin_client: Client, shop: Shop) -> None:
    override = patch(shop)
    assert admin_client.post(reverse("admin:prompts_promptoverride_delete", args=[str(override.pk)])).status_code == 403


def test_a_prompt_with_markup_in_it_is_shown_as_text(admin_client: Client, shop: Shop) -> None:
    override = patch(shop, "<script>alert(1)</script> {{ facts.title | quote }}")
    page = admin_client.get(reverse(CHANGE, args=[str(override.pk)])).content.decode()
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
