"""Rows for tests, made the way the services make them. Each app's part says whose it is."""

from typing import Any

import factory
from factory.django import DjangoModelFactory

from shops.models import ApiKey, Shop
from shops.services import issue_api_key

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
