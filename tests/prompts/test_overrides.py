"""The emergency patch: one live override per shop and prompt, with a reason and an end."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from pytest_django import DjangoAssertNumQueries

from core.canonical import sha256_hex
from core.ids import new_id
from prompts.errors import OverrideInvalid, OverrideNotFound, PromptError, PromptNotFound
from prompts.library import library
from prompts.models import PromptOverride
from prompts.services import (
    close_override,
    create_override,
    load_live_overrides,
    revoke_override,
    select_for_shop,
)
from shops.models import Shop
from tests.factories import ShopFactory

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
LEFT = "---\nparams: {prefer: left}\n---\n"
RIGHT = "---\nparams: {prefer: right}\n---\n"


@pytest.fixture
def shop() -> Shop:
    return ShopFactory()


def patch(shop: Shop, template: str = LEFT, **changes: object) -> PromptOverride:
    values = {"prompt_name": "placement", "reason": "Lamps block doors", "created_by": "ada", "now": NOW, **changes}
    return create_override(shop=shop, template=template, **values)  # type: ignore[arg-type]


def test_an_override_is_stored_whole_with_where_it_came_from(shop: Shop) -> None:
    override = patch(shop)
    override.refresh_from_db()
    production = library().production("placement")
    assert override.base_version == "v3"
    assert override.base_sha256 == production.sha256
    assert override.params == {**production.params, "prefer": "left"}
    assert override.sha256 == sha256_hex(override.template.encode())
    assert "You are an interior stylist" in override.template
    assert override.expires_at == NOW + timedelta(hours=72)
    assert (override.revoked_at, override.revoked_by, override.created_by) == (None, "", "ada")


def test_params_given_apart_go_over_those_in_the_text(shop: Shop) -> None:
    override = patch(shop, params={"scale": 1.2, "prefer": "back"})
    assert (override.params["prefer"], override.params["scale"], override.params["margin"]) == ("back", 1.2, 0.05)


def test_the_shop_gets_it_and_other_shops_do_not(shop: Shop) -> None:
    override = patch(shop)
    mine, other = select_for_shop(shop, NOW), select_for_shop(ShopFactory(), NOW)
    assert mine["placement"].version == override.version_label
    assert mine["placement"].override_id == str(override.pk)
    assert (mine["composite"].version, other["placement"].version) == ("v2", "v3")


def test_live_overrides_come_in_one_query(shop: Shop, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    patch(shop)
    patch(shop, "Only {{ facts.title | quote }}.", prompt_name="composite")
    with django_assert_num_queries(1):
        live = load_live_overrides(shop, NOW)
    assert sorted(live) == ["composite", "placement"]


def test_it_ends_in_the_second_of_its_expiry(shop: Shop) -> None:
    override = patch(shop, expires_at=NOW + timedelta(minutes=5))
    last = override.expires_at - timedelta(seconds=1)
    assert select_for_shop(shop, last)["placement"].source == "override"
    assert select_for_shop(shop, override.expires_at)["placement"].source == "library"
    assert load_live_overrides(shop, override.expires_at) == {}


def test_a_second_override_closes_the_first(shop: Shop) -> None:
    first = patch(shop)
    second = patch(shop, RIGHT, created_by="grace", now=NOW + timedelta(hours=1))
    first.refresh_from_db()
    assert (first.revoked_at, first.revoked_by) == (NOW + timedelta(hours=1), "grace")
    assert select_for_shop(shop, NOW + timedelta(hours=2))["placement"].override_id == str(second.pk)


def test_an_expired_override_makes_room_for_a_new_one(shop: Shop) -> None:
    patch(shop, expires_at=NOW + timedelta(minutes=1))
    later = NOW + timedelta(days=1)
    assert patch(shop, RIGHT, now=later).is_live(later)
    assert PromptOverride.objects.for_shop(shop).open().count() == 1


def test_the_database_itself_holds_one_open_row_per_shop_and_prompt(shop: Shop) -> None:
    override = patch(shop)
    override.pk = new_id()
    with pytest.raises(IntegrityError, match="one_open_per_shop_and_prompt"), transaction.atomic():
        override.save(force_insert=True)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"reason": "  "}, "needs a reason"),
        ({"reason": "x" * 501}, "500 characters"),
        ({"expires_at": NOW}, "in the future"),
        ({"expires_at": NOW + timedelta(days=14, seconds=1)}, "14 days"),
    ],
)
def test_an_override_needs_a_reason_and_a_near_end(shop: Shop, changes: dict[str, object], why: str) -> None:
    with pytest.raises(OverrideInvalid, match=why):
        patch(shop, **changes)
    assert not PromptOverride.objects.exists()


@pytest.mark.parametrize(
    "template", ["{{ colour }}", "{{ facts.title", "{{ 1 + 1 }}", "---\nparams: {prefr: left}\n---\n", ""]
)
def test_a_text_that_would_fail_a_run_is_refused_and_the_old_one_stays(shop: Shop, template: str) -> None:
    override = patch(shop)
    with pytest.raises(PromptError):
        patch(shop, template)
    override.refresh_from_db()
    assert override.revoked_at is None


def test_an_unknown_prompt_or_version_is_refused(shop: Shop) -> None:
    with pytest.raises(PromptNotFound):
        patch(shop, prompt_name="nonsense")
    with pytest.raises(PromptNotFound):
        patch(shop, base_version="v9")


def test_an_older_version_can_be_the_base(shop: Shop) -> None:
    override = patch(shop, base_version="v2")
    assert override.params["max_candidates"] == 12


def test_revoking_puts_the_shop_back_at_once(shop: Shop) -> None:
    patch(shop)
    closed = revoke_override(shop=shop, prompt_name="placement", revoked_by="grace", now=NOW + timedelta(hours=1))
    assert (closed.revoked_at, closed.revoked_by) == (NOW + timedelta(hours=1), "grace")
    assert select_for_shop(shop, NOW + timedelta(hours=1))["placement"].version == "v3"


def test_revoking_what_is_not_open_is_an_error(shop: Shop) -> None:
    with pytest.raises(OverrideNotFound, match=shop.domain):
        revoke_override(shop=shop, prompt_name="placement", revoked_by="grace")


def test_closing_twice_keeps_the_first_closing(shop: Shop) -> None:
    override = patch(shop)
    assert close_override(override=override, revoked_by="ada", now=NOW)
    assert not close_override(override=override, revoked_by="grace", now=NOW + timedelta(hours=1))
    override.refresh_from_db()
    assert override.revoked_by == "ada"


@pytest.mark.django_db(transaction=True)
def test_rivals_take_turns_and_leave_one_open_override(shop: Shop) -> None:
    rivals, errors = 6, []
    start = threading.Barrier(rivals)

    def create(number: int) -> None:
        try:
            start.wait()
            patch(shop, LEFT, created_by=f"rival {number}")
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=create, args=(number,)) for number in range(rivals)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert PromptOverride.objects.for_shop(shop).count() == rivals
    assert PromptOverride.objects.for_shop(shop).open().count() == 1
