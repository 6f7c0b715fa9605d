"""What a shopper agrees to before a photo leaves the phone, and what we promise in return."""

from datetime import timedelta

from core.canonical import sha256_hex
from shops.models import Shop

KEPT_FOR = timedelta(hours=24)
TEXT = (
    "I agree that {shop} and See It process this photo to create a preview. It is deleted within 24 hours. "
    "Don't include people."
)


def consent_text(shop: Shop) -> str:
    """The sentence beside the unticked box in this shop's pages."""
    return TEXT.format(shop=shop.name or shop.domain)


def consent_hash(shop: Shop) -> str:
    """SHA-256 of the sentence, stored with every agreement to it."""
    return sha256_hex(consent_text(shop).encode())
