"""Somebody on duty, signed in."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser

from tests.browser import launch_browser


@pytest.fixture(autouse=True)
def everything_is_readable(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A page that cannot read something says so and opens; here, where our own code wrote it, that is a mistake."""
    yield
    assert [record for record in caplog.get_records("call") if record.name == "monitor.unreadable"] == []


@pytest.fixture
def operator(db: None) -> User:
    """A superuser."""
    return User.objects.create_superuser("operator", password="a-long-password-1")


@pytest.fixture
def console(operator: User) -> Client:
    """The operator's browser, without a screen."""
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def chromium(monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """Playwright's loop runs in this thread, where the tests also write rows."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with launch_browser() as browser:
        yield browser


@pytest.fixture
def session(console: Client) -> str:
    """The operator's session."""
    return console.cookies[settings.SESSION_COOKIE_NAME].value
