"""What a shop's domain and its allowed origins may look like."""

import re
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

DOMAIN = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
validate_domain = RegexValidator(DOMAIN.replace("$", r"\Z"), "Enter a host name in lower case, without a scheme.")
ORIGIN_HOST = re.compile(r"[a-z0-9.-]+|\[[0-9a-f:]+\]")


def normalise_origin(text: str) -> str:
    """An origin as browsers send it: lower case, no path, no default port.

    Raises:
        ValidationError: not `http(s)://host` with an optional port.
    """
    try:
        parts = urlsplit(text.strip().lower())
        port = parts.port
    except ValueError:
        raise ValidationError("%(origin)s is not an origin.", params={"origin": text}) from None
    host = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc
    plain = parts.path in ("", "/") and not parts.query and not parts.fragment
    if parts.scheme not in ("http", "https") or not ORIGIN_HOST.fullmatch(host) or not plain:
        raise ValidationError("%(origin)s is not an origin such as https://shop.example.", params={"origin": text})
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, default) else "")


def validate_origin(text: str) -> None:
    """Refuse anything that a browser would not send as `Origin`."""
    if normalise_origin(text) != text:
        raise ValidationError("Write the origin as %(origin)s.", params={"origin": normalise_origin(text)})
