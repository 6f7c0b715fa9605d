"""Rows for tests, made the way the services make them. Each app's part says whose it is."""

import copy
import io
from typing import Any

import factory
import numpy as np
from factory.django import DjangoModelFactory
from PIL import Image

from prep.models import ProductAsset
from runs.blobs import store_blob
from runs.models import Blob
from shops.models import ApiKey, Shop
from shops.services import issue_api_key
from storefront.consent import consent_hash
from storefront.models import CompositeRun
from storefront.services import RequestKey, create_composite
from storefront.uploads import upload_directly
from storefront.visitors import Visitor

# -- shops


class ShopFactory(DjangoModelFactory[Shop]):
    """An installed shop with one storefront origin."""

    class Meta:
        model = Shop

    domain = factory.Sequence(lambda n: f"shop-{n}.example.test")
    name = factory.Sequence(lambda n: f"Shop {n}")
    allowed_origins = factory.LazyAttribute(lambda shop: [f"https://{shop.domain}"])


class ApiKeyFactory(DjangoModelFactory[ApiKey]):
    """A live publishable storefront key; its `plain` attribute is the key as a page would carry it."""

    class Meta:
        model = ApiKey

    shop = factory.SubFactory(ShopFactory)
    scopes = ("storefront",)

    @classmethod
    def _create(cls, model_class: type[ApiKey], *args: Any, **kwargs: Any) -> ApiKey:
        issued = issue_api_key(**kwargs)
        issued.key.plain = issued.plain  # type: ignore[attr-defined]
        return issued.key


# -- prep and storefront


def encoded(pixels: Any, kind: str = "JPEG", **options: Any) -> bytes:
    """A picture file of (H, W, 3) or (H, W, 4) pixels."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def room_jpeg(width: int = 640, height: int = 480, seed: int = 0, **options: Any) -> bytes:
    """A photo of nothing in particular: a wall, a floor, a little noise, so that no two seeds are alike."""
    noise = np.random.default_rng(seed).integers(0, 12, (height, width, 3), dtype=np.uint8)
    noise[: height // 2] += np.array([200, 195, 185], np.uint8)
    noise[height // 2 :] += np.array([140, 110, 80], np.uint8)
    return encoded(noise, quality=90, **options)


def cutout_png(width: int = 300, height: int = 200) -> bytes:
    """A product on transparent ground."""
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[10:-10, 10:-10] = (90, 60, 40, 255)
    return encoded(pixels, "PNG")


FACTS = {
    "title": "Halden sofa",
    "product_type": "Sofa",
    "mount": "floor",
    "dimensions_m": {"width": 2.13, "depth": 0.91, "height": 0.84},
    "dimension_sources": {"width": "merchant", "depth": "merchant", "height": "merchant"},
    "evidence": [],
    "conflicts": [],
    "materials": ["wool"],
    "colors": [],
    "style": [],
    "confidence": 0.95,
}


class ProductAssetFactory(DjangoModelFactory[ProductAsset]):
    """A product that is ready to be shown in a room."""

    class Meta:
        model = ProductAsset

    shop = factory.SubFactory(ShopFactory)
    product_id = factory.Sequence(lambda n: f"gid://shop/Product/{n}")
    title = "Halden sofa"
    product_type = "Sofa"
    description = "A wool sofa, 213 x 91 x 84 cm."
    prep_status = ProductAsset.PrepStatus.READY
    extracted_facts = factory.LazyFunction(lambda: copy.deepcopy(FACTS))
    facts_version = "v1"
    facts_prompt_sha256 = "0" * 64
    cutout = factory.LazyAttribute(
        lambda asset: store_blob(
            shop=asset.shop, content=cutout_png(), media_type="image/png", retention=Blob.Retention.KEEP
        )
    )


class CompositeFactory(DjangoModelFactory[CompositeRun]):
    """A composite that was asked for and waits for a worker; its `visitor` attribute is its shopper's token."""

    class Meta:
        model = CompositeRun

    asset = factory.SubFactory(ProductAssetFactory)

    @classmethod
    def _create(cls, model_class: type[CompositeRun], *args: Any, **kwargs: Any) -> CompositeRun:
        asset = kwargs["asset"]
        visitor = Visitor.new(asset.shop)
        composite = create_composite(
            shop=asset.shop,
            asset=asset,
            upload=upload_directly(
                shop=asset.shop, content=kwargs.get("photo") or room_jpeg(), content_type="image/jpeg"
            ),
            visitor=visitor,
            request_key=RequestKey.of(visitor, None, {}),
            consent_text_hash=consent_hash(asset.shop),
            tap=kwargs.get("tap"),
        )
        composite.visitor = visitor.token  # type: ignore[attr-defined]
        return composite
