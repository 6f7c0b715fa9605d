"""The demo shop: a tenant with products, a publishable key and everything switched on."""

import mimetypes
from contextlib import suppress

from prep.errors import AlreadyComplete
from prep.models import ProductAsset
from prep.services import prepare_inline, save_asset
from shops.features import Features
from shops.models import ApiKey, Shop
from shops.services import create_shop, issue_api_key
from storefront.demo_catalog import SHOP_DOMAIN, load_catalog


def ensure_demo_shop() -> Shop:
    """The demo shop, made when it is not there yet."""
    shop = Shop.objects.filter(domain=SHOP_DOMAIN).first()
    if shop is None:
        shop = create_shop(
            domain=SHOP_DOMAIN,
            name=load_catalog().store,
            plan=Shop.Plan.ENTERPRISE,
            quota_daily=100_000,
            quota_monthly=1_000_000,
            composites_per_minute=60,
            client_composites_per_minute=60,
            features=Features(composites=True),
        )
    return shop


def ensure_demo_key(shop: Shop, origins: list[str]) -> ApiKey:
    """A live publishable key for the demo's pages, and those pages' origins among the shop's."""
    missing = [origin for origin in origins if origin not in shop.allowed_origins]
    if missing:
        shop.allowed_origins = [*shop.allowed_origins, *missing]
        shop.save(update_fields=["allowed_origins"])
    return (
        ApiKey.objects.publishable_for(shop).first()
        or issue_api_key(shop=shop, scopes=[ApiKey.Scope.STOREFRONT], name="Demo pages").key
    )


def seed_products(shop: Shop) -> list[ProductAsset]:
    """The catalogue's products as assets of the shop; unchanged ones are left alone."""
    return [
        save_asset(
            shop=shop,
            product_id=product.product_id,
            title=product.title,
            picture=product.photo_path.read_bytes(),
            media_type=mimetypes.guess_type(product.photo)[0] or "application/octet-stream",
            description=product.description_html,
            product_type=product.product_type,
            tags=product.tags,
            handle=product.handle,
            price=product.price,
            currency=product.currency,
        )
        for product in load_catalog().products
    ]


def prepare_products(assets: list[ProductAsset]) -> list[ProductAsset]:
    """Prepare what is not ready, here and now; returns the assets that could not be made ready."""
    for asset in assets:
        if not asset.is_ready:
            with suppress(AlreadyComplete):  # an earlier start was killed half-way: a worker will take its run over
                prepare_inline(asset, trigger="demo")
    return [asset for asset in assets if not asset.is_ready]
