"""Fixtures of the widget's tests: a browser, the strict API with the shop's pages, and two shoppers."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ViewportSize

from tests.browser import launch_browser
from tests.storefront.fake_api import FakeApi, FakeServer
from tests.storefront.shop_pages import shop_pages
from tests.storefront.shopper import DESKTOP, PHONE, Shopper, jpeg


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for a module's tests."""
    with launch_browser() as browser:
        yield browser


@pytest.fixture
def api() -> FakeApi:
    """The storefront API, with the shop's pages beside it."""
    return FakeApi(jpeg(color="#24483b"), shop_pages())


@pytest.fixture
def origin(api: FakeApi) -> Iterator[str]:
    """Where the shop is."""
    with FakeServer(api) as server:
        yield server.url


def _shopper(chromium: Browser, origin: str, api: FakeApi, viewport: ViewportSize, *, touch: bool) -> Iterator[Shopper]:
    context = chromium.new_context(viewport=viewport, has_touch=touch, is_mobile=touch)
    shopper = Shopper(context.new_page(), origin, api)
    yield shopper
    context.close()
    assert shopper.troubles == []
    assert api.breaches == []


@pytest.fixture
def shopper(chromium: Browser, origin: str, api: FakeApi) -> Iterator[Shopper]:
    """Somebody at a desk; nothing may break the page's policy, and no request the contract."""
    yield from _shopper(chromium, origin, api, DESKTOP, touch=False)


@pytest.fixture
def walker(chromium: Browser, origin: str, api: FakeApi) -> Iterator[Shopper]:
    """Somebody with a small phone."""
    yield from _shopper(chromium, origin, api, PHONE, touch=True)
