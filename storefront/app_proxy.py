"""Requests that Shopify's app proxy forwards: signed over their query, never over body, path or method.

Source: shopify.dev, "About app proxies", section "Calculate a digital signature". The pairs are sorted as joined text
(`key=value1,value2`), as Shopify's own Ruby code does it.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence

from django.http import QueryDict

from storefront.errors import SignatureInvalid

SHOP_DOMAIN = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com")
MAX_SKEW_S = 90  # what Shopify's own library allows
ONCE = ("signature", "shop", "timestamp")


def sign(query: QueryDict, secret: str) -> str:
    """The signature of a query, in hexadecimal; a `signature` in it does not count."""
    pairs = sorted(f"{name}={','.join(values)}" for name, values in query.lists() if name != "signature")
    return hmac.new(secret.encode(), "".join(pairs).encode(), hashlib.sha256).hexdigest()


def verify(query: QueryDict, secrets: Sequence[str], now: float) -> str:
    """The shop domain that a signed query speaks for; `secrets` newest first, `now` in Unix seconds.

    A repeated signature is fine: two shoppers in one second sign alike. What must not happen twice carries a nonce.

    Raises:
        SignatureInvalid: unsigned, signed by somebody else, too old, or with a parameter doubled that must stand once.
    """
    if any(len(query.getlist(name)) != 1 for name in ONCE):
        raise SignatureInvalid()
    signature, domain, stamp = (str(query[name]) for name in ONCE)
    if not any(hmac.compare_digest(sign(query, secret).encode(), signature.encode()) for secret in secrets):
        raise SignatureInvalid()
    if not (stamp.isascii() and stamp.isdigit()) or abs(now - int(stamp)) > MAX_SKEW_S:
        raise SignatureInvalid("This request is too old. Please reload the page.")
    if not SHOP_DOMAIN.fullmatch(domain):
        raise SignatureInvalid()
    return domain
