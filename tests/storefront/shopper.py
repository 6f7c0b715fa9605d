"""A shopper with a real browser before the demo shop's page."""

import io
import re
from typing import Self

from PIL import Image
from playwright.sync_api import Locator, Page, ViewportSize, expect

from tests.browser import PATIENCE_MS
from tests.storefront.fake_api import FakeApi
from tests.storefront.shop_pages import PRODUCT_PAGE

DESKTOP = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=320, height=640)


def jpeg(width: int = 1280, height: int = 960, color: str = "#b9a98f", exif: bytes = b"") -> bytes:
    """A plain photo."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), color).save(out, "JPEG", quality=90, exif=exif)
    return out.getvalue()


class Shopper:
    """One tab, and the words of what a shopper does in it."""

    def __init__(self, page: Page, origin: str, api: FakeApi) -> None:
        self.page, self.origin, self.api = page, origin, api
        self.troubles: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("console", lambda said: self.troubles.extend([said.text] if "Content Security" in said.text else []))

    def visit(self, path: str = PRODUCT_PAGE) -> Self:
        """Open a page of the shop and wait until it has loaded all it wants."""
        self.page.goto(self.origin + path, wait_until="networkidle")
        return self

    def button(self, name: str) -> Locator:
        """A button by what it says."""
        return self.page.get_by_role("button", name=name, exact=True)

    def press(self, name: str) -> Self:
        """Click a button."""
        self.button(name).click()
        return self

    def sees(self, heading: str) -> Self:
        """The view with this heading is in sight, and has the focus, so that a screen reader reads it."""
        shown = self.page.get_by_role("heading", level=2).filter(has_text=re.compile(f"^{re.escape(heading)}"))
        expect(shown.and_(self.page.locator("seeit-widget h2"))).to_be_focused()
        return self

    def open(self) -> Self:
        """Tap the button on the product page."""
        return self.visit().press("See it in your room").sees("Show us your room")

    def agree(self) -> Self:
        """Tick the box."""
        self.page.get_by_role("checkbox").check()
        return self

    def give(self, photo: bytes, name: str = "room.jpg", kind: str = "image/jpeg") -> Self:
        """Choose a file."""
        with self.page.expect_file_chooser() as chooser:
            self.press("Choose a photo")
        chooser.value.set_files({"name": name, "mimeType": kind, "buffer": photo})
        return self

    def ready(self, photo: bytes | None = None) -> Self:
        """Everything up to the chosen photo."""
        return self.open().agree().give(photo or jpeg()).sees("Tap where it should stand")

    def ask(self, photo: bytes | None = None) -> Self:
        """Everything up to the request."""
        return self.ready(photo).press("Show it in my room")

    @property
    def room(self) -> Locator:
        """The photo that takes the mark."""
        return self.page.get_by_role("application")

    @property
    def mark(self) -> Locator:
        """The mark on it."""
        return self.page.locator("#mark")

    @property
    def heard(self) -> Locator:
        """What a screen reader is told."""
        return self.page.locator("seeit-widget [role=status]")
