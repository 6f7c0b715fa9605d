"""A log line never holds what opens a door: visitor tokens, upload addresses, picture links, keys."""

import logging.config

import pytest
from django.conf import settings
from django.test import Client

from config.logs import logging_config
from tests.factories import CompositeFactory, room_jpeg
from tests.storefront.doors import Page, finish

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("door")]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_token_of_a_shopper_reaches_the_log(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:

    logging.config.dictConfig(logging_config(log_format, "DEBUG"))
    composite = CompositeFactory.create()
    finish(composite)
    page, query = Page.of(composite.shop), f"?visitor={composite.visitor}"
    link = page.get(f"composites/{composite.pk}{query}").json()["data"]["result"]["url"]
    photo = room_jpeg()
    address = page.post("uploads", {"content_type": "image/jpeg", "bytes": len(photo)}).json()["data"]["url"]
    for _ in range(2):
        page.put(address, photo)
    Client().get(link)
    Client().get(link + "x")
    page.get(f"composites/nope{query}")
    page.get(f"products/nope{query}")
    logging.config.dictConfig(settings.LOGGING)
    lines = capsys.readouterr().err
    assert "/proxy/v1/results/[redacted]" in lines
    assert "/u/[redacted]" in lines
    secrets = [
        composite.visitor,
        composite.visitor.split(":")[1],
        link.rsplit("/", 1)[1],
        address.rsplit("/", 1)[1],
        page.key,
    ]
    assert [secret for secret in secrets if secret in lines] == []
