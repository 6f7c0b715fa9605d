"""What a shopper agrees to before a photo leaves the phone."""

from core.canonical import sha256_hex
from shops.models import Shop

TEXT = (
    "I agree that {shop} and See It process this photo to show the product in my room. "
    "It is kept for 24 hours at most, and I can delete it at any time. I will not send pictures of people."
)


def consent_text(shop: Shop) -> str:
    """The sentence beside the unticked box in this shop."""
    return TEXT.format(shop=shop.name or shop.domain)


def consent_hash(shop: Shop) -> str:
    """SHA-256 of the sentence, stored with every agreement to it."""
    return sha256_hex(consent_text(shop).encode())
