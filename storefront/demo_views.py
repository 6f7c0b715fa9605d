"""The demo shop: a small furniture shop's pages, with the See It button as any storefront would carry it."""

import json
from decimal import Decimal
from typing import Any

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from prep.models import ProductAsset
from shops.models import ApiKey, Shop
from storefront.demo_catalog import FOLDER, SHOP_DOMAIN, DemoProduct, load_catalog

SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£"}


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The shop's front page."""
    shop = _shop()
    context = {"store": load_catalog().store, "products": _products(shop) if shop else []}
    return render(request, "storefront/home.html", context)


@require_safe
def product(request: HttpRequest, handle: str) -> HttpResponse:
    """One product, with the button; 404 with a page of the shop for any other handle."""
    shop = _shop()
    products = _products(shop) if shop else []
    found = next((each for each in products if each["handle"] == handle), None)
    context: dict[str, Any] = {"store": load_catalog().store, "product": found}
    if shop is None or found is None:
        return render(request, "storefront/not_found.html", context | {"products": products}, status=404)
    others = [each for each in products if each is not found]
    return render(request, "storefront/product.html", context | _button(shop, handle) | {"others": others})


@require_safe
def picture(request: HttpRequest, path: str) -> FileResponse:
    """A picture of the catalogue, and nothing else of the disk."""
    if path not in load_catalog().pictures():
        raise Http404
    response = FileResponse((FOLDER / path).open("rb"))
    response["Cache-Control"] = "public, max-age=86400"
    return response


def _shop() -> Shop | None:
    return Shop.objects.active().filter(domain=SHOP_DOMAIN).first()


def _products(shop: Shop) -> list[dict[str, Any]]:
    """The shop's products in the catalogue's order: See It's record of each, and the merchant's pictures and texts."""
    assets = {asset.handle: asset for asset in ProductAsset.objects.for_shop(shop)}
    return [_view(assets[each.handle], each) for each in load_catalog().products if each.handle in assets]


def _view(asset: ProductAsset, entry: DemoProduct) -> dict[str, Any]:
    """What the templates show of a product."""
    room = entry.photo_room and _picture_url(f"products/{entry.photo_room}")
    return {
        "handle": asset.handle,
        "product_id": asset.product_id,
        "title": asset.title,
        "product_type": asset.product_type,
        "vendor": entry.vendor,
        "currency": asset.currency,
        "price": _price(asset.price or entry.price, asset.currency or entry.currency),
        "image_url": _picture_url(f"products/{entry.photo}"),
        "image_cutout": entry.alpha is not None,
        "room_image_url": room,
        "summary": entry.summary,
        "description_html": entry.description_html,
        "dimensions_text": entry.dimensions_text,
        "dimensions": entry.dimensions,
        "options": entry.options,
    }


def _button(shop: Shop, handle: str) -> dict[str, str]:
    """What the See It button carries: the shop's publishable key, and the sample rooms with space for the product."""
    key = ApiKey.objects.publishable_for(shop).first()
    rooms = [
        {"url": _picture_url(f"rooms/{room.photo}"), "thumb": _picture_url(f"rooms/{room.thumb}"), "title": room.title}
        for room in load_catalog().rooms_for(handle)
    ]
    return {"key": key.publishable_value if key else "", "samples": json.dumps(rooms)}


def _picture_url(path: str) -> str:
    return reverse("demo-picture", args=[path])


def _price(amount: str, currency: str) -> str:
    """`1249.00`, `EUR` as `€1,249`; cents only where there are some."""
    value = Decimal(amount.replace(",", ""))
    figures = f"{value:,.0f}" if value == value.to_integral() else f"{value:,.2f}"
    return f"{SYMBOLS.get(currency, currency + ' ')}{figures}"
