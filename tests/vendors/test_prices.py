"""Prices: dated, by exclusive buckets, and honest about what is not known."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from vendors.base import RateLimited, Refused, Reply, TimedOut, Usage
from vendors.prices import Prices, PricesInvalid, load_prices
from vendors.routes import TASKS, load_routes

DEFAULT = Path(__file__).parents[2] / "config" / "prices.toml"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FLASH = "gemini-3.8-flash"
USED = Usage(tokens_in=1000, tokens_out=200, tokens_cached=0, tokens_thinking=100)


def written(folder, text):
    path = folder / "prices.toml"
    path.write_text(text)
    return path


def table(folder, *entries):
    text = "\n".join(f'[[prices]]\nvendor = "v"\nmodel = "m"\nsince = {entry}\n' for entry in entries)
    return load_prices(written(folder, text))


@pytest.fixture(scope="module")
def prices():
    return load_prices(DEFAULT)


def usd(prices, usage, *, vendor="gemini", model=FLASH, at=NOW, **reply):
    cost = prices.cost(vendor, model, Reply(model=model, usage=usage, **reply), at)
    return cost and cost.usd


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (USED, "0.001875"),  # 1000 in, and 300 out of which 100 were thoughts
        (replace(USED, tokens_in=200, tokens_cached=800), "0.001335"),
        (Usage(tokens_in=0, tokens_out=0), "0"),
        (Usage(tokens_in=1000, tokens_out=300), "0.001875"),  # buckets that the service does not tell apart
        (Usage(), None),
        (Usage(tokens_in=1000), None),
        (Usage(tokens_out=1000), None),
        (replace(USED, images=1), None),  # a picture, and no price for one
    ],
)
def test_every_bucket_has_its_price_and_what_is_not_told_is_unknown(prices, usage, expected):
    assert usd(prices, usage) == (None if expected is None else Decimal(expected))


def test_cached_tokens_without_a_price_make_the_whole_cost_unknown(tmp_path):
    known = table(tmp_path, "2026-01-01\ninput = 1\noutput = 2")
    assert usd(known, USED, vendor="v", model="m") == Decimal("0.0016")
    assert usd(known, replace(USED, tokens_cached=1), vendor="v", model="m") is None


def test_thinking_may_have_a_price_of_its_own(tmp_path):
    known = table(tmp_path, "2026-01-01\ninput = 1\noutput = 2\nthinking = 10")
    assert usd(known, USED, vendor="v", model="m") == Decimal("0.0024")


def test_a_drawn_picture_costs_its_tokens_or_its_piece(prices):
    drawn = Usage(tokens_in=2000, tokens_out=0, images=1)
    banana, lite = "gemini-nano-banana-2.1", "gemini-3.1-flash-lite-image"
    assert usd(prices, replace(drawn, tokens_image=1120), model=banana) == Decimal("0.0366")
    assert usd(prices, drawn, model=banana) is None  # of what size?
    assert usd(prices, drawn, model=lite) == Decimal("0.0341")
    assert usd(prices, replace(drawn, images=None), model=lite) is None


def test_pictures_shown_to_a_model_may_be_billed_apart(prices):
    used = Usage(tokens_in=200, tokens_out=0, tokens_in_image=3000, tokens_image=4000, images=1)
    name = {"vendor": "openai", "model": "gpt-image-2.5-flare"}
    assert usd(prices, used, **name) == Decimal("0.145")
    assert usd(prices, replace(used, tokens_in_image=None), **name) is None
    assert usd(prices, replace(USED, tokens_in_image=1)) is None
    assert prices.estimate("openai", "gpt-image-2.5-flare", NOW, characters=4000, images=1) == Decimal("0.0474")


def test_every_model_of_the_default_routes_has_a_price(prices):
    routes = load_routes(DEFAULT.with_name("models.toml"))
    named = {(route.vendor, route.model) for task in TASKS for route in routes.for_task(task)}
    assert [name for name in sorted(named) if not prices.knows(*name, NOW)] == []


def test_a_call_may_have_a_price(prices):
    cost = prices.cost("photoroom", "segment-v1", Reply(model="segment-v1"), NOW)
    assert (cost.usd, cost.source) == (Decimal("0.02"), "prices:2026-01-01")


def test_the_time_of_the_call_decides_when_a_price_changes_in_the_middle_of_a_day(tmp_path):
    known = table(tmp_path, "2026-11-01\ninput = 1\noutput = 1", "2026-11-21T12:00:00Z\ninput = 2\noutput = 1")
    used = Reply(model="m", usage=Usage(tokens_in=1_000_000, tokens_out=0))
    before, after = (known.cost("v", "m", used, at) for at in (NOW - timedelta(milliseconds=1), NOW))
    assert (before.usd, before.source) == (Decimal(1), "prices:2026-11-01")
    assert (after.usd, after.source) == (Decimal(2), "prices:2026-11-21T12:00Z")
    assert known.cost("v", "m", used, datetime(2026, 10, 31, 23, 59, tzinfo=UTC)) is None


def test_the_default_table_knows_that_the_half_price_ends_with_the_year(prices):
    in_2027 = datetime(2027, 1, 1, tzinfo=UTC)
    assert usd(prices, USED, at=in_2027) == 2 * usd(prices, USED, at=in_2027 - timedelta(seconds=1))


def test_the_model_that_answered_has_the_price_and_its_version_that_of_the_one_asked(prices):
    told = {"model": "gemini-2.5-flash", "usage": USED}
    assert usd(prices, USED, model=FLASH, model_version=f"{FLASH}-2026-09-01") == Decimal("0.001875")
    for version in ("-20260901", "-002"):
        assert usd(prices, USED, model=FLASH, model_version=FLASH + version) == Decimal("0.001875")
    for another in (f"{FLASH}-pro", f"{FLASH}-2026-09-01-pro", f"{FLASH}-16k", f"{FLASH}er"):
        assert usd(prices, USED, model=FLASH, model_version=another) is None, another
    assert usd(prices, USED, model=FLASH, model_version="gemini-3.5-flash-lite") == Decimal("0.00105")
    assert usd(prices, USED, model=FLASH, model_version="gemini-9") is None
    assert prices.cost("gemini", "gemini-2.5-flash", Reply(**told), NOW) is None


def test_the_more_exact_name_wins_over_a_pattern(tmp_path):
    entry = '[[prices]]\nvendor = "v"\nmodel = "{}"\nsince = 2026-01-01\ninput = {}\noutput = 0\n'
    known = load_prices(written(tmp_path, "".join(entry.format(*row) for row in (("m*", 1), ("m-2*", 2), ("m-2", 3)))))
    names = ("m", "m-1", "m-2", "m-2-mini", "n")
    assert [known.find("v", name, NOW) and known.find("v", name, NOW).input for name in names] == [1, 1, 3, 2, None]


def test_no_model_has_the_price_of_one_whose_name_its_own_begins_with(prices):
    sol = prices.find("openai", "gpt-6-sol", NOW)
    assert sol is not None and prices.find("openai", "gpt-6-sol-2026-08-01", NOW) == sol
    assert prices.find("openai", "gpt-6-sol-pro", NOW) is None


def test_what_the_service_says_itself_counts_and_our_own_work_is_free(prices):
    told = prices.cost("openai", "some/model", Reply(model="some/model", cost_usd=0.00123456), NOW)
    assert (told.usd, told.source) == (Decimal("0.001235"), "vendor")
    assert prices.cost("local", "local-1", Reply(model="local-1"), NOW).source == "local"
    assert prices.cost("openai", "some/model", Reply(model="some/model", usage=USED), NOW) is None


def test_an_error_costs_what_its_usage_says_nothing_where_it_is_not_billed_and_else_nobody_knows(prices):
    refused = Refused("no", usage=Usage(tokens_in=1000, tokens_out=0), response={"status": 200})
    limited = RateLimited("slow down", response={"status": 429})
    assert prices.cost("gemini", FLASH, refused, NOW).usd == Decimal("0.00075")
    assert prices.cost("gemini", FLASH, TimedOut("?"), NOW) is None
    assert (prices.cost("gemini", FLASH, limited, NOW).usd, prices.cost("gemini", FLASH, limited, NOW).source) == (
        0,
        "unbilled",
    )
    assert prices.cost("elsewhere", FLASH, limited, NOW) is None


def test_an_estimate_is_about_right_for_a_call_that_has_not_been_made(prices):
    sent = {"characters": 4000, "images": 1}
    assert prices.estimate("gemini", FLASH, NOW, **sent) == Decimal("0.0072")
    assert prices.estimate("gemini", "gemini-nano-banana-2.1", NOW, **sent) == Decimal("0.03675")
    assert prices.estimate("gemini", FLASH, NOW) == Decimal("0.009225")
    assert prices.estimate("photoroom", "segment-v1", NOW) == Decimal("0.02")
    assert prices.estimate("local", "local-1", NOW) == 0
    assert prices.estimate("gemini", "gemini-9", NOW) is None
    assert Prices().knows("local", "local-1", NOW)
    assert not Prices().knows("gemini", FLASH, NOW)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("x", "not TOML"),
        ('[[prices]]\nvendor = "v"\nmodel = "m"\ninput = 1\n', "prices.0.since"),
        ('[[prices]]\nvendor = "v"\nmodel = "m"\nsince = "2026-01-01"\ninput = 1\n', "without quotes"),
        ('[[prices]]\nvendor = "v"\nmodel = "m"\nsince = 2026-01-01T10:00:00\ninput = 1\n', "zone"),
        ('[[prices]]\nvendor = "v"\nmodel = "m"\nsince = 2026-01-01\ninput = -1\n', "prices.0.input"),
        ('[[prices]]\nvendor = "v"\nmodel = "m"\nsince = 2026-01-01\ninput = nan\n', "prices.0.input"),
        ('[[prices]]\nvendor = "v"\nmodel = "m"\nsince = 2026-01-01\nout = 1\n', "prices.0.out"),
        ('[[prices]]\nvendor = "v"\nmodel = "m"\nsince = 2026-01-01\n', "at least one price"),
        ('[[prices]]\nvendor = "v"\nmodel = "m"\nsince = 2026-01-01\ninput = 1\n' * 2, "two prices since 2026-01-01"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_in_one_line_that_names_the_place(tmp_path, text, place):
    with pytest.raises(PricesInvalid) as refused:
        load_prices(written(tmp_path, text))
    assert str(refused.value).startswith("prices.toml: ")
    assert place in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PricesInvalid, match=r"absent\.toml: there is no such file"):
        load_prices(tmp_path / "absent.toml")
