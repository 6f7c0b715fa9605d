"""The emergency patch: one live override per shop and prompt, with a reason and an end."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from pytest_django import DjangoAssertNumQueries

from core.canonical import sha256_hex
from core.ids import new_id
from prompts.drift import override_history
from prompts.errors import OverrideInvalid, OverrideMoved, OverrideNotFound, PromptError, PromptNotFound
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


@pytest.mark.parametrize("seen", ["nonsense", str(new_id())], ids=["nonsense", "another"])
def test_an_override_that_was_not_seen_is_not_replaced(shop: Shop, seen: str) -> None:
    first = patch(shop, seen="")
    for stale in ("", seen):
        with pytest.raises(OverrideMoved, match="ada has patched placement") as moved:
            patch(shop, RIGHT, seen=stale)
        assert moved.value.details == {"seen": str(first.pk)}
    second = patch(shop, RIGHT, seen=str(first.pk))
    assert PromptOverride.objects.for_shop(shop).open().get() == second


def test_an_override_that_was_closed_meanwhile_is_told_and_one_that_expired_is_not(shop: Shop) -> None:
    first = patch(shop, expires_at=NOW + timedelta(hours=1))
    revoke_override(shop=shop, prompt_name="placement", revoked_by="grace", now=NOW)
    with pytest.raises(OverrideMoved, match="grace has closed"):
        patch(shop, RIGHT, seen=str(first.pk))
    second = patch(shop, expires_at=NOW + timedelta(hours=1), seen="")
    later = NOW + timedelta(hours=2)
    assert patch(shop, RIGHT, seen=str(second.pk), now=later).is_live(later)


def test_what_has_expired_cannot_be_revoked_and_keeps_its_end(shop: Shop) -> None:
    override = patch(shop, expires_at=NOW + timedelta(minutes=5))
    later = NOW + timedelta(minutes=5)
    with pytest.raises(OverrideNotFound, match="one expired at 2026-11-21 12:05:00 UTC"):
        revoke_override(shop=shop, prompt_name="placement", revoked_by="grace", now=later)
    patch(shop, RIGHT, now=NOW + timedelta(days=1), created_by="grace")
    override.refresh_from_db()
    assert (override.state(later), override.ended_at) == ("expired", later)


def test_the_history_tells_how_each_ended(shop: Shop) -> None:
    patch(shop, expires_at=NOW + timedelta(minutes=5))
    patch(shop, now=NOW + timedelta(hours=1))
    patch(shop, now=NOW + timedelta(hours=2), created_by="grace")
    revoke_override(shop=shop, prompt_name="placement", revoked_by="edith", now=NOW + timedelta(hours=3))
    last = patch(shop, now=NOW + timedelta(hours=4))
    patch(ShopFactory())
    told = [item.ending for item in override_history(last, NOW + timedelta(hours=5))]
    assert told == ["live", "closed by edith", "replaced by grace", "expired"]


def test_a_lasting_override_is_asked_for(shop: Shop) -> None:
    assert patch(shop, expires_at=NOW + timedelta(days=90), lasting=True)
    with pytest.raises(OverrideInvalid, match="90 days"):
        patch(shop, expires_at=NOW + timedelta(days=91), lasting=True)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ facts.title.__class__ }}", "reserved"),
        ("{{ facts.title.upper() }}", "Call is not part of the prompt language"),
        ("{% for a in facts.style %}{% for b in facts.style %}{% for c in facts.style %}x{% endfor %}{% endfor %}"
         "{% endfor %}", "nested 2 deep"),
        ("{% for a in range(1000000000) %}x{% endfor %}", "Call is not part"),
        ("x" * 10 * 2**20, "64 KiB"),
        ("{{ facts.title }}" + "{{ facts | json }}" * 900, "64 KiB"),
    ],
)  # fmt: skip
def test_a_text_that_reaches_out_never_ends_or_swells_is_refused(shop: Shop, template: str, why: str) -> None:
    with pytest.raises(PromptError, match=why):
        patch(shop, template)
    assert not PromptOverride.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_leave_exactly_one_live_override(shop: Shop) -> None:
    """First twenty who all saw none: one wins. Then twenty who do not look: the last one stays, none is lost."""
    rivals = 20
    refused = at_once(rivals, lambda number: patch(shop, LEFT, created_by=f"rival {number}", seen=""))
    assert [type(error) for error in refused] == [OverrideMoved] * (rivals - 1)
    assert PromptOverride.objects.get().is_live(NOW)
    assert at_once(rivals, lambda number: patch(shop, RIGHT, created_by=f"rival {number}", now=None)) == []
    rows = PromptOverride.objects.for_shop(shop)
    assert rows.count() == 1 + rivals
    [live] = rows.open()
    assert all(row.revoked_at <= live.created_at for row in rows if row.revoked_at), "one after the other"
    assert rows.first() == live or live.created_at == max(row.created_at for row in rows)


def at_once(number: int, act: Callable[[int], object]) -> list[Exception]:
    """Do something from so many threads with connections of their own; what they were refused."""
    errors: list[Exception] = []
    start = threading.Barrier(number)

    def run(index: int) -> None:
        try:
            start.wait()
            act(index)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors
