"""The one way the tests start a browser: the system's Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connections
from playwright.sync_api import Browser, expect, sync_playwright

# A page is waited for as long as on a machine that is busy with other tests; one that is as expected costs no time.
PATIENCE_MS = 20_000
expect.set_options(timeout=PATIENCE_MS)

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MISSING = "Chromium is missing: install it with `apt-get install chromium`, or set CHROMIUM to where it is."


def chromium_path() -> str | None:
    """Where the browser is: `CHROMIUM`, else the first one on the path."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((found for name in names if name and (found := shutil.which(name))), None)


@contextmanager
def launch_browser() -> Iterator[Browser]:
    """A headless Chromium; without one the test fails and says how to install it.

    Playwright keeps an event loop in this thread, which Django takes for asynchronous code; so it is told otherwise.
    """
    path = chromium_path()
    if path is None:
        pytest.fail(MISSING, pytrace=False)
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=list(FLAGS))
        try:
            yield browser
        finally:
            connections.close_all()  # what the test opened inside Playwright's loop is not the fixture's connection
            browser.close()
