"""Who a shopper is to us: a random number in a signed token, and only its hash in the database."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Self

from django.core.signing import BadSignature, Signer
from django.utils.crypto import salted_hmac

from shops.models import Shop

SALT = "storefront.visitor"


@dataclass(frozen=True, slots=True)
class Visitor:
    """One shopper in one shop."""

    shop: Shop
    number: str

    @classmethod
    def new(cls, shop: Shop) -> Self:
        """Somebody we have not seen before."""
        return cls(shop, secrets.token_urlsafe(16))

    @classmethod
    def of_request_key(cls, shop: Shop, key: str) -> Self:
        """The new visitor of a request that carries an idempotency key: the same one when it is repeated."""
        return cls(shop, salted_hmac(SALT, f"{shop.pk}:{key}", algorithm="sha256").hexdigest()[:32])

    @classmethod
    def read(cls, shop: Shop, token: str) -> Self | None:
        """Whose token this is, or None if we did not issue it for this shop."""
        try:
            return cls(shop, _signer(shop).unsign(token))
        except BadSignature:
            return None

    @property
    def token(self) -> str:
        """What the shopper's browser keeps and sends back."""
        return _signer(self.shop).sign(self.number)

    @property
    def hash(self) -> str:
        """What the database keeps; the number cannot be found from it."""
        return hashlib.sha256(f"{self.shop.pk}:{self.number}".encode()).hexdigest()

    def owns(self, visitor_hash: str) -> bool:
        """Whether a stored hash is this visitor's."""
        return hmac.compare_digest(self.hash, visitor_hash)


def _signer(shop: Shop) -> Signer:
    return Signer(salt=f"{SALT}.{shop.pk}")
