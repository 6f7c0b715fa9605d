"""The demo shop's pages and files as they are served, for a browser to open without the rest of the house."""

import json
import mimetypes
from pathlib import Path
from typing import Any

from django.template.loader import render_to_string
from django.test import override_settings

from storefront.demo_catalog import FOLDER, load_catalog
from tests.storefront.fake_api import KEY, Answer

STATIC = Path(__file__).resolve().parents[2] / "static" / "storefront"
POLICY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}
HOME = "/demo/"
PRODUCT_PAGE = "/demo/products/halden-sofa/"


def products() -> list[dict[str, Any]]:
    """The catalogue's products as the templates take them."""
    return [
        {
            "handle": each.handle,
            "product_id": each.product_id,
            "title": each.title,
            "price": f"€{float(each.price):,.0f}",
            "currency": each.currency,
            "image_url": f"/demo/pictures/products/{each.photo}",
            "image_cutout": each.alpha is not None,
            "room_image_url": each.photo_room and f"/demo/pictures/products/{each.photo_room}",
            "summary": each.summary,
            "description_html": each.description_html,
            "dimensions_text": each.dimensions_text,
            "dimensions": each.dimensions,
            "options": each.options,
            "product_type": each.product_type,
            "vendor": each.vendor,
        }
        for each in load_catalog().products
    ]


def samples() -> list[dict[str, str]]:
    """The sample rooms as the button carries them."""
    pictures = "/demo/pictures/rooms/"
    return [
        {"url": pictures + room.photo, "thumb": pictures + room.thumb, "title": room.title}
        for room in load_catalog().rooms
    ]


def page(template: str, **context: Any) -> Answer:
    """A page of the shop, under the policy it is served with."""
    with override_settings(ROOT_URLCONF="storefront.demo_urls"):
        html = render_to_string(f"storefront/{template}.html", {"store": load_catalog().store, **context})
    return Answer(200, html.encode(), "text/html; charset=utf-8", POLICY)


def shop_pages(key: str = KEY) -> dict[str, Answer]:
    """Every address of the shop and what it answers."""
    every = products()
    pages = {HOME: page("home", products=every), "/demo/products/nothing/": page("not_found", products=every)}
    for each in every:
        others = [other for other in every if other is not each]
        context = {"product": each, "others": others, "key": key, "samples": json.dumps(samples())}
        pages[f"/demo/products/{each['handle']}/"] = page("product", **context)
    files = {f"/demo/pictures/{path}": FOLDER / path for path in load_catalog().pictures()}
    files |= {f"/static/storefront/{file.name}": file for file in STATIC.iterdir()}
    for path, file in files.items():
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        pages[path] = Answer(200, file.read_bytes(), kind)
    return pages
